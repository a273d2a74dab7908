"""The table, to be read from the top down by a person, on a terminal or in a log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from aksp import runners
from aksp.model.compliance import Report
from aksp.report import wire
from aksp.report.interface import Format, Style
from aksp.report.table import changes, findings, summary
from aksp.report.table.blocks import Block
from aksp.report.table.plain import draw_plain
from aksp.report.table.terminal import draw_rich


def render_table(report: Report, out: TextIO, style: Style) -> None:
    """Write the table, at most ``style.width`` columns wide; long text wraps, nothing is cut."""
    draw(list(blocks(report, style, width=style.width)), out, style, width=style.width)


def blocks(
    report: Report, style: Style, *, width: int | None, flat: bool = False, remedy: findings.Remedy | None = None
) -> Iterator[Block]:
    """The parts of the table from the top down, for a width in columns (None: any). ``remedy`` is told below each reason."""
    yield summary.heading(report)
    if report.clusters:
        yield summary.clusters(report)
    if scopes := summary.scopes(report):
        yield scopes
    if report.assignments:
        yield summary.assignments(report, width)
    if groups := summary.groups(report, every=flat):
        yield groups
    # Read twice and not kept: a report may make its results while they are read.
    if not flat:
        yield from findings.worst(wire.shown(report, style.show), style.group_by, style.limit, remedy)
    elif results := list(wire.shown(report, style.show)):
        yield findings.flat(results)
    yield from findings.exempted(wire.shown(report, style.show), style.group_by)
    if changed := changes.of_report(report):
        yield changed
    if report.gaps:
        yield summary.gaps(report)
    yield summary.closing(report)


def draw(parts: list[Block], out: TextIO, style: Style, *, width: int | None) -> None:
    draw = draw_rich if style.terminal else draw_plain
    draw(parts, out, width=width, color=style.color)


FORMAT = Format(
    name="table",
    description="summary, then the containers that do not comply, replicas as one row",
    render=render_table,
    every_line=False,
    suffixes=(".txt",),
    in_log=runners.parted,
)
