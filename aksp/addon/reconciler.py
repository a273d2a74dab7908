"""Keeps what is in force up to date, in a thread: from the custom resources to the reviewer and the webhook's rules."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from aksp.addon.checkins.status import not_started
from aksp.addon.in_force.configuration import COLLECTION, Configuration
from aksp.addon.in_force.policies import Standing, stand
from aksp.addon.in_force.referenced_objects import ReferencedObjects
from aksp.addon.in_force.webhook_rules import webhook_rules
from aksp.addon.names import ASSIGNMENTS, DEFINITIONS, EXEMPTIONS, GROUP, INITIATIVES, NAME, NAMESPACE, VERSION
from aksp.addon.review.reviewer import Reviewer
from aksp.engine import Engine
from aksp.errors import AkspError, Forbidden
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.faults import Conflict, NotServed
from aksp.kube.kinds import Discovery
from aksp.kube.watch import Watch
from aksp.live.objects import FollowedObjects
from aksp.model.scope import Scope

_log = logging.getLogger("aksp.addon.reconciler")

#: Seconds between reads of what is not watched: the ConfigMap that the webhook configuration follows.
LOOK_SECONDS = 60.0
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
#: Seconds until what failed is tried again.
RETRY_SECONDS = 5.0


class Bundle(Protocol):
    """Whose certificates the API server is to trust."""

    @property
    def bundle(self) -> bytes:
        """PEM; empty when that is not ours to say."""

    def published(self, bundle: bytes, now: datetime) -> None:
        """Told when the API server has it."""


class Reconciler:
    """Brings what is in force up to date after each change.

    ``stood`` is told when what is in force, or what is wrong, may have changed, ``published`` when the
    API server has been given other rules or CAs, ``repaired`` what somebody had changed in the webhook
    configuration, by part. ``namespace`` is where the add-on runs.
    """

    def __init__(
        self,
        connection: Connection,
        engine: Engine,
        reviewer: Reviewer,
        *,
        cluster: Scope,
        namespace: str = NAMESPACE,
        certificates: Bundle,
        stood: Callable[[Standing], None],
        published: Callable[[], None],
        repaired: Callable[[Mapping[str, str]], None] = lambda parts: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._connection, self._engine, self._reviewer = connection, engine, reviewer
        self._cluster = cluster
        self._certificates = certificates
        self._stood, self._published, self._repaired = stood, published, repaired
        self._now = now
        self._wake = threading.Condition()
        self._changed = True
        self._looking = False
        self._stopping = False
        self._leading = False
        self._standing: Standing | None = None
        self._missing = False
        self._found: Mapping[str, list[dict[str, Any]]] = {}
        """The documents that were followed last, by plural."""
        self._held: set[str] = set()
        """The kinds that are gone, or on their way out, while their documents stay in force."""
        self._again: float | None = None
        """Seconds until another look at the webhook configuration, when it may not wait."""
        self._unready: dict[str, str] = {}
        paths = {
            plural: f"/apis/{GROUP}/{VERSION}/{plural}"
            for plural in (DEFINITIONS, INITIATIVES, ASSIGNMENTS, EXEMPTIONS)
        }
        self.resources = FollowedObjects(connection, paths, changed=self.change, troubled=self._trouble)
        self._referenced = ReferencedObjects(connection, engine, changed=self.change)
        self._configuration = Configuration(connection, namespace)
        self._watch = Watch(
            connection,
            COLLECTION,
            field_selector=f"metadata.name={NAME}",
            replaced=lambda objects: self.look(),
            changed=lambda kind, one: self.look(),
            troubled=self._trouble,
        )
        self._thread = threading.Thread(target=self._run, name="aksp-reconciler", daemon=True)

    @property
    def standing(self) -> Standing | None:
        """What is in force; None before the custom resources are known."""
        return self._standing

    def start(self) -> None:
        """Begin to watch."""
        self.resources.start()
        self._watch.start()
        self._thread.start()

    def stop(self) -> None:
        """End the watches; what is in force stays so."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self.resources.stop()
        self._watch.stop()
        self._referenced.stop()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def change(self) -> None:
        """Something has changed: stand anew."""
        with self._wake:
            self._changed = True
            self._wake.notify()

    def look(self) -> None:
        """The webhook configuration may have changed: whoever leads keeps it whole."""
        with self._wake:
            self._looking = True
            self._wake.notify()

    def lead(self, leading: bool) -> None:
        """Whether this replica writes the webhook's rules."""
        with self._wake:
            self._leading = leading
            self._changed = True
            self._wake.notify()

    def _run(self) -> None:
        wait = 0.0
        while True:
            with self._wake:
                if not self._changed and not self._looking and not self._stopping:
                    self._wake.wait(wait)
                if self._stopping:
                    return
                changed, self._changed, self._looking = self._changed, False, False
            try:
                if changed or self._outlived():
                    self._stand()
                elif self._unready and self._standing is not None:
                    # What could not be listed may be by now: a right given, a kind installed.
                    self._use(self._standing)
                if self._leading:
                    self._publish()
                wait = self._seconds()
                continue
            except AkspError as error:
                self._trouble(error)
            except Exception:  # noqa: BLE001 - logged, whatever it is: the thread must go on
                _log.exception("what is in force could not be brought up to date")
            # What is in force stays so, and this is tried again.
            wait = RETRY_SECONDS
            with self._wake:
                self._changed = self._changed or changed
                self._wake.wait_for(lambda: self._stopping, wait)

    def _outlived(self) -> bool:
        """Whether an exemption has ended since."""
        standing = self._standing
        return standing is None or (standing.valid_until is not None and self._now() >= standing.valid_until)

    def _seconds(self) -> float:
        """How long until it is worth a look without a change."""
        longest = RETRY_SECONDS if self._unready else LOOK_SECONDS
        if self._leading and self._again is not None:
            longest = min(longest, self._again)
        if self._standing is None or self._standing.valid_until is None:
            return longest
        left = (self._standing.valid_until - self._now()).total_seconds()
        return min(longest, max(left, 0.05))

    def _stand(self) -> None:
        if not self.resources.synced:
            return
        found = self._kept()
        standing = stand(
            self._engine,
            definitions=found[DEFINITIONS],
            initiatives=found[INITIATIVES],
            assignments=found[ASSIGNMENTS],
            exemptions=found[EXEMPTIONS],
            cluster=self._cluster,
            now=self._now(),
            previous=self._standing,
        )
        self._use(standing)
        self._standing = standing
        if self._leading:
            self._announce(found[ASSIGNMENTS])
        self._stood(standing)

    def _kept(self) -> Mapping[str, list[dict[str, Any]]]:
        """The documents to follow: what went because its CustomResourceDefinition is deleted stays in force."""
        found = dict(self.resources.snapshot())
        for plural, before in self._found.items():
            left = {one["metadata"]["uid"] for one in found[plural]}
            gone = any(one["metadata"]["uid"] not in left for one in before)
            if gone and not self._served(plural):
                found[plural] = before
                if plural not in self._held:
                    _log.warning(
                        "%s are deleted as a kind; what is in force stays so until they are served again", plural
                    )
                self._held.add(plural)
            else:
                self._held.discard(plural)
        self._found = found
        return found

    def _served(self, plural: str) -> bool:
        """Whether the kind is there to stay; also when we may not know. Raises ClusterError."""
        try:
            found = objects.get(self._connection, f"{CRDS}/{plural}.{GROUP}")
        except Forbidden:
            return True
        return found is not None and not found["metadata"].get("deletionTimestamp")

    def _use(self, standing: Standing) -> None:
        self._unready = self._referenced.follow(standing)
        self._reviewer.use(standing.plan, self._unready, self._referenced.namespace_labels)

    def _announce(self, assignments: list[dict[str, Any]]) -> None:
        """Say of what has never been looked at that it is not started: nothing is not a state."""
        for document in assignments:
            if (document.get("status") or {}).get("state"):
                continue
            name = document["metadata"]["name"]
            path = f"/apis/{GROUP}/{VERSION}/{ASSIGNMENTS}/{name}/status"
            # The version that was seen: a check-in may have written its status meanwhile, which is not to be undone.
            version = {"resourceVersion": document["metadata"].get("resourceVersion")}
            with contextlib.suppress(Conflict, NotServed):
                patch = {"metadata": version, "status": not_started(document, self._now())}
                objects.merge_patch(self._connection, path, patch)

    def _publish(self) -> None:
        standing = self._standing
        if standing is None:
            return
        bundle = self._certificates.bundle
        rules = webhook_rules(standing.plan, Discovery(self._connection))
        kept = self._configuration.publish(rules, bundle)
        if not kept.there and not self._missing:
            _log.warning("there is no webhook configuration, so nothing is refused; `aksp addon enable` applies one")
        self._missing, self._again = not kept.there, kept.again
        if not kept.there:
            return
        if kept.repaired:
            _log.warning(
                "somebody had changed the webhook configuration; it is as enabled again",
                extra={"repaired": dict(kept.repaired)},
            )
            self._repaired(kept.repaired)
        if bundle:
            self._certificates.published(bundle, self._now())
        if kept.changed:
            self._published()

    def _trouble(self, error: AkspError) -> None:
        _log.warning(str(error), extra={"hint": error.hint} if error.hint else {})
