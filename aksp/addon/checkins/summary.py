"""What a check-in tells its leader, as JSON values on one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, to_builtins


class AssignmentOutcome(Struct, frozen=True, kw_only=True, rename="camel"):
    """One PolicyAssignment in a summary, as JSON has it.

    ``state`` is that of its status; ``violations`` are its NonCompliant results.
    """

    name: str
    state: str
    effect: str | None
    generation: int
    applied_generation: int | None
    applied: bool
    compliance_percent: float | None
    counts: Mapping[str, Any] | None
    violations: int
    errors: Sequence[str]


class Summary(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a check-in tells its leader.

    ``failure`` says why nothing could be scanned. ``policy_errors`` counts, by assignment, the
    results in state Error. ``problems`` are what could not be written.
    """

    evaluation: str
    started_at: datetime
    seconds: float
    assignments: Sequence[AssignmentOutcome]
    violations: int = 0
    gaps: int = 0
    policy_errors: Mapping[str, int] = {}
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()
    failure: str = ""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; lists are never null."""
        told: dict[str, Any] = to_builtins(self)
        return told | {"seconds": round(self.seconds, 3), "failed": bool(self.failure)}
