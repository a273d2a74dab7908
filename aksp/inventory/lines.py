"""Lines of findings in files, looked up only for what is reported."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

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
        # Not dataclasses.replace, which takes longer than all else of a result.
        return FileSource(
            file=self.file, offset=self.offset, length=self.length, first_line=self.first_line, json=self.json,
            item=self.item, lines=self.lines, path=path or "",
        )  # fmt: skip

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
        with ExitStack() as stack:
            current, stream = "", None
            for (file, offset, length), wanted in documents.items():
                if file != current:
                    stack.close()
                    current, stream = file, self._open(file, stack)
                text = b""
                if stream is not None:
                    stream.seek(offset)
                    text = stream.read(length)
                pending.append((wanted, text))
                size += length
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

    def _open(self, file: str, stack: ExitStack) -> IO[bytes] | None:
        """The text of a file; None when it has gone since: then each line is its document's first."""
        if file in self._kept:
            return io.BytesIO(self._kept[file])
        try:
            return stack.enter_context(Path(file).open("rb"))
        except OSError:
            return None


def _key(source: FileSource) -> tuple[str, int, str, str]:
    return source.file, source.offset, source.item, source.path
