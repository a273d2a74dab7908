"""Assignments that can reach nothing are refused when they are made."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.compliance.reach import check_namespaces, check_scope, check_selection, impossible
from aksp.compliance.selection import Selector
from aksp.model.scope import Scope
from tests.compliance.builders import ready
from tests.replacing import replace


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a,b", "give -n again for each"),
        ("Shop", "lower case"),
        ("team-*,x", "comma"),
        ("", "empty"),
        ("  ", "empty"),
        ("a/b", "no namespace"),
        ("a_b", "no namespace"),
        ("-a", "no namespace"),
        ("a.b", "no namespace"),
    ],
)
def test_what_no_namespace_is_called_is_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_namespaces("-n", [name])


@pytest.mark.parametrize("name", ["shop", "team-*", "*-system", "*", "a", "0", "a-b-c"])
def test_names_and_patterns_are_taken(name: str) -> None:
    check_namespaces("-n", [name])


@pytest.mark.parametrize("scope", ["/cluster/prod", "/namespaces/shop", "/clusters/prod/namespaces/Shop"])
def test_a_scope_under_which_nothing_lies_is_refused(scope: str) -> None:
    with pytest.raises(ValueError, match="scope"):
        check_scope(replace(ready().assignment, scope=Scope.parse(scope)))


@pytest.mark.parametrize(
    "scope",
    [
        "/",
        "/clusters/prod",
        "/clusters/prod/namespaces/shop",
        "/subscriptions/1/resourceGroups/rg",
        "/providers/Microsoft.Management/managementGroups/x",
    ],
)
def test_scopes_that_things_lie_under_are_taken_unless_not_scopes_leave_them_out(scope: str) -> None:
    assignment = replace(ready().assignment, scope=Scope.parse(scope))
    check_scope(assignment)
    with pytest.raises(ValueError, match="leaves out the whole"):
        check_scope(replace(assignment, not_scopes=(Scope.parse(scope),)))


@pytest.mark.parametrize(
    ("namespaces", "excluded", "refused"),
    [
        (["shop"], ["shop"], True),
        (["shop", "billing"], ["shop"], False),
        (["shop", "billing"], ["*"], True),
        (["team-a"], ["team-*"], True),
        (["team-*"], ["team-a"], False),
        (["team-*"], ["team-*"], True),
        (["kube-system"], ["kube-system"], True),
        ([], ["*"], False),
    ],
)
def test_namespaces_that_are_all_left_out_are_refused(
    namespaces: list[str], excluded: list[str], refused: bool
) -> None:
    one = ready(parameters={"namespaces": namespaces, "excludedNamespaces": excluded})
    if refused:
        with pytest.raises(ValueError, match="leave out all"):
            check_selection(one)
    else:
        check_selection(one)


def test_a_scope_of_another_namespace_than_those_named_is_refused() -> None:
    one = ready(parameters={"namespaces": ["billing"]}, scope=Scope("/clusters/prod/namespaces/shop"))
    with pytest.raises(ValueError, match="none of its namespaces billing"):
        check_selection(one)


@pytest.mark.parametrize(
    "text", ["a=1,a=2", "a=1,a!=1", "a,!a", "a=1,!a", "a in (1,2),a notin (2,1)", "b=1,a in (x),a in (y)"]
)
def test_requirements_that_contradict_one_another_are_found(text: str) -> None:
    assert impossible(Selector.parse_text(text))


TERMS = st.lists(
    st.sampled_from(["a=1", "a=2", "a!=1", "a", "!a", "a in (1,2)", "a notin (2,3)", "b=1", "b!=1", "!b", "b"]),
    min_size=1,
    max_size=4,
)


@given(TERMS)
def test_what_is_called_impossible_no_labels_meet_and_all_else_some_do(terms: list[str]) -> None:
    selector = Selector.parse_text(",".join(terms))
    values = [None, "1", "2", "3", "other"]
    met = any(
        selector.matches({key: value for key, value in zip("ab", pair, strict=True) if value is not None})
        for pair in itertools.product(values, values)
    )
    assert (impossible(selector) is None) == met
