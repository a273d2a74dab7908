"""What was refused, remembered in the cluster: one PolicyDenial for an assignment and a workload, with a count.

A namespace has so many of its own and no more, so that a storm of names, or of reviews that nobody but an attacker has
asked for, fills no etcd and pushes out nothing: what comes later is folded.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from msgspec import Struct, structs

from aksp.addon import names
from aksp.addon.record.outbox import PENDING, Outbox
from aksp.addon.review.decision import Decision, Refusal, ReviewRequest
from aksp.addon.review.refusals import cut
from aksp.errors import ClusterError
from aksp.kube import errors, objects
from aksp.kube.connection import Connection
from aksp.kube.fetch import ONCE
from aksp.model.assignment import API_VERSION
from aksp.model.fields import metadata_of, spec_of
from aksp.model.times import moment, rfc3339
from aksp.report.figures import plural

_log = logging.getLogger(__name__)

KIND = "PolicyDenial"
RETENTION = timedelta(days=7)
PER_NAMESPACE = 100
"""How many denials a namespace has of its own; whoever is refused beyond that is counted in one for each assignment."""
OTHERS = "(others)"
"""The name in such a denial: it is nobody's, and no object can have it."""
COUNTED_SECONDS = 30.0
"""How long a replica goes by its own count of a namespace's denials: other replicas write too."""
TRIES = 5
"""How often a denial is read again when other replicas write it at the same time."""
LONGEST_NAME = 512
"""Bytes of a name, an image, a user: admission happens before anybody has checked most of them."""
MOST_CONTAINERS = 50
ASSIGNMENT_LABEL = f"{names.GROUP}/assignment"


class DenialKey(Struct, frozen=True, kw_only=True, gc=False):
    """Refusals with the same key are one PolicyDenial. ``kind`` and ``name`` are the workload's, else the object's."""

    assignment: str
    namespace: str
    kind: str
    name: str


class Denial(Struct, frozen=True, kw_only=True, gc=False):
    """Refusals with one key: how many and when, and the last one with its request."""

    refusal: Refusal
    request: ReviewRequest
    first: datetime
    last: datetime
    count: int = 1

    def and_then(self, newer: Denial) -> Denial:
        """The two as one."""
        return structs.replace(
            newer, count=self.count + newer.count, first=min(self.first, newer.first), last=max(self.last, newer.last)
        )


class Denials(Outbox[DenialKey, Denial]):
    """Writes PolicyDenials; `record` only takes note, a thread writes once a second.

    Denials of objects without a namespace are in ``namespace``, the add-on's own. ``more`` goes to the `Outbox`.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        namespace: str = names.NAMESPACE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        **more: Any,
    ) -> None:
        self._connection = connection
        self._namespace = namespace
        self._now = now
        self._counts: dict[str, tuple[int, datetime]] = {}
        """How many denials of their own namespaces have, and when they were counted."""
        super().__init__(
            "denials",
            write=self._deliver,
            merge=Denial.and_then,
            share=lambda key: key.namespace,
            folded=others_of,
            **more,
        )

    def record(self, decision: Decision) -> None:
        """Take note of a refusal. A dry run refused nothing, and leaves nothing behind in the cluster."""
        request = decision.request
        if decision.outcome.allowed or request.dry_run:
            return
        moment = self._now().replace(microsecond=0)
        for refusal in decision.outcome.refusals:
            subject = request.workload
            key = DenialKey(
                assignment=refusal.assignment,
                namespace=request.resource.namespace or self._namespace,
                # Kinds of other groups may have the same name (Service: Knative's).
                kind=subject.kind if subject else f"{request.resource.kind}.{request.resource.group}",
                name=subject.name if subject else request.resource.name,
            )
            self.put(key, Denial(refusal=refusal, request=request, first=moment, last=moment))

    def prune(self) -> int:
        """Delete denials that are older than 7 days; how many. The leader's work.

        A cluster that refuses is told in the log: nothing else depends on it.
        """
        limit = self._now() - RETENTION
        try:
            old = [each for each in objects.list_all(self._connection, collection_path()) if last_time(each) < limit]
            removed = sum(objects.delete(self._connection, _path(each)) for each in old)
        except ClusterError as error:
            _log.warning("old denials cannot be deleted now: %s", error)
            return 0
        if removed:
            _log.info("%s older than %d days deleted", plural(removed, "denial"), RETENTION.days)
        return removed

    def _deliver(self, key: DenialKey, denial: Denial) -> None:
        if key.name == OTHERS:
            nobody = structs.replace(denial.request.resource, name=OTHERS)
            denial = structs.replace(denial, request=structs.replace(denial.request, workload=None, resource=nobody))
        name = denial_name(key)
        collection = collection_path(key.namespace)
        path = f"{collection}/{name}"
        for attempt in range(1, TRIES + 1):
            known = objects.get(self._connection, path, backoff=ONCE)
            if known is None and key.name != OTHERS and not self._room(key.namespace):
                self._deliver(others_of(key), denial)
                return
            try:
                if known is None:
                    new = document(name, key.namespace, denial)
                    objects.create(self._connection, collection, new, backoff=ONCE)
                else:
                    objects.replace(self._connection, path, merged(known, denial), backoff=ONCE)
            except errors.Conflict:
                if attempt == TRIES:
                    raise
            except errors.NotServed:
                # One that is there is deleted by another replica in this moment; else the namespace or the kind is gone.
                if known is None or attempt == TRIES:
                    raise
            else:
                return

    def _room(self, namespace: str) -> bool:
        """Whether a namespace may have one more denial of its own. What is there is never pushed out."""
        now = self._now()
        counted = self._counts.get(namespace)
        if counted is None or not timedelta() <= now - counted[1] < timedelta(seconds=COUNTED_SECONDS):
            found = objects.list_all(self._connection, collection_path(namespace))
            own = sum((each.get("spec") or {}).get("resource", {}).get("name") != OTHERS for each in found)
            if len(self._counts) >= PENDING:
                self._counts.clear()
            counted = self._counts[namespace] = own, now
        if counted[0] >= PER_NAMESPACE:
            return False
        self._counts[namespace] = counted[0] + 1, counted[1]
        return True


def others_of(key: DenialKey) -> DenialKey:
    """The key of the denial that counts all others, once a namespace has as many denials as it may have."""
    return DenialKey(assignment=key.assignment, namespace=key.namespace, kind="", name=OTHERS)


def collection_path(namespace: str | None = None) -> str:
    """The path of the PolicyDenials of one namespace, or of all."""
    inside = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{names.API}{inside}/{names.DENIALS}"


def denial_name(key: DenialKey) -> str:
    """``<assignment, cut to 40>-<10 hex digits>``: the same in every replica."""
    digest = hashlib.sha256("\0".join((key.assignment, key.namespace, key.kind, key.name)).encode("utf-8", "replace"))
    return f"{_own(key.assignment)[:40].rstrip('-.')}-{digest.hexdigest()[:10]}"


def _own(assignment: str) -> str:
    """An assignment's own name: names and labels of objects cannot hold a member's reference id."""
    return assignment.partition("/")[0]


def document(name: str, namespace: str, denial: Denial) -> dict[str, Any]:
    """The custom resource of a denial."""
    labels = {**names.MANAGED_BY, ASSIGNMENT_LABEL: _own(denial.refusal.assignment)[:63].rstrip("-_.")}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": _spec(denial),
    }


def merged(known: Mapping[str, Any], denial: Denial) -> dict[str, Any]:
    """The custom resource with a denial added. What another replica wrote of a later refusal stays."""
    spec, told = spec_of(known), _spec(denial)
    before = spec.get("count")
    first = moment(spec.get("firstTime"))
    last = moment(spec.get("lastTime"))
    result = {**told, **spec} if last is not None and last > denial.last else told
    result["count"] = (before if isinstance(before, int) and before > 0 else 0) + denial.count
    result["firstTime"] = rfc3339(min(first or denial.first, denial.first))
    return {**known, "spec": result}


def last_time(found: Mapping[str, Any]) -> datetime:
    """When a PolicyDenial last grew; what has no time is taken for the oldest."""
    return _time(found, "lastTime")


def first_time(found: Mapping[str, Any]) -> datetime:
    """When it began."""
    return _time(found, "firstTime")


def _time(found: Mapping[str, Any], field: str) -> datetime:
    created = metadata_of(found).get("creationTimestamp")
    return moment(spec_of(found).get(field)) or moment(created) or datetime.fromtimestamp(0, UTC)


def _spec(denial: Denial) -> dict[str, Any]:
    refusal, request = denial.refusal, denial.request
    resource, workload, all_of_them = request.resource, request.workload, refusal.containers
    shown = all_of_them if len(all_of_them) <= MOST_CONTAINERS else all_of_them[: MOST_CONTAINERS - 1]
    containers = [{"name": _name(c.name), "image": _name(c.image)} for c in shown]
    if len(shown) < len(all_of_them):
        containers.append({"name": f"… and {len(all_of_them) - len(shown)} more", "image": ""})
    return {
        "assignment": refusal.assignment,
        "definition": refusal.definition,
        "operation": request.operation,
        "user": _name(request.user),
        "resource": {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "namespace": resource.namespace,
            "name": _name(resource.name),
        },
        **({"workload": {"kind": workload.kind, "name": _name(workload.name)}} if workload else {}),
        "containers": containers,
        "message": cut(refusal.message),
        "count": denial.count,
        "firstTime": rfc3339(denial.first),
        "lastTime": rfc3339(denial.last),
    }


def _name(text: str) -> str:
    return cut(text, LONGEST_NAME)


def _path(found: Mapping[str, Any]) -> str:
    metadata = found["metadata"]
    return f"{collection_path(metadata['namespace'])}/{quote(metadata['name'], safe='')}"
