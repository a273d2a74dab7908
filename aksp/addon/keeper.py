"""Keeps what is in force up to date, in a thread: from the custom resources to the reviewer and the webhook's rules."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from aksp.addon.compared import Compared
from aksp.addon.configuration import Configuration
from aksp.addon.names import ASSIGNMENTS, DEFINITIONS, EXEMPTIONS, GROUP, VERSION
from aksp.addon.policies import Standing, stand
from aksp.addon.resources import Resources
from aksp.addon.reviewer import Reviewer
from aksp.addon.rules import webhook_rules
from aksp.addon.status import not_started
from aksp.engine import Engine
from aksp.errors import AkspError
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.faults import Conflict, NotServed
from aksp.kube.kinds import Discovery
from aksp.model.scope import Scope

_log = logging.getLogger("aksp.addon.keeper")

#: Seconds between looks at what nobody tells of: the webhook configuration as somebody else left it.
LOOK_SECONDS = 60.0
#: Seconds until what failed is tried again.
RETRY_SECONDS = 5.0


class Bundle(Protocol):
    """Whose certificates the API server is to trust."""

    @property
    def bundle(self) -> bytes:
        """PEM; empty when that is not ours to say."""

    def published(self, bundle: bytes, now: datetime) -> None:
        """Told when the API server has it."""


class Keeper:
    """Stands anew after each change.

    ``stood`` is told when what is in force, or what is wrong, may have changed, ``published`` when the
    API server has been given other rules or CAs.
    """

    def __init__(
        self,
        connection: Connection,
        engine: Engine,
        reviewer: Reviewer,
        *,
        cluster: Scope,
        certificates: Bundle,
        stood: Callable[[Standing], None],
        published: Callable[[], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._connection, self._engine, self._reviewer = connection, engine, reviewer
        self._cluster = cluster
        self._certificates = certificates
        self._stood, self._published = stood, published
        self._now = now
        self._wake = threading.Condition()
        self._changed = True
        self._stopping = False
        self._leading = False
        self._standing: Standing | None = None
        self._missing = False
        self._unready: dict[str, str] = {}
        self.resources = Resources(connection, changed=self.change, troubled=self._trouble)
        self._compared = Compared(connection, engine, troubled=self._trouble)
        self._configuration = Configuration(connection)
        self._thread = threading.Thread(target=self._run, name="aksp-keeper", daemon=True)

    @property
    def standing(self) -> Standing | None:
        """What is in force; None before the custom resources are known."""
        return self._standing

    def start(self) -> None:
        """Begin to watch."""
        self.resources.start()
        self._thread.start()

    def stop(self) -> None:
        """End the watches; what is in force stays so."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self.resources.stop()
        self._compared.stop()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def change(self) -> None:
        """Something has changed: stand anew."""
        with self._wake:
            self._changed = True
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
                if not self._changed and not self._stopping:
                    self._wake.wait(wait)
                if self._stopping:
                    return
                changed, self._changed = self._changed, False
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
        if self._unready:
            return RETRY_SECONDS
        if self._standing is None or self._standing.valid_until is None:
            return LOOK_SECONDS
        left = (self._standing.valid_until - self._now()).total_seconds()
        return min(LOOK_SECONDS, max(left, 0.05))

    def _stand(self) -> None:
        if not self.resources.synced:
            return
        found = self.resources.snapshot()
        standing = stand(
            self._engine,
            definitions=found[DEFINITIONS],
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

    def _use(self, standing: Standing) -> None:
        self._unready = self._compared.follow(standing)
        self._reviewer.use(standing.plan, self._unready)

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
        written = self._configuration.publish(rules, bundle)
        if written is None and not self._missing:
            _log.warning("there is no webhook configuration, so nothing is refused; `aksp addon enable` applies one")
        self._missing = written is None
        if written is None:
            return
        if bundle:
            self._certificates.published(bundle, self._now())
        if written:
            self._published()

    def _trouble(self, error: AkspError) -> None:
        _log.warning(str(error), extra={"hint": error.hint} if error.hint else {})
