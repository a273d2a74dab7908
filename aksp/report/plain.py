"""Blocks drawn as plain text with tabulate, for logs, pipes and files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TextIO

from aksp.report.blocks import Block, Cell, Grid, Line, Paragraph, Row, Span, Tone
from aksp.report.layout import Fitted, fit, fit_paragraph

# SGR parameters (ECMA-48), for `--color always` through a pipe.
_SGR = {
    Tone.STRONG: "1",
    Tone.MUTED: "2",
    Tone.BAD: "31",
    Tone.GOOD: "32",
    Tone.FAULT: "33",
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


def draw_table(grid: Grid, fitted: Fitted, out: TextIO, *, color: bool) -> None:
    """Write a fitted grid without its title."""
    from tabulate import tabulate

    # The header is given as rows: tabulate pads a header of its own by two columns (MIN_PADDING).
    rows = [fitted.headers, tuple(((Span("-" * width),),) for width in fitted.widths)]
    rows += [row.cells for row in spaced(fitted)]
    table = tabulate(
        [[_cell(cell, color=color) for cell in cells] for cells in rows],
        tablefmt="plain",
        disable_numparse=True,
        preserve_whitespace=True,
        colalign=["right" if column.right else "left" for column in grid.columns],
    )
    out.write(table + "\n")


def spaced(fitted: Fitted) -> Iterator[Row]:
    """The rows, with an empty one before each new subject where rows are of several lines."""
    airy = any(len(cell) > 1 for row in fitted.rows for cell in row.cells)
    empty = Row(cells=tuple(((Span(" "),),) for _ in fitted.widths))
    for at, row in enumerate(fitted.rows):
        if airy and at and row.starts:
            yield empty
        yield row


def _cell(cell: Cell, *, color: bool) -> str:
    return "\n".join(_line(line, color=color) for line in cell)


def _line(line: Line, *, color: bool) -> str:
    return "".join(_paint(span) if color else span.text for span in line)


def _paint(span: Span) -> str:
    sgr = _SGR.get(span.tone)
    return f"\x1b[{sgr}m{span.text}\x1b[0m" if sgr and span.text.strip() else span.text
