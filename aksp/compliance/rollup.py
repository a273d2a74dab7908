"""Roll-up: one state and one percentage from many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aksp.model.compliance import PRECEDENCE, ComplianceState

_RANK = {state: rank for rank, state in enumerate(PRECEDENCE)}


def roll_up(states: Iterable[ComplianceState]) -> ComplianceState | None:
    """The state of highest precedence; None when there is none that rolls up.

    Azure: "Azure Policy compliance states". NotStarted never rolls up.
    """
    return min((s for s in states if s in _RANK), key=_RANK.__getitem__, default=None)


def percentage(counts: Mapping[ComplianceState, int]) -> float | None:
    """(compliant + exempt + unknown) of all that rolls up, in percent; None when nothing was judged.

    Azure: "Azure Policy compliance states", compliance percentage.
    """
    total = sum(counts.get(state, 0) for state in PRECEDENCE)
    if not total:
        return None
    return 100.0 * sum(counts.get(state, 0) for state in PRECEDENCE if state.complies) / total


def state_of(counts: Mapping[ComplianceState, int]) -> ComplianceState:
    """The state that counts roll up to; NotStarted when nothing was judged."""
    return roll_up(state for state in PRECEDENCE if counts.get(state)) or ComplianceState.NOT_STARTED


def together(counts: Mapping[ComplianceState, int], *, whole: bool) -> tuple[ComplianceState, float | None]:
    """State and percentage of several lines as one. Unless all was judged, it is not Compliant, and has no percentage."""
    state = state_of(counts)
    if whole:
        return state, percentage(counts)
    return (state if state is ComplianceState.NON_COMPLIANT else ComplianceState.ERROR), None
