"""The add-on's own webhook refuses: reviews are judged by what is in force, and the API server is told to ask about it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from aksp.addon.in_force.configuration import COLLECTION, Configuration
from aksp.addon.in_force.policies import Standing
from aksp.addon.in_force.referenced_objects import ReferencedObjects
from aksp.addon.in_force.webhook_rules import webhook_rules
from aksp.addon.names import NAME
from aksp.addon.reconciler import Reconciler, tell
from aksp.addon.review.reviewer import Reviewer
from aksp.addon.webhook.tls import Served
from aksp.engine import Engine
from aksp.kube.connection import Connection
from aksp.kube.kinds import Discovery
from aksp.kube.watch import Watch

_log = logging.getLogger("aksp.addon.reconciler")


class ByWebhook:
    """The reviewer and the webhook configuration, brought up to date.

    ``published`` is told when the API server has been given other rules or CAs, ``repaired`` what somebody had changed in
    the webhook configuration, by part. ``namespace`` is where the add-on runs.
    """

    def __init__(
        self,
        connection: Connection,
        engine: Engine,
        reviewer: Reviewer,
        reconciler: Reconciler,
        *,
        namespace: str,
        certificates: Served,
        published: Callable[[], None],
        repaired: Callable[[Mapping[str, str]], None],
    ) -> None:
        self._connection, self._reviewer = connection, reviewer
        self._certificates = certificates
        self._published, self._repaired = published, repaired
        self._missing = False
        self._referenced = ReferencedObjects(connection, engine, changed=reconciler.change)
        self._configuration = Configuration(connection, namespace)
        self._watch = Watch(
            connection,
            COLLECTION,
            field_selector=f"metadata.name={NAME}",
            replaced=lambda objects: reconciler.look(),
            changed=lambda kind, one: reconciler.look(),
            troubled=tell,
        )

    def start(self) -> None:
        """Watch the webhook configuration."""
        self._watch.start()

    def stop(self) -> None:
        """End the watches; what is in force stays so."""
        self._watch.stop()
        self._referenced.stop()

    def use(self, standing: Standing) -> bool:
        """Judge reviews by it; whether objects that rules compare with cannot be had: a right given, a kind installed."""
        unready = self._referenced.follow(standing)
        self._reviewer.use(standing.plan, unready, self._referenced.namespace_labels)
        return bool(unready)

    def publish(self, standing: Standing) -> float | None:
        """Write the rules that follow from it, and whatever of the webhook configuration is not as enabled."""
        bundle = self._certificates.bundle
        rules = webhook_rules(standing.plan.ready, Discovery(self._connection))
        kept = self._configuration.publish(rules, bundle)
        if not kept.there and not self._missing:
            _log.warning("there is no webhook configuration, so nothing is refused; `aksp addon enable` applies one")
        self._missing = not kept.there
        if not kept.there:
            return kept.again
        if kept.repaired:
            _log.warning(
                "somebody had changed the webhook configuration; it is as enabled again",
                extra={"repaired": dict(kept.repaired)},
            )
            self._repaired(kept.repaired)
        if bundle:
            self._certificates.published(bundle, datetime.now(UTC))
        if kept.changed:
            self._published()
        return kept.again
