"""Every built-in of OPA with arguments that make much of little: the others are judged, and soon."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aksp.engine import Engine
from tests.compliance.builders import module
from tests.engine.hostile import HONEST, compile_rule, faults, judge, pods, violations

pytestmark = pytest.mark.slow

LIST = Path(__file__).parents[2] / "engine" / "testdata" / "builtins.txt"
#: What has no call of its own, or compares and binds.
NOT_CALLED = {"assign", "eq", "print", "trace", "rego.metadata.chain", "rego.metadata.rule"}

#: Milliseconds that an evaluation goes on after its deadline, where it is one that nothing stops.
SHORT = "100"

#: Rules that a call's arguments come from; each is made once in an evaluation.
MATERIAL = """
numbers_ := numbers.range(1, 4000)
text := concat("", [x | some _ in numbers_; x := "0123456789abcdefghi "])
texts := [format_int(x, 10) | some x in numbers_]
object_ := {format_int(x, 10): array.slice(texts, 0, 1000) | some x in numbers.range(1, 200)}
nodes := {format_int(x, 10): [format_int(y, 10) | some y in numbers.range(1, 24)] | some x in numbers.range(1, 24)}
"""


def parted(text: str) -> list[str]:
    """Types between commas that stand in no bracket."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "[<(") - (char in "]>)")
        if char == "," and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def argument(kind: str, turn: int) -> str:
    """A value of a type: something large."""
    if kind.startswith("any<"):
        kind = parted(kind[4:-1])[turn % len(parted(kind[4:-1]))]
    if kind.startswith("number"):
        return ("1e10", "1e1000", "7")[turn]
    if kind.startswith("string"):
        return ("text", '"0123456789"', 'concat(text, ["1", "2"])')[turn]
    if kind.startswith("set"):
        return "{x | some x in texts}"
    if kind.startswith("array[string"):
        return "texts"
    if kind.startswith("array[object"):
        return "[object_, object_]"
    if kind.startswith("array"):
        return "numbers_"
    if kind.startswith("object"):
        return "object_"
    return {"boolean": "true", "null": "null"}.get(kind, ("object_", "text", "numbers_")[turn])


def calls() -> Iterator[tuple[str, str]]:
    for line in LIST.read_text().splitlines():
        name, _, kinds = line.partition(": ")
        taken = re.match(r"\((.*?)\) => ", kinds)
        if name in NOT_CALLED or name.startswith("internal.") or taken is None:
            continue
        for turn in range(3):
            yield name, f"{name}({', '.join(argument(kind, turn) for kind in parted(taken[1]))})"


@contextmanager
def memory(engine: Engine) -> Iterator[list[int]]:
    """The most MiB that the engine's processes had in this block."""
    most, stop = [0], threading.Event()

    def look() -> None:
        while not stop.wait(0.01):
            process = engine.pid
            if process is not None:
                try:
                    status = Path(f"/proc/{process}/status").read_text()
                except OSError:
                    continue
                most[0] = max([most[0], *(int(kib) >> 10 for kib in re.findall(r"VmHWM:\s+(\d+)", status))])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        stop.set()
        thread.join()


def judged(engine: Engine) -> tuple[str, float]:
    """The fault of the rule "hostile", and its seconds with an honest one beside it, which is judged whatever comes."""
    batch = engine.load_list(pods(True))
    begun = time.monotonic()
    judgement = judge(engine, batch, ["hostile", "honest"])
    took = time.monotonic() - begun
    assert (violations(judgement, 1), faults(judgement, 1)) == ([0], {})
    engine.release(batch)
    return faults(judgement, 0).get(0, ""), took


def test_no_built_in_keeps_others_from_being_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AKSP_ENGINE_EVALUATION_GRACE", SHORT)
    named: set[str] = set()
    slow: dict[str, float] = {}
    with Engine(evaluation_deadline_ms=200) as engine, memory(engine) as most:
        compile_rule(engine, "honest", HONEST)
        for name, call in dict.fromkeys(calls()):
            rule = f'violation contains {{"msg": "made"}} if {{ made := {call}; count([made]) == 7 }}'
            if engine.compile("hostile", [module(MATERIAL + rule)]):
                continue  # what Rego v1 no longer has, and types that do not fit
            _, took = judged(engine)
            named.add(name)
            if took > 10:  # of which 1 is asked for: the machine has more to do
                slow[call] = took
    assert len(named) > 160, len(named)
    assert slow == {}
    assert most[0] < 1200, f"{most[0]} MiB"


#: By name: a rule's body, and how it ends, as a pattern. Where the machine has more to do, what comes before the
#: product takes all the time.
CULPRITS = {
    "graph.reachable_paths": ('made := graph.reachable_paths(nodes, {"1"})', "does not end"),
    "bits.lsh": ("made := bits.lsh(1, 1e10)", "more than 65536 bits"),
    "strings.render_template": (
        'made := strings.render_template("{{range .x}}{{range $.x}}{{range $.x}}{{end}}{{end}}{{end}}", {"x": numbers_})',
        "does not end",
    ),
    "strings.render_template, loud": (
        'made := strings.render_template("{{range .x}}{{range $.x}}{{range $.x}}aksp{{end}}{{end}}{{end}}", {"x": numbers_})',
        "more than 64",
    ),
    "strings.render_template, doubling": (
        'made := strings.render_template("{{$y := .y}}{{range .x}}{{$y = print $y $y}}{{end}}", {"x": numbers_, "y": text})',
        "more than 64",
    ),
    "sprintf": ('made := sprintf(concat("", [x | some _ in numbers_; x := "%999999d"]), numbers_)', "more than 64"),
    "sprintf by place": (
        'made := sprintf(concat("", [x | some _ in numbers_; x := "%[1]s"]), [text])',
        "more than 64",
    ),
    "numbers.range": ("made := numbers.range(1, 1e12)", "more than 262144"),
    "net.cidr_expand": ('made := net.cidr_expand("2001::/16")', "more than 262144"),
    "product": ("big := bits.lsh(1, 60000); made := product([big | some _ in numbers_])", "does not end|longer than"),
    "json.patch": (
        'made := json.patch(object_, [{"op": "copy", "from": "/", "path": sprintf("/%d", [x])} | some x in numbers_])',
        "",
    ),
    "regex.match": ("made := regex.match(text, text)", ""),
    "replace": ('made := replace(text, "0", text)', "more than 64"),
    "concat": ('made := concat(text, split(text, ""))', "more than 64"),
    "object.union_n": ("made := object.union_n([object_ | some _ in numbers_; some _ in [1, 2]])", "more than 1048576"),
}


@pytest.mark.parametrize("name", CULPRITS)
def test_what_no_deadline_stops_is_refused_or_ends_soon_and_small(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body, why = CULPRITS[name]
    sized = "more than" in why
    if not sized:
        monkeypatch.setenv("AKSP_ENGINE_EVALUATION_GRACE", SHORT)
    # What is refused for its size is refused in a second, on a machine that has more to do in several.
    with Engine(evaluation_deadline_ms=10_000 if sized else 500) as engine, memory(engine) as most:
        compile_rule(engine, "honest", HONEST)
        compile_rule(
            engine, "hostile", f'{MATERIAL}violation contains {{"msg": "made"}} if {{ {body}; count([made]) == 7 }}'
        )
        found, took = judged(engine)
    assert re.search(why, found), found
    # 3.1 s at most on a machine that has nothing else to do.
    assert took < 15, f"{took:.1f} s"
    assert most[0] < 500, f"{most[0]} MiB"
