"""Events on the owners of refused objects: `kubectl describe replicaset` shows which policy blocks, and why.

And on the webhook configuration, when somebody has changed it and it was put back.

As client-go's EventCorrelator does it (k8s.io/client-go/tools/record/events_cache.go): the same Event again is one Event
with a higher count, and an object gets 25 Events at once, then one every five minutes. Unlike there, what comes
meanwhile is not forgotten: the next write of the Event adds it to its count.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from msgspec import Struct, structs

from aksp.addon import names
from aksp.addon.record.outbox import Outbox
from aksp.addon.review.decision import Decision
from aksp.addon.review.refusals import cut
from aksp.kube import errors, objects
from aksp.kube.connection import Connection
from aksp.kube.fetch import ONCE
from aksp.model.resource import Resource
from aksp.model.times import rfc3339

REASON: Final = "PolicyDenied"
REPAIRED: Final = "WebhookRepaired"
CONFIGURATION: Final = Resource(
    api_version="admissionregistration.k8s.io/v1", kind="ValidatingWebhookConfiguration", namespace="", name=names.NAME
)
BURST = 25
REFILL_SECONDS = 300.0
NAMESPACE_BURST = 500
NAMESPACE_REFILL_SECONDS = 2.0
"""Of all owners in a namespace: an owner is whatever an object says, so that there is no end of them."""
REMEMBERED = 4096
"""Events and owners that are remembered, the last used ones; client-go's maxLruCacheEntries."""
CLUSTER_NAMESPACE: Final = "default"
"""Where Events about objects without a namespace are."""

# RFC 1123: what an object may be called.
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_LONGEST_OWNER = 220

K = TypeVar("K")
V = TypeVar("V")


class EventKey(Struct, frozen=True, kw_only=True, gc=False):
    """The same Event: who it is about, and its words."""

    owner: Resource
    message: str
    reason: str = REASON


class Occurrences(Struct, frozen=True, kw_only=True, gc=False):
    """How often, from when to when."""

    first: datetime
    last: datetime
    count: int = 1

    def and_then(self, newer: Occurrences) -> Occurrences:
        """The two as one."""
        return Occurrences(
            first=min(self.first, newer.first), last=max(self.last, newer.last), count=self.count + newer.count
        )


class _Known(Struct, frozen=True, kw_only=True, gc=False):
    """An Event of ours: what it is called in the cluster (None: not there yet), and all its occurrences."""

    name: str | None
    occurrences: Occurrences


class Bucket(Struct, frozen=True, kw_only=True, gc=False):
    """Tokens of one owner or namespace, as they were at a time (seconds since 1970). ``refill``: seconds for one."""

    tokens: float
    at: float
    burst: int = BURST
    refill: float = REFILL_SECONDS

    def filled(self, now: float) -> Bucket:
        return structs.replace(
            self, tokens=min(self.burst, self.tokens + max(0.0, now - self.at) / self.refill), at=now
        )


class Events(Outbox[EventKey, Occurrences]):
    """Writes Events; `record` only takes note, a thread writes once a second. ``more`` goes to the `Outbox`."""

    def __init__(
        self,
        connection: Connection,
        *,
        instance: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        **more: Any,
    ) -> None:
        self._connection = connection
        self._instance = instance
        self._now = now
        self._made = 0
        self._known: Recent[EventKey, _Known] = Recent()
        self._buckets: Recent[Resource, Bucket] = Recent()
        self._places: Recent[str, Bucket] = Recent()
        super().__init__("events", write=self._deliver, merge=Occurrences.and_then, **more)

    def record(self, decision: Decision) -> None:
        """Take note of a refusal of an object that has an owner. Without an owner there is no object to show the Event at."""
        owner = decision.request.owner
        if decision.outcome.allowed or decision.request.dry_run or owner is None:
            return
        moment = self._now().replace(microsecond=0)
        what, part = decision.request.resource.kind, decision.request.sub_resource
        what += f" ({part})" if part else ""
        for refusal in decision.outcome.refusals:
            # Without the object's own name, which is another one at every attempt: the same Event would never come again.
            message = cut(f"assignment {refusal.assignment} refuses the {what}: {refusal.message}")
            self.put(EventKey(owner=owner, message=message), Occurrences(first=moment, last=moment))

    def tell_repair(self, parts: Mapping[str, str]) -> None:
        """Take note of what was put back in the webhook configuration, by part, a sentence each."""
        moment = self._now().replace(microsecond=0)
        message = cut(f"put back as enabled; somebody had changed it: {'; '.join(parts.values())}")
        self.put(
            EventKey(owner=CONFIGURATION, message=message, reason=REPAIRED), Occurrences(first=moment, last=moment)
        )

    def _deliver(self, key: EventKey, new: Occurrences) -> None:
        known = self._known.get(key)
        all_of_it = known.occurrences.and_then(new) if known else new
        now = self._now()
        at, place = now.timestamp(), _namespace(key.owner)
        bucket = (self._buckets.get(key.owner) or Bucket(tokens=BURST, at=at)).filled(at)
        of_all = self._places.get(place) or Bucket(
            tokens=NAMESPACE_BURST, at=at, burst=NAMESPACE_BURST, refill=NAMESPACE_REFILL_SECONDS
        )
        of_all = of_all.filled(at)
        self._buckets.put(key.owner, bucket)
        self._places.put(place, of_all)
        if bucket.tokens < 1 or of_all.tokens < 1:
            self._known.put(key, _Known(name=known.name if known else None, occurrences=all_of_it))
            return
        name = known.name if known else None
        if name is None or not self._patch(key, name, all_of_it):
            name = self._create(key, all_of_it, now)
        self._known.put(key, _Known(name=name, occurrences=all_of_it))
        self._buckets.put(key.owner, structs.replace(bucket, tokens=bucket.tokens - 1))
        self._places.put(place, structs.replace(of_all, tokens=of_all.tokens - 1))

    def _patch(self, key: EventKey, name: str, occurrences: Occurrences) -> bool:
        """Whether the Event was still there: the API server forgets them after an hour."""
        patch = {"count": occurrences.count, "lastTimestamp": rfc3339(occurrences.last)}
        try:
            path = f"{_collection_path(_namespace(key.owner))}/{name}"
            objects.merge_patch(self._connection, path, patch, backoff=ONCE)
        except errors.NotServed:
            return False
        return True

    def _create(self, key: EventKey, occurrences: Occurrences, now: datetime) -> str:
        self._made += 1
        # Several in one tick of the clock are told apart; a name that is taken all the same is another in the next turn.
        document = event(key, occurrences, name=_name(key.owner, now, self._made), instance=self._instance)
        objects.create(self._connection, _collection_path(_namespace(key.owner)), document, backoff=ONCE)
        return str(document["metadata"]["name"])


class Recent(Generic[K, V]):
    """A mapping that forgets what was not used for longest."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._found: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        return self._found.get(key)

    def put(self, key: K, value: V) -> None:
        self._found[key] = value
        self._found.move_to_end(key)
        if len(self._found) > self._limit:
            self._found.popitem(last=False)


def event(key: EventKey, occurrences: Occurrences, *, name: str, instance: str = "") -> dict[str, Any]:
    """The Event as core/v1 has it. ``instance`` is this replica."""
    owner = key.owner
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": _namespace(owner)},
        "involvedObject": {
            "apiVersion": owner.api_version,
            "kind": owner.kind,
            "name": owner.name,
            **({"namespace": owner.namespace} if owner.namespace else {}),
            **({"uid": owner.uid} if owner.uid else {}),
        },
        "type": "Warning",
        "reason": key.reason,
        "message": key.message,
        "source": {"component": names.NAME, **({"host": instance} if instance else {})},
        "reportingComponent": names.NAME,
        "reportingInstance": instance,
        "count": occurrences.count,
        "firstTimestamp": rfc3339(occurrences.first),
        "lastTimestamp": rfc3339(occurrences.last),
    }


def _namespace(owner: Resource) -> str:
    return owner.namespace or CLUSTER_NAMESPACE


def _collection_path(namespace: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/events"


def _name(owner: Resource, now: datetime, number: int) -> str:
    """client-go's names: the object's and the time in hexadecimal; an owner's name is whatever its Pod says."""
    start = owner.name[:_LONGEST_OWNER].rstrip("-.")
    usable = start if _SUBDOMAIN.fullmatch(start) else names.NAME
    return f"{usable}.{int(now.timestamp() * 1_000_000_000) + number:x}"
