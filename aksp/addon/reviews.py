"""What a replica has only where the add-on's own webhook refuses: the reviewer, its certificates, and what it records."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from aksp.addon.by_webhook import ByWebhook
from aksp.addon.in_force.configuration import Configuration
from aksp.addon.reconciler import Reconciler
from aksp.addon.record import logs
from aksp.addon.record.denials import Denials
from aksp.addon.record.events import Events
from aksp.addon.record.metrics import Metrics
from aksp.addon.review.decision import Decision, Disagreement
from aksp.addon.review.owners import Owners
from aksp.addon.review.reviewer import Reviewer
from aksp.addon.settings import RunSettings
from aksp.addon.webhook.application import Health, Webhook
from aksp.addon.webhook.certificate_folder import CertificateFolder
from aksp.addon.webhook.certificate_secret import CertificateSecret
from aksp.addon.webhook.tls import Served, Source
from aksp.engine import Engine
from aksp.errors import AkspError, InvalidInput
from aksp.kube.connection import Connection

_log = logging.getLogger("aksp.addon")

#: Seconds between two tries to get a first certificate.
_RETRY_SECONDS = 2.0


class Reviews:
    """The part of a replica that answers reviews."""

    def __init__(
        self,
        connection: Connection,
        engine: Engine,
        metrics: Metrics,
        settings: RunSettings,
    ) -> None:
        self._connection, self._engine, self._metrics = connection, engine, metrics
        self._namespace = namespace = settings.namespace
        self.denials = Denials(connection, namespace=namespace)
        self._events = Events(connection, instance=settings.identity)
        self.reviewer = Reviewer(
            engine,
            owners=Owners(connection, settings.controller_accounts),
            fail_closed=settings.unjudged == "refuse",
            decided=self._decided,
            disagreed=self._disagreed,
        )
        source: Source
        if settings.cert_dir is not None:
            source = CertificateFolder(settings.cert_dir)
        else:
            names = Configuration(connection, namespace).names
            source = CertificateSecret(connection, namespace=namespace, names=names)
        self.served = Served(source, settings.client_ca)

    def enforcement(self, reconciler: Reconciler, published: Callable[[], None]) -> ByWebhook:
        """What the reconciler brings up to date."""
        return ByWebhook(
            self._connection,
            self._engine,
            self.reviewer,
            reconciler,
            namespace=self._namespace,
            certificates=self.served,
            published=published,
            repaired=self._repaired,
        )

    def webhook(self, health: Health) -> Webhook:
        """The application that the API server asks."""
        return Webhook(self.reviewer, health=health, observe=self._answered, unjudged=self.reviewer.unjudged)

    def start(self) -> None:
        """Begin to write what is recorded."""
        self.denials.start()
        self._events.start()

    def close(self) -> None:
        """Write what is left."""
        self._events.close()
        self.denials.close()

    async def first_certificate(self, stopping: asyncio.Event) -> None:
        """Wait for something to serve with. A cluster that cannot be reached now may be in a moment."""
        while not stopping.is_set():
            try:
                await asyncio.to_thread(self.served.refresh, datetime.now(UTC))
                return
            except InvalidInput:
                raise
            except AkspError as error:
                _log.warning("no certificate yet: %s", error, extra={"hint": error.hint} if error.hint else {})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _RETRY_SECONDS)

    def _decided(self, decision: Decision) -> None:
        self._metrics.observe(decision)
        logs.unjudged(decision)
        if not decision.outcome.allowed:
            logs.refusal(decision)
            self.denials.record(decision)
            self._events.record(decision)

    def _disagreed(self, one: Disagreement) -> None:
        self._metrics.observe_disagreement()
        logs.disagreement(one)

    def _answered(self, status: int) -> None:
        if status != 200:
            self._metrics.observe_failure()

    def _repaired(self, parts: Mapping[str, str]) -> None:
        self._metrics.observe_repair(parts)
        self._events.tell_repair(parts)
