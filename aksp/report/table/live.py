"""The screen of a watched cluster: as much of its report as a window has room for."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from aksp.model.compliance import AssignmentSummary, ComplianceState, Report, Result
from aksp.model.times import rfc3339
from aksp.report.figures import compliance_words, plural
from aksp.report.groups import sections
from aksp.report.interface import GroupBy
from aksp.report.table import findings, summary
from aksp.report.table.blocks import Block, Grid, Line, Paragraph, Row, Span, Tone, stated
from aksp.report.table.layout import fit
from aksp.report.table.plain import draw_headed, draw_plain
from aksp.report.text import safe

#: Lines of gaps that are shown at most.
GAP_LINES = 6
#: The smallest window for which all parts have room.
_LOWEST = 12
#: What the findings need to show one of them and how many more there are.
_LOWEST_FINDINGS = 9


class ScreenState(Struct, frozen=True, kw_only=True):
    """What is shown. The report's results are the newest first, and perhaps not all of the ``found``.

    ``objects`` are watched, of so many ``kinds``. ``changed_at`` is None until something changes. ``synced`` is False
    while the cluster is still being read, ``lost`` True while something cannot be watched. ``how`` says how it ends.
    ``first`` is how many rows of findings are scrolled past; ``search`` is what findings must have in them, None for all.
    """

    report: Report
    found: int
    objects: int
    kinds: int
    changed_at: datetime | None
    synced: bool
    lost: bool
    how: str
    first: int = 0
    search: str | None = None


def found(view: ScreenState) -> ScreenState:
    """The same with only the findings that are searched for."""
    if not view.search:
        return view
    wanted = view.search.lower()
    results = [one for one in view.report.results if wanted in _searched(one)]
    return replace(view, report=replace(view.report, results=results), found=len(results))


def rows(view: ScreenState) -> int:
    """How many rows its findings have."""
    return sum(
        len(subject.groups)
        for section in sections(found(view).report.results, GroupBy.OWNER)
        for subject in section.subjects
    )


def _searched(one: Result) -> str:
    owner = f"{one.owner.kind}/{one.owner.name}" if one.owner else ""
    container = one.finding.container.name if one.finding.container else ""
    texts = (f"{one.resource.kind}/{one.resource.name}", one.resource.namespace or "", owner, container)
    return "\n".join((*texts, one.assignment.name, one.state.value, one.finding.message)).lower()


def screen(view: ScreenState, *, width: int, height: int, color: bool) -> list[str]:
    """The lines of the screen, ``height`` of them, none wider than ``width`` columns."""
    how = view.how
    if view.search is not None:
        of = f" of the newest {len(view.report.results):,}" if view.found > len(view.report.results) else ""
        view = found(view)
        how = f"/{safe(view.search or '')}  {plural(view.found, 'finding')}{of}  {how}"
    foot = _drawn(Paragraph(lines=((Span(how, Tone.MUTED),),)), width, color)[:1]
    room = max(height, _LOWEST) - len(foot)
    lines = _drawn(_head(view), width, color)
    if view.report.gaps:
        lines += ["", *_shortened(summary.gaps(view.report), "gap", width, GAP_LINES, color)]
    if view.report.assignments:
        # Findings get the rest, at least a third of the screen.
        most = max(room - len(lines) - (max(room // 3, _LOWEST_FINDINGS) if view.report.results else 0), 4)
        worst = replace(view.report, assignments=sorted(view.report.assignments, key=_badness))
        whole = _table(summary.assignments(view.report, width), width, color)
        if len(whole) > most:
            whole = _shortened(summary.assignments(worst, width), "assignment", width, most, color)
        lines += ["", *whole]
    if view.report.results and room - len(lines) >= _LOWEST_FINDINGS - 2:
        lines += ["", *_findings(view, width, room - len(lines) - 1, color)]
    elif view.found:
        # The number of findings is always shown.
        foot = [_more(view.found, "finding", color), *foot]
    lines = lines[: max(height - len(foot), 0)]
    return [*lines, *[""] * (height - len(lines) - len(foot)), *foot][-height:]


def _head(view: ScreenState) -> Paragraph:
    """The beginning of a report, and what is watched, and when it last changed."""
    report = view.report
    where, _, *counts = summary.heading(report).lines
    watched = f"  watching {plural(view.objects, 'object')} of {plural(view.kinds, 'kind')}"
    state: Line
    if not view.synced:
        state = (Span("Reading the cluster …", Tone.STRONG), Span(f"  {plural(view.objects, 'object')}", Tone.MUTED))
    else:
        percent = Span(f"  {compliance_words(report.compliance_percent)}")
        state = (stated(report.state), percent, Span(watched, Tone.MUTED))
    if view.lost:
        state += (Span("  reconnecting …", Tone.WARNING),)
    last = f"last change {rfc3339(view.changed_at)}" if view.changed_at else "nothing has changed yet"
    if view.synced:
        state += (Span(f"  {last}", Tone.MUTED),)
    return Paragraph(lines=(where, state, *counts), hang=12)


def _shortened(grid: Grid, noun: str, width: int, most: int, color: bool) -> list[str]:
    """A table in so many lines, and how many of its rows did not fit. At least one row is shown."""
    lines, rows = _table(grid, width, color), len(grid.rows)
    while len(lines) > most and rows > 1:
        # A row takes a line at least.
        rows = min(rows - 1, most)
        shown = _table(replace(grid, rows=grid.rows[:rows]), width, color)
        lines = [*shown, _more(len(grid.rows) - rows, noun, color)]
    return lines


def _badness(one: AssignmentSummary) -> tuple[int, str]:
    """Which assignments are shown when there is no room for all of them: those with violations or errors."""
    return min(one.state.attention, ComplianceState.EXEMPT.attention), one.name


def _findings(view: ScreenState, width: int, room: int, color: bool) -> list[str]:
    """The newest findings, replicas together, as many as there is room for; and how many there are besides."""
    (section,) = sections(view.report.results, GroupBy.OWNER)
    (grid,) = findings.findings(view.report.results, GroupBy.OWNER)
    counts = [group.results for subject in section.subjects for group in subject.groups.values()]
    first = min(view.first, len(grid.rows) - 1)
    if above := sum(counts[:first]):
        grid = replace(grid, title=(*grid.title, Span(f"  {above} above", Tone.MUTED)), rows=_from(grid.rows, first))
    counts = counts[first:]
    # A row takes at least a line, so that no more rows than lines need be fitted.
    fitted = fit(replace(grid, rows=grid.rows[:room]), width)
    title = _drawn(Paragraph(lines=(grid.title,)), width, color)
    # The names of the columns, and the rule below them.
    left = room - len(title) - 2
    shown = _fitting(fitted.rows, left)
    if shown < len(grid.rows) or view.found - above > sum(counts):
        shown = _fitting(fitted.rows, left - 1)
    out = io.StringIO()
    draw_headed(replace(fitted, rows=fitted.rows[:shown]), out, color=color, terminal=True)
    lines = [*title, *out.getvalue().splitlines()]
    more = view.found - above - sum(counts[:shown])
    return [*lines, _more(more, "finding", color)] if more > 0 else lines


def _from(rows: Sequence[Row], first: int) -> tuple[Row, ...]:
    """The rows from one on. If its heading is above it, it gets that heading."""
    heading = next((row.heading for row in reversed(rows[: first + 1]) if row.heading), ())
    return (replace(rows[first], heading=heading), *rows[first + 1 :])


def _fitting(rows: Sequence[Row], room: int) -> int:
    """How many rows fit into so many lines, with their headings and the empty lines before those."""
    for at, row in enumerate(rows):
        room -= len(row.heading) + bool(at and row.heading) + max(map(len, row.cells))
        if room < 0:
            return at
    return len(rows)


def _more(count: int, noun: str, color: bool) -> str:
    return _drawn(Paragraph(lines=((Span(f"… {plural(count, f'more {noun}')}", Tone.MUTED),),)), None, color)[0]


def _table(grid: Grid, width: int, color: bool) -> list[str]:
    """A grid with its title close above it, and a rule like that of the findings."""
    title = _drawn(Paragraph(lines=(grid.title,), hang=2), width, color)
    lines = _drawn(grid, width, color)[len(title) + 1 :]
    rule = next(at for at, line in enumerate(lines) if not line.strip("- "))
    return [*title, *lines[:rule], lines[rule].replace("-", "\u2500"), *lines[rule + 1 :]]


def _drawn(block: Block, width: int | None, color: bool) -> list[str]:
    out = io.StringIO()
    draw_plain([block], out, width=width, color=color)
    return out.getvalue().splitlines()
