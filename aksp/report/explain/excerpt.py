"""The lines around a field: what it stands in, and its neighbours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from aksp.report.text import safe

#: Lines shown before and after the field's own.
AROUND = 3
#: Characters of a line that are shown; a document on one line is cut around the field.
_WIDEST = 160
_ITEM = re.compile(r"( *)(?:- +)+")


class ExcerptLine(Struct, frozen=True, kw_only=True):
    """One line: its number in the file, counted from 1, and its text, safe to print.

    ``marked`` is the field's own; ``gap`` says that lines before it are left out.
    """

    number: int
    text: str
    marked: bool
    gap: bool = False


class Excerpt(Struct, frozen=True, kw_only=True):
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


class Text:
    """A text of which lines are shown: of a file, or, without a file, a live object written as YAML.

    What each line stands in is worked out once, in one pass: a list may have thousands of fields to show.
    """

    def __init__(self, text: str, file: str | None = None) -> None:
        self._file, self._hash = file, hash(text)
        # Lines as the engine counts them. Other characters that Python takes for line ends are text.
        self._lines = text.removesuffix("\n").split("\n") if text else []
        #: By line, from 0: the number of the line that it stands in, 0 for none, and of its document's first line.
        self._parents: list[int] = []
        self._firsts: list[int] = []
        # The lines that a following line may stand in, each less indented than the next.
        open_: list[tuple[int, bool, int]] = []
        first = 1
        for number, line in enumerate(self._lines, 1):
            if line.startswith("---"):
                # A mark between documents belongs to neither.
                open_.clear()
                first = number + 1
                self._parents.append(0)
                self._firsts.append(number)
                continue
            indent, item = _indent(line)
            holders = (at for before, entry, at in reversed(open_) if _holds(before, entry, indent, item))
            self._parents.append(next(holders, 0))
            self._firsts.append(first)
            if line.strip() and not line.lstrip().startswith("#"):
                while open_ and not _holds(*open_[-1][:2], indent, item):
                    open_.pop()
                open_.append((indent, item, number))

    def around(self, line: int, column: int = 1) -> Excerpt:
        """The lines around the line with this number, below the lines of the objects that it is in.

        These are found by indentation, in YAML and in JSON that is not on one line.
        """
        lines = self._lines
        if not lines:
            return Excerpt(file=self._file, lines=())
        marked = min(max(line, 1), len(lines))
        last = marked
        while last < min(marked + AROUND, len(lines)) and not lines[last].startswith("---"):
            last += 1
        shown = set(range(max(marked - AROUND, self._firsts[marked - 1]), last + 1))
        holder = self._parents[marked - 1]
        while holder:
            shown.add(holder)
            holder = self._parents[holder - 1]
        chosen = [
            ExcerptLine(
                number=number,
                text=_fitted(lines[number - 1], column if number == marked else 1),
                marked=number == marked,
            )
            for number in shown
        ]
        return Excerpt(file=self._file, lines=tuple(_with_gaps(chosen)), text=self._hash)


def _with_gaps(lines: Iterable[ExcerptLine]) -> Iterator[ExcerptLine]:
    """Lines in their order, each knowing whether others were left out before it."""
    before = None
    for line in sorted(lines, key=lambda one: one.number):
        yield replace(line, gap=before is not None and line.number > before + 1)
        before = line.number


def _holds(before: int, entry: bool, indent: int, item: bool) -> bool:
    """Whether a later line may be inside the object of an earlier one, by their indentation and beginnings of list entries.

    The entries of a YAML list may be indented like the key that holds them.
    """
    return before < indent or (item and before == indent and not entry)


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
