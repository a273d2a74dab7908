"""Reviews as bytes, judged by the real engine."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from aksp.addon.in_force.policies import Standing, stand
from aksp.addon.review import decision_cache, wording
from aksp.addon.review import review as review_module
from aksp.addon.review.asking import WORDS, Unjudged
from aksp.addon.review.decision import Decision
from aksp.addon.review.owners import Owners
from aksp.addon.review.reviewer import Reviewer
from aksp.engine import Engine
from aksp.errors import Forbidden
from aksp.kube.connection import Connection
from aksp.model.scope import Scope
from tests.addon.custom import Memory, assigned, defined, exempted
from tests.engine.reviews import pod, review
from tests.reachable import reachable
from tests.waiting import until

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"
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
        self.engine, self.decisions = engine, list[Decision]()
        self.standing: Standing = stand(
            engine,
            definitions=more.pop("definitions", []),
            assignments=assignments,
            exemptions=more.pop("exemptions", []),
            cluster=Scope.cluster("c"),
            now=NOW,
        )
        unready = more.pop("unready", {})
        self.cluster = more.pop("cluster", Memory())
        self.reviewer = Reviewer(
            engine,
            owners=Owners(cast(Connection, self.cluster)),
            fail_closed=more.pop("fail_closed", False),
            decided=self.decisions.append,
            disagreed=more.pop("disagreed", lambda one: pytest.fail(one.message)),
        )
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


def judging_by(**details: Any) -> dict[str, Any]:
    """A definition against privileged containers with other details."""
    made = defined("ours", UNCLEAR)
    made["spec"]["policyRule"]["then"]["details"] |= details
    return made


def workload(kind: str = "Deployment", *, privileged: bool = True, **metadata: Any) -> dict[str, Any]:
    spec = pod(privileged=privileged)["spec"]
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "namespace": "shop", **metadata},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": spec},
        },
    }


@pytest.mark.parametrize(("source", "refused", "pods_refused"),
                         [("Original", False, True), ("All", True, True), ("Generated", True, False)])  # fmt: skip
def test_source_says_whether_a_workload_is_refused_or_its_pods(
    source: str, refused: bool, pods_refused: bool, by: Callable[..., Asked]
) -> None:
    asked = by(assigned("u", "ours", parameters={"effect": "Deny"}), definitions=[judging_by(source=source)])
    for _ in range(2):
        response = asked(review(workload()))
        assert response["allowed"] is not refused
        told = response["status"]["message"] if refused else response["warnings"][0]
        assert "this Deployment's Pods" in told and "container web: privileged" in told
        assert asked(review(pod(privileged=True)))["allowed"] is not pods_refused
        # It violated before, so that it does is no reason not to scale it.
        assert asked(review(workload(labels={"new": "er"}), workload()))["allowed"] is True
        assert asked(review(workload(), workload(privileged=False)))["allowed"] is not refused
        assert asked(review(workload(privileged=False)))["allowed"] is True


def test_the_replica_set_of_a_deployment_is_judged_only_where_its_pods_are_not(by: Callable[..., Asked]) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u", "controller": True}
    body = workload("ReplicaSet", ownerReferences=[owner])
    made, forged = review(body, userInfo={"username": CONTROLLER}), review(body)
    answers = {
        source: by(assigned("u", "ours", parameters={"effect": "Deny"}), definitions=[judging_by(source=source)])(made)
        for source in ("Original", "All", "Generated")
    }

    assert {source: answer["allowed"] for source, answer in answers.items()} == {
        "Original": True,
        "All": True,
        "Generated": False,
    }
    assert "warnings" not in answers["Original"] and "warnings" not in answers["All"]
    judging = by(assigned("u", "ours", parameters={"effect": "Deny"}), definitions=[judging_by(source="All")])
    assert judging(forged)["allowed"] is False, "anybody can write an owner"
    assert judging(made)["allowed"] is True


@pytest.mark.parametrize(("labels", "allowed"), [({"env": "prod"}, False), ({"env": "test"}, True), ({}, True)])
def test_a_namespace_selector_is_decided_by_the_labels_that_are_known(
    labels: dict[str, str], allowed: bool, by: Callable[..., Asked]
) -> None:
    selecting = judging_by(namespaceSelector={"matchLabels": {"env": "prod"}})
    asked = by(assigned("u", "ours", parameters={"effect": "Deny"}), definitions=[selecting])
    unknown = asked(review(pod(privileged=True)))
    asked.reviewer.use(asked.standing.plan, {}, {"shop": labels, "other": {"env": "prod"}})

    assert unknown["allowed"] and "the Namespace shop are not known" in unknown["warnings"][0]
    for _ in range(2):
        response = asked(review(pod(privileged=True)))
        assert response["allowed"] is allowed and "warnings" not in response


def test_a_name_is_no_precedent_for_another_where_names_are_selected(by: Callable[..., Asked]) -> None:
    asked = by(assigned("u", "ours", parameters={"effect": "Deny"}), definitions=[judging_by(name="web-*")])
    allowed = [asked(review(pod(name, privileged=True)))["allowed"] for name in ("web-1", "api", "web-2")]

    assert allowed == [False, True, False]


def test_what_goes_is_allowed(by: Callable[..., Asked]) -> None:
    assert by(assigned("np"))(review(None, pod(privileged=True)))["allowed"] is True


def test_what_is_no_review_is_a_400(by: Callable[..., Asked]) -> None:
    asked = by(assigned("np"))
    assert asked.status(b"{}") == 400 and asked.status(b"") == 400
    assert asked.decisions == []


def test_nothing_is_answered_before_anything_is_known(engine: Engine) -> None:
    reviewer = Reviewer(
        engine,
        owners=Owners(cast(Connection, Memory())),
        fail_closed=False,
        decided=lambda decision: None,
        disagreed=lambda one: pytest.fail(one.message),
    )
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
    assert asked.engine.pid is not None
    os.kill(asked.engine.pid, signal.SIGKILL)
    for _ in range(3):
        assert asked(review(pod(privileged=True)))["allowed"] is False


def test_answers_that_the_event_loop_reads_are_the_same(by: Callable[..., Asked]) -> None:
    with Engine() as own:
        asked = Asked(own, assigned("np"))

        async def many() -> list[Any]:
            await asyncio.to_thread(own.attach, asyncio.get_running_loop())
            first = await asyncio.gather(*(asked.reviewer(review(pod(privileged=bool(n % 2)))) for n in range(40)))
            assert own.pid is not None
            os.kill(own.pid, signal.SIGKILL)
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
    asked, anew, other = by(assigned("np")), counted(monkeypatch), "system:kube-controller-manager"
    answers = [
        asked(review(owned("web-7d9-a"), uid="1", userInfo={"username": CONTROLLER})),
        asked(review(owned("web-7d9-b", "rs-2"), uid="2", userInfo={"username": other}, dryRun=True)),
    ]

    assert len(anew) == 1
    assert [answer.pop("uid") for answer in answers] == ["1", "2"]
    assert answers[0] == answers[1]
    first, second = asked.decisions
    assert (second.request.resource.name, second.request.resource.uid) == ("web-7d9-b", "uid-of-web-7d9-b")
    assert second.request.owner is not None and second.request.owner.uid == "rs-2"
    assert second.request.workload == first.request.workload
    assert (second.request.user, second.request.dry_run, second.request.uid) == (other, True, "2")
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
        review(pod("a", privileged=True, namespace="kube-system")),
    ],
    ids=["complies", "was so before", "elsewhere"],
)
def test_what_is_not_alike_is_decided_for_itself(other: bytes, by: Callable[..., Asked]) -> None:
    asked = by(assigned("np"))
    assert asked(review(pod("a", privileged=True)))["allowed"] is False
    assert asked(other)["allowed"] is True
    assert asked(review(pod("a", privileged=True)))["allowed"] is False


def test_what_is_being_deleted_can_lose_its_finalizers_and_nothing_gets_worse(by: Callable[..., Asked]) -> None:
    asked = by(assigned("np"))
    ending = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    held = {**ending, "finalizers": ["example.com/held"]}
    assert asked(review(pod("a", privileged=True, **ending), pod("a", privileged=True, **held)))["allowed"] is True
    assert asked(review(pod("a", privileged=True, **held), pod("a", privileged=False, **held)))["allowed"] is False


def test_an_exemption_by_name_is_no_precedent_for_another_name(by: Callable[..., Asked]) -> None:
    asked = by(assigned("np"), exemptions=[exempted(assignment="np", resources=[{"kind": "Pod", "name": "waived"}])])
    allowed = [asked(review(pod(name, privileged=True)))["allowed"] for name in ("waived", "other", "waived")]
    assert allowed == [True, False, True]


OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-abc", "uid": "r", "controller": True}
ABOVE = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d", "controller": True}
REPLICA_SETS = "/apis/apps/v1/namespaces/shop/replicasets"


def cluster_with(*, uid: str = "r", above: dict[str, Any] | None = ABOVE) -> Memory:
    cluster = Memory()
    metadata: dict[str, Any] = {"name": "web-abc", "uid": uid, "ownerReferences": [above] if above else None}
    cluster.others[f"{REPLICA_SETS}/web-abc"] = {"kind": "ReplicaSet", "metadata": metadata}
    cluster.others["/apis/apps/v1/namespaces/shop/deployments/web"] = {
        "kind": "Deployment",
        "metadata": {"name": "web", "uid": "d"},
    }
    return cluster


def of_web(user: str = CONTROLLER, name: str = "web-abc-1", **owner: Any) -> bytes:
    """A privileged Pod that says it is of the Deployment web."""
    metadata = {"labels": {"pod-template-hash": "abc"}, "ownerReferences": [{**OWNER, **owner}]}
    return review(pod(name, privileged=True, **metadata), userInfo={"username": user})


@pytest.fixture
def waived(by: Callable[..., Asked]) -> Callable[[Memory], Asked]:
    resources = [{"kind": "Deployment", "name": "web"}]
    return lambda cluster: by(
        assigned("np"), exemptions=[exempted(assignment="np", resources=resources)], cluster=cluster
    )


def test_a_pod_of_an_exempted_workload_is_allowed_to_the_controller_that_makes_it_and_to_nobody_else(
    waived: Callable[[Memory], Asked],
) -> None:
    asked = waived(cluster_with())
    # The same Pod each time: neither answer is a precedent for the other.
    for _ in range(2):
        assert asked(of_web())["allowed"] is True
        told = asked(of_web("mallory"))
        assert told["allowed"] is False
        assert "owner does not count for exemptions: mallory is no controller's account" in told["status"]["message"]
        forged, made = asked.decisions[-1].request, asked.decisions[-2].request
        assert (forged.owner, str(forged.workload and forged.workload.kind)) == (None, "Pod")
        assert made.workload is not None and made.workload.kind == "Deployment"


@pytest.mark.parametrize(
    ("cluster", "why"),
    [
        (cluster_with(uid="another"), "there is no ReplicaSet web-abc with the uid"),
        (Memory(), "there is no ReplicaSet web-abc with the uid"),
        (cluster_with(above={**ABOVE, "uid": "gone"}), "there is no Deployment web with the uid"),
        # A ReplicaSet that nobody owns is not the Deployment's, whatever its name.
        (cluster_with(above=None), ""),
        (cluster_with(above={**ABOVE, "name": "other"}), ""),
    ],
    ids=["another uid", "none", "its Deployment is gone", "nobody's", "another's"],
)
def test_an_owner_that_is_not_there_exempts_nothing(
    cluster: Memory, why: str, waived: Callable[[Memory], Asked]
) -> None:
    told = waived(cluster)(of_web())
    assert told["allowed"] is False and why in told["status"]["message"]


def test_an_owner_that_cannot_be_read_exempts_nothing_until_it_can(waived: Callable[[Memory], Asked]) -> None:
    cluster = cluster_with()
    cluster.refuse[f"{REPLICA_SETS}/web-abc"] = Forbidden("replicasets is forbidden")
    asked = waived(cluster)
    told = asked(of_web())
    assert told["allowed"] is False and "ReplicaSet web-abc could not be read" in told["status"]["message"]
    cluster.refuse.clear()
    assert asked(of_web())["allowed"] is True


def test_another_owner_of_the_same_name_is_asked_about_too(waived: Callable[[Memory], Asked]) -> None:
    asked = waived(cluster_with())
    assert [asked(of_web(uid=uid))["allowed"] for uid in ("r", "stale", "r")] == [True, False, True]


def test_owners_are_asked_about_once_and_only_where_an_exemption_would_apply(
    by: Callable[..., Asked], waived: Callable[[Memory], Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, answered = cluster_with(), Memory.get
    asked_for: list[str] = []

    def counting(self: Memory, path: str, **more: Any) -> Any:
        asked_for.append(path)
        return answered(self, path, **more)

    monkeypatch.setattr(Memory, "get", counting)
    asked = waived(cluster)
    for name in ("web-abc-1", "web-abc-2", "web-abc-3"):
        assert asked(of_web(name=name))["allowed"] is True
    assert len(asked_for) == 2
    assert by(assigned("np"), cluster=cluster)(of_web())["allowed"] is False
    asked(of_web("mallory"))
    assert len(asked_for) == 2


def test_other_assignments_have_no_decisions_in_common(by: Callable[..., Asked], engine: Engine) -> None:
    asked = by(assigned("np"))
    assert asked(review(pod(privileged=True)))["allowed"] is False
    audited = stand(
        engine, definitions=[], assignments=[assigned("np", parameters={"effect": "Audit"})], exemptions=[],
        cluster=Scope.cluster("c"), now=NOW,
    )  # fmt: skip
    asked.reviewer.use(audited.plan)
    assert asked(review(pod(privileged=True)))["allowed"] is True


def test_what_is_remembered_has_a_bound(by: Callable[..., Asked], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_cache, "KEPT", 3)
    asked = by(assigned("np"))
    for number in range(10):
        assert asked(review(pod(privileged=True, labels={"n": str(number)})))["allowed"] is False
    assert len(reachable(asked.reviewer, decision_cache.CachedDecision)) == 3


@pytest.mark.parametrize("body", [b"x" * 1000, b'{"kind": "Pod"}'])
def test_a_review_that_cannot_be_read_leaves_nothing_behind(body: bytes, by: Callable[..., Asked]) -> None:
    asked = by(assigned("np"))
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(body)
        assert asked.status(body) == 400
        # The thread that read the answer may still be about to let go of it.
        until(lambda: sys.getrefcount(body) == before)
    finally:
        gc.enable()


@pytest.mark.parametrize("reason", list(Unjudged))
@pytest.mark.parametrize(("closed", "allowed"), [(False, True), (True, False)])
def test_a_review_that_is_not_judged_is_a_warning_or_a_refusal(
    by: Callable[..., Asked], reason: Unjudged, closed: bool, allowed: bool
) -> None:
    asked = by(assigned("np"), fail_closed=closed)
    answer = asked.reviewer.unjudged(review(pod()), reason)
    assert answer is not None
    response = json.loads(answer.body)["response"]
    assert (response["allowed"], response["uid"]) == (allowed, json.loads(review(pod()))["request"]["uid"])
    assert f"[np] could not be judged: {WORDS[reason]}" in json.dumps(response)
    (decision,) = asked.decisions
    assert decision.unjudged == reason and decision.outcome.refused_by == ()
    assert bool(decision.outcome.refusals) is not allowed


class Held:
    """Reviews that the engine gets only when they are let go."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self._go, self._begin = threading.Event(), threading.Event(), engine.begin_admission
        monkeypatch.setattr(engine, "begin_admission", self._held)

    def _held(self, *given: Any, **more: Any) -> Any:
        self.begun.set()
        assert self._go.wait(20)
        return self._begin(*given, **more)

    async def first(self, asked: Asked) -> asyncio.Task[Any]:
        """A large review that has come so far."""
        task = asyncio.create_task(asked.reviewer(review(pod()) + b" " * 200_000, time.monotonic() + 20))
        assert await asyncio.to_thread(self.begun.wait, 20)
        return task

    def let_go(self) -> None:
        self._go.set()


def test_a_review_that_is_given_up_is_never_listed_as_decided(
    by: Callable[..., Asked], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, held = by(assigned("np")), Held(engine, monkeypatch)

    async def ask() -> None:
        given_up = await held.first(asked)
        given_up.cancel()
        held.let_go()
        with pytest.raises(asyncio.CancelledError):
            await given_up

    asyncio.run(ask())
    assert asked.decisions == []


def test_a_large_review_is_answered_like_a_small_one(by: Callable[..., Asked]) -> None:
    asked = by(assigned("np"))
    small = asked(review(pod(privileged=True)))
    assert asked(review(pod(privileged=True)) + b" " * 200_000) == small and not small["allowed"]


def privileged_many(number: int, *others: dict[str, Any]) -> dict[str, Any]:
    """A Pod with so many privileged init containers, c0 and so on, and others after them."""
    one = pod()
    privileged = {"image": "x", "securityContext": {"privileged": True}}
    one["spec"]["initContainers"] = [{"name": f"c{n}", **privileged} for n in range(number)]
    one["spec"]["initContainers"] += [{**privileged, **other} for other in others]
    return one


@pytest.mark.parametrize(("number", "counted"), [(350, "and {} more"), (1500, "and at least {} more")])
def test_an_answer_counts_the_violations_that_it_has_no_room_for(
    by: Callable[..., Asked], number: int, counted: str
) -> None:
    asked = by(assigned("np"))
    message = asked(review(privileged_many(number)))["status"]["message"]
    lines = message.split("\n")
    known = min(number, wording.ENOUGH)
    assert lines[-1] == counted.format(known - len(lines) + 1) and len(message) <= 4100
    assert len(asked.decisions[-1].outcome.refused_by) == known
    warned = by(assigned("np", parameters={"effect": "Audit"}))(review(privileged_many(number)))["warnings"]
    assert warned[-1] == counted.format(known - len(warned) + 1)


def test_a_violation_is_found_behind_any_number_of_exempted_ones(by: Callable[..., Asked]) -> None:
    asked = by(assigned("np"), exemptions=[exempted(assignment="np", resources=[{"container": "c*"}])])
    many = review(privileged_many(500, {"name": "bad"}))
    assert "[np] init container bad" in asked(many)["status"]["message"]
    assert asked(review(privileged_many(500)))["allowed"]


def test_a_change_is_compared_with_all_that_there_was(by: Callable[..., Asked]) -> None:
    before, after = privileged_many(500), privileged_many(500, {"name": "bad"})
    before["spec"]["initContainers"].reverse()
    asked = by(assigned("np"))
    assert asked(review(before, privileged_many(500)))["allowed"]
    message = asked(review(after, before))["status"]["message"]
    assert message.startswith("[np] init container bad") and "\n" not in message


#: Never found, in a time without end.
ENDLESS = """violation contains {"msg": "never"} if {
    some a in numbers.range(1, 100000)
    some b in numbers.range(1, 100000)
    a * b == -1
}"""
#: The same for each container named "slow".
SLOW = ENDLESS.replace("{\n", '{\n    input.review.object.spec.initContainers[_].name == "slow"\n', 1)
EACH = (
    'violation contains {"msg": c.name, "details": {"path": "spec"}} '
    "if some c in input.review.object.spec.initContainers"
)


def late(by: Callable[..., Asked], rego: str, **more: Any) -> Asked:
    """A reviewer by a rule that does not end."""
    return by(assigned("u", "ours", parameters={"effect": "Deny"}), definitions=[defined("ours", rego)], **more)


def test_what_is_found_before_a_rule_runs_out_of_time_refuses_each_time(by: Callable[..., Asked]) -> None:
    asked = late(by, f"{EACH}\n{ENDLESS}")
    for _ in range(5):
        response = asked(review(privileged_many(2)))
        assert response["status"]["message"] == "[u] c0 (spec is not set)\n[u] c1 (spec is not set)"
        assert response["warnings"] == ["[u] could not be judged: the evaluation took longer than 500ms"]


def test_a_change_is_not_refused_for_what_may_have_been_there_before(by: Callable[..., Asked]) -> None:
    rego = f"{SLOW}\n{EACH}"
    old = privileged_many(1, {"name": "slow"})
    response = late(by, rego)(review(privileged_many(3), old))
    assert response["allowed"], response
    assert response["warnings"][-1].startswith("[u] could not be judged: what was there before: the evaluation took")
    message = late(by, rego, fail_closed=True)(review(privileged_many(3), old))["status"]["message"]
    assert message.startswith("[u] could not be judged: what was there before: the evaluation took")


def test_a_review_is_judged_until_its_time_is_over(by: Callable[..., Asked]) -> None:
    """One that comes too late is judged for a moment nevertheless: ordinary ones need no more."""
    asked = by(assigned("np"), *(assigned(f"u{n}", "ours") for n in range(4)), definitions=[defined("ours", ENDLESS)])

    async def late() -> None:
        await asked.reviewer(review(pod(privileged=True)), time.monotonic() - 1.0)

    began = time.monotonic()
    asyncio.run(late())
    assert time.monotonic() - began < 5.0
    outcome = asked.decisions[-1].outcome
    assert "[np]" in outcome.message and {name for name, _ in outcome.errors} == {"u0", "u1", "u2", "u3"}


def test_a_large_review_that_waits_too_long_for_others_is_not_judged(
    by: Callable[..., Asked], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, held = by(assigned("np")), Held(engine, monkeypatch)

    async def ask() -> Any:
        first = await held.first(asked)
        try:
            return await asked.reviewer(review(pod()) + b" " * 200_000, time.monotonic() + 0.1)
        finally:
            held.let_go()
            assert (await first).status == 200

    response = json.loads(asyncio.run(ask()).body)["response"]
    assert response["warnings"] == ["[np] could not be judged: too many reviews at once"]
    assert [one.unjudged for one in asked.decisions] == [Unjudged.TOO_MANY, ""]


def test_the_engine_leaves_time_to_answer_a_large_review(
    by: Callable[..., Asked], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = by(assigned("np"))
    given: list[float] = []
    begin = engine.begin_admission

    def seen(name: str, body: bytes, answer: Any, *, seconds: float, **more: Any) -> Any:
        given.append(seconds)
        return begin(name, body, answer, seconds=seconds, **more)

    monkeypatch.setattr(engine, "begin_admission", seen)
    for more in (b"", b" " * 200_000):
        asked(review(pod(privileged=True)) + more)
    assert given == [pytest.approx(1.2, abs=0.1), pytest.approx(1.0, abs=0.1)]


def _privileged(count: int, *, other_image: int = -1, **labels: str) -> dict[str, Any]:
    """A Pod of privileged containers that is a large review together with another one."""
    made = pod(privileged=True, labels=labels)
    (one,) = made["spec"]["containers"]
    made["spec"]["containers"] = [
        {**one, "name": f"c{at:04}", "image": "other" if at == other_image else one["image"]} for at in range(count)
    ]
    return made


def test_a_large_object_that_stays_as_it_is_does_not_get_worse(by: Callable[..., Asked]) -> None:
    asked = by(assigned("np"))
    old, new = _privileged(1500, team="a"), _privileged(1500, team="b")
    response = asked(review(new, old))
    assert response["allowed"]
    assert response["warnings"][0].startswith("not refused, as it was so before: [np] container c0000")
    assert re.fullmatch(r"and at least \d+ more", response["warnings"][-1])

    # By no-privileged a container with another image is another one, whichever of them it is.
    response = asked(review(_privileged(1500, other_image=1499, team="b"), old))
    assert response["status"]["message"].startswith("[np] container c1499")
    assert re.fullmatch(r"and \d+ more", response["warnings"][-1])


def test_a_large_object_that_is_selected_only_now_is_judged_as_a_new_one(by: Callable[..., Asked]) -> None:
    asked = by(assigned("np", parameters={"labelSelector": {"matchLabels": {"team": "b"}}}))
    response = asked(review(_privileged(1500, team="b"), _privileged(1500, team="a")))
    assert response["status"]["message"].startswith("[np] container c0000")


def test_assignments_that_find_nothing_add_no_work_to_a_refusal(by: Callable[..., Asked]) -> None:
    others = [assigned(f"ports-{at}", "allowed-service-ports", parameters={"allowedPorts": ["80"]}) for at in range(60)]
    body = review(pod(privileged=True))

    def calls(*assignments: dict[str, Any]) -> int:
        asked, made = by(*assignments), 0

        def count(_: Any, event: str, __: Any) -> None:
            nonlocal made
            made += event == "call"

        asked(body)  # what is made at the first review
        asked.reviewer.use(asked.standing.plan)  # forgets what was decided
        sys.setprofile(count)
        try:
            assert asked(body)["allowed"] is False
        finally:
            sys.setprofile(None)
        return made

    assert calls(assigned("np"), *others) < calls(assigned("np")) + 30
