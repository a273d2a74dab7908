"""Reviews as bytes, judged by the real engine."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from aksp.addon import precedents
from aksp.addon import review as review_module
from aksp.addon.decision import Decision
from aksp.addon.policies import Standing, stand
from aksp.addon.reviewer import Reviewer
from aksp.engine import Engine
from aksp.model.scope import Scope
from tests.addon.custom import assigned, defined, exempted
from tests.engine.reviews import pod, review

NOW = datetime(2026, 6, 1, tzinfo=UTC)
#: A rule in the manner of older templates: its violation says neither where nor in which container.
UNCLEAR = (
    'violation contains {"msg": "privileged"} if input.review.object.spec.containers[_].securityContext.privileged'
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(evaluation_deadline_ms=500) as running:
        yield running


class Asked:
    """A reviewer by some assignments, and what it decided."""

    def __init__(self, engine: Engine, *assignments: dict[str, Any], **more: Any) -> None:
        self.decisions: list[Decision] = []
        self.standing: Standing = stand(
            engine,
            definitions=more.pop("definitions", []),
            assignments=assignments,
            exemptions=more.pop("exemptions", []),
            cluster=Scope.cluster("c"),
            now=NOW,
        )
        unready = more.pop("unready", {})
        self.reviewer = Reviewer(engine, fail_closed=more.pop("fail_closed", False), decided=self.decisions.append)
        self.reviewer.use(self.standing.plan, unready)

    def status(self, body: bytes) -> int:
        return int(asyncio.run(self._answer(body)).status)

    def __call__(self, body: bytes) -> dict[str, Any]:
        answer = asyncio.run(self._answer(body))
        assert answer.status == 200, answer.body
        document: dict[str, Any] = json.loads(answer.body)
        assert document["kind"] == "AdmissionReview"
        response: dict[str, Any] = document["response"]
        return response

    async def _answer(self, body: bytes) -> Any:
        return await self.reviewer(body)


@pytest.fixture
def by(engine: Engine) -> Callable[..., Asked]:
    return lambda *assignments, **more: Asked(engine, *assignments, **more)


def test_a_refusal_has_the_uid_code_and_message_of_an_admission_review(by: Callable[..., Asked]) -> None:
    response = by(assigned("np"))(review(pod(privileged=True)))
    assert response["uid"] == "705ab4f5-6393-11e8-b7cc-42010a800002"
    assert response["allowed"] is False and response["status"]["code"] == 403
    assert "[np] container web" in response["status"]["message"]
    assert response["auditAnnotations"] == {"refused-by": "np"}


def test_what_complies_is_allowed_without_a_word(by: Callable[..., Asked]) -> None:
    asked = by(assigned("np"))
    assert asked(review(pod())) == {"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "allowed": True}
    (decision,) = asked.decisions
    assert decision.request.user == "mallory" and decision.request.resource.namespace == "shop"


def test_a_namespace_that_is_left_out_is_not_judged(by: Callable[..., Asked]) -> None:
    asked = by(assigned("np", parameters={"excludedNamespaces": ["shop"]}))
    assert asked(review(pod(privileged=True)))["allowed"] is True


def test_a_violation_that_names_no_container_is_given_to_the_one_it_is_about(by: Callable[..., Asked]) -> None:
    asked = by(assigned("u", "ours", parameters={"effect": "Deny"}), definitions=[defined("ours", UNCLEAR)])
    for _ in range(2):
        assert "[u] container web: privileged" in asked(review(pod(privileged=True)))["status"]["message"]


def test_an_update_that_leaves_an_old_violation_is_allowed_with_a_warning(by: Callable[..., Asked]) -> None:
    bad = pod(privileged=True)
    response = by(assigned("np"))(review({**bad, "metadata": {**bad["metadata"], "labels": {"a": "b"}}}, bad))
    assert response["allowed"] is True and "as it was so before" in response["warnings"][0]
    assert by(assigned("np"))(review(bad, pod()))["allowed"] is False


def test_what_goes_is_allowed(by: Callable[..., Asked]) -> None:
    assert by(assigned("np"))(review(None, pod(privileged=True)))["allowed"] is True


def test_what_is_no_review_is_a_400(by: Callable[..., Asked]) -> None:
    asked = by(assigned("np"))
    assert asked.status(b"{}") == 400 and asked.status(b"") == 400
    assert asked.decisions == []


def test_nothing_is_answered_before_anything_is_known(engine: Engine) -> None:
    reviewer = Reviewer(engine, fail_closed=False, decided=lambda decision: None)
    assert not reviewer.ready

    async def ask() -> int:
        return (await reviewer(review(pod()))).status

    assert asyncio.run(ask()) == 503


@pytest.mark.parametrize(("closed", "allowed"), [(False, True), (True, False)])
def test_an_assignment_that_cannot_be_asked_warns_or_refuses(
    by: Callable[..., Asked], closed: bool, allowed: bool
) -> None:
    asked = by(assigned("np"), unready={"np": "no list"}, fail_closed=closed)
    response = asked(review(pod()))
    assert response["allowed"] is allowed
    assert "[np] could not be judged: no list" in json.dumps(response)


def test_an_engine_that_died_is_followed_by_another_that_knows_the_same(by: Callable[..., Asked]) -> None:
    asked = by(assigned("np"))
    process = asked.reviewer._engine._process
    assert process is not None
    process.popen.kill()
    process.popen.wait()
    for _ in range(3):
        assert asked(review(pod(privileged=True)))["allowed"] is False


def test_answers_that_the_event_loop_reads_are_the_same(by: Callable[..., Asked]) -> None:
    with Engine() as own:
        asked = Asked(own, assigned("np"))

        async def many() -> list[Any]:
            await asyncio.to_thread(own.attach, asyncio.get_running_loop())
            first = await asyncio.gather(*(asked.reviewer(review(pod(privileged=bool(n % 2)))) for n in range(40)))
            process = own._process
            assert process is not None
            process.popen.kill()
            again = [await asked.reviewer(review(pod(privileged=True)))]
            # Other threads still ask and wait as ever.
            await asyncio.to_thread(own.regex_faults, ["("])
            return [*first, *again]

        allowed = [json.loads(answer.body)["response"]["allowed"] for answer in asyncio.run(many())]
        assert allowed == [not n % 2 for n in range(40)] + [False]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was decided anew, not by a precedent."""
    found: list[object] = []
    decide = review_module.decide

    def counting(*positional: Any, **named: Any) -> Any:
        found.append(positional[0])
        return decide(*positional, **named)

    monkeypatch.setattr(review_module, "decide", counting)
    return found


def owned(name: str, uid: str = "rs-1") -> dict[str, Any]:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d9", "uid": uid, "controller": True}
    return pod(
        name, privileged=True, uid=f"uid-of-{name}", labels={"pod-template-hash": "7d9"}, ownerReferences=[owner]
    )


def test_replicas_are_decided_once_and_each_is_told_by_its_own_name(
    by: Callable[..., Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, anew = by(assigned("np")), counted(monkeypatch)
    answers = [
        asked(review(owned("web-7d9-a"), uid="1")),
        asked(review(owned("web-7d9-b", "rs-2"), uid="2", userInfo={"username": "eve"}, dryRun=True)),
    ]

    assert len(anew) == 1
    assert [answer.pop("uid") for answer in answers] == ["1", "2"]
    assert answers[0] == answers[1]
    first, second = asked.decisions
    assert (second.request.resource.name, second.request.resource.uid) == ("web-7d9-b", "uid-of-web-7d9-b")
    assert second.request.owner is not None and second.request.owner.uid == "rs-2"
    assert second.request.workload == first.request.workload
    assert (second.request.user, second.request.dry_run, second.request.uid) == ("eve", True, "2")
    assert second.outcome is first.outcome


def test_a_request_after_a_precedent_is_the_one_that_would_be_made_anew(by: Callable[..., Asked]) -> None:
    bodies = [
        review(pod("bare-1", privileged=True, uid="u-1"), uid="1"),
        review(pod("bare-2", privileged=True, uid="u-2"), uid="2", subResource="ephemeralcontainers"),
        review(pod("", generateName="made-", privileged=True), uid="3", name=""),
        review(None, pod("gone", privileged=True), uid="4"),
        review(None, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "shop"}}, uid="5"),
    ]
    remembering, fresh = by(assigned("np")), [by(assigned("np")) for _ in bodies]
    for body, other in zip(bodies, fresh, strict=True):
        assert remembering(body) == other(body)
    for mine, other in zip(remembering.decisions, fresh, strict=True):
        assert (mine.request, mine.outcome) == (other.decisions[0].request, other.decisions[0].outcome)


@pytest.mark.parametrize(
    "other",
    [
        review(pod("a", privileged=False)),
        review(pod("a", privileged=True), pod("a", privileged=True)),
        review(pod("a", privileged=True, deletionTimestamp="2026-01-01T00:00:00Z")),
        review(pod("a", privileged=True, namespace="kube-system")),
    ],
    ids=["complies", "was so before", "is going", "elsewhere"],
)
def test_what_is_not_alike_is_decided_for_itself(other: bytes, by: Callable[..., Asked]) -> None:
    asked = by(assigned("np"))
    assert asked(review(pod("a", privileged=True)))["allowed"] is False
    assert asked(other)["allowed"] is True
    assert asked(review(pod("a", privileged=True)))["allowed"] is False


def test_an_exemption_by_name_is_no_precedent_for_another_name(by: Callable[..., Asked]) -> None:
    asked = by(assigned("np"), exemptions=[exempted(assignment="np", resources=[{"kind": "Pod", "name": "waived"}])])
    allowed = [asked(review(pod(name, privileged=True)))["allowed"] for name in ("waived", "other", "waived")]
    assert allowed == [True, False, True]


def test_other_assignments_have_no_precedents(by: Callable[..., Asked], engine: Engine) -> None:
    asked = by(assigned("np"))
    assert asked(review(pod(privileged=True)))["allowed"] is False
    audited = stand(
        engine, definitions=[], assignments=[assigned("np", parameters={"effect": "Audit"})], exemptions=[],
        cluster=Scope.cluster("c"), now=NOW,
    )  # fmt: skip
    asked.reviewer.use(audited.plan)
    assert asked(review(pod(privileged=True)))["allowed"] is True


def test_what_is_remembered_has_a_bound(by: Callable[..., Asked], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedents, "KEPT", 3)
    asked = by(assigned("np"))
    for number in range(10):
        assert asked(review(pod(privileged=True, labels={"n": str(number)})))["allowed"] is False
    assert asked.reviewer._force is not None
    assert len(asked.reviewer._force.precedents._known) <= 3


@pytest.mark.parametrize("body", [b"x" * 1000, b'{"kind": "Pod"}'])
def test_a_review_that_cannot_be_read_leaves_nothing_behind(body: bytes, by: Callable[..., Asked]) -> None:
    asked = by(assigned("np"))
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(body)
        assert asked.status(body) == 400
        # The thread that read the answer may still be about to let go of it.
        end = time.monotonic() + 5
        while sys.getrefcount(body) > before and time.monotonic() < end:
            time.sleep(0.01)
        assert sys.getrefcount(body) == before
    finally:
        gc.enable()
