"""Summary: one line, for a shell or a chat."""

from __future__ import annotations

from typing import TextIO

from aksp import runners
from aksp.model.compliance import ComplianceState, Report
from aksp.report.figures import plural
from aksp.report.interface import Format, Style
from aksp.report.table import summary
from aksp.report.table.layout import text_of
from aksp.report.text import safe


def render_summary(report: Report, out: TextIO, style: Style) -> None:
    """Write the line: the target, its state and percentage, what this is about, and the gist."""
    only = f" (only {' '.join(report.target.filters)})" if report.target.filters else ""
    gist = text_of(summary.closing(report).lines[0])
    percent = summary.percent_words(report)
    idle = sum(line.state is ComplianceState.NOT_STARTED for line in report.assignments)
    nothing = (
        f" {ComplianceState.NOT_STARTED.value}: {plural(idle, 'assignment')}."
        if idle and report.compliance_percent is not None
        else ""
    )
    out.write(f"{safe(report.target.name + only)}: {report.state.value}, {percent}. {gist}{nothing}\n")


FORMAT = Format(
    name="summary",
    description="one line: the state, the percentage, and how much does not comply",
    render=render_summary,
    every_line=False,
    suffixes=(".txt",),
    in_log=runners.parted,
)
