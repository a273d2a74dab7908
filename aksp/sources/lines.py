"""Lines of findings in files, looked up when the first is asked for: all at once, each document read once."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import IO, NamedTuple

from aksp.compliance.judgement import Place
from aksp.engine import Engine
from aksp.sources.encoding import open_utf8

#: Bytes of documents that one request to the engine carries.
_REQUEST_BYTES = 1 << 18
#: Requests under way at once: while one is answered the next is read.
_REQUESTS = 2

_Answer = Callable[[], "list[list[dict[str, int]]]"]
#: The documents that one text holds, each with the paths wanted of it, and the text.
_Wanted = tuple[list[tuple["DocumentText", list[str]]], bytes]

_NOTHING: Mapping[str, Place] = {}


class DocumentText(NamedTuple):
    """Where a document's text is: bytes in a file, and the item's path when it is a YAML list."""

    file: str
    offset: int
    length: int
    first_line: int
    json: bool
    item: str


class FileSource(NamedTuple):
    """A field of a document in a file."""

    text: DocumentText
    lines: LineIndex
    path: str = ""

    def at(self, path: str | None) -> FileSource:
        """The place of a field in the same document."""
        source = FileSource(self.text, self.lines, path or "")
        self.lines.expect(source)
        return source

    @property
    def file(self) -> str:
        """The file's path as given or found."""
        return self.text.file

    @property
    def line(self) -> int:
        """The field's line, counted from 1; looked up in the file when first asked for."""
        return self.lines.place_of(self)[0]

    @property
    def columns(self) -> tuple[int, int]:
        """Where on its line the field begins, and the column after the line's last character."""
        return self.lines.place_of(self)[1:]


class LineIndex:
    """Looks lines up in the engine, and remembers them.

    To look one up its document is read whole, which may be a list of all Pods or a Pod of thousands of containers. So
    with the first place that is asked for all those are looked up that may be.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: dict[str, bytes] = {}
        #: Paths by document: of places that may be asked for, and of those that are known.
        self._expected: dict[DocumentText, set[str]] = {}
        self._known: dict[DocumentText, dict[str, Place]] = {}
        #: The document that was asked for last, and its known places: the findings of one follow one another.
        self._last: tuple[DocumentText | None, Mapping[str, Place]] = None, _NOTHING

    def keep(self, file: str, text: bytes) -> None:
        """Keep the text of what cannot be read twice."""
        self._kept[file] = text

    def know(self, text: DocumentText, places: Mapping[str, Place]) -> None:
        """Keep places of a document that need not be looked up."""
        self._known.setdefault(text, {}).update(places)
        self._last = None, _NOTHING

    def _of(self, text: DocumentText) -> Mapping[str, Place]:
        """The known places of a document."""
        last, known = self._last
        if last is not text:
            known = self._known.get(text, _NOTHING)
            self._last = text, known
        return known

    def expect(self, source: FileSource) -> None:
        """Note a place that may be asked for."""
        if source.path in self._of(source.text):
            return
        paths = self._expected.get(source.text)
        if paths is None:
            paths = self._expected[source.text] = set()
        paths.add(source.path)

    def place_of(self, source: FileSource) -> Place:
        """One place; the document's first when its text is gone."""
        place = self._of(source.text).get(source.path)
        if place is None:
            self.expect(source)
            expected, self._expected = self._expected, {}
            self._find(expected)
            self._last = None, _NOTHING
            place = self._known[source.text][source.path]
        return place

    def _find(self, expected: Mapping[DocumentText, set[str]]) -> None:
        """Look up many at once: each document is read and parsed once."""
        wanted = [(text, sorted(paths - self._known.get(text, _NOTHING).keys())) for text, paths in expected.items()]
        pending: list[_Wanted] = []
        asked: list[tuple[list[_Wanted], _Answer]] = []
        size = 0
        with ExitStack() as stack:
            current, stream = "", None
            # In the order of the files; the items of a YAML list are one text.
            for (file, offset, length), items in groupby(sorted(filter(itemgetter(1), wanted)), lambda one: one[0][:3]):
                if file != current:
                    stack.close()
                    current, stream = file, self._open(file, stack)
                read = b""
                if stream is not None:
                    stream.seek(offset)
                    read = stream.read(length)
                pending.append((list(items), read))
                size += length
                if size > _REQUEST_BYTES:
                    asked.append((pending, self._ask(pending)))
                    pending, size = [], 0
                    if len(asked) > _REQUESTS:
                        self._remember(*asked.pop(0))
        if pending:
            asked.append((pending, self._ask(pending)))
        for wanted_of, answer in asked:
            self._remember(wanted_of, answer)

    def _ask(self, pending: Sequence[_Wanted]) -> _Answer:
        return self._engine.locating(
            [
                {
                    "length": len(read),
                    "line": items[0][0].first_line,
                    "json": items[0][0].json,
                    "paths": [text.item + path for text, paths in items for path in paths],
                }
                for items, read in pending
            ],
            b"".join(read for _, read in pending),
        )

    def _remember(self, pending: Sequence[_Wanted], answer: _Answer) -> None:
        for (items, _), found in zip(pending, answer(), strict=True):
            places = iter(found)
            for text, paths in items:
                known = self._known.setdefault(text, {})
                for path in paths:
                    position = next(places)
                    known[path] = position["line"], position["column"], position["end"]

    def text(self, file: str) -> str | None:
        """A file's text, what is no UTF-8 in it replaced; None when it has gone since."""
        with ExitStack() as stack:
            stream = self._open(file, stack)
            return None if stream is None else stream.read().decode(errors="replace")

    def _open(self, file: str, stack: ExitStack) -> IO[bytes] | None:
        """The text of a file; None when it has gone since: then each line is its document's first."""
        if file in self._kept:
            return io.BytesIO(self._kept[file])
        try:
            return stack.enter_context(open_utf8(Path(file)))
        except OSError:
            return None
