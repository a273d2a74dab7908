"""Expressions of definitions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.compliance.expressions import resolve

PARAMETERS: dict[str, Any] = {
    "effect": "Audit",
    "ports": [80, 443],
    "limits": {"cpu": "1", "nested": {"memory": "1Gi"}},
    "nothing": None,
    "count": 3,
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("[parameters('effect')]", "Audit"),
        ("[parameters('ports')]", [80, 443]),
        ("[parameters('nothing')]", None),
        ("[ parameters( 'effect' ) ]", "Audit"),
        ("[parameters('limits').cpu]", "1"),
        ("[parameters('limits').nested.memory]", "1Gi"),
        ("[if(equals(parameters('effect'),'Audit'),'dryrun','deny')]", "dryrun"),
        ("[if(equals(parameters('effect'), 'audit'), 'dryrun', 'deny')]", "dryrun"),
        ("[if(equals(parameters('effect'),'Deny'),'deny','')]", ""),
        ("[if(equals(parameters('count'),'3'),'same','other')]", "other"),
        ("plain text", "plain text"),
        ("[[parameters('effect')]", "[parameters('effect')]"),
        ("[unclosed", "[unclosed"),
        ("", ""),
    ],
)
def test_an_expression_is_replaced_by_the_json_value_that_it_stands_for(expression: str, value: Any) -> None:
    assert resolve(expression, PARAMETERS) == value


def test_expressions_are_found_at_any_depth_and_other_values_are_kept() -> None:
    value = {"a": ["[parameters('ports')]", {"b": "[parameters('limits').cpu]"}], "c": 1, "d": None, "e": True}

    assert resolve(value, PARAMETERS) == {"a": [[80, 443], {"b": "1"}], "c": 1, "d": None, "e": True}


def test_what_a_parameter_holds_is_data_and_never_read_as_an_expression() -> None:
    assert resolve("[parameters('x')]", {"x": "[parameters('y')]"}) == "[parameters('y')]"


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("[parameters('gone')]", "there is no parameter 'gone'"),
        ("[if(equals(parameters('gone'),'a'),'b','c')]", "there is no parameter 'gone'"),
        ("[parameters('limits').gone]", "'limits' has no property 'gone'"),
        ("[parameters('effect').x]", "'effect' has no property 'x'"),
        ("[concat(parameters('effect'),'x')]", "is not understood"),
        ("[parameters('ports')[0]]", "is not understood"),
        ("[if(not(equals(parameters('effect'),'a')),'b','c')]", "is not understood"),
        ("[]", "is not understood"),
    ],
)
def test_what_is_no_known_expression_is_refused_and_shown(expression: str, problem: str) -> None:
    with pytest.raises(ValueError, match="expression ") as refused:
        resolve(expression, PARAMETERS)

    assert problem in str(refused.value)
    assert expression in str(refused.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text().filter(lambda t: not t.startswith("[")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_values_without_expressions_are_themselves(value: Any) -> None:
    assert resolve(value, {}) == value


@given(JSON)
def test_a_parameter_gives_its_value_unchanged_wherever_it_stands(value: Any) -> None:
    assert resolve({"deep": ["[parameters('x')]"]}, {"x": value}) == {"deep": [value]}
