"""When the engine dies under many requests at once, one policy is at fault and all else is judged."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from aksp.compliance.judgement import Judgement, Task
from aksp.engine import Batch, Engine, EngineDied
from tests.compliance.builders import module
from tests.engine.hostile import GREEDY, GREEDY_BODY, HONEST, compile_rule, faults, judge, pods, task, violations
from tests.engine.reviews import pod, review
from tests.engine.test_process import OTHERS, SILENT, kill, nothing_is_left, pid, script  # noqa: F401

pytestmark = pytest.mark.slow

#: Greedy for Pods that ask for it, and for no other.
SOMETIMES_GREEDY = f"""
violation contains {{"msg": "never"}} if {{
    input.review.object.metadata.labels.hungry
    {GREEDY_BODY}
}}
"""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine that is stopped when it takes 150 MiB."""
    with Engine(
        evaluation_deadline_ms=20_000, memory_cap=150 << 20, memory_target=96 << 20, evaluation_memory=64 << 30
    ) as engine:
        yield engine


def tasks_of(*policies: str) -> Callable[[Batch], Sequence[Task]]:
    return lambda batch: [task(policy, batch) for policy in policies]


def answered(engine: Engine, body: bytes, choose: Callable[[Batch], Sequence[Task]]) -> Judgement:
    """As the add-on answers: fast at first, and carefully when the engine dies."""
    try:
        loading = engine.begin_review(body)
        if loading.answer is None:
            raise EngineDied("not running")
        loading.answer.result(60)
        batch = engine.loaded(loading)
        tasks = choose(batch)
        started = engine.begin(batch, tasks)
        if started is None:
            raise EngineDied("not running")
        started.result(60)
        judgement = engine.finish(batch, tasks, started)
        engine.release(batch)
        return judgement
    except EngineDied:
        batch, _, judgement = engine.recover(body, choose)
        engine.release(batch)
        return judgement


def test_of_many_requests_the_one_at_fault_is_found_and_the_others_are_judged(small: Engine) -> None:
    compile_rule(small, "honest", HONEST)
    compile_rule(small, "greedy", SOMETIMES_GREEDY)

    def ask(number: int) -> Judgement:
        labels = {"hungry": "yes"} if number == 7 else {}
        body = review(pod(f"web-{number}", privileged=number % 3 == 0, labels=labels))
        return answered(small, body, tasks_of("honest", "greedy"))

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(60)))

    assert [violations(one, 0) for one in answers] == [[0] if number % 3 == 0 else [] for number in range(60)]
    assert all(faults(one, 0) == {} for one in answers)
    assert faults(answers[7], 1) == {0: "the engine was stopped: it used more than 150 MiB of memory"}
    # From then on the policy is in error, and brings down nothing any more.
    survivor = pid(small)
    after = ask(7)
    assert (violations(after, 0), set(faults(after, 1))) == ([], {0})
    assert pid(small) == survivor


def test_other_rego_lifts_the_verdict_on_a_policy_and_the_same_does_not(small: Engine) -> None:
    compile_rule(small, "rule", GREEDY)
    body = review(pod(privileged=True))
    assert set(faults(answered(small, body, tasks_of("rule")), 0)) == {0}

    compile_rule(small, "rule", GREEDY)
    survivor = pid(small)
    assert set(faults(answered(small, body, tasks_of("rule")), 0)) == {0}
    assert pid(small) == survivor

    assert small.compile("rule", [module("nonsense(")]) != []
    assert set(faults(answered(small, body, tasks_of("rule")), 0)) == {0}

    compile_rule(small, "rule", HONEST)
    judged = answered(small, body, tasks_of("rule"))
    assert (violations(judged, 0), faults(judged, 0)) == ([0], {})


def test_isolating_copies_blames_a_policy_only_when_it_dies_alone(small: Engine) -> None:
    compile_rule(small, "honest", HONEST)
    compile_rule(small, "greedy", GREEDY)
    batch = small.loaded(small.begin_review(review(pod(privileged=True))))
    kill(small)
    (record,) = small.isolate(batch, task("honest", batch))
    assert (len(record["containers"][0]), record["faults"]) == (1, [])

    (record,) = small.isolate(batch, task("greedy", batch))
    assert record["faults"] == ["the engine was stopped: it used more than 150 MiB of memory"]
    assert small.isolate(batch, task("honest", batch))[0]["faults"] == []


def test_a_dead_engine_says_so_at_once_and_can_be_started_again() -> None:
    with Engine() as engine:
        compile_rule(engine, "honest", HONEST)
        batch = engine.load_list(pods(True))
        assert engine.alive
        kill(engine)
        assert not engine.alive
        assert engine.begin(batch, [task("honest", batch)]) is None
        assert engine.begin_review(review(pod())).answer is None
        engine.revive()
        assert engine.alive
        # Its batch went with the old one.
        assert engine.begin(batch, [task("honest", batch)]) is None
        assert violations(judge(engine, batch, ["honest"]), 0) == [0]
    assert not engine.alive


def test_while_a_culprit_is_looked_for_nobody_else_judges() -> None:
    with Engine() as engine:
        compile_rule(engine, "honest", HONEST)
        batch = engine.load_list(pods(True))
        seen: list[object] = []

        def choose(loaded: Batch) -> list[Task]:
            other = threading.Thread(target=lambda: seen.append(engine.begin(batch, [task("honest", batch)])))
            other.start()
            other.join()
            return [task("honest", loaded)]

        reviewed, _, judged = engine.recover(review(pod(privileged=True)), choose)
        engine.release(reviewed)

        assert seen == [None]
        assert violations(judged, 0) == [0]
        assert engine.begin(batch, [task("honest", batch)]) is not None


def test_a_hard_deadline_holds_for_answers_that_nobody_watches(tmp_path: Path) -> None:
    with Engine(binary=script(tmp_path, SILENT), hard_deadline=0.2, evaluation_deadline_ms=10) as engine:
        assert engine.compile("mute", [module(HONEST)]) == []
        batch = engine.loaded(engine.begin_review(review(pod())))
        started = engine.begin(batch, [task("mute", batch)])
        assert started is not None

        assert str(started.exception(30)) == "the engine was stopped: no answer within 0 s"
        assert not engine.alive


def test_a_new_engine_gets_the_watched_inventory_too() -> None:
    with Engine() as engine:
        compile_rule(engine, "others", OTHERS)
        raw = {name: json.dumps(pod(name)).encode() for name in ("a", "b", "c")}
        body = review(pod("a"))

        def others() -> list[str]:
            judged = answered(engine, body, tasks_of("others"))
            return sorted(json.loads(finding["details"])["path"] for finding in judged.findings)

        engine.put_inventory([raw["a"], raw["b"]])
        assert others() == ["b"]
        engine.put_inventory([raw["c"]])
        kill(engine)
        assert others() == ["b", "c"]
        engine.drop_inventory([{"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "b"}])
        assert others() == ["c"]
        kill(engine)
        engine.drop_inventory([{"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "c"}])
        assert others() == []
        kill(engine)
        assert others() == []


def test_many_threads_share_one_engine_that_keeps_dying() -> None:
    with Engine() as engine:
        compile_rule(engine, "honest", HONEST)
        engine.put_inventory([json.dumps(pod("a")).encode()])
        stop = threading.Event()

        def compile_often(number: int) -> None:
            while not stop.is_set():
                compile_rule(engine, f"mine-{number}", HONEST)
                assert engine.regex_faults(["(", "a"])[1] is None

        def judge_often(number: int) -> None:
            for turn in range(60):
                flag = (turn + number) % 2 == 0
                judged = answered(engine, review(pod(f"web-{turn}", privileged=flag)), tasks_of("honest"))
                assert (violations(judged, 0), faults(judged, 0)) == ([0] if flag else [], {})

        with ThreadPoolExecutor(6) as threads:
            compiling = [threads.submit(compile_often, number) for number in range(2)]
            judging = [threads.submit(judge_often, number) for number in range(3)]
            try:
                for _ in range(4):
                    stop.wait(0.1)
                    if (process := engine.pid) is not None:
                        with suppress(ProcessLookupError):
                            os.kill(process, signal.SIGKILL)
                for future in judging:
                    future.result(60)
            finally:
                stop.set()
            for future in compiling:
                future.result(60)
