"""Roll-up and percentage, as Azure documents them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.compliance.rollup import percentage, roll_up, state_of
from aksp.model.compliance import PRECEDENCE, ComplianceState

S = ComplianceState
STATES = st.sampled_from(list(S))
COUNTS = st.dictionaries(STATES, st.integers(0, 10**6))


def test_the_precedence_is_the_documented_one() -> None:
    assert [state.value for state in PRECEDENCE] == [
        "NonCompliant", "Compliant", "Error", "Conflicting", "Exempt", "Unknown",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ([S.COMPLIANT, S.NON_COMPLIANT], S.NON_COMPLIANT),
        ([S.ERROR, S.COMPLIANT], S.COMPLIANT),
        ([S.EXEMPT, S.COMPLIANT], S.COMPLIANT),
        ([S.UNKNOWN, S.EXEMPT, S.CONFLICTING, S.ERROR], S.ERROR),
        ([S.UNKNOWN], S.UNKNOWN),
        ([S.NOT_STARTED, S.UNKNOWN], S.UNKNOWN),
        ([S.NOT_STARTED], None),
        ([], None),
    ],
)
def test_the_state_of_highest_precedence_wins(states: list[ComplianceState], state: ComplianceState | None) -> None:
    assert roll_up(states) == state


@given(st.lists(STATES, min_size=1), st.randoms())
def test_the_order_of_states_does_not_matter_and_the_result_is_one_of_them(states: list[S], random: object) -> None:
    result = roll_up(states)

    assert result == roll_up(reversed(states)) == roll_up(states * 2)
    assert result in states or (result is None and set(states) == {S.NOT_STARTED})


@given(st.lists(STATES), st.lists(STATES))
def test_parts_may_be_rolled_up_first(one: list[S], other: list[S]) -> None:
    parts = [state for state in (roll_up(one), roll_up(other)) if state is not None]

    assert roll_up(one + other) == roll_up(parts)


@given(st.lists(STATES))
def test_not_started_never_rolls_up(states: list[S]) -> None:
    assert roll_up([*states, S.NOT_STARTED]) == roll_up(states)
    assert roll_up(states) is not S.NOT_STARTED


def test_nineteen_of_twenty_are_95_percent() -> None:
    assert percentage({S.COMPLIANT: 19, S.NON_COMPLIANT: 1}) == 95.0


def test_exempt_and_unknown_count_as_compliant_and_errors_do_not() -> None:
    assert (
        percentage({S.COMPLIANT: 1, S.EXEMPT: 1, S.UNKNOWN: 1, S.NON_COMPLIANT: 1, S.CONFLICTING: 1, S.ERROR: 1})
        == 50.0
    )


def test_nothing_judged_is_not_started_and_has_no_percentage() -> None:
    assert percentage({}) is percentage({S.NOT_STARTED: 5}) is None
    assert state_of({}) is state_of({S.NOT_STARTED: 5}) is S.NOT_STARTED


@given(COUNTS)
def test_the_percentage_is_the_documented_formula_and_within_bounds(counts: dict[S, int]) -> None:
    good = counts.get(S.COMPLIANT, 0) + counts.get(S.EXEMPT, 0) + counts.get(S.UNKNOWN, 0)
    bad = counts.get(S.NON_COMPLIANT, 0) + counts.get(S.CONFLICTING, 0) + counts.get(S.ERROR, 0)
    percent = percentage(counts)

    if percent is None:
        assert good + bad == 0
    else:
        assert 0.0 <= percent <= 100.0
        assert (percent == 100.0) == (bad == 0)
        assert percent == pytest.approx(100 * good / (good + bad))


@given(COUNTS)
def test_the_state_of_counts_is_that_of_what_was_counted(counts: dict[S, int]) -> None:
    assert state_of(counts) == (roll_up(state for state, n in counts.items() if n) or S.NOT_STARTED)
