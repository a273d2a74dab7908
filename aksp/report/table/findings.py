"""The middle of a report for people: a row per container that does not comply, and what is exempt."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from aksp.model.assignment import Exemption
from aksp.model.compliance import ComplianceState, Result, SourceLocation
from aksp.model.resource import Container
from aksp.model.times import day
from aksp.report.fields import WIDE, ResultField, owner_name, place
from aksp.report.figures import plural, value_text
from aksp.report.groups import Group, GroupedSubject, Section, sections
from aksp.report.interface import GroupBy
from aksp.report.parse import NamedExemption
from aksp.report.table.blocks import (
    STATE_TONES,
    Block,
    Cell,
    Column,
    Grid,
    Line,
    Paragraph,
    Row,
    Span,
    Tone,
    cell,
    span,
    stated,
    titled,
)
from aksp.report.worst import badness, severity_rank

#: How many places of one row are named; the rest is counted.
MOST_PLACES: Final = 4

_TYPES = {"initContainers": "init", "ephemeralContainers": "ephemeral"}

#: What removes a finding, in words; empty if that is not known.
Remedy = Callable[[Result], str]


def worst(
    results: Iterable[Result], group_by: GroupBy, limit: int | None = None, remedy: Remedy | None = None
) -> Iterator[Block]:
    """The worst findings, as many as are wanted, and how many more there are.

    The worst come first: sections and resources by their worst finding, rows by their own. What is equally bad stays in
    the report's order.
    """
    found = list(sections((each for each in results if not _exempt(each)), group_by))
    ranks = [
        (group.badness, where, which, key)
        for where, section in enumerate(found)
        for which, subject in enumerate(section.subjects)
        for key, group in subject.groups.items()
    ]
    ranks.sort(key=lambda rank: rank[0])
    kept: dict[int, dict[int, dict[int, Group]]] = {}
    for _, where, which, key in ranks[:limit]:
        kept.setdefault(where, {}).setdefault(which, {})[key] = found[where].subjects[which].groups[key]
    shown = [
        replace(
            found[where], subjects=tuple(replace(found[where].subjects[at], groups=some) for at, some in each.items())
        )
        for where, each in kept.items()
    ]
    yield from _grids(shown, group_by, remedy)
    if limit is not None and len(ranks) > limit:
        more = f"{plural(len(ranks) - limit, 'more finding')}, none of them worse: leave --limit out for all."
        yield Paragraph(lines=((Span(more, Tone.STRONG),),))


def findings(results: Iterable[Result], group_by: GroupBy) -> Iterator[Grid]:
    """Every result that is not exempt, in the order of the results, a grid for each section."""
    return _grids(sections((each for each in results if not _exempt(each)), group_by), group_by)


def _grids(found: Iterable[Section], group_by: GroupBy, remedy: Remedy | None = None) -> Iterator[Grid]:
    def reason(result: Result) -> Cell:
        told = remedy(result) if remedy is not None else ""
        return (*_reason(result), (span(told),)) if told else _reason(result)

    for section in found:
        title = "Findings"
        if group_by == GroupBy.ASSIGNMENT:
            title = f"Findings of {section.title}"
        elif group_by == GroupBy.NAMESPACE:
            title = f"Findings in {section.title}"
        yield _grid(
            title,
            "REASON",
            section,
            reason,
            with_namespace=group_by != GroupBy.NAMESPACE,
            with_policy=group_by != GroupBy.ASSIGNMENT,
            with_severity=True,
        )


def exempted(results: Iterable[Result], group_by: GroupBy) -> Iterator[Grid]:
    """The exempt results with their exemptions, explained where they first appear."""
    by = GroupBy.NONE if group_by == GroupBy.NONE else GroupBy.OWNER
    explained: set[str] = set()

    def reason(result: Result) -> Cell:
        exemption = result.exemption
        assert exemption is not None  # _exempt has checked that it is there
        explain = exemption.name not in explained
        explained.add(exemption.name)
        return _exemption(exemption, explain=explain)

    for section in sections(filter(_exempt, results), by):
        yield _grid("Exempt", "EXEMPTION", section, reason)


def flat(results: Iterable[Result]) -> Grid:
    """Every result with all its fields in a row, the worst first, the exempt ones too."""
    results = sorted(results, key=lambda one: badness(one.state, one.assignment))
    # The column is only for several clusters.
    many = any(result.resource.cluster for result in results)
    fields = [field for field in WIDE if many or field.name != "cluster"]
    rows = (Row(cells=tuple(_flat_cell(field, result) for field in fields)) for result in results)
    return titled("Results", (field.header for field in fields), rows)


def _exempt(result: Result) -> bool:
    return result.state is ComplianceState.EXEMPT and result.exemption is not None


def _grid(
    title: str,
    last: str,
    section: Section,
    reason: Callable[[Result], Cell],
    *,
    with_namespace: bool = True,
    with_policy: bool = True,
    with_severity: bool = False,
) -> Grid:
    """A row per finding, below the resource that it is about.

    The severity is a column if any is known; if all are of one assignment, it is in the title.
    """
    severities = {group.severity for subject in section.subjects for group in subject.groups.values()} - {""}
    ranked = with_severity and with_policy and bool(severities)
    note = (
        f"  {min(severities, key=severity_rank)} severity" if with_severity and severities and not with_policy else ""
    )
    rows = []
    for subject in section.subjects:
        heading = _heading(subject, with_namespace=with_namespace)
        for group in subject.groups.values():
            first = group.first
            policy = (tuple((span(name),) for name in group.assignments),) if with_policy else ()
            why = (*reason(first), *_where(group, subject))
            severity = (cell(group.severity) or cell("-", Tone.MUTED),) if ranked else ()
            container = _container(first.finding.container)
            rows.append(Row(cells=(*severity, container, *policy, why), heading=heading))
            heading = ()
    headers = (*(["SEVERITY"] if ranked else []), "CONTAINER", *(["POLICY"] if with_policy else []), last)
    return Grid(
        title=(span(title, Tone.STRONG), *([span(note, Tone.MUTED)] if note else [])),
        columns=tuple(Column(header=header) for header in headers),
        rows=tuple(rows),
        headings="RESOURCE",
    )


def _reason(result: Result) -> Cell:
    """The reason; a state other than NonCompliant is named first."""
    reason = _told(result)
    if result.state is ComplianceState.NON_COMPLIANT:
        return reason
    state = stated(result.state)
    if not reason:
        return ((state,),)
    return ((state, Span(": "), *reason[0]), *reason[1:])


def _exemption(exemption: Exemption, *, explain: bool) -> Cell:
    """Name, category and end; then why and who, once."""
    if isinstance(exemption, NamedExemption):
        return ((span(exemption.name, Tone.WAIVED),),)
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


def _flat_cell(field: ResultField, result: Result) -> Cell:
    text = value_text(field.read(result))
    if not text:
        return cell("-", Tone.MUTED)
    return cell(text, STATE_TONES[result.state] if field.name == "state" else Tone.PLAIN)


def _heading(subject: GroupedSubject, *, with_namespace: bool) -> Cell:
    """The workload or the resource; then which or how many Pods of a workload."""
    resource = subject.first.resource
    name = owner_name(subject.first) or f"{resource.kind}/{resource.name}"
    place = f"{resource.cluster}: " if resource.cluster else ""
    place += f"{resource.namespace} " if with_namespace and resource.namespace else ""
    lines: Cell = ((span(place + name),),)
    if subject.first.owner is None:
        return lines
    return (*lines, (span(_replicas(subject), Tone.MUTED),))


def _where(group: Group, subject: GroupedSubject) -> Cell:
    """Where it is written; and the replicas that have it, if others do not."""
    lines: Cell = tuple((span(text, Tone.MUTED),) for text in _places(group.sources))
    if group.count < subject.count:
        of = f"{group.count} of {_replicas(subject)}"
        lines += ((span(f"{of}: {group.first.resource.name}" if group.count == 1 else of, Tone.MUTED),),)
    return lines


def _container(container: Container | None) -> Cell:
    """The container's name, and its type unless it is an ordinary one."""
    if container is None:
        return cell("-", Tone.MUTED)
    name = span(container.name)
    if container.type not in _TYPES:
        return ((name,),)
    return ((name, span(f" ({_TYPES[container.type]})", Tone.MUTED)),)


def _told(result: Result) -> Cell:
    """The message, and the path if nothing else in the row tells it."""
    finding = result.finding
    message: Line = (span(finding.message),) if finding.message else ()
    path = finding.path
    if not path or result.source is not None or _names(finding.message, path):
        return (message,) if message else ()
    return tuple(line for line in (message, (span(f"at {path}", Tone.MUTED),)) if line)


def _places(sources: Iterable[SourceLocation]) -> list[str]:
    """The places of a row, a line each; beyond some they are counted."""
    every = list(sources)
    named = every if len(every) <= MOST_PLACES else every[: MOST_PLACES - 1]
    texts = list(dict.fromkeys(map(place, named)))
    more = len(every) - len(named)
    return [*texts, f"and {more:,} more places (-o json has them all)"] if more else texts


def _replicas(group: Group) -> str:
    resource = group.first.resource
    if group.count > 1:
        return plural(group.count, resource.kind.lower())
    return f"{resource.kind.lower()} {resource.name}"


def _names(message: str, path: str) -> bool:
    """Whether a message names the field that a path ends in, as "no CPU limit" does ``cpu``."""
    quoted = re.search(r"\[['\"]([^'\"]+)['\"]\]$", path)
    field = quoted[1] if quoted else re.sub(r"(\[[^\]]*\])+$", "", path).rpartition(".")[2]
    return field.lower() in message.replace(" ", "").lower()
