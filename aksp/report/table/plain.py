"""Blocks drawn as plain text, for logs, pipes and files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import TextIO

from aksp.report.table.blocks import Block, Cell, Grid, Line, Paragraph, Row, Span, Tone
from aksp.report.table.layout import GAP, FittedGrid, fit, fit_paragraph, text_of
from aksp.report.text import width_of

# SGR parameters (ECMA-48), for `--color always` through a pipe.
_SGR = {
    Tone.STRONG: "1",
    Tone.MUTED: "2",
    Tone.BAD: "31",
    Tone.GOOD: "32",
    Tone.WARNING: "33",
    Tone.ODD: "35",
    Tone.WAIVED: "36",
}


def draw_plain(blocks: Iterable[Block], out: TextIO, *, width: int | None, color: bool) -> None:
    """Write blocks, an empty line between two."""
    between = ""
    for block in blocks:
        out.write(between)
        if isinstance(block, Grid):
            _write_lines(Paragraph(lines=(block.title,), hang=2), out, width=width, color=color)
            out.write("\n")
            draw_table(block, fit(block, width), out, color=color)
        else:
            _write_lines(block, out, width=width, color=color)
        between = "\n"


def _write_lines(paragraph: Paragraph, out: TextIO, *, width: int | None, color: bool) -> None:
    out.writelines(_line(line, color=color).rstrip() + "\n" for line in fit_paragraph(paragraph, width))


def draw_table(grid: Grid, fitted: FittedGrid, out: TextIO, *, color: bool) -> None:
    """Write a fitted grid without its title."""
    if grid.headings:
        draw_headed(fitted, out, color=color)
        return
    right = tuple(column.right for column in grid.columns)
    rule = tuple(((Span("-" * width),),) for width in fitted.widths)
    for cells in (fitted.headers, rule, *(row.cells for row in spaced(fitted))):
        out.writelines(row_lines(cells, fitted, color=color, right=right))


def draw_headed(fitted: FittedGrid, out: TextIO, *, color: bool, terminal: bool = False) -> None:
    """Write a fitted grid with its headings, since rich has no cell that spans columns.

    On a terminal the headers and the rule look like rich's.
    """
    if terminal:
        headers = tuple(tuple((Span(text_of(line), Tone.STRONG),) for line in cell) for cell in fitted.headers)
        out.writelines(row_lines(headers, fitted, color=color))
        out.write(" " * fitted.indent + "\u2500" * (fitted.width - fitted.indent) + "\n")
    else:
        rule = tuple(((Span("-" * width),),) for width in fitted.widths)
        out.writelines([*row_lines(fitted.headers, fitted, color=color), *row_lines(rule, fitted, color=color)])
    for at, row in enumerate(fitted.rows):
        if at and row.heading:
            out.write("\n")
        out.writelines(_line(line, color=color) + "\n" for line in row.heading)
        out.writelines(row_lines(row.cells, fitted, color=color))


def row_lines(
    cells: tuple[Cell, ...], fitted: FittedGrid, *, color: bool, right: tuple[bool, ...] = ()
) -> Iterator[str]:
    """The lines of a row, columns aligned to the left but for those that are not."""
    indent = " " * fitted.indent
    for lines in zip_longest(*cells, fillvalue=()):
        padded = [
            _line(line, color=color) + " " * (width - width_of(text_of(line)))
            for line, width in zip(lines, fitted.widths, strict=True)
        ]
        for at in (at for at, aside in enumerate(right) if aside):
            text = _line(lines[at], color=color)
            padded[at] = padded[at][len(text) :] + text
        yield indent + (" " * GAP).join(padded).rstrip() + "\n"


def spaced(fitted: FittedGrid) -> Iterator[Row]:
    """The rows, with an empty one between two subjects where rows are of several lines."""
    airy = any(len(cell) > 1 for row in fitted.rows for cell in row.cells)
    empty = Row(cells=tuple(((Span(" "),),) for _ in fitted.widths))
    for at, row in enumerate(fitted.rows):
        if airy and at and row.cells[0] and not row.below:
            yield empty
        yield row


def _line(line: Line, *, color: bool) -> str:
    return "".join(_paint(span) if color else span.text for span in line)


def _paint(span: Span) -> str:
    sgr = _SGR.get(span.tone)
    return f"\x1b[{sgr}m{span.text}\x1b[0m" if sgr and span.text.strip() else span.text
