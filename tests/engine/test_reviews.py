"""AdmissionReviews: loaded, judged at once, refused when they cannot be judged."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from concurrent.futures import Future
from typing import Any

import msgspec
import pytest

from aksp.compliance.judgement import Task
from aksp.engine import AdmissionRecord, BadReview, Batch, Engine, EngineDied, Outdated, RegisteredTask
from aksp.errors import EngineError
from tests.compliance.builders import module
from tests.engine.hostile import ENDLESS, HONEST, compile_rule, judge, task, violations
from tests.engine.reviews import pod, review


def load(engine: Engine, body: bytes) -> Batch:
    return engine.loaded(engine.begin_review(body))


def answer_of(future: Future[Any] | None) -> Any:
    assert future is not None
    return future.result(timeout=10)


def test_a_review_tells_of_its_request_and_its_object(engine: Engine) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d", "uid": "u-1", "controller": True}
    batch = load(engine, review(pod(ownerReferences=[owner]), subResource="status", dryRun=True))

    assert batch.request is not None and msgspec.to_builtins(batch.request) == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "operation": "CREATE",
        "group": "",
        "version": "v1",
        "kindName": "Pod",
        "resource": "pods",
        "subResource": "status",
        "namespace": "shop",
        "name": "web",
        "user": "mallory",
        "dryRun": True,
        "hasObject": True,
        "hasOldObject": False,
    }
    (document,) = batch.documents
    assert document["owner"] == {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d", "uid": "u-1"}
    assert [c["name"] for c in document["containers"]] == ["web"]


def test_a_workload_and_what_it_was_before_are_followed_by_their_pods(engine: Engine) -> None:
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"template": {"metadata": {}, "spec": pod()["spec"]}},
    }
    batch = load(engine, review(deployment, deployment))
    shape = [(d["kind"], d.get("old", False), d.get("parent"), d.get("template")) for d in batch.documents]

    assert shape == [
        ("Deployment", False, None, None),
        ("Pod", False, 0, "spec.template"),
        ("Deployment", True, None, None),
        ("Pod", True, 2, "spec.template"),
    ]


def test_of_what_goes_nothing_is_judged(engine: Engine) -> None:
    batch = load(engine, review(None, pod()))
    assert batch.request is not None

    assert (batch.documents, batch.request.has_object, batch.request.has_old_object) == ([], False, True)


def test_a_review_is_judged_and_its_containers_are_told_apart() -> None:
    with Engine() as engine:
        compile_rule(engine, "honest", HONEST)
        batch = load(engine, review(pod(privileged=True)))

        assert violations(engine.judge(batch, [task("honest", batch)]), 0) == [0]
        (isolated,) = engine.isolate(batch, task("honest", batch))
        assert [len(found) for found in isolated["containers"]] == [1]


def test_an_event_loop_awaits_the_engine_s_answers(engine: Engine) -> None:
    compile_rule(engine, "honest", HONEST)

    async def decide(number: int) -> list[int]:
        loading = engine.begin_review(review(pod(f"web-{number}", privileged=number % 2 == 0)))
        assert loading.answer is not None
        await asyncio.wrap_future(loading.answer)
        batch = engine.loaded(loading)
        tasks = [task("honest", batch)]
        started = engine.begin(batch, tasks)
        assert started is not None
        await asyncio.wrap_future(started)
        judgement = engine.finish(batch, tasks, started)
        engine.release(batch)
        return violations(judgement, 0)

    async def decide_all() -> list[list[int]]:
        return await asyncio.gather(*(decide(number) for number in range(40)))

    assert asyncio.run(decide_all()) == [[0], []] * 20


def test_reviews_that_come_in_one_round_of_the_loop_are_one_write_and_later_ones_keep_the_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writes: list[int] = []
    written = os.write

    def noting(descriptor: int, data: memoryview) -> int:
        writes.append(len(data))
        return written(descriptor, data)

    async def ask(engine: Engine) -> list[bool]:
        await asyncio.to_thread(engine.attach, asyncio.get_running_loop())
        name = await asyncio.to_thread(
            engine.register, [RegisteredTask(policy="honest", parameters={}, kinds=["/Pod"])]
        )
        monkeypatch.setattr(os, "write", noting)
        bodies = [review(pod(f"web-{number}", privileged=number % 2 == 0)) for number in range(6)]
        # The last one is larger than what is copied to be written with others.
        bodies.append(review(pod("large", privileged=True, annotations={"a": "x" * 100_000})))
        asked: list[tuple[bytes, asyncio.Future[AdmissionRecord]]] = []
        for body in bodies:
            asked.append((body, asyncio.get_running_loop().create_future()))
            assert engine.begin_admission(name, *asked[-1], seconds=5.0) is not None
        found = []
        for body, awaited in asked:
            answer = await asyncio.wait_for(awaited, 10)
            record, judgement = engine.admitted(answer)
            assert len(record.documents) == 1
            assert f'"name": "{answer.names[0].name}"'.encode() in body
            found.append(bool(judgement.hits))
        return found

    with Engine() as engine:
        compile_rule(engine, "honest", HONEST)
        assert asyncio.run(ask(engine)) == [True, False, True, False, True, False, True]
    assert len(writes) == 3, writes


def test_an_answer_that_nobody_waits_for_any_more_harms_nothing(engine: Engine) -> None:
    async def give_up() -> None:
        loading = engine.begin_review(review(pod()))
        assert loading.answer is not None
        waiting = asyncio.wrap_future(loading.answer)
        waiting.cancel()
        # What was sent is answered, whether or not somebody waits.
        assert await asyncio.to_thread(lambda: answer_of(loading.answer)["request"]["name"]) == "web"

    asyncio.run(give_up())
    assert engine.alive


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "the body is no AdmissionReview"),
        (b"not json", "the body is no AdmissionReview: "),
        (b"[]", "the body is a list, not an object"),
        (
            b'{"kind": "PodList", "apiVersion": "v1", "items": []}',
            'the body is no AdmissionReview: its kind is "PodList"',
        ),
        (b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1beta1"}', "v1beta1"),
        (b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}', "has no request"),
        (review(pod(), uid=""), "request has no uid"),
        (review(pod(), uid=7), "request.uid is a number, not a string"),
        (review(pod(), object=[]), "request.object is a list, not an object"),
        (review(pod()).replace(b'"spec"', b'"kind": "Pod", "spec"'), "duplicate"),
        (b'{"request": ' + b"[" * 20_000, "the body is no AdmissionReview"),
        (review(pod()) + b"{}", "something follows the review"),
        (review(pod())[:-3], "the body is no AdmissionReview"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_the_reason(body: bytes, what: str, engine: Engine) -> None:
    with pytest.raises(BadReview) as error:
        load(engine, body)

    assert isinstance(error.value, EngineError)
    assert what in error.value.what
    assert engine.alive


def test_a_review_that_was_loaded_before_a_policy_that_reads_more_must_be_loaded_again() -> None:
    with Engine() as engine:
        compile_rule(engine, "honest", HONEST)
        batch = load(engine, review(pod(privileged=True)))
        compile_rule(engine, "accounts", 'violation contains {"msg": "x"} if not input.review.object.spec.account')
        with pytest.raises(Outdated, match="reads more"):
            judge(engine, batch, ["accounts"])

        assert violations(judge(engine, load(engine, review(pod())), ["accounts"]), 0) == [0]


def test_a_policy_that_fails_to_compile_leaves_the_last_one_in_force() -> None:
    with Engine() as engine:
        compile_rule(engine, "honest", HONEST)
        assert engine.compile("honest", [module("violation contains x if { nonsense(")]) != []
        assert engine.compile("honest", [module("deny := true")]) != []
        reads = engine.reads("honest")
        batch = load(engine, review(pod(privileged=True)))

        assert violations(judge(engine, batch, ["honest"]), 0) == [0]
        assert engine.reads("honest") == reads


def test_a_policy_that_replaces_another_remembers_nothing_of_it() -> None:
    with Engine() as engine:
        for rule in (HONEST, HONEST.replace("privileged\n", "privileged == false\n"), HONEST):
            compile_rule(engine, "honest", rule)
            found = [
                violations(judge(engine, load(engine, review(pod(privileged=flag))), ["honest"]), 0)
                for flag in (True, False, True)
            ]
            assert found == ([[0], [], [0]] if rule == HONEST else [[], [0], []])


def test_a_rule_sees_in_a_review_what_it_sees_in_a_scan_and_the_request_besides(engine: Engine) -> None:
    compile_rule(engine, "seen", 'violation contains {"msg": json.marshal(input.review)} if true')
    scanned = engine.load_list(
        json.dumps({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": [pod()]}).encode()
    )
    reviewed = load(engine, review(pod(), subResource="status"))
    one, other = (json.loads(judge(engine, batch, ["seen"]).findings[0]["msg"]) for batch in (scanned, reviewed))

    everywhere = ["kind", "name", "namespace", "object"]
    assert {key: one[key] for key in everywhere} == {key: other[key] for key in everywhere}
    assert {key: one[key] for key in one.keys() - everywhere} == {
        "uid": "",
        "operation": "",
        "userInfo": {},
        "oldObject": None,
        "options": None,
        "resource": {"group": "", "version": "", "resource": ""},
    }
    request = json.loads(review(pod(), subResource="status"))["request"]
    assert other == {**request, **{key: other[key] for key in everywhere}}


@pytest.mark.parametrize("attached", [True, False])
def test_a_policy_at_fault_is_looked_for_once_reviews_under_way_have_ended(attached: bool) -> None:
    """What dies then dies of nothing else; a loop that awaits reviews is told of them all the same."""

    async def ask(engine: Engine) -> None:
        loop = asyncio.get_running_loop()
        if attached:
            await asyncio.to_thread(engine.attach, loop)
        task = RegisteredTask(policy="endless", parameters={}, kinds=["/Pod"])
        name = await asyncio.to_thread(engine.register, [task])
        body, answer = review(pod()), loop.create_future()
        assert engine.begin_admission(name, body, answer, seconds=5.0) is not None
        ended: list[bool] = []

        def choose(batch: Batch) -> list[Task]:
            # Told from this thread to the loop: it has it in its next round.
            ended.append(asyncio.run_coroutine_threadsafe(done(), loop).result(10))
            return []

        async def done() -> bool:
            return answer.done()

        batch, _, _ = await asyncio.to_thread(engine.recover, body, choose)
        assert ended == [True]
        assert "took longer" in engine.admitted(await answer)[1].faults[0].message
        await asyncio.to_thread(engine.release, batch)

    with Engine(evaluation_deadline_ms=400) as engine:
        compile_rule(engine, "endless", ENDLESS)
        asyncio.run(ask(engine))


def test_a_review_under_way_when_the_engine_dies_is_told_so(engine: Engine) -> None:
    async def ask() -> None:
        name = await asyncio.to_thread(
            engine.register, [RegisteredTask(policy="endless", parameters={}, kinds=["/Pod"])]
        )
        answer = asyncio.get_running_loop().create_future()
        assert engine.begin_admission(name, review(pod()), answer, seconds=5.0) is not None
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(EngineDied):
            await asyncio.wait_for(answer, 10)

    compile_rule(engine, "endless", ENDLESS)
    asyncio.run(ask())
