"""Which assignments of a plan are judged, where a run is about some of them alone. What is left out has no state."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from msgspec import Struct
from msgspec.structs import replace

from aksp.compliance.plan import BrokenAssignment, Plan, Ready
from aksp.model.assignment import Assignment


class Chosen(Struct, frozen=True, kw_only=True):
    """Assignments by name (patterns), definitions and initiatives by slug, and severities.

    Of what is given all must fit, of each any. Members of an initiative are also called NAME/REFERENCE.
    """

    assignments: Sequence[str] = ()
    definitions: Sequence[str] = ()
    severities: Sequence[str] = ()

    def of(self, plan: Plan) -> Plan:
        """The plan with what is chosen. What is broken stays where it cannot be told whether it is."""
        ready = [one for one in plan.ready if self._has(one)]
        disabled = [one for one in plan.disabled if self._has(one)]
        broken = [one for one in plan.broken if self._may_have(one)]
        left = {one.assignment.name for one in [*ready, *disabled]} | {one.assignment.name for one in broken}
        initiatives = [one for one in plan.initiatives if one.assignment.name in left]
        return replace(plan, ready=ready, disabled=disabled, broken=broken, initiatives=initiatives)

    def _has(self, one: Ready) -> bool:
        return (
            self._named(one.assignment)
            and self._defined(one.assignment, one.definition.slug)
            and (not self.severities or one.definition.severity.lower() in self.severities)
        )

    def _may_have(self, one: BrokenAssignment) -> bool:
        # A severity is the definition's, which cannot be read.
        return self._named(one.assignment) and self._defined(
            one.assignment, one.definition, one.assignment.definition_id
        )

    def _defined(self, assignment: Assignment, *names: str) -> bool:
        return not self.definitions or any(name in self.definitions for name in (*names, assignment.initiative))

    def _named(self, assignment: Assignment) -> bool:
        # Reference ids count in any case of letters; names of assignments have small ones.
        names = (assignment.name, assignment.full_name.lower())
        patterns = [pattern.lower() for pattern in self.assignments]
        return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns for name in names)
