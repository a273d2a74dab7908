"""Manifests: files, folders and standard input, in pages of about a megabyte."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aksp.compliance.selection import Selector
from aksp.engine import Batch, DocumentRecord, Engine, Loading
from aksp.errors import InvalidInput
from aksp.inventory.interface import Page, Wanted, documents_of
from aksp.inventory.lines import DocumentText, FileSource, Lines
from aksp.model.compliance import Gap, Written
from aksp.model.resource import Document

#: What kubectl reads from a folder.
SUFFIXES = (".yaml", ".yml", ".json")
STDIN = "-"
#: Bytes of text in one page, and files at most.
PAGE_BYTES = 1 << 20
PAGE_FILES = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    file: str
    text: bytes
    offset: int = 0
    cut: dict[str, Any] = field(default_factory=dict)

    def header(self) -> dict[str, Any]:
        return {**self.cut, "length": len(self.text)}


class Manifests:
    """Documents from paths. ``namespace`` and ``selector`` filter as kubectl's -n and -l do."""

    def __init__(
        self,
        engine: Engine,
        paths: Sequence[str],
        *,
        recursive: bool = False,
        namespace: str | None = None,
        selector: Selector | None = None,
    ) -> None:
        self._engine = engine
        self._namespace = namespace
        self._selector = selector
        self.lines = Lines(engine)
        self.files = list(_expand(paths, recursive))

    def pages(self, wanted: Wanted) -> Iterator[Page]:
        """All documents of all files; what cannot be read is a gap.

        While the caller works on one page the engine parses the next.
        """
        ahead: tuple[list[_Part], Loading] | None = None
        for item in self._groups():
            if isinstance(item, Gap):
                yield Page(listing="files", gaps=[item])
                continue
            following = (item, self._start(item, wanted))
            if ahead is not None:
                yield self._page(*ahead)
            ahead = following
        if ahead is not None:
            yield self._page(*ahead)

    def _groups(self) -> Iterator[list[_Part] | Gap]:
        """Parts of about a page each, and what cannot be read."""
        parts: list[_Part] = []
        size = 0
        for part in self._parts():
            if isinstance(part, Gap):
                yield part
                continue
            if parts and (size + len(part.text) > PAGE_BYTES or len(parts) == PAGE_FILES):
                yield parts
                parts, size = [], 0
            parts.append(part)
            size += len(part.text)
        if parts:
            yield parts

    def _parts(self) -> Iterator[_Part | Gap]:
        for file in self.files:
            try:
                text = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
            except OSError as error:
                message = f"{file}: {error.strerror or error}"
                yield Gap(reason="UnreadableFile", message=message, source=Written(file=file, line=1))
                continue
            if file == STDIN:
                self.lines.keep(file, text)
            if len(text) <= 2 * PAGE_BYTES:
                yield _Part(file=file, text=text)
                continue
            cuts, problems = self._engine.split(text, PAGE_BYTES)
            for problem in problems:
                yield _unreadable(file, problem["line"], problem["message"])
            for cut in cuts:
                start = cut["offset"]
                yield _Part(file=file, text=text[start : start + cut["length"]], offset=start, cut=cut)

    def _start(self, parts: Sequence[_Part], wanted: Wanted) -> Loading:
        return self._engine.load_files(
            [part.header() for part in parts],
            b"".join(part.text for part in parts),
            namespace=self._namespace or "default",
            whole_kinds=wanted.whole_names,
        )

    def _page(self, parts: Sequence[_Part], loading: Loading) -> Page:
        batch = self._engine.loaded(loading)
        gaps = [_unreadable(parts[p["part"]].file, p["line"], p["message"]) for p in batch.problems]
        documents = documents_of(batch.documents)
        sources = [self._source(parts[record["part"]], record) for record in batch.documents]
        if self._namespace or self._selector:
            # Left-out documents stay where they are, since tasks name documents by their index.
            kept = [self._wanted(batch, at) for at in range(len(documents))]
            documents = [d if keep else hidden(d) for d, keep in zip(documents, kept, strict=True)]
        return Page(listing="files", batch=batch, documents=documents, sources=sources, gaps=gaps)

    def _wanted(self, batch: Batch, at: int) -> bool:
        record = batch.documents[at]
        itself = batch.documents[parent] if (parent := record.get("parent")) is not None else record
        if self._namespace and itself["namespace"] != self._namespace:
            return False
        return self._selector is None or self._selector.matches(itself.get("labels") or {})

    def _source(self, part: _Part, record: DocumentRecord) -> FileSource:
        text = DocumentText(
            file=part.file,
            offset=part.offset + record["offset"],
            length=record["length"],
            first_line=record["line"],
            json=record.get("json", False),
            item=record.get("item", ""),
        )
        return FileSource(text, self.lines)


def hidden(document: Document) -> Document:
    """A document that no assignment selects: its kind has no name."""
    return replace(
        document, resource=replace(document.resource, api_version="", kind=""), template="", containers=(), problems=()
    )


def _unreadable(file: str, line: int, message: str) -> Gap:
    shown = "standard input" if file == STDIN else file
    source = Written(file=file, line=line)
    return Gap(reason="UnreadableDocument", message=f"{shown}:{line}: {message}", source=source)


def _expand(paths: Sequence[str], recursive: bool) -> Iterator[str]:
    """The files that paths name, as kubectl -f takes them. Raises InvalidInput for one not there."""
    seen_stdin = False
    for name in paths:
        if name == STDIN:
            if seen_stdin:
                raise InvalidInput("-f - is given twice, and standard input can be read once")
            seen_stdin = True
            yield name
            continue
        path = Path(name)
        if path.is_dir():
            found = sorted(
                p for p in (path.rglob("*") if recursive else path.iterdir()) if p.suffix in SUFFIXES and p.is_file()
            )
            if not found:
                hint = "" if recursive else " (give -R to look into its folders)"
                raise InvalidInput(f"no {', '.join(SUFFIXES)} file in the folder{hint}", where=name)
            yield from (str(p) for p in found)
        elif path.exists():
            yield name
        else:
            raise InvalidInput("there is no such file or folder", where=name)
