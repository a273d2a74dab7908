"""Lines of findings in files, looked up only for what is reported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from aksp.engine import Engine

#: Bytes of documents that one request to the engine carries.
_REQUEST_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSource:
    """A field of a document in a file: where the document's text is, and the field's path in it."""

    file: str
    offset: int
    length: int
    first_line: int
    json: bool
    item: str
    lines: Lines
    path: str = ""

    def at(self, path: str | None) -> FileSource:
        """The place of a field in the same document."""
        return replace(self, path=path or "")

    @property
    def line(self) -> int:
        """The field's line, counted from 1; looked up in the file when first asked for."""
        return self.lines.line_of(self)


class Lines:
    """Looks lines up in the engine, and remembers them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: dict[str, bytes] = {}
        self._known: dict[tuple[str, int, str, str], int] = {}

    def keep(self, file: str, text: bytes) -> None:
        """Keep the text of what cannot be read twice."""
        self._kept[file] = text

    def line_of(self, source: FileSource) -> int:
        """One line; the document's first when its text is gone."""
        if (key := _key(source)) not in self._known:
            self.find([source])
        return self._known[key]

    def find(self, sources: Iterable[FileSource]) -> None:
        """Look up many at once: each document is read and parsed once."""
        documents: dict[tuple[str, int, int], list[FileSource]] = {}
        for source in sources:
            if _key(source) not in self._known:
                documents.setdefault((source.file, source.offset, source.length), []).append(source)
        pending: list[tuple[list[FileSource], bytes]] = []
        size = 0
        for (file, offset, length), wanted in documents.items():
            text = self._text(file, offset, length)
            pending.append((wanted, text))
            size += len(text)
            if size > _REQUEST_BYTES:
                self._ask(pending)
                pending, size = [], 0
        if pending:
            self._ask(pending)

    def _ask(self, pending: list[tuple[list[FileSource], bytes]]) -> None:
        positions = self._engine.locate(
            [
                {
                    "length": len(text),
                    "line": wanted[0].first_line,
                    "json": wanted[0].json,
                    "paths": [source.item + source.path for source in wanted],
                }
                for wanted, text in pending
            ],
            b"".join(text for _, text in pending),
        )
        for (wanted, _), found in zip(pending, positions, strict=True):
            for source, position in zip(wanted, found, strict=True):
                self._known[_key(source)] = position["line"]

    def _text(self, file: str, offset: int, length: int) -> bytes:
        if file in self._kept:
            return self._kept[file][offset : offset + length]
        try:
            with Path(file).open("rb") as stream:
                stream.seek(offset)
                return stream.read(length)
        except OSError:
            return b""


def _key(source: FileSource) -> tuple[str, int, str, str]:
    return source.file, source.offset, source.item, source.path
