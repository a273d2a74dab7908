"""The middle of a report for people: a row per container that does not comply, and what is exempt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from aksp.model.assignment import Exemption
from aksp.model.compliance import ComplianceState, Result
from aksp.report.blocks import STATE_TONES, Cell, Column, Grid, Line, Row, Span, Tone, cell, span
from aksp.report.figures import day
from aksp.report.groups import Group, Section, sections
from aksp.report.interface import GroupBy
from aksp.report.subjects import container_cell, owner_name, place, reason_cell, resource_cell

_WIDE = (
    "NAMESPACE",
    "KIND",
    "NAME",
    "OWNER",
    "CONTAINER",
    "TYPE",
    "IMAGE",
    "ASSIGNMENT",
    "DEFINITION",
    "EFFECT",
    "SEVERITY",
    "STATE",
    "PATH",
    "OBSERVED",
    "EXPECTED",
    "SOURCE",
    "EXEMPTION",
    "MESSAGE",
)


def findings(results: Iterable[Result], group_by: GroupBy) -> Iterator[Grid]:
    """Every result that is not exempt, a grid for each section."""
    for section in sections((each for each in results if not _exempt(each)), group_by):
        yield _grid(section, group_by)


def exempted(results: Iterable[Result], group_by: GroupBy) -> Iterator[Grid]:
    """The exempt results with their exemptions, explained where they first appear."""
    by = GroupBy.NONE if group_by == GroupBy.NONE else GroupBy.OWNER
    explained: set[str] = set()
    for section in sections(filter(_exempt, results), by):
        rows = []
        for before, group in _pairs(section.groups):
            exemption = group.first.exemption
            assert exemption is not None  # what _exempt says
            fourth = _exemption(exemption, explain=exemption.name not in explained)
            explained.add(exemption.name)
            rows.append(_row(before, group, fourth, with_namespace=True, with_policy=True))
        yield Grid(
            title=(Span("Exempt", Tone.STRONG),), columns=_columns("EXEMPTION", with_policy=True), rows=tuple(rows)
        )


def flat(results: Iterable[Result]) -> Grid:
    """Every result with all its fields in a row, the exempt ones too."""
    rows = tuple(Row(cells=_flat_cells(result)) for result in results)
    columns = tuple(Column(header=header) for header in _WIDE)
    return Grid(title=(Span("Results", Tone.STRONG),), columns=columns, rows=rows)


def _exempt(result: Result) -> bool:
    return result.state is ComplianceState.EXEMPT and result.exemption is not None


def _grid(section: Section, group_by: GroupBy) -> Grid:
    with_namespace = group_by != GroupBy.NAMESPACE
    with_policy = group_by != GroupBy.ASSIGNMENT
    rows = tuple(
        _row(before, group, _reason(group.first), with_namespace=with_namespace, with_policy=with_policy)
        for before, group in _pairs(section.groups)
    )
    title = "Findings"
    if group_by == GroupBy.ASSIGNMENT:
        title = f"Findings of {section.title}"
    elif group_by == GroupBy.NAMESPACE:
        title = f"Findings in {section.title}"
    return Grid(title=(span(title, Tone.STRONG),), columns=_columns("REASON", with_policy=with_policy), rows=rows)


def _columns(last: str, *, with_policy: bool) -> tuple[Column, ...]:
    policy = (Column(header="POLICY"),) if with_policy else ()
    return (
        Column(header="RESOURCE"),
        Column(header="CONTAINER"),
        *policy,
        Column(header=last),
    )


def _row(before: Group | None, group: Group, last: Cell, *, with_namespace: bool, with_policy: bool) -> Row:
    cells = [resource_cell(group, before, with_namespace=with_namespace)]
    cells.append(container_cell(group.first.finding.container))
    if with_policy:
        cells.append(cell(group.first.assignment.name))
    return Row(cells=(*cells, last), starts=before is None or before.subject != group.subject)


def _pairs(groups: Sequence[Group]) -> Iterator[tuple[Group | None, Group]]:
    """Each group with the one before it."""
    return zip((None, *groups), groups, strict=False)


def _reason(result: Result) -> Cell:
    """Why; a state other than NonCompliant is named first."""
    reason = reason_cell(result)
    if result.state is ComplianceState.NON_COMPLIANT:
        return reason
    state = Span(result.state.value, STATE_TONES[result.state])
    if not reason:
        return ((state,),)
    return ((state, Span(": "), *reason[0]), *reason[1:])


def _exemption(exemption: Exemption, *, explain: bool) -> Cell:
    """Name, category and end; then why and who, once."""
    until = f"until {day(exemption.expires_on)}" if exemption.expires_on else "no end date"
    name: Line = (span(exemption.name, Tone.WAIVED), Span(f": {exemption.category.value}, {until}"))
    if not explain:
        return (name,)
    why = ": ".join(dict.fromkeys(text for text in (exemption.display_name, exemption.description) if text))
    lines = [name]
    if why:
        lines.append((span(why),))
    if exemption.requested_by:
        lines.append((span(f"requested by {exemption.requested_by}", Tone.MUTED),))
    return tuple(lines)


def _flat_cells(result: Result) -> tuple[Cell, ...]:
    resource, finding, key = result.resource, result.finding, result.assignment
    container = finding.container
    texts = (
        resource.namespace,
        resource.kind,
        resource.name,
        owner_name(result),
        container.name if container else "",
        container.type if container else "",
        container.image if container else "",
        key.name,
        key.definition,
        key.effect,
        key.severity,
        result.state.value,
        finding.path or "",
        _value(finding.observed),
        _value(finding.expected),
        place(result.source) if result.source else "",
        result.exemption.name if result.exemption else "",
        finding.message,
    )
    state = _WIDE.index("STATE")
    return tuple(
        cell(text, STATE_TONES[result.state] if at == state else Tone.PLAIN) if text else cell("-", Tone.MUTED)
        for at, text in enumerate(texts)
    )


def _value(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)
