"""Violations of a report chosen by patterns, and what covers them as entries of exemptions."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from aksp.compliance.parameters import nearest
from aksp.errors import InvalidInput
from aksp.model.assignment import ExemptedResource
from aksp.model.compliance import ComplianceState, Result

#: The fields by which violations can be chosen. Kind and name are the workload's.
SELECTABLE: Final = ("assignment", "definition", "severity", "namespace", "kind", "name", "container", "image")


def selection(texts: Sequence[str]) -> dict[str, list[str]]:
    """Patterns by what they are about, from FIELD=PATTERN[,…]. Raises InvalidInput."""
    found: dict[str, list[str]] = {}
    for term in (one for text in texts for one in text.split(",")):
        field, equals, pattern = term.partition("=")
        if not equals or not pattern:
            raise InvalidInput(
                f"--select {term}: expected FIELD=PATTERN", hint="e.g. --select namespace=shop,container=proxy"
            )
        if field not in SELECTABLE:
            raise InvalidInput(
                f"--select {term}: a violation has no {field!r} to select by", hint=nearest(field, SELECTABLE)
            )
        found.setdefault(field, []).append(pattern)
    return found


def entries(results: Iterable[Result], chosen: Mapping[str, Sequence[str]]) -> dict[str, list[ExemptedResource]]:
    """By assignment the entries of exemptions that cover the violations which are chosen: workloads, and containers of them."""
    found: dict[str, dict[ExemptedResource, None]] = {}
    for one in results:
        if one.state is ComplianceState.NON_COMPLIANT and _chosen(one, chosen):
            found.setdefault(one.assignment.name, {})[_entry(one)] = None
    return {assignment: list(mine) for assignment, mine in found.items()}


def _chosen(result: Result, chosen: Mapping[str, Sequence[str]]) -> bool:
    values = _selectable(result)
    return all(
        any(fnmatchcase(value, pattern) for pattern in patterns for value in values[field])
        for field, patterns in chosen.items()
    )


def _selectable(result: Result) -> dict[str, tuple[str, ...]]:
    """The values of a result's fields. A member of an initiative has the name of its assignment, and its own."""
    container, made_by = result.finding.container, result.workload
    return {
        "assignment": (result.assignment.assignment, result.assignment.name),
        "definition": (result.assignment.definition,),
        "severity": (result.assignment.severity,),
        "namespace": (result.resource.namespace,),
        "kind": (made_by.kind,),
        "name": (made_by.name,),
        "container": (container.name if container else "",),
        "image": (container.image if container else "",),
    }


def _entry(result: Result) -> ExemptedResource:
    container, made_by = result.finding.container, result.workload
    # A name from a manifest is escaped, so that it is never a pattern.
    return ExemptedResource(
        namespace=glob.escape(result.resource.namespace) or None,
        kind=glob.escape(made_by.kind),
        name=glob.escape(made_by.name) or None,
        container=glob.escape(container.name) if container else None,
    )
