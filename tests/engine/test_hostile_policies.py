"""The engine survives policies that behave badly, and judges the rest."""

from __future__ import annotations

import pytest

from aksp.engine import Engine
from tests.compliance.builders import module
from tests.engine.hostile import (
    DEEP,
    DIVISION,
    ENDLESS,
    EXPLODING_TEXT,
    EXPRESSIONS_BY_THE_THOUSAND,
    HONEST,
    HUGE_COMPREHENSION,
    HUGE_RANGE,
    HUGE_SET,
    LISTS_WITHIN_LISTS,
    compile_rule,
    faults,
    judge,
    pods,
    violations,
)  # fmt: skip

pytestmark = pytest.mark.slow

HOSTILE = {
    "endless": ENDLESS,
    "huge-set": HUGE_SET,
    "huge-range": HUGE_RANGE,
    "exploding-text": EXPLODING_TEXT,
    "huge-comprehension": HUGE_COMPREHENSION,
    "expressions-by-the-thousand": EXPRESSIONS_BY_THE_THOUSAND,
    "lists-within-lists": LISTS_WITHIN_LISTS,
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine with little patience and little memory."""
    monkeypatch.setenv("AKSP_ENGINE_EVALUATION_MEMORY", str(150 << 20))
    return Engine(evaluation_deadline_ms=300)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_policy_is_in_error_and_the_others_are_judged(name: str, quick: Engine) -> None:
    with quick as engine:
        compile_rule(engine, "honest", HONEST)
        compile_rule(engine, name, HOSTILE[name])
        batch = engine.load_list(pods(True, False, True))
        judgement = judge(engine, batch, ["honest", name, "honest"])

        assert set(faults(judgement, 1)) == {0, 1, 2}
        assert violations(judgement, 1) == []
        assert violations(judgement, 0) == violations(judgement, 2) == [0, 2]
        assert faults(judgement, 0) == faults(judgement, 2) == {}
        # And it goes on working.
        again = judge(engine, engine.load_list(pods(False, True)), ["honest"])
        assert violations(again, 0) == [1]


def test_a_deep_chain_of_calls_is_no_trouble(engine: Engine) -> None:
    compile_rule(engine, "deep", DEEP)
    judgement = judge(engine, engine.load_list(pods(True)), ["deep"])

    assert (violations(judgement, 0), faults(judgement, 0)) == ([], {})


def test_recursion_is_refused_when_it_is_compiled(engine: Engine) -> None:
    found = engine.compile("loop", [module('violation contains {"msg": "x"} if { f(1) }\nf(x) if { f(x) }')])

    assert any("recursive" in fault["message"] for fault in found)
    assert all((fault["file"], fault["row"]) >= ("policy.rego", 3) for fault in found)


@pytest.mark.parametrize("path", ["data.rule.violation[x]", "data.rule[x]", "data[x]", "data[x][y]"])
def test_recursion_through_data_is_refused_when_it_is_compiled(path: str, engine: Engine) -> None:
    found = engine.compile("loop", [module(f'violation contains {{"msg": "x"}} if {{ some x, y; {path} }}')])

    assert found


def test_a_division_by_zero_is_an_error_that_says_where(engine: Engine) -> None:
    compile_rule(engine, "division", DIVISION)
    judgement = judge(engine, engine.load_list(pods(True)), ["division"])
    (message,) = faults(judgement, 0).values()

    assert "divide by zero" in message
    assert message.startswith("policy.rego:5")


@pytest.mark.parametrize("name", ["http.send", "opa.runtime", "net.lookup_ip_addr", "rego.parse_module"])
def test_built_ins_that_reach_out_are_not_there(name: str, engine: Engine) -> None:
    (fault, *_) = engine.compile("outward", [module(f'violation contains {{"msg": "x"}} if {{ {name}({{}}) }}')])

    assert name in fault["message"]
    assert (fault["file"], fault["row"]) == ("policy.rego", 3)


def test_a_policy_that_is_always_too_slow_is_given_up_and_still_in_error(quick: Engine) -> None:
    with quick as engine:
        compile_rule(engine, "endless", ENDLESS)
        batch = engine.load_list(pods(*[True] * 40))
        judgement = judge(engine, batch, ["endless"])

        assert set(faults(judgement, 0)) == set(range(40))
        assert any("took longer than 300ms" in message for message in faults(judgement, 0).values())
