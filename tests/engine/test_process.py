"""The engine's process: started, killed, restarted, ended; nothing is left of it."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aksp.compliance.judgement import Task
from aksp.engine import PROTOCOL, Engine, EngineDied, engine_binary
from aksp.engine.process import PendingAnswer, Process
from aksp.engine_start import StartedEngine
from aksp.errors import EngineError, ExitCode
from aksp.workspace import prepare
from tests.compliance.builders import module
from tests.definitions.samples import DEFINITIONS, plan_of
from tests.engine.hostile import ENDLESS, GREEDY, HONEST, compile_rule, faults, judge, pods, task, violations
from tests.replacing import replace
from tests.waiting import until

OTHERS = """
violation contains {"msg": "there is another", "details": {"path": name}} if {
    some name
    data.inventory.namespace.shop["v1"].Pod[name]
    name != input.review.name
}
"""


def pid(engine: Engine) -> int:
    assert engine.pid is not None
    return engine.pid


def kill(engine: Engine) -> None:
    """kill -9, and wait until the client has noticed."""
    os.kill(pid(engine), signal.SIGKILL)
    until(lambda: not engine.alive)


def open_files() -> set[str]:
    links = set()
    for entry in os.listdir("/proc/self/fd"):
        try:
            links.add(f"{entry} {os.readlink(f'/proc/self/fd/{entry}')}")
        except FileNotFoundError:
            continue  # the listing's own
    return links


def children() -> set[str]:
    """The processes that this one has started and not yet buried."""
    found: set[str] = set()
    for thread in Path("/proc/self/task").iterdir():
        try:
            found.update((thread / "children").read_text().split())
        except FileNotFoundError:
            continue  # a thread that has just ended
    return found


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = threading.active_count(), open_files(), children()
    yield
    assert (threading.active_count(), open_files(), children()) == before


# Killed from outside


def test_a_killed_engine_is_replaced_and_the_batch_is_judged_as_if_nothing_had_been() -> None:
    with Engine() as engine:
        compile_rule(engine, "honest", HONEST)
        batch = engine.load_list(pods(True, False))
        first = pid(engine)
        kill(engine)
        judgement = judge(engine, batch, ["honest"])

        assert (violations(judgement, 0), faults(judgement, 0)) == ([0], {})
        assert pid(engine) != first


def test_an_engine_killed_while_it_judges_is_replaced_and_asked_again() -> None:
    with Engine(evaluation_deadline_ms=400) as engine:
        compile_rule(engine, "honest", HONEST)
        compile_rule(engine, "endless", ENDLESS)
        batch = engine.load_list(pods(True, False))
        tasks = [task("endless", batch), task("honest", batch)]
        started = engine.begin(batch, tasks)
        kill(engine)
        judgement = engine.finish(batch, tasks, started)

        assert violations(judgement, 1) == [0]
        # The loop is told as what it is: it did not bring the engine down.
        assert all("took longer" in message for message in faults(judgement, 0).values())
        assert set(faults(judgement, 0)) == {0, 1}


def test_a_new_engine_gets_the_inventory_too() -> None:
    with Engine() as engine:
        compile_rule(engine, "others", OTHERS)
        batch = engine.load_list(pods(True, True), whole_kinds=["/Pod"])
        engine.add_to_inventory(batch, ["/Pod"])
        before = judge(engine, batch, ["others"])
        kill(engine)
        after = judge(engine, batch, ["others"])

        assert violations(before, 0) == violations(after, 0) == [0, 1]
        assert sorted(f["details"] for f in before.findings) == sorted(f["details"] for f in after.findings)


def test_a_batch_joins_the_inventory_although_the_engine_has_just_died() -> None:
    with Engine() as engine:
        compile_rule(engine, "others", OTHERS)
        batch = engine.load_list(pods(True, True), whole_kinds=["/Pod"])
        kill(engine)
        engine.add_to_inventory(batch, ["/Pod"])

        assert violations(judge(engine, batch, ["others"]), 0) == [0, 1]


def test_every_request_finds_a_new_engine_when_the_old_one_has_died() -> None:
    with Engine() as engine:
        compile_rule(engine, "honest", HONEST)
        kill(engine)
        assert engine.regex_faults(["(", "a"])[1] is None
        kill(engine)
        batch = engine.load_list(pods(True))
        kill(engine)
        engine.release(batch)
        assert engine.compile("again", [module(HONEST)]) == []
        kill(engine)
        assert engine.split(b"a: 1\n---\nb: 2\n", 1000)[1] == []
        kill(engine)
        assert violations(judge(engine, engine.load_list(pods(True)), ["honest", "again"]), 1) == [0]


# Killed by the client


def test_an_engine_that_takes_too_much_memory_is_stopped_and_the_policy_is_in_error_there_and_on_later_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AKSP_ENGINE_EVALUATION_MEMORY", str(64 << 30))
    with Engine(evaluation_deadline_ms=20_000, memory_cap=150 << 20) as engine:
        compile_rule(engine, "honest", HONEST)
        compile_rule(engine, "huge", GREEDY)
        batch = engine.load_list(pods(True))
        judgement = judge(engine, batch, ["huge", "honest"])

        assert faults(judgement, 0) == {0: "the engine was stopped: it used more than 150 MiB of memory"}
        assert (violations(judgement, 1), faults(judgement, 1)) == ([0], {})

        later_page = engine.load_list(pods(True, False))
        survivor = pid(engine)
        later = judge(engine, later_page, ["huge", "honest"])

        assert set(faults(later, 0)) == {0, 1}
        assert violations(later, 1) == [0]
        assert pid(engine) == survivor


SILENT = """
import sys, json, struct
def answer(id, result):
    text = json.dumps({"id": id, "result": result}).encode()
    sys.stdout.buffer.write(struct.pack(">II", len(text), 0) + text)
    sys.stdout.buffer.flush()
while True:
    header, body = struct.unpack(">II", sys.stdin.buffer.read(8))
    request = json.loads(sys.stdin.buffer.read(header)); sys.stdin.buffer.read(body)
    if request["op"] == "hello":
        answer(request["id"], {"protocol": 7})
    elif request["op"] == "compile":
        answer(request["id"], {"faults": [], "reads": [], "inventory": [], "request": [], "audit": "whole", "parameters": []})
    elif request["op"] == "load":
        answer(request["id"], {"documents": [{"apiVersion": "v1", "kind": "Pod", "namespace": "", "name": "x"}],
                               "problems": []})
"""


def script(folder: Path, text: str) -> Path:
    """An engine that is none."""
    path = folder / "engine"
    path.write_text(f"#!{sys.executable} -IS\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_an_engine_that_does_not_answer_is_stopped_and_its_policies_are_in_error(tmp_path: Path) -> None:
    with Engine(binary=script(tmp_path, SILENT), hard_deadline=0.2, evaluation_deadline_ms=10) as engine:
        assert engine.compile("mute", [module(HONEST)]) == []
        batch = engine.load_list(b"{}")
        judgement = engine.judge(batch, [Task(policy="mute", parameters={}, documents=[0])])

        assert faults(judgement, 0) == {0: "the engine was stopped: no answer within 0 s"}


def doubling(levels: int) -> str:
    """Two lists that double at each level. OPA's type checker compares their types in time that doubles, too."""
    chains = [f"{name}0 := [input.review]" for name in "ab"]
    chains += [f"{name}{n} := [{name}{n - 1}, {name}{n - 1}]" for name in "ab" for n in range(1, levels + 1)]
    return "\n".join([*chains, f'violation contains {{"msg": "equal"}} if a{levels} == b{levels}'])


def test_a_rule_that_compiles_without_end_is_given_up_once_and_others_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Counted(Process):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            started.append(self)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr("aksp.engine.client.Process", Counted)
    with Engine(hard_deadline=1.0) as engine:
        compile_rule(engine, "honest", HONEST)
        found = engine.compile("doubling", [module(doubling(30))])
        batch = engine.load_list(pods(True, False))
        assert violations(judge(engine, batch, ["honest"]), 0) == [0]
    assert [one["message"] for one in found] == ["the rule cannot be compiled within 1 s: write it simpler"]
    # One that was asked in vain, and one for what came after.
    assert len(started) == 2


@pytest.mark.parametrize("die", [False, True], ids=["lives", "dies"])
def test_policies_that_are_compiled_at_once_come_to_the_same_as_one_by_one(die: bool) -> None:
    rules = {"honest": HONEST, "doubling": doubling(30), "faulty": "violation contains {", "others": OTHERS}
    policies = {name: [module(rule)] for name, rule in rules.items()}
    with Engine(hard_deadline=1.0) as engine:
        alone = {name: engine.compile(name, modules) for name, modules in policies.items()}
    with Engine(hard_deadline=1.0) as engine:
        engine.compile_ahead(policies)
        if die:
            kill(engine)
        # What was not begun, or begun with other Rego, is compiled as it is asked for.
        assert engine.compile("other", [module(HONEST)]) == []
        assert {name: engine.compile(name, modules) for name, modules in policies.items()} == alone
        batch = engine.load_list(pods(True, False))
        assert violations(judge(engine, batch, ["honest", "other"]), 0) == [0]
        assert engine.lookups("others")


def test_other_rego_than_what_was_begun_is_compiled_anew() -> None:
    with Engine() as engine:
        engine.compile_ahead({"rule": [module("violation contains {")]})
        compile_rule(engine, "rule", HONEST)
        batch = engine.load_list(pods(True, False))
        assert violations(judge(engine, batch, ["rule"]), 0) == [0]


def test_a_plan_s_policies_are_compiled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    write, result = Process.write, PendingAnswer.result

    def writing(self: Process, answer: PendingAnswer, op: str, *args: Any) -> None:
        asked.append(op)
        write(self, answer, op, *args)

    def waiting(self: PendingAnswer, timeout: float | None = None) -> Any:
        asked.append("wait")
        return result(self, timeout)

    plan = plan_of(DEFINITIONS["no-privileged"], {})
    more = plan_of(DEFINITIONS["required-labels"], {"labels": ["a"]})
    with Engine() as engine:
        monkeypatch.setattr(Process, "write", writing)
        monkeypatch.setattr(PendingAnswer, "result", waiting)
        prepare(engine, replace(plan, ready=[*plan.ready, *more.ready]))
    assert asked[:3] == ["compile", "compile", "wait"]


# Engines that are none


def refused(engine: Engine) -> EngineError:
    with pytest.raises(EngineError) as error, engine:
        pytest.fail("it started")
    assert error.value.exit_code is ExitCode.INTERNAL
    return error.value


def test_a_missing_engine_is_named_with_the_way_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AKSP_ENGINE", str(tmp_path / "gone"))
    with pytest.raises(EngineError, match=r"the engine is missing at .*gone") as error:
        engine_binary()

    assert "make engine" in (error.value.hint or "")


def test_another_engine_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = script(tmp_path, "")
    monkeypatch.setenv("AKSP_ENGINE", str(other))

    assert engine_binary() == other


@pytest.mark.parametrize("answer", ['{"protocol": 99}', "{}", "[]", "null"])
def test_an_engine_of_another_protocol_is_refused(answer: str, tmp_path: Path) -> None:
    text = SILENT.replace('{"protocol": 7}', f"json.loads('{answer}')")
    error = refused(Engine(binary=script(tmp_path, text)))

    assert f"this aksp {PROTOCOL}" in error.what
    assert "same version" in (error.hint or "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "ended unexpectedly"),
        ("import sys; sys.exit('no such machine')", "no such machine"),
        ("import os; os.abort()", "ended unexpectedly"),
        ("print('this is not an engine at all', flush=True); import sys; sys.stdin.read()", "cannot be read"),
        (r"import os; os.write(1, b'\0\0\0\2\0\0\0\0{]'); os.read(0, 9**6); os.read(0, 9)", "cannot be read"),
        (r"import os; os.write(1, b'\0\0\0\2\0\0\0\0[]'); os.read(0, 9**6); os.read(0, 9)", "cannot be read"),
        (r"import os; os.write(1, b'\0\0\0\2\0\0\0\0{}'); os.read(0, 9**6); os.read(0, 9)", "cannot be read"),
        (r"import os; os.write(1, b'\0\0\0\x08\0\0\0\0{\"id\":1}'); os.read(0, 9**6); os.read(0, 9)", "cannot be read"),
        (r"import os; os.write(1, b'\xff\xff\xff\xff\0\0\0\0'); os.read(0, 9**6); os.read(0, 9)", "cannot be read"),
        (r"import os; os.write(1, b'\0\0')", "ended unexpectedly"),
    ],
)
def test_an_engine_that_dies_or_talks_nonsense_is_refused_with_what_it_said(
    text: str, why: str, tmp_path: Path
) -> None:
    error = refused(Engine(binary=script(tmp_path, text)))

    assert "does not start" in error.what
    assert why in error.what


def test_an_engine_that_takes_no_requests_is_told_with_what_it_said(tmp_path: Path) -> None:
    deaf = tmp_path / "deaf"
    text = f"import os, sys, time; os.close(0); print('no such machine', file=sys.stderr, flush=True); open({str(deaf)!r}, 'w'); time.sleep(60)"
    process = Process(StartedEngine(script(tmp_path, text), {}), generation=1, memory_cap=1 << 40)
    try:
        until(deaf.exists)
        with pytest.raises(EngineDied, match=r"ended unexpectedly \(no such machine\)"):
            process.send(1, "hello", {}).result(timeout=30)
    finally:
        process.end()


def test_a_file_that_cannot_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "engine"
    path.write_bytes(b"\x7fELF nonsense")
    assert "does not start" in refused(Engine(binary=path)).what

    path.chmod(0o755)
    assert "does not start" in refused(Engine(binary=path)).what


def test_an_engine_s_own_error_is_told(tmp_path: Path) -> None:
    text = SILENT.replace('"result": result', '"error": "out of cheese"')

    assert refused(Engine(binary=script(tmp_path, text))).what == "out of cheese"


def test_a_request_that_kills_every_engine_ends_in_an_error(tmp_path: Path) -> None:
    text = SILENT.replace('elif request["op"] == "load":', 'else:\n        sys.exit("ouch")\n    if False:')
    with Engine(binary=script(tmp_path, text)) as engine, pytest.raises(EngineError, match=r"failed in load: .*ouch"):
        engine.load_list(b"{}")


def test_a_closed_engine_is_not_started_again() -> None:
    with Engine() as engine:
        batch = engine.load_list(pods(True))
    with pytest.raises(EngineError, match="closed"):
        engine.load_list(b"{}")
    with pytest.raises(EngineError, match="closed"):
        judge(engine, batch, ["honest"])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_engine_that_waits_for_a_request_keeps_no_thread_that_could_evaluate() -> None:
    with Engine() as engine:
        compile_rule(engine, "honest", HONEST)
        said = Path(f"/proc/{pid(engine)}/fdinfo/0").read_text().split()
    # It is read through Go's poller: else one of the threads waits in the kernel, and work waits with it.
    assert int(said[said.index("flags:") + 1], 8) & os.O_NONBLOCK


def test_an_engine_ends_with_its_block_whatever_happens_in_it() -> None:
    numbers: list[int] = []

    def fail(engine: Engine) -> None:
        with engine:
            numbers.append(pid(engine))
            raise KeyError

    with pytest.raises(KeyError):
        fail(Engine())

    assert not Path(f"/proc/{numbers[0]}").exists()


def test_ctrl_c_in_the_middle_of_a_request_leaves_an_engine_that_still_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = os.write

    def interrupted(descriptor: int, data: memoryview) -> int:
        written(descriptor, data[: len(data) // 2])
        raise KeyboardInterrupt

    with Engine() as engine:
        compile_rule(engine, "honest", HONEST)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(os, "write", interrupted)
            engine.load_list(pods(True))

        assert violations(judge(engine, engine.load_list(pods(True)), ["honest"]), 0) == [0]
