"""Grids and paragraphs fitted to a width: the same lines for the plain and the rich drawing."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from aksp.report.table.blocks import Cell, Grid, Line, Paragraph, Row, Span, Tone
from aksp.report.text import width_of, wrap

#: Blank columns between two columns of a grid.
GAP = 2
#: The least width. A narrower one is taken for this.
NARROWEST = 40
#: A column whose rows do not wrap is at most so wide: one long value must not pad all others. A longer one moves what
#: comes after it in its row.
WIDEST = 120
# Words up to this width stay whole where that leaves room for all columns.
_LONGEST_WORD = 18
# How far rows stand to the right of their heading, and a heading's second line of its first.
_INDENT = 2
_HANG = 4
# The share of the room that the last column gets before others get more than they need.
_LAST_SHARE = 3 / 8


class FittedGrid(Struct, frozen=True, kw_only=True):
    """A grid with a width for each column. No line of its cells is wider, unless nothing wraps.

    The lines of a row's heading are what it wraps to.
    """

    widths: tuple[int, ...]
    headers: tuple[Cell, ...]
    rows: tuple[Row, ...]
    indent: int

    @property
    def width(self) -> int:
        """Columns of the terminal that it takes, without the headings."""
        return self.indent + sum(self.widths) + GAP * (len(self.widths) - 1)


def fit(grid: Grid, width: int | None) -> FittedGrid:
    """Choose the columns' widths and wrap the cells; without a width nothing wraps, and long cells overflow."""
    texts = _texts(grid)
    natural = _natural(texts)
    whole = _fits(grid, natural, width)
    if width is None:
        widths = tuple(min(each, WIDEST) for each in natural)
    else:
        widths = natural if whole else _share(grid, texts, max(width, NARROWEST))
    rows = tuple(
        Row(
            cells=row.cells
            if whole
            else tuple(_wrap_cell(cell, limit) for cell, limit in zip(row.cells, widths, strict=True)),
            heading=_heading(row.heading, width) if row.heading else (),
            below=row.below,
        )
        for row in grid.rows
    )
    headers = tuple(
        _wrap_cell(((Span(column.header),),), limit) for column, limit in zip(grid.columns, widths, strict=True)
    )
    return FittedGrid(widths=widths, headers=headers, rows=rows, indent=_indent(grid))


def fits(grid: Grid, width: int | None) -> bool:
    """Whether a grid needs no wrapping."""
    return _fits(grid, _natural(_texts(grid)), width)


def fit_paragraph(paragraph: Paragraph, width: int | None) -> list[Line]:
    """The lines of a paragraph, none wider than width."""
    if width is None:
        return list(paragraph.lines)
    width = max(width, NARROWEST)
    lines: list[Line] = []
    for line in paragraph.lines:
        if width_of(text_of(line)) <= width:
            lines.append(line)
            continue
        first, *rest = _wrap_line(line, width - paragraph.hang)
        lines.append(first)
        lines.extend((Span(" " * paragraph.hang), *part) for part in rest)
    return lines


def text_of(line: Line) -> str:
    """A line without its tones."""
    return line[0].text if len(line) == 1 else "".join(span.text for span in line)


def _indent(grid: Grid) -> int:
    return _INDENT if grid.headings else 0


def _fits(grid: Grid, natural: tuple[int, ...], width: int | None) -> bool:
    return width is None or _indent(grid) + sum(natural) + GAP * (len(natural) - 1) <= width


def _heading(cell: Cell, width: int | None) -> Cell:
    """A heading's parts in a line, the first of them strong, wrapped to the width of the grid."""
    first, *rest = cell
    line: Line = tuple(Span(span.text, Tone.STRONG) for span in first)
    for part in rest:
        line += (Span(", ", Tone.MUTED), *part)
    return tuple(fit_paragraph(Paragraph(lines=(line,), hang=_HANG), width))


def _texts(grid: Grid) -> list[set[str]]:
    """The different lines of each column, so that names which are in many rows are measured once."""
    texts = [{column.header} for column in grid.columns]
    for row in grid.rows:
        for column, cell in zip(texts, row.cells, strict=True):
            column.update(map(text_of, cell))
    return texts


def _natural(texts: Sequence[set[str]]) -> tuple[int, ...]:
    return tuple(max(map(width_of, column)) for column in texts)


def _share(grid: Grid, texts: Sequence[set[str]], width: int) -> tuple[int, ...]:
    """Widths that fit, for a grid that does not fit as it is.

    Every column gets its longest word, and the last one its share of the room. Then the columns
    that lack least get all they need. The rest is for the last column, which has the long texts.
    """
    natural = _natural(texts)
    room = width - _indent(grid) - GAP * (len(natural) - 1)
    words = tuple(max(width_of(word) for line in column for word in line.split(" ")) for column in texts)
    caps = (tuple(min(word, cap) for word in words) for cap in range(_LONGEST_WORD, 0, -1))
    widths = list(_tight(grid, texts, next((each for each in caps if sum(each) <= room), words)))
    last = len(widths) - 1
    widths[last] = max(widths[last], min(natural[last], int(room * _LAST_SHARE), room - sum(widths[:last])))
    for at in sorted(range(last), key=lambda at: natural[at] - widths[at]):
        if natural[at] - widths[at] <= room - sum(widths):
            widths[at] = natural[at]
    for at in (last, *range(last)):
        widths[at] += max(0, min(natural[at] - widths[at], room - sum(widths)))
    return tuple(widths)


def _tight(grid: Grid, texts: Sequence[set[str]], widths: tuple[int, ...]) -> tuple[int, ...]:
    """Widths without the columns that no line uses after a long word was broken."""
    tight = [width_of(column.header[:width]) for column, width in zip(grid.columns, widths, strict=True)]
    for at, width in enumerate(widths):
        for line in texts[at] - {grid.columns[at].header}:
            if tight[at] >= width > 1:
                break  # no line is wider, except a single character of two columns
            if width_of(line) <= tight[at]:
                continue
            tight[at] = max([tight[at], *(width_of(line[start:end]) for start, end in wrap(line, width))])
    return tuple(tight)


def _wrap_cell(cell: Cell, width: int) -> Cell:
    return tuple(part for line in cell for part in _wrap_line(line, width))


def _wrap_line(line: Line, width: int) -> list[Line]:
    text = text_of(line)
    if width_of(text) <= width:
        return [line]
    return [_cut(line, start, end) for start, end in wrap(text, width)]


def _cut(line: Line, start: int, end: int) -> Line:
    """The part of a line from one character to another."""
    parts: list[Span] = []
    at = 0
    for span in line:
        piece = span.text[max(0, start - at) : max(0, end - at)]
        if piece:
            parts.append(Span(piece, span.tone))
        at += len(span.text)
    return tuple(parts)
