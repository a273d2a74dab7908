"""The options that limit a run to a part of the target, or of what is assigned."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from msgspec import Struct

from aksp.assigned import references_of
from aksp.compliance.chosen import Chosen
from aksp.compliance.parameters import nearest
from aksp.compliance.plan import Plan
from aksp.errors import InvalidInput, InvalidPolicy
from aksp.workspace import Workspace


class Filters(Struct, frozen=True, kw_only=True):
    """What was given to -n, -l, --assignment, --definition and --severity."""

    namespaces: Sequence[str] = ()
    selector: str | None = None
    assignments: Sequence[str] = ()
    definitions: Sequence[str] = ()
    severities: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Raises InvalidInput for an empty value: it would choose nothing, or count as not given."""
        for option, given in self._options:
            if any(not _parts([text]) for text in given):
                raise InvalidInput(f"{option} has an empty value", hint=f"leave {option} out for all")

    @property
    def _options(self) -> tuple[tuple[str, Sequence[str]], ...]:
        return (
            ("--assignment", self.assignments),
            ("--definition", self.definitions),
            ("--severity", self.severities),
        )

    @property
    def words(self) -> tuple[str, ...]:
        """The options as the command line has them, so that a report and the history can show them."""
        found = [f"-n {name}" for name in sorted(set(self.namespaces))]
        if self.selector:
            found.append(f"-l {self.selector}")
        return (*found, *self.of_assignments)

    @property
    def of_assignments(self) -> tuple[str, ...]:
        """Those that choose from what is assigned."""
        return tuple(f"{option} {','.join(sorted(set(_parts(given))))}" for option, given in self._options if given)

    def chosen(self, plan: Plan, workspace: Workspace) -> Plan:
        """The plan with the assignments that are chosen. Raises InvalidInput for names that nothing has."""
        if not self.of_assignments:
            return plan
        assignments, severities = _parts(self.assignments), [one.lower() for one in _parts(self.severities)]
        known = [one.name for one in workspace.store.assignments()]
        for pattern in assignments:
            whole = pattern.partition("/")[0]
            if not any(fnmatchcase(name, whole) for name in known):
                raise InvalidInput(
                    f"--assignment {pattern}: there is no such assignment in {workspace.root}",
                    hint=nearest(pattern, known),
                )
            if "/" in pattern:
                _check_member(pattern, workspace)
        there = {one.severity.lower() for one in workspace.catalog}
        for severity in severities:
            if severity not in there:
                raise InvalidInput(
                    f"--severity {severity}: no definition has this severity", hint=nearest(severity, there)
                )
        chosen = Chosen(
            assignments=assignments,
            definitions=[slug for name in _parts(self.definitions) for slug in _slugs(workspace, name)],
            severities=severities,
        )
        return chosen.of(plan)


def _check_member(pattern: str, workspace: Workspace) -> None:
    """Raise InvalidInput for NAME/REFERENCE that no member is called by."""
    known: list[str] = []
    for one in workspace.store.assignments():
        if not fnmatchcase(one.name, pattern.partition("/")[0]):
            continue
        try:
            references = references_of(workspace.catalog.find(one.definition_id))
        except (InvalidInput, InvalidPolicy):
            return  # an initiative that cannot be loaded may have it
        known += [f"{one.name}/{reference}" for reference in references]
    if not any(fnmatchcase(name.lower(), pattern.lower()) for name in known):
        raise InvalidInput(
            f"--assignment {pattern}: no initiative that is assigned has such a member",
            hint=nearest(pattern, known) if known else None,
        )


def _slugs(workspace: Workspace, name: str) -> list[str]:
    """The name in a plan of a definition that is given by any of its names."""
    try:
        return [workspace.catalog.find(name).slug]
    except InvalidPolicy:
        return [name]  # a plan has one that cannot be loaded by the name in its assignment


def _parts(given: Sequence[str]) -> list[str]:
    """Values that are given one by one or with commas between."""
    return [part for text in given for part in text.split(",") if part.strip()]
