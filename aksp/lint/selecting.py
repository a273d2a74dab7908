"""Assignments that can select nothing, or that judge the namespaces of the system."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from aksp.catalog.interface import Assignable
from aksp.compliance.expressions import has_expression
from aksp.compliance.globs import matches_glob
from aksp.compliance.parameters import nearest
from aksp.compliance.plan import Ready
from aksp.compliance.reach import check_scope, check_selection, impossible
from aksp.lint.finding import LintFinding, Severity, found_in
from aksp.model.assignment import Assignment
from aksp.model.definition import ResourceKind
from aksp.model.kinds import BUILT_IN

SELECTS_NOTHING = "selects-nothing"
UNKNOWN_KIND = "unknown-kind"
SYSTEM_NAMESPACES = "system-namespaces"
_EXCLUDED = "excludedNamespaces"
#: API groups without a dot that are not in the table: none of custom resources is without one.
_OTHERS = ("*", "extensions")


def selects_nothing(ready: Ready, assignments: Mapping[str, Assignment]) -> Iterator[LintFinding]:
    """A scope, namespaces or labels that nothing can meet."""
    written = assignments[ready.assignment.name]

    def finding(problem: str, field: str) -> LintFinding:
        what = f"assignment {ready.assignment.full_name} reaches nothing: {problem}"
        return found_in(
            written, SELECTS_NOTHING, Severity.ERROR, what, next="correct it, or delete the assignment", field=field
        )

    try:
        check_scope(written)
    except ValueError as error:
        yield finding(str(error), "spec.scope")
    try:
        check_selection(ready)
    except ValueError as error:
        yield finding(str(error), "spec.parameters")
    if (terms := impossible(ready.selection.namespace_selector)) is not None:
        yield finding(f"its namespaceSelector matches nothing: no namespace can meet {terms}", "spec.parameters")


def unknown_kinds(ready: Ready, assignments: Mapping[str, Assignment]) -> Iterator[LintFinding]:
    """Kinds that one of Kubernetes' own groups does not have. Of other groups only a cluster can tell."""
    definition = ready.definition
    by_parameter = has_expression([(one.group, one.kind) for one in definition.kinds])
    where = assignments[ready.assignment.name] if by_parameter else definition
    for kind in ready.selection.kinds:
        if (hint := unknown_kind(kind)) is not None:
            yield found_in(
                where,
                UNKNOWN_KIND,
                Severity.ERROR,
                f"definition {definition.slug} is about {kind.kind} of the API group {kind.group!r}, which Kubernetes has not",
                next=hint,
                field="spec.parameters" if by_parameter else "properties.policyRule.then.details.kinds",
            )


def unknown_kind(kind: ResourceKind) -> str | None:
    """What may be meant in place of a kind that there is not; None for one that there is, or may be."""
    own = [one.kind for one in BUILT_IN if one.group == kind.group]
    if kind.kind in ("*", *own):
        return None
    if not own and (kind.group in _OTHERS or "." in kind.group):
        return None
    groups = [one.group for one in BUILT_IN if one.kind == kind.kind]
    if groups:
        return f"{kind.kind} is of the API group {groups[0]!r}"
    if not own:
        return "the API group of Pods is ''"
    for one in own:
        if kind.kind.lower() in (one.lower(), f"{one}s".lower()):
            return f"did you mean {one!r}?"
    # A few kinds that no list has, such as Binding, are not in the table: only what is almost a name of it is told.
    hint = nearest(kind.kind, own)
    return hint if hint.startswith("did") else None


def judges_system_namespaces(assignment: Assignment, found: Assignable, ready: Ready) -> Iterator[LintFinding]:
    """Namespaces that the definition leaves out by default, and the assignment's own list does not."""
    parameter = found.parameters.get(_EXCLUDED)
    if parameter is None or _EXCLUDED not in assignment.parameters or not isinstance(parameter.default, list):
        return
    selection = ready.selection
    if not assignment.scope.covers(selection.target) and not selection.target.path.startswith("/clusters/"):
        # Namespaces lie below whichever cluster is in the scope.
        selection = replace(selection, target=assignment.scope)
    given = assignment.parameters[_EXCLUDED]
    lost = [
        name
        for name in parameter.default
        if not any(matches_glob(glob, name) for glob in given) and selection.reaches_namespace(name)
    ]
    if lost:
        yield found_in(
            assignment,
            SYSTEM_NAMESPACES,
            Severity.WARNING,
            f"assignment {assignment.name}: its excludedNamespaces take the place of the default ones, so it judges"
            f" {', '.join(lost)}",
            next="add them to its list, or leave the parameter out",
            field=f"spec.parameters.{_EXCLUDED}",
        )
