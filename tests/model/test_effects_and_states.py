"""What an effect or a state means is said in the model, and nowhere else is either spelt out."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

import pytest

from aksp.model.compliance import PRECEDENCE, ComplianceState
from aksp.model.effect import UNKNOWN_EFFECT, Effect
from aksp.report.table.blocks import STATE_TONES
from tests.modules import PACKAGE, modules

_NAMES = re.compile(rf"(?<![A-Za-z])(?:{'|'.join([*Effect, *ComplianceState])})(?![A-Za-z])")

#: Where the word is not an effect or a state, by module and text.
ELSEWHERE = {
    # The status of a condition (metav1.Condition) is True, False or Unknown.
    ("addon/checkins/checkin.py", "Unknown"),
    ("addon/checkins/status.py", "Unknown"),
    ("addon/gatekeeper/conditions.py", "Unknown"),
    # The field `warn` of a definition, and titles.
    ("cli/describe.py", "Warn"),
    ("report/explain/text.py", "Warn"),
    ("report/explain/text.py", "Exempt by"),
    ("report/table/findings.py", "Exempt"),
}
DEFINED_IN = ("model/effect.py", "model/compliance.py")


def _texts(tree: ast.Module) -> Iterator[str]:
    """All texts but docstrings."""
    documentation = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        for statement in node.body
        if isinstance(statement, ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


def test_no_module_but_their_own_spells_an_effect_or_a_state() -> None:
    found = {(name, text) for name, tree in modules() for text in _texts(tree) if _NAMES.search(text)}
    assert {(name, text) for name, text in found if name not in DEFINED_IN} == ELSEWHERE
    assert {name for name, _ in found} >= set(DEFINED_IN)


def test_the_schema_of_reports_has_the_effects_and_states_that_there_are() -> None:
    schema = json.loads((PACKAGE / "report" / "report.schema.json").read_text())["$defs"]
    assert schema["effect"]["enum"] == list(Effect)
    assert schema["state"]["enum"] == list(ComplianceState)


@pytest.mark.parametrize("effect", Effect)
def test_an_effect_is_found_by_its_name_in_any_case(effect: Effect) -> None:
    assert Effect.named(effect.value) is Effect.named(effect.value.upper()) is Effect.named(effect.lower()) is effect
    assert Effect.named(f"{effect} ") is Effect.named(None) is Effect.named(UNKNOWN_EFFECT) is None


@pytest.mark.parametrize("effect", Effect)
def test_what_refuses_warns_and_what_does_either_judges(effect: Effect) -> None:
    assert effect.warns or not effect.refuses
    assert effect.judges or not effect.warns


def test_states_are_told_in_an_order_and_each_in_a_tone() -> None:
    assert sorted(state.attention for state in ComplianceState) == list(range(len(ComplianceState)))
    assert max(ComplianceState, key=lambda state: state.attention) is ComplianceState.COMPLIANT
    assert set(STATE_TONES) == set(ComplianceState)


def test_what_complies_in_a_percentage_fails_no_test() -> None:
    assert {state.outcome for state in PRECEDENCE if state.complies} == {"pass", "skip"}
    assert {state.outcome for state in PRECEDENCE if not state.complies} == {"fail", "error"}
