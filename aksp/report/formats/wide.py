"""The table with a row per result, for finding a single one."""

from __future__ import annotations

from typing import TextIO

from aksp import runners
from aksp.model.compliance import Report
from aksp.report.formats.table import blocks, draw
from aksp.report.interface import Format, Style
from aksp.report.table.blocks import Grid, in_columns


def render_wide(report: Report, out: TextIO, style: Style) -> None:
    """Write the table with a row per result. Its lines are as long as their content needs."""
    parts = [
        in_columns(each) if isinstance(each, Grid) else each for each in blocks(report, style, width=None, flat=True)
    ]
    draw(parts, out, style, width=None)


FORMAT = Format(
    name="wide",
    description="the table with a row per result and all its fields; as wide as it needs to be",
    render=render_wide,
    suffixes=(".txt",),
    in_log=runners.parted,
)
