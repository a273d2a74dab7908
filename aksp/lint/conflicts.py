"""Assignments of one definition that reach the same objects and ask for different things."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from aksp.compliance.globs import matches_glob
from aksp.compliance.json_schema import shown
from aksp.compliance.plan import Ready
from aksp.compliance.reach import impossible
from aksp.compliance.selection import Selection, Selector
from aksp.lint.finding import LintFinding, Severity, found_in
from aksp.model.assignment import Assignment
from aksp.model.compliance import ComplianceState
from aksp.model.kinds import BUILT_IN

CONFLICT = "assignments-in-conflict"
#: Assignments that one finding names.
_NAMED = 3


def conflicts(ready: Sequence[Ready], assignments: Mapping[str, Assignment]) -> Iterator[LintFinding]:
    """For each assignment those before it, by name, with which it is in conflict."""

    def slug(one: Ready) -> str:
        return one.definition.slug

    for name, same in groupby(sorted(ready, key=lambda one: (slug(one), one.key.name)), slug):
        alike = list(same)
        for at, one in enumerate(alike):
            found = [
                (other, why)
                for other in alike[:at]
                if other.assignment.name != one.assignment.name
                and _overlap(one, other)
                and (why := _unlike(other, one))
            ]
            if found:
                told = "; ".join(f"{other.assignment.full_name} ({why})" for other, why in found[:_NAMED])
                more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
                yield found_in(
                    assignments[one.assignment.name],
                    CONFLICT,
                    Severity.WARNING,
                    f"assignment {one.assignment.full_name} of {name} is {ComplianceState.CONFLICTING.value} with what"
                    f" judges the same otherwise: {told}{more}",
                    next="an object must meet all of them: leave it out of one by notScopes or namespaces, or delete one",
                    field="spec",
                )


def _unlike(one: Ready, other: Ready) -> str:
    """What two assignments ask for differently, in words; empty for nothing."""
    return "; ".join(
        f"{name} is {shown(first)} there and {shown(second)} here" for name, first, second in _differences(one, other)
    )


def _differences(one: Ready, other: Ready) -> Iterator[tuple[str, Any, Any]]:
    if one.effect is not other.effect:
        yield "effect", one.effect.value, other.effect.value
    modes = (one.assignment.enforcement_mode.value, other.assignment.enforcement_mode.value)
    if modes[0] != modes[1]:
        yield "enforcementMode", *modes
    for name in sorted({*one.values, *other.values}):
        # What is left out by one alone is judged by the other.
        if not name.startswith("excluded") and one.values.get(name) != other.values.get(name):
            yield name, one.values.get(name), other.values.get(name)


def _overlap(one: Ready, other: Ready) -> bool:
    """Whether some object may be judged by both."""
    first, second = one.selection, other.selection
    if not first.scope.meets(second.scope) or _left_out(first, second) or _left_out(second, first):
        return False
    if not any(a.covers(b.group, b.kind) or b.covers(a.group, a.kind) for a in first.kinds for b in second.kinds):
        return False
    if not _outside_namespaces(first) and not _common_namespace(first, second):
        return False
    return all(
        impossible(_both(a, b)) is None
        for a, b in (
            (first.selector, second.selector),
            (first.namespace_selector, second.namespace_selector),
        )
    )


def _left_out(one: Selection, other: Selection) -> bool:
    return any(scope.covers(other.scope) for scope in one.not_scopes)


def _outside_namespaces(selection: Selection) -> bool:
    """Whether it is about objects that no list of namespaces leaves out."""
    return any(
        one.cluster and one.kind != "Namespace" and selection.about_kind(one.group, one.kind) for one in BUILT_IN
    )


def _common_namespace(one: Selection, other: Selection) -> bool:
    """Whether there may be a namespace that both judge. Two patterns may always have a name in common."""
    names = [name for each in (one, other) for name in each.namespaces if "*" not in name]
    patterns = all(any("*" in name for name in each.namespaces) or not each.namespaces for each in (one, other))
    excluded = (*one.excluded_namespaces, *other.excluded_namespaces)
    return patterns or any(
        all(not each.namespaces or any(matches_glob(glob, name) for glob in each.namespaces) for each in (one, other))
        and not any(matches_glob(glob, name) for glob in excluded)
        for name in names
    )


def _both(one: Selector, other: Selector) -> Selector:
    return Selector(
        match_labels=(*one.match_labels, *other.match_labels),
        match_expressions=(*one.match_expressions, *other.match_expressions),
    )
