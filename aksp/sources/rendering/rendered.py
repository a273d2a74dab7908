"""What a tool has rendered: a text of documents, and the file that each of them was made from."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from aksp.sources.lines import FileSource, LineIndex

_INDEX = re.compile(r"\[\d*\]")


class Rendered:
    """A text, and where its documents come from. ``file_of`` finds the file of the document that begins at a byte.

    ``by`` is the tool with its exact version.
    """

    def __init__(self, text: bytes, by: str, file_of: Callable[[int, int], str]) -> None:
        self.text, self.by, self._file_of = text, by, file_of
        self._files: dict[str, list[str]] = {}

    def source(self, rendered: FileSource) -> RenderedSource:
        """The place in its file of a field of the text."""
        return RenderedSource(rendered, self, self._file_of(rendered.text.offset, rendered.text.length))

    def line_of(self, rendered: FileSource, file: str) -> int:
        """The line of a file that made a field, as far as it can be told."""
        if file not in self._files:
            try:
                self._files[file] = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError:
                self._files[file] = []
        at = rendered.line - 1
        shown = self._lines[at] if at < len(self._lines) else ""
        return line_in(self._files[file], shown, rendered.path)

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.decode(errors="replace").split("\n")


class RenderedSource(NamedTuple):
    """A field of a rendered document: the file that it was made from."""

    rendered: FileSource
    whole: Rendered
    file: str
    columns: None = None

    def at(self, path: str | None) -> RenderedSource:
        """The place of a field in the same document."""
        return self._replace(rendered=self.rendered.at(path))

    @property
    def line(self) -> int:
        """The field's line, or that of what it is in, where the template has it."""
        return self.whole.line_of(self.rendered, self.file)

    @property
    def lines(self) -> LineIndex:
        """What reads the file."""
        return self.rendered.lines


def line_in(template: list[str], shown: str, path: str) -> int:
    """The line of a template for a rendered line, counted from 1.

    The only line with the same text; else the keys of the path are looked for one after the other, and the last that is
    there counts. What stands in no line of its own, as from a loop or an included template, is at what it is in.
    """
    bare = [_bare(line) for line in template]
    same = [at for at, text in enumerate(bare) if text == _bare(shown)]
    if len(same) == 1:
        return same[0] + 1
    last = 0
    for key in filter(None, _INDEX.sub("", path).split(".")):
        found = next((at for at in range(last, len(bare)) if bare[at].startswith(f"{key}:")), None)
        if found is None:
            break
        last = found
    return next((at for at in same if at >= last), last) + 1


def _bare(line: str) -> str:
    return line.strip().removeprefix("- ").strip()
