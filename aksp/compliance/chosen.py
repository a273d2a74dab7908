"""Which assignments of a plan are judged, where a run is about some of them alone. What is left out has no state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from aksp.compliance.plan import BrokenAssignment, Plan, Ready
from aksp.model.assignment import Assignment


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """Assignments by name (patterns), definitions by slug, and severities: of what is given all must fit, of each any."""

    assignments: Sequence[str] = ()
    definitions: Sequence[str] = ()
    severities: Sequence[str] = ()

    def of(self, plan: Plan) -> Plan:
        """The plan with what is chosen. What is broken stays where it cannot be told whether it is."""
        return replace(
            plan,
            ready=[one for one in plan.ready if self._has(one)],
            disabled=[one for one in plan.disabled if self._has(one)],
            broken=[one for one in plan.broken if self._may_have(one)],
        )

    def _has(self, one: Ready) -> bool:
        return (
            self._named(one.assignment)
            and (not self.definitions or one.definition.slug in self.definitions)
            and (not self.severities or one.definition.severity.lower() in self.severities)
        )

    def _may_have(self, one: BrokenAssignment) -> bool:
        # A severity is the definition's, which cannot be read.
        named = (one.definition, one.assignment.definition_id)
        return self._named(one.assignment) and (not self.definitions or any(name in self.definitions for name in named))

    def _named(self, assignment: Assignment) -> bool:
        return not self.assignments or any(fnmatchcase(assignment.name, pattern) for pattern in self.assignments)
