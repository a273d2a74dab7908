"""Markdown, as GitHub reads it: blocks as headings, lists and pipe tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from aksp.model.compliance import Report
from aksp.report.formats.table import blocks
from aksp.report.interface import Style
from aksp.report.pipeline.unique_findings import remedy_of
from aksp.report.table.blocks import Block, Cell, Grid, Line, Paragraph, Span, Tone, in_columns
from aksp.report.table.layout import text_of

# What means something inside a line of Markdown. A backslash takes the meaning from punctuation;
# < and & would begin HTML and must be entities.
_PUNCTUATION = re.compile(r"[\\`*_\[\]|~$]")
# @name would notify a person and #1 link an issue. An empty comment after the sign prevents that.
_REFERENCE = re.compile(r"(?<!\w)([@#])(?=\w)")


def write_report(report: Report, out: TextIO, style: Style) -> None:
    """Write a report as the table has it, but with the verdict first and a remedy for each finding."""
    *parts, verdict = blocks(report, style, width=None, remedy=lambda result: remedy_of(report, result))
    assert isinstance(verdict, Paragraph)  # the order of blocks
    write_blocks(parts, out, verdict.lines)


def write_blocks(parts: Iterable[Block], out: TextIO, verdict: Sequence[Line] = ()) -> None:
    """Write blocks, of which the first is a paragraph with the title; the verdict follows the title."""
    heading, *rest = parts
    assert isinstance(heading, Paragraph)  # the order of blocks
    title, *facts = heading.lines
    out.write(f"## {escape(text_of(title))}\n")
    for line in (*verdict, *facts):
        if line:
            out.write(f"\n{_line(line)}\n")
    for block in rest:
        if isinstance(block, Grid):
            _write_grid(block, out)
        else:
            for line in block.lines:
                out.write(f"\n{_line(line)}\n")


def _write_grid(grid: Grid, out: TextIO) -> None:
    grid = in_columns(grid)
    title, *note = grid.title
    out.write(f"\n### {escape(title.text)}\n\n")
    if note:
        out.write(f"{escape(text_of(tuple(note)).strip().capitalize())}.\n\n")
    out.write("| " + " | ".join(column.header.capitalize() for column in grid.columns) + " |\n")
    out.write("|" + "|".join("---:" if column.right else "---" for column in grid.columns) + "|\n")
    out.writelines("| " + " | ".join(_cell(cell) for cell in row.cells) + " |\n" for row in grid.rows)


def _cell(cell: Cell) -> str:
    return "<br>".join(_line(line) for line in cell)


def _line(line: Line) -> str:
    return "".join(_span(span) for span in line)


def _span(span: Span) -> str:
    text = escape(span.text)
    strong = span.tone in (Tone.STRONG, Tone.BAD) and text.strip() == text and text
    return f"**{text}**" if strong else text


def escape(text: str) -> str:
    """Safe text as Markdown that reads as that text, inside a table too."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _PUNCTUATION.sub(lambda match: "\\" + match[0], text)
    return _REFERENCE.sub(r"\1<!-- -->", text)
