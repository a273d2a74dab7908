"""Whether the API server asks the webhook about what an assignment judges."""

from __future__ import annotations

from typing import Any, cast

import pytest

from aksp.addon.checkins.webhook_coverage import CoverageReader, WebhookCoverage
from aksp.addon.in_force.configuration import PATH
from aksp.addon.in_force.webhook_rules import webhook_rules
from aksp.addon.names import WEBHOOK
from aksp.compliance.plan import Ready
from aksp.errors import ClusterError
from aksp.kube.connection import Connection
from aksp.kube.errors import Unreachable
from aksp.kube.kinds import Discovery
from aksp.model.definition import ResourceKind
from tests.addon.custom import Memory
from tests.compliance.builders import POD, SERVICE, definition, ready


def about(*kinds: ResourceKind) -> Ready:
    return ready("one", of=definition("rule", kinds=kinds))


class Configured(Memory):
    """A cluster with a webhook configuration; None: without one."""

    def __init__(self, webhook: dict[str, Any] | None) -> None:
        super().__init__()
        if webhook is not None:
            self.others[PATH] = {"metadata": {"name": "aksp"}, "webhooks": [webhook]}

    @property
    def connection(self) -> Connection:
        return cast(Connection, self)


def configured(*judged: Ready) -> Configured:
    rules = webhook_rules(judged, Discovery(cast(Connection, None)))
    return Configured({"name": WEBHOOK, "rules": rules} if judged else {"name": WEBHOOK})


def test_it_is_asked_about_what_the_rules_name() -> None:
    questions = CoverageReader(configured(about(POD)).connection)
    assert questions.about([about(POD)]) is WebhookCoverage.YES
    assert questions.about([about(POD, SERVICE)]) is WebhookCoverage.PARTLY
    assert questions.about([about(SERVICE)]) is WebhookCoverage.NOT_YET
    assert CoverageReader(configured().connection).about([about(POD)]) is WebhookCoverage.NOT_YET


@pytest.mark.parametrize(
    ("fault", "asked"), [(None, WebhookCoverage.NO_WEBHOOK), (Unreachable("refused", tries=1), WebhookCoverage.UNKNOWN)]
)
def test_without_a_configuration_nothing_is_asked(fault: ClusterError | None, asked: WebhookCoverage) -> None:
    cluster = Configured(None)
    if fault is not None:
        cluster.refuse[PATH] = fault
    assert CoverageReader(cluster.connection).about([about(POD)]) is asked
