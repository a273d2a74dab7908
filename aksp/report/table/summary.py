"""The top and the end of a report for people: what was judged, each assignment, the gaps, the gist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aksp.compliance.nothing import NOTHING, besides
from aksp.model.compliance import AssignmentSummary, ComplianceState, Measured, Report, ScopeSummary, TargetKind
from aksp.model.times import rfc3339
from aksp.report.figures import compliance_words, percent_cell, plural, total
from aksp.report.table import layout
from aksp.report.table.blocks import Cell, Column, Grid, Line, Paragraph, Row, Span, Tone, cell, span, stated, titled

#: The columns of figures that assignments, groups, clusters and scopes have.
_MEASURES = (
    Column(header="STATE"),
    Column(header="%", right=True),
    Column(header="RESOURCES", right=True),
    Column(header="CONTAINERS", right=True),
)
_TARGETS = {TargetKind.CLUSTER: "Cluster", TargetKind.CLUSTERS: "Clusters", TargetKind.MANIFESTS: "Manifests"}


def heading(report: Report) -> Paragraph:
    """The target, its overall state, and how many resources and containers are in which state."""
    target = report.target
    where: Line = (span(f"{_TARGETS[target.kind]} {target.name}", Tone.STRONG),)
    if target.server:
        where += (span(f"  {target.server}", Tone.MUTED),)
    if "/namespaces/" in target.scope:
        where += (span(f"  {target.scope}", Tone.MUTED),)
    first: tuple[Line, ...] = (where,)
    if target.filters:
        first += ((span(f"Only {' '.join(target.filters)}: what this leaves out has no state", Tone.WARNING),),)
    evaluated = Span(f"  evaluated {rfc3339(report.evaluated_at)}", Tone.MUTED)
    percent = Span(f"  {percent_words(report)}")
    if not total(report.counts.resources):
        return Paragraph(lines=(*first, (stated(report.state), percent, evaluated)), hang=2)
    lines: list[Line] = [*first, (stated(report.state), percent, evaluated), ()]
    lines.append((Span("Resources   "), *_tally(report.counts.resources)))
    if total(report.counts.containers):
        lines.append((Span("Containers  "), *_tally(report.counts.containers)))
    return Paragraph(lines=tuple(lines), hang=12)


def percent_words(report: Report) -> str:
    """As in ``66.7% compliant``, or why there is no percentage."""
    if report.compliance_percent is None and total(report.counts.resources):
        return "no percentage: not every cluster was judged"
    return compliance_words(report.compliance_percent)


def assignments(report: Report, width: int | None) -> Grid:
    """A line per assignment. The severity is a column where there is room; the definition too, else a second line."""
    differ = any(_called(each) != each.definition for each in report.lines)
    known = any(each.severity for each in report.lines)
    for definition, severity in ((differ, known), (differ, False)):
        spacious = _assignments(report, definition=definition, severity=severity)
        if layout.fits(spacious, width):
            return spacious
    return _assignments(report, definition=False, severity=False)


def clusters(report: Report) -> Grid:
    """A line per cluster of a report of several."""
    rows = []
    for each in report.clusters:
        place = " ".join(text for text in (each.location, _labels(each.labels)) if text)
        name: Cell = ((span(each.name),), *([(span(place, Tone.MUTED),)] if place else []))
        state: Cell = ((stated(each.state),), *([(span(each.message, Tone.MUTED),)] if each.message else []))
        rows.append(Row(cells=(name, state, *_measured(each), _gaps(each.gaps))))
    return _rolled(report, "Clusters", "CLUSTER", rows)


def scopes(report: Report) -> Grid | None:
    """A line per scope that clusters lie in, each after its parent; None where the scope tree has none."""
    rows = []
    for each, depth in placed_scopes(report):
        count = f"{each.kind}, {plural(len(each.clusters), 'cluster')}"
        indent = Span("  " * depth)
        name: Cell = ((indent, span(each.name)), (indent, span(count, Tone.MUTED)))
        rows.append(Row(cells=(name, ((stated(each.state),),), *_measured(each), _gaps(each.gaps))))
    return _rolled(report, "Scopes", "SCOPE", rows) if rows else None


def placed_scopes(report: Report) -> Iterator[tuple[ScopeSummary, int]]:
    """The scopes that clusters lie in, from the top down, each with how deep it lies."""
    depths: dict[str | None, int] = {None: -1}
    for each in report.scopes:
        depths[each.scope] = depths.get(each.parent, -1) + 1
        yield each, depths[each.scope]


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _measured(each: Measured) -> tuple[Cell, ...]:
    """The percentage, and the shares that do not comply."""
    return cell(percent_cell(each.compliance_percent)), _share(each.counts.resources), _share(each.counts.containers)


def _gaps(count: int) -> Cell:
    return cell(str(count), Tone.WARNING) if count else cell("-", Tone.MUTED)


def _rolled(report: Report, title: str, first: str, rows: list[Row]) -> Grid:
    return Grid(
        title=(Span(title, Tone.STRONG), _legend(report)),
        columns=(Column(header=first), *_MEASURES, Column(header="GAPS", right=True)),
        rows=tuple(rows),
    )


def gaps(report: Report) -> Grid:
    """What could not be judged, and in which cluster where there are several."""
    rows = []
    for gap in report.gaps:
        message: list[Line] = [(span(f"{gap.cluster}: {gap.message}" if gap.cluster else gap.message),)]
        if gap.resource is not None and str(gap.resource) not in gap.message:
            message.insert(0, (span(str(gap.resource)),))
        rows.append(Row(cells=(cell(gap.reason, Tone.WARNING), tuple(message))))
    return titled("Could not be judged", ("GAP", "WHAT"), rows)


def closing(report: Report) -> Paragraph:
    """The gist in one sentence, or two when something was not judged."""
    counts = report.counts.resources
    whole, bad = total(counts), counts.get(ComplianceState.NON_COMPLIANT, 0)
    unjudged = _unjudged(report)
    if not report.assignments and not report.clusters:
        gist, tone = "No assignment applies here, so nothing was judged. `aksp assign` makes one.", Tone.STRONG
        # Or there was nothing to judge.
        gist += f" {also}." if (also := besides(report.gaps)) else ""
    elif not whole:
        why = "" if unjudged else ": no resource matches these assignments"
        gist, tone = f"Nothing was judged{why}.", Tone.STRONG
    elif bad:
        gist, tone = f"{bad} of {plural(whole, 'resource')} {'does' if bad == 1 else 'do'} not comply.", Tone.BAD
    elif unjudged and not _complying(report):
        gist, tone = "Nothing could be judged.", Tone.WARNING
    elif unjudged:
        gist, tone = "Everything that could be judged complies.", Tone.WARNING
    elif counts.get(ComplianceState.EXEMPT, 0):
        gist, tone = "Everything that was judged complies or is exempt.", Tone.GOOD
    else:
        gist, tone = "Everything that was judged complies.", Tone.GOOD
    line: Line = (Span(gist, tone),)
    if unjudged and (report.assignments or report.clusters or any(gap.reason not in NOTHING for gap in report.gaps)):
        line += (Span(f" Not judged: {unjudged}.", Tone.WARNING),)
    if (known := report.known) is not None:
        fails = f" {'fails' if known.new == 1 else 'fail'}" if known.fails and known.new else ""
        line += (
            Span(
                f" {plural(known.new, 'new violation')}{fails}, {known.known} known.",
                Tone.BAD if known.new else Tone.GOOD,
            ),
        )
    return Paragraph(lines=(line,))


def _complying(report: Report) -> bool:
    """Whether any resource was judged by any assignment without an Error."""
    return any(
        line.counts.resources.get(state, 0)
        for line in report.assignments
        for state in (ComplianceState.COMPLIANT, ComplianceState.EXEMPT)
    )


def _unjudged(report: Report) -> str:
    """As in ``2 resources in error, 1 gap``; empty when all was judged.

    Counted from the results, since in the counts Compliant by one assignment beats Error by another.
    """
    parts = []
    for state in (ComplianceState.ERROR, ComplianceState.CONFLICTING):
        if number := len({each.resource for each in report.results if each.state is state}):
            parts.append(f"{plural(number, 'resource')} {state.words}")
    if report.gaps:
        parts.append(plural(len(report.gaps), "gap"))
    return ", ".join(parts)


def _assignments(report: Report, *, definition: bool, severity: bool) -> Grid:
    columns = [Column(header="ASSIGNMENT"), Column(header="EFFECT"), *_MEASURES]
    if definition:
        columns.insert(1, Column(header="DEFINITION"))
    if severity:
        columns.insert(-5, Column(header="SEVERITY"))
    rows = []
    for each in report.lines:
        indent = "  " if each.reference else ""
        name: Cell = ((Span(indent), span(_called(each))),)
        if not definition and each.definition != _called(each):
            name += ((Span(indent), span(each.definition, Tone.MUTED)),)
        percent = each.compliance_percent
        state: Cell = ((stated(each.state),),)
        # An assignment in Error also has a gap, which has more room.
        if each.message and (each.state is ComplianceState.NOT_STARTED or each.members):
            state += ((span(each.message, Tone.MUTED),),)
        cells = [
            name,
            _effect(each),
            state,
            cell(percent_cell(percent), Tone.MUTED) if percent is None else cell(percent_cell(percent)),
            _share(each.counts.resources),
            _share(each.counts.containers),
        ]
        if definition:
            cells.insert(1, cell(each.definition))
        if severity:
            cells.insert(-5, cell(each.severity.lower()) or cell("-", Tone.MUTED))
        rows.append(Row(cells=tuple(cells), below=bool(each.reference)))
    title = (Span("Assignments", Tone.STRONG), _legend(report))
    return Grid(title=title, columns=tuple(columns), rows=tuple(rows))


def groups(report: Report, *, every: bool) -> Grid | None:
    """The groups of initiatives, ``every`` one or those that are not Compliant; None when there is none to tell."""
    known = [(each, group) for each in report.assignments for group in each.groups]
    rows = [
        Row(cells=(cell(each.name), cell(group.display_name), ((stated(group.state),),), *_measured(group)))
        for each, group in known
        if every or group.state is not ComplianceState.COMPLIANT
    ]
    if not rows:
        return None
    comply = sum(group.state is ComplianceState.COMPLIANT for _, group in known)
    note = f"  {comply} of {plural(len(known), 'group')} compliant"
    return Grid(
        title=(Span("Groups", Tone.STRONG), Span(note, Tone.MUTED)),
        columns=(Column(header="ASSIGNMENT"), Column(header="GROUP"), *_MEASURES),
        rows=tuple(rows),
    )


def _called(line: AssignmentSummary) -> str:
    """The name of an assignment, or the reference id of a member, which is listed below its assignment."""
    return line.reference or line.name


def _effect(summary: AssignmentSummary) -> Cell:
    effect: Cell = ((span(summary.effect),),)
    if summary.enforcement_mode != "Default":
        effect += ((span(summary.enforcement_mode, Tone.WARNING),),)
    return effect


def _share(counts: Mapping[ComplianceState, int]) -> Cell:
    """Non-compliant of all, as in ``3/316``; beside it how many of all are exempt: ``3+1/316``."""
    whole = total(counts)
    if not whole:
        return cell("-", Tone.MUTED)
    exempt = counts.get(ComplianceState.EXEMPT, 0)
    waived = (Span(f"+{exempt}", Tone.WAIVED),) if exempt else ()
    return ((Span(f"{counts.get(ComplianceState.NON_COMPLIANT, 0)}"), *waived, Span(f"/{whole}")),)


def _legend(report: Report) -> Span:
    exempt = "+exempt" if _any_exempt(report) else ""
    return Span(f"  resources and containers: non-compliant{exempt}/all", Tone.MUTED)


def _any_exempt(report: Report) -> bool:
    return any(
        counts.get(ComplianceState.EXEMPT, 0)
        for each in report.assignments
        for counts in (each.counts.resources, each.counts.containers)
    )


def _tally(counts: Mapping[ComplianceState, int]) -> Line:
    """As in ``310: 302 NonCompliant, 8 Compliant``, the states that occur."""
    spans = [Span(f"{total(counts)}: ")]
    for state in ComplianceState:
        if number := counts.get(state, 0):
            spans += [stated(state, f"{number} {state.value}"), Span(", ")]
    return tuple(spans[:-1])
