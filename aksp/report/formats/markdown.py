"""Markdown (GitHub's): the table's content for a pull request, a wiki or a job summary."""

from __future__ import annotations

from typing import Final, TextIO

from aksp import runners
from aksp.model.compliance import Report
from aksp.report.interface import Format, Style
from aksp.report.pipeline.shortened import cut, shortened

#: GitHub refuses comments of more than 65,536 characters. The program that posts it may add a few lines.
LIMIT: Final = 60_000
_ELSEWHERE: Final = "in the report in another format, as by -o json=FILE"


def render_markdown(report: Report, out: TextIO, style: Style) -> None:
    """Write the report, cut to what a comment takes; what is left out is told."""
    text = shortened(report, style, room=LIMIT, size=len, elsewhere=_ELSEWHERE)
    out.write(cut(report, style, room=LIMIT, elsewhere=_ELSEWHERE) if text is None else text)


FORMAT = Format(
    name="markdown",
    description="the table for a pull request, a wiki or a job summary",
    render=render_markdown,
    every_line=False,
    suffixes=(".md",),
    in_log=runners.parted,
)
