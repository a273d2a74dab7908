"""The lines around a field: what it stands in, and its neighbours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from aksp.report.text import safe

#: Lines shown before and after the field's own.
AROUND = 3
#: Characters of a line that are shown; a document on one line is cut around the field.
_WIDEST = 160
_ITEM = re.compile(r"( *)(?:- +)+")


@dataclass(frozen=True, kw_only=True, slots=True)
class ExcerptLine:
    """One line: its number in the file, counted from 1, and its text, safe to print.

    ``marked`` is the field's own; ``gap`` says that lines before it are left out.
    """

    number: int
    text: str
    marked: bool
    gap: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Excerpt:
    """Lines of a file, or, without a file, of a live object written as YAML; ``text`` tells texts apart."""

    file: str | None
    lines: tuple[ExcerptLine, ...]
    text: int = 0

    @staticmethod
    def together(excerpts: Iterable[Excerpt]) -> list[Excerpt]:
        """Excerpts of the same text as one, with the marks of all."""
        texts: dict[tuple[str | None, int], dict[int, ExcerptLine]] = {}
        for one in excerpts:
            lines = texts.setdefault((one.file, one.text), {})
            for line in one.lines:
                # Only a marked line is cut around a column.
                if line.marked or line.number not in lines:
                    lines[line.number] = line
        return [
            Excerpt(file=file, text=text, lines=tuple(_with_gaps(list(lines.values()))))
            for (file, text), lines in texts.items()
        ]


def excerpt(text: str, line: int, column: int = 1, file: str | None = None) -> Excerpt:
    """The lines around one of a text, by its number, below the lines that say what they stand in.

    Those are known by their indentation, as in YAML and in JSON that is not all on one line.
    """
    # As the engine counts them: what else Python takes for the end of a line is text.
    lines = text.removesuffix("\n").split("\n") if text else []
    if not lines:
        return Excerpt(file=file, lines=())
    marked = min(max(line, 1), len(lines))
    first = _first_of_document(lines, marked)
    shown = {
        number
        for number in range(marked - AROUND, marked + AROUND + 1)
        if first <= number <= len(lines) and not _separates(lines, marked, number)
    }
    shown |= set(_parents(lines, marked, first))
    chosen = [
        ExcerptLine(
            number=number, text=_fitted(lines[number - 1], column if number == marked else 1), marked=number == marked
        )
        for number in shown
    ]
    return Excerpt(file=file, lines=tuple(_with_gaps(chosen)), text=hash(text))


def _with_gaps(lines: Iterable[ExcerptLine]) -> Iterator[ExcerptLine]:
    """Lines in their order, each knowing whether others were left out before it."""
    before = None
    for line in sorted(lines, key=lambda one: one.number):
        yield replace(line, gap=before is not None and line.number > before + 1)
        before = line.number


def _first_of_document(lines: list[str], marked: int) -> int:
    """The first line of the YAML document that a line is in."""
    for number in range(marked, 0, -1):
        if lines[number - 1].startswith("---"):
            return number + 1 if number < marked else number
    return 1


def _separates(lines: list[str], marked: int, number: int) -> bool:
    """Whether another document begins between the field and a line after it."""
    return number > marked and any(lines[at - 1].startswith("---") for at in range(marked + 1, number + 1))


def _parents(lines: list[str], marked: int, first: int) -> list[int]:
    """The lines that a line stands in, from the inside out: each is less indented than what it holds.

    The entries of a YAML list may be indented like the key that holds them.
    """
    found = []
    indent, item = _indent(lines[marked - 1])
    for number in range(marked - 1, first - 1, -1):
        source = lines[number - 1]
        if not source.strip() or source.lstrip().startswith("#"):
            continue
        here, here_item = _indent(source)
        if here < indent or (item and here == indent and not here_item):
            found.append(number)
            indent, item = here, here_item
    return found


def _indent(line: str) -> tuple[int, bool]:
    """How far a line is indented, and whether an entry of a list begins there."""
    match = _ITEM.match(line)
    return (len(match[1]), True) if match else (len(line) - len(line.lstrip(" ")), False)


def _fitted(line: str, column: int) -> str:
    """A line that is not too long, cut around a column."""
    line = line.rstrip()
    if len(line) <= _WIDEST:
        return safe(line)
    start = max(0, min(column - 1 - _WIDEST // 4, len(line) - _WIDEST))
    end = start + _WIDEST
    return safe(f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}")
