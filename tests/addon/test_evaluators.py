"""Reviews that are judged by both evaluators: which, and what is told of a difference.

That the engine finds one, and that topdown's result counts then, is tested in engine/comparing_test.go.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from msgspec import structs

from aksp.addon.record import logs
from aksp.addon.record.metrics import Metrics
from aksp.addon.review import reviewer
from aksp.addon.reviews import Reviews
from aksp.addon.settings import RunSettings
from aksp.engine import Admission, AdmissionRecord, Engine
from aksp.engine.records import DisagreementRecord
from aksp.kube.connection import Connection
from tests.addon.custom import Memory, assigned
from tests.addon.test_logs import lines
from tests.addon.test_logs import stream as stream
from tests.addon.test_reviewer import Asked
from tests.engine.reviews import pod, review

#: What the engine tells of a difference.
TOLD = DisagreementRecord(
    t=0, d=0, m="the plan of no-privileged, or what is remembered of it, finds [], topdown [{privileged {}}]"
)


class Comparing(Engine):
    """The real engine, whose evaluators disagree about each review that is judged by both."""

    def __init__(self) -> None:
        super().__init__()
        self.compared: list[bool] = []

    def begin_admission(
        self, name: str, body: bytes, answer: asyncio.Future[AdmissionRecord], *, seconds: float, compare: bool = False
    ) -> Admission | None:
        self.compared.append(compare)
        if compare:
            told, answer = answer, answer.get_loop().create_future()
            answer.add_done_callback(lambda done: told.set_result(structs.replace(done.result(), disagreements=[TOLD])))
        return super().begin_admission(name, body, answer, seconds=seconds, compare=compare)


@pytest.fixture
def engine() -> Iterator[Comparing]:
    running = Comparing()
    with running:
        yield running


def test_the_first_review_and_every_so_many_later_are_judged_by_both(
    engine: Comparing, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reviewer.SAMPLED == 1000
    monkeypatch.setattr(reviewer, "SAMPLED", 3)
    asked = Asked(engine, assigned("np"), disagreed=lambda one: None)
    for _ in range(7):
        assert asked(review(pod(privileged=True)))["allowed"] is False
    assert engine.compared == [True, False, False, True, False, False, True]


def test_a_disagreement_is_counted_and_logged_with_policy_and_object(
    engine: Comparing, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviewer, "SAMPLED", 2)
    metrics = Metrics()
    reviews = Reviews(cast(Connection, Memory()), engine, metrics, RunSettings(cluster_name="prod", identity="a"))
    reviews.reviewer.use(Asked(engine, assigned("np")).standing.plan)
    logs.configure("error", stream)

    def ask() -> bool:
        answer = asyncio.run(reviews.reviewer(review(pod(privileged=True))))
        return bool(json.loads(answer.body)["response"]["allowed"])

    def counted() -> str:
        return metrics.expose()[1].decode().partition("\naksp_evaluator_disagreements_total ")[2].split("\n")[0]

    assert counted() == "0.0"
    assert [ask(), ask(), ask()] == [False] * 3
    assert counted() == "2.0"
    first, second = lines(stream)
    assert first["level"] == "error" and first["policy"] == "no-privileged" and first["assignment"] == "np"
    assert first["object"] == {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web"}
    assert TOLD.m in first["message"] and first["message"] == second["message"]


def test_what_was_decided_before_is_compared_too(engine: Comparing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewer, "SAMPLED", 1)
    told: list[Any] = []
    asked = Asked(engine, assigned("np"), disagreed=told.append)
    for _ in range(3):
        asked(review(pod()))
    assert len(told) == 3
