"""Whether the API server asks the webhook about what an assignment judges."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from aksp.addon.asked import Asked, Questions
from aksp.addon.configuration import PATH, Configuration
from aksp.addon.names import WEBHOOK
from aksp.addon.rules import webhook_rules
from aksp.compliance.plan import Ready
from aksp.errors import ClusterError
from aksp.kube.connection import Answer, Connection
from aksp.kube.faults import Unreachable
from aksp.kube.kinds import Discovery
from aksp.model.definition import ResourceKind
from tests.addon.custom import Memory
from tests.compliance.builders import POD, SERVICE, definition, plan, ready


def about(*kinds: ResourceKind) -> Ready:
    return ready("one", of=definition("rule", kinds=kinds))


class Configured(Memory):
    """A cluster with a webhook configuration that can be applied to; None: without one."""

    def __init__(self, webhook: dict[str, Any] | None) -> None:
        super().__init__()
        self.applied = 0
        if webhook is not None:
            self.others[PATH] = {"metadata": {"name": "aksp"}, "webhooks": [webhook]}

    def send(self, method: str, path: str, *, body: bytes | None = None, **more: Any) -> Answer:
        assert (method, path) == ("PATCH", PATH)
        self.applied += 1
        self.others[PATH] = json.loads(body or b"")
        return Answer(status=200, headers={}, body=body or b"")

    @property
    def connection(self) -> Connection:
        return cast(Connection, self)


def configured(*judged: Ready) -> Configured:
    rules = webhook_rules(plan(*judged), Discovery(cast(Connection, None)))
    return Configured({"name": WEBHOOK, "rules": rules} if judged else {"name": WEBHOOK})


def test_it_is_asked_about_what_the_rules_name() -> None:
    questions = Questions(configured(about(POD)).connection)
    assert questions.about(about(POD)) is Asked.YES
    assert questions.about(about(POD, SERVICE)) is Asked.NOT_YET
    assert Questions(configured().connection).about(about(POD)) is Asked.NOT_YET


@pytest.mark.parametrize(
    ("fault", "asked"), [(None, Asked.NO_WEBHOOK), (Unreachable("refused", tries=1), Asked.UNKNOWN)]
)
def test_without_a_configuration_nothing_is_asked(fault: ClusterError | None, asked: Asked) -> None:
    cluster = Configured(None)
    if fault is not None:
        cluster.refuse[PATH] = fault
    assert Questions(cluster.connection).about(about(POD)) is asked


def test_whoever_publishes_hears_whether_anything_had_to_be_written() -> None:
    cluster = configured()
    configuration = Configuration(cluster.connection)
    rules = webhook_rules(plan(about(POD)), Discovery(cast(Connection, None)))

    assert configuration.publish(rules, b"CA") is True
    assert Questions(cluster.connection).about(about(POD)) is Asked.YES
    assert configuration.publish(rules, b"CA") is False
    assert configuration.publish(rules, b"other CA") is True
    assert cluster.applied == 2
    assert Configuration(Configured(None).connection).publish(rules, b"CA") is None
