"""Keeps what is in force up to date, in a thread: from the custom resources to who refuses by them."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from aksp.addon.checkins.status import not_started
from aksp.addon.in_force.policies import Standing, stand
from aksp.addon.names import ASSIGNMENTS, DEFINITIONS, EXEMPTIONS, GROUP, INITIATIVES, collection
from aksp.engine import Engine
from aksp.errors import AkspError, Forbidden
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.errors import Conflict, NotServed
from aksp.live.objects import FollowedObjects
from aksp.model.scope import Scope

_log = logging.getLogger("aksp.addon.reconciler")

#: Seconds between looks at what is not watched, such as the ConfigMap that the webhook configuration follows.
LOOK_SECONDS = 60.0
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
#: Seconds until what failed is tried again.
RETRY_SECONDS = 5.0


class Enforcement(Protocol):
    """Who refuses by what is in force."""

    def start(self) -> None:
        """Begin to watch what was published."""

    def stop(self) -> None:
        """End the watches."""

    def use(self, standing: Standing) -> bool:
        """Take up what is in force, in every replica; whether something lacks yet, so that it is worth another try."""

    def publish(self, standing: Standing) -> float | None:
        """Write what follows from it, in the replica that leads; seconds until another look that may not wait."""


class Reconciler:
    """Brings what is in force up to date after each change.

    ``enforcement`` is made with the reconciler, which it has stand anew or look. ``stood`` is told when what is in force, or what is wrong,
    may have changed.
    """

    def __init__(
        self,
        connection: Connection,
        engine: Engine,
        *,
        cluster: Scope,
        enforcement: Callable[[Reconciler], Enforcement],
        stood: Callable[[Standing], None],
    ) -> None:
        self._connection, self._engine = connection, engine
        self._cluster = cluster
        self._stood = stood
        self._wake = threading.Condition()
        self._changed = True
        self._looking = False
        self._stopping = False
        self._leading = False
        self._standing: Standing | None = None
        self._found: Mapping[str, list[dict[str, Any]]] = {}
        """The documents that were followed last, by plural."""
        self._held: set[str] = set()
        """The kinds that are gone, or on their way out, while their documents stay in force."""
        self._again: float | None = None
        """Seconds until another look at what was published, when it may not wait."""
        self._lacking = False
        paths = {plural: collection(plural) for plural in (DEFINITIONS, INITIATIVES, ASSIGNMENTS, EXEMPTIONS)}
        self.resources = FollowedObjects(connection, paths, changed=self.change, troubled=tell)
        self._enforcement = enforcement(self)
        self._thread = threading.Thread(target=self._run, name="aksp-reconciler", daemon=True)

    @property
    def standing(self) -> Standing | None:
        """What is in force; None before the custom resources are known."""
        return self._standing

    def start(self) -> None:
        """Begin to watch."""
        self.resources.start()
        self._enforcement.start()
        self._thread.start()

    def stop(self) -> None:
        """End the watches; what is in force stays so."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self.resources.stop()
        self._enforcement.stop()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def change(self) -> None:
        """Something has changed: stand anew."""
        with self._wake:
            self._changed = True
            self._wake.notify()

    def look(self) -> None:
        """What was published may have been changed: whoever leads puts it back."""
        with self._wake:
            self._looking = True
            self._wake.notify()

    def lead(self, leading: bool) -> None:
        """Whether this replica publishes."""
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
                elif self._lacking and self._standing is not None:
                    # What could not be listed may be by now: a right given, a kind installed.
                    self._lacking = self._enforcement.use(self._standing)
                if self._leading and self._standing is not None:
                    self._again = self._enforcement.publish(self._standing)
                wait = self._seconds()
                continue
            except AkspError as error:
                tell(error)
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
        return standing is None or (standing.valid_until is not None and datetime.now(UTC) >= standing.valid_until)

    def _seconds(self) -> float:
        """How long until it is worth a look without a change."""
        longest = RETRY_SECONDS if self._lacking else LOOK_SECONDS
        if self._leading and self._again is not None:
            longest = min(longest, self._again)
        if self._standing is None or self._standing.valid_until is None:
            return longest
        left = (self._standing.valid_until - datetime.now(UTC)).total_seconds()
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
            now=datetime.now(UTC),
            previous=self._standing,
        )
        self._lacking = self._enforcement.use(standing)
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

    def _announce(self, assignments: list[dict[str, Any]]) -> None:
        """Say of what has never been looked at that it is not started: nothing is not a state."""
        for document in assignments:
            if (document.get("status") or {}).get("state"):
                continue
            path = f"{collection(ASSIGNMENTS)}/{document['metadata']['name']}/status"
            # The version that was seen: a check-in may have written its status meanwhile, which is not to be undone.
            version = {"resourceVersion": document["metadata"].get("resourceVersion")}
            with contextlib.suppress(Conflict, NotServed):
                patch = {"metadata": version, "status": not_started(document, datetime.now(UTC))}
                objects.merge_patch(self._connection, path, patch)


def tell(error: AkspError) -> None:
    """Log what went wrong and is tried again."""
    _log.warning(str(error), extra={"hint": error.hint} if error.hint else {})
