"""What is worst: the order in which reports for people list what was found."""

from __future__ import annotations

from typing import Final

from aksp.model.compliance import AssignmentKey, ComplianceState
from aksp.model.effect import Effect

_SEVERITIES: Final = {"critical": 0, "high": 1, "medium": 2, "low": 3, "info": 4}

#: Less is worse.
Badness = tuple[bool, int, bool, int]


def severity_rank(severity: str) -> int:
    """0 for critical, and so on. Anything else than the five severities comes last."""
    return _SEVERITIES.get(severity.lower(), len(_SEVERITIES))


def badness(state: ComplianceState, assignment: AssignmentKey) -> Badness:
    """By severity, then what is refused at admission, then by state. What complies or is exempt comes last."""
    effect = Effect.named(assignment.effect)
    refuses = effect is not None and effect.refuses
    return state.complies, severity_rank(assignment.severity), not refuses, state.attention
