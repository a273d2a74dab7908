"""Blocks drawn with rich, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from aksp.report.table.blocks import Block, Cell, Grid, Paragraph, Tone
from aksp.report.table.layout import GAP, FittedGrid, fit, fit_paragraph
from aksp.report.table.plain import draw_headed, draw_table, spaced

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_STYLES = {
    Tone.PLAIN: "",
    Tone.STRONG: "bold",
    Tone.MUTED: "dim",
    Tone.BAD: "red",
    Tone.GOOD: "green",
    Tone.WARNING: "yellow",
    Tone.ODD: "magenta",
    Tone.WAIVED: "cyan",
}


# rich takes two milliseconds a row. A table of more rows scrolls by unseen; it is drawn plainly.
_MOST_ROWS = 2_000


def draw_rich(blocks: Iterable[Block], out: TextIO, *, width: int | None, color: bool) -> None:
    """Write blocks, an empty line between two. Text is never read as rich's markup."""
    from rich.console import Console

    fitted = [(block, fit(block, width) if isinstance(block, Grid) else None) for block in blocks]
    console = Console(
        file=out,
        width=max([width or 0, 1, *(each.width for _, each in fitted if each)]),
        height=25,
        color_system="standard" if color else None,
        force_terminal=True,
        force_jupyter=False,
        legacy_windows=False,
        no_color=not color,
        markup=False,
        emoji=False,
        highlight=False,
        _environ={},
    )
    for at, (block, grid) in enumerate(fitted):
        if at:
            console.print()
        if grid is not None and isinstance(block, Grid):
            console.print(_text(tuple(fit_paragraph(Paragraph(lines=(block.title,), hang=2), width))), soft_wrap=True)
            console.print()
            if block.headings:
                draw_headed(grid, out, color=color, terminal=True)
            elif len(block.rows) <= _MOST_ROWS:
                console.print(_table(block, grid))
            else:
                draw_table(block, grid, out, color=color)
        elif not isinstance(block, Grid):
            console.print(_text(tuple(fit_paragraph(block, width))), soft_wrap=True)


def _table(grid: Grid, fitted: FittedGrid) -> Table:
    from rich import box
    from rich.table import Table

    # The box itself puts one blank between columns.
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), header_style="bold")
    for column, header, width in zip(grid.columns, fitted.headers, fitted.widths, strict=True):
        table.add_column(_text(header), justify="right" if column.right else "left", width=width, overflow="fold")
    for row in spaced(fitted):
        table.add_row(*(_text(cell) for cell in row.cells))
    return table


def _text(cell: Cell) -> Text:
    from rich.text import Text

    text = Text(overflow="fold")
    for at, line in enumerate(cell):
        if at:
            text.append("\n")
        for span in line:
            text.append(span.text, style=_STYLES[span.tone])
    return text
