"""What a report for people is made of: paragraphs and grids of cells, not yet drawn."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from aksp.model.compliance import ComplianceState
from aksp.report.text import safe


class Tone(StrEnum):
    """What a piece of text means. It may be drawn in a colour, bold, or like all other text."""

    PLAIN = "plain"
    STRONG = "strong"
    MUTED = "muted"
    BAD = "bad"
    GOOD = "good"
    WARNING = "warning"
    ODD = "odd"
    WAIVED = "waived"


#: The tone of each state.
STATE_TONES = {state: Tone(state.tone) for state in ComplianceState}


class Span(Struct, frozen=True):
    """A piece of safe text in one tone. Make it with ``span``."""

    text: str
    tone: Tone = Tone.PLAIN


def span(text: str, tone: Tone = Tone.PLAIN) -> Span:
    """A span of text from anywhere."""
    return Span(safe(text), tone)


def stated(state: ComplianceState, text: str = "") -> Span:
    """A state in its tone, or a text about it."""
    return Span(text or state.value, STATE_TONES[state])


#: One line of text, in spans, without a break.
Line = tuple[Span, ...]
#: The lines of a cell.
Cell = tuple[Line, ...]


def cell(text: str, tone: Tone = Tone.PLAIN) -> Cell:
    """A cell of one line; an empty text makes an empty cell."""
    return ((span(text, tone),),) if text else ()


class Paragraph(Struct, frozen=True, kw_only=True):
    """Lines under one another; what a line wraps to is indented by ``hang`` columns."""

    lines: tuple[Line, ...]
    hang: int = 0


class Column(Struct, frozen=True, kw_only=True):
    """A column of a grid."""

    header: str
    right: bool = False


class Row(Struct, frozen=True, kw_only=True):
    """A row of cells. An empty first cell means the same as in the row above.

    ``heading`` says what it and the rows below it are about, and spans all columns. There its
    lines are one line, with commas. A row that is ``below`` belongs to the row above it.
    """

    cells: tuple[Cell, ...]
    heading: Cell = ()
    below: bool = False


class Grid(Struct, frozen=True, kw_only=True):
    """A titled table. ``headings``: what its rows' headings are, if it has any."""

    title: Line
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    headings: str = ""


def titled(title: str, headers: Iterable[str], rows: Iterable[Row]) -> Grid:
    """A grid with a title of one word or some, and columns that are aligned to the left."""
    columns = tuple(Column(header=header) for header in headers)
    return Grid(title=(Span(title, Tone.STRONG),), columns=columns, rows=tuple(rows))


def in_columns(grid: Grid) -> Grid:
    """The grid with its headings as the first column, for formats in which no cell can span columns."""
    if not grid.headings:
        return grid
    rows = tuple(Row(cells=(row.heading, *row.cells)) for row in grid.rows)
    return Grid(title=grid.title, columns=(Column(header=grid.headings), *grid.columns), rows=rows)


Block = Paragraph | Grid
