"""Manifests: files, folders and standard input, in pages of about a quarter of a megabyte.

Longer than other modules: what was read of a file, what of it was given to the engine, and what it was not able to read are
known together while its pages come.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

from msgspec import Struct, structs

from aksp.compliance.judgement import Place
from aksp.compliance.nothing import no_document, no_namespace
from aksp.compliance.selection import Selector
from aksp.engine import Batch, DocumentRecord, Engine, Loading
from aksp.errors import EngineError, InvalidInput
from aksp.model.compliance import Gap, KnownLocation, SourceLocation
from aksp.model.resource import Document
from aksp.sources.encoding import LONGEST_TEXT, as_utf8, open_utf8, too_long
from aksp.sources.folders import FOREIGN_NAMES, some
from aksp.sources.interface import Page, Wanted, documents_of
from aksp.sources.lines import DocumentText, FileSource, LineIndex
from aksp.sources.paths import STDIN, Paths
from aksp.sources.rendering.options import Rendering
from aksp.sources.rendering.rendered import Rendered
from aksp.sources.rendering.tool import NotRendered

#: Bytes of text in one page, and files at most. Decoded a page takes some twenty times as much, and the engine holds several.
PAGE_BYTES = 1 << 18
PAGE_FILES = 500
#: What no document goes beyond (engine/split.go): a line of ---, whatever stands behind it.
_MARKER = b"\n---"
#: Bytes read of a pipe or a device, some 200,000 Pods as kubectl writes them. /dev/zero has no end.
LONGEST_STREAM = 1 << 30


class _FilePart(Struct, frozen=True, kw_only=True):
    file: str
    text: bytes
    offset: int
    cut: dict[str, Any]
    namespace: str
    """That of what names none, where something says it."""
    whole: bool
    """Whether it is all of its file."""

    def header(self) -> dict[str, Any]:
        return {**self.cut, "length": len(self.text)}


class Manifests:
    """Documents from paths. ``namespace`` and ``selector`` filter as kubectl's -n and -l do.

    With ``custom_workloads`` objects of kinds that are not built in are searched for Pod templates. ``exclude`` and
    ``workspace``: what is not read of folders, see Folders. ``instead`` has texts to judge in the place of what files hold.
    ``rendering``: how charts and overlays are rendered; without it they are not, and their files are read as they are.
    """

    def __init__(
        self,
        engine: Engine,
        paths: Sequence[str],
        *,
        recursive: bool = False,
        namespace: str | None = None,
        selector: Selector | None = None,
        custom_workloads: bool = True,
        exclude: Sequence[str] = (),
        workspace: Path | None = None,
        instead: Mapping[str, bytes] | None = None,
        rendering: Rendering | None = None,
    ) -> None:
        self._engine = engine
        self._instead = instead or {}
        self._custom_workloads = custom_workloads
        self._surroundings: list[dict[str, Any]] = []
        # What can be read only once.
        self._texts: dict[str, bytes] = {}
        self._too_long: dict[str, OSError] = {}
        self._namespace = namespace
        self._selector = selector
        self.lines = LineIndex(engine)
        for file, text in self._instead.items():
            self.lines.keep(file, text)
        self._names = (*paths, *(rendering.overlays if rendering else ()))
        #: Documents so far, those of them in the namespace, and gaps.
        self._documents = self._within = self._gaps = 0
        self._paths = Paths(paths, recursive=recursive, exclude=exclude, workspace=workspace, rendering=rendering)
        self._rendered: dict[str, Rendered | NotRendered] = {}
        self._follows = rendering is not None and rendering.follow
        #: Files that may hold what changes Pods, and pipes of which it is known.
        self._surrounding: set[str] = set()
        self._gathered_pipes: set[str] = set()
        #: Bytes of all files, as far as they are known, until the engine has been told.
        self._following = 0
        self._unfollowed = list(self._look_through())

    @property
    def notes(self) -> list[str]:
        """What was left out of folders, and what was rendered, as far as the pages have come."""
        by: dict[str, list[str]] = {}
        for folder, one in self._rendered.items():
            if isinstance(one, Rendered):
                by.setdefault(one.by, []).append(folder)
        return [*self._paths.notes, *(f"rendered by {tool}: {some(folders)}" for tool, folders in by.items())]

    @property
    def files(self) -> Sequence[str]:
        """The files, and the folders of what is rendered, in order."""
        return self._paths.files

    def _look_through(self) -> Iterator[Gap]:
        """Find, before anything is judged, the files that change how others are.

        What Argo CD's and Flux's resources name is added to the files; a gap for each that names what cannot be had.
        """
        # What is to be rendered comes last: a resource may say how.
        files = sorted(self._paths.files, key=lambda file: file in self._paths.units)
        for file in files:
            if file not in self._paths.files:
                continue
            try:
                for text, _ in self._windows(file) if self._follows or self._read_again(file) else ():
                    self._following += len(text)
                    if _may_hold_surroundings(text):
                        self._surrounding.add(file)
                    if self._follows and _may_name(text):
                        yield from self._follow(text, file, files)
            except (OSError, NotRendered):
                continue  # a gap when it is judged

    def _follow(self, text: bytes, file: str, files: list[str]) -> Iterator[Gap]:
        """Add to ``files`` what the resources of a text name; a gap for each that names what cannot be had."""
        # Few repositories have any.
        from aksp.sources.rendering.following import named_in

        for named in named_in(text, file):
            problem = named.problem
            try:
                files += [] if problem else self._paths.follow(named)
            except InvalidInput as error:
                problem = str(error)
            if problem:
                place = KnownLocation(file=self._home(file), line=1)
                message = f"{file}: {named.by} is not followed, so what it makes is not judged: {problem}"
                yield Gap(reason="NotFollowed", message=message, source=place)

    def _read_again(self, file: str) -> bool:
        """Whether a file can be read before it is judged. A pipe is not waited for: what it brings is known once it has been read."""
        return file == STDIN or file in self._paths.units or Path(file).is_file()

    def _home(self, file: str) -> str:
        """The file itself, or the one that stands for what is rendered."""
        return self._paths.units[file].home if file in self._paths.units else file

    def pages(self, wanted: Wanted) -> Iterator[Page]:
        """All documents of all files; what cannot be read is a gap.

        While the caller works on one page the engine parses the next.
        """
        if self._unfollowed:
            self._gaps += len(self._unfollowed)
            yield Page(listing="files", gaps=self._unfollowed)
        again = [file for file in self.files if file in self._surrounding and self._read_again(file)]
        self._surroundings = list(self._gather(again))
        ahead: tuple[list[_FilePart], Loading] | None = None
        for item in self._groups(self.files):
            if isinstance(item, Gap):
                self._gaps += 1
                yield Page(listing="files", gaps=[item])
                continue
            # All of a pipe is known once its first part is.
            piped = {one.file for one in item if one.file in self._texts and one.file != STDIN}
            for file in sorted(piped - self._gathered_pipes):
                self._gathered_pipes.add(file)
                self._surroundings += self._gather([file])
            following = (item, self._start(item, wanted))
            if ahead is not None:
                yield from self._loaded(*ahead, wanted)
            ahead = following
        if ahead is not None:
            yield from self._loaded(*ahead, wanted)
        if nothing := self._nothing():
            yield Page(listing="files", gaps=[nothing])

    def _nothing(self) -> Gap | None:
        """The gap when there was no document at all, or none in the namespace. What could not be read has gaps."""
        if not self._documents:
            return None if self._gaps else no_document(self._names)
        if self._namespace and not self._within:
            return no_namespace(self._namespace, "that a document lies in")
        return None

    def _groups(self, files: Iterable[str]) -> Iterator[list[_FilePart] | Gap]:
        """Parts of about a page each of files, and what cannot be read."""
        parts: list[_FilePart] = []
        size = 0
        for part in self._parts(files):
            if isinstance(part, Gap):
                yield part
                continue
            elsewhere = bool(parts) and part.namespace != parts[0].namespace
            if parts and (size + len(part.text) > PAGE_BYTES or len(parts) == PAGE_FILES or elsewhere):
                yield parts
                parts, size = [], 0
            parts.append(part)
            size += len(part.text)
        if parts:
            yield parts

    def _gather(self, files: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Gather the objects by which the API server would change Pods. All must be known before the first Pod is judged."""
        for group in self._groups(files):
            if not isinstance(group, Gap):
                yield from self._gathered(group)

    def _gathered(self, parts: Sequence[_FilePart]) -> list[dict[str, Any]]:
        return self._engine.gather(
            [part.header() for part in parts],
            b"".join(part.text for part in parts),
            namespace=self._namespace_of(parts),
        )

    def _namespace_of(self, parts: Sequence[_FilePart]) -> str:
        """The namespace of what names none."""
        return parts[0].namespace or self._namespace or "default"

    def _read(self, file: str) -> bytes:
        """The text of what is no file, such as a pipe, and is read once; or of what is rendered. Raises OSError, NotRendered."""
        if file in self._paths.units:
            return self._render(file).text
        if file in self._instead:
            return self._instead[file]
        if file in self._texts:
            return self._texts[file]
        if file in self._too_long:
            raise self._too_long[file]
        path = Path(file)
        if file not in self._names:
            _refuse(path)
        with contextlib.nullcontext(sys.stdin.buffer) if file == STDIN else path.open("rb") as stream:
            data = stream.read(LONGEST_STREAM + 1)
        if len(data) > LONGEST_STREAM:
            # Not to be asked again: the rest would pass for the whole.
            what = f"longer than {LONGEST_STREAM >> 20} MiB, which is read of no pipe or device: give it as files"
            raise self._too_long.setdefault(file, OSError(what))
        self._texts[file] = text = as_utf8(data)
        self.lines.keep(file, text)
        return text

    def _render(self, folder: str) -> Rendered:
        """What a chart or an overlay makes. It is rendered once. Raises NotRendered."""
        if folder not in self._rendered:
            try:
                self._rendered[folder] = made = self._paths.units[folder].render()
                self.lines.keep(folder, made.text)
            except NotRendered as error:
                self._rendered[folder] = error
        found = self._rendered[folder]
        if isinstance(found, NotRendered):
            raise found
        return found

    def _windows(self, file: str) -> Iterator[tuple[bytes, bool]]:
        """The text of a file, about a page each time, and whether it is the last part.

        It is divided before lines of ``---``, so a large file of many documents is never held whole. Raises OSError,
        also when the file changes between its parts, NotRendered.
        """
        with self._stream(file) as stream:
            rest, before = b"", _version(stream)
            _refuse_long(stream)
            # A file up to this size is one part, of which can be told that it is another program's.
            asked = 2 * PAGE_BYTES
            while True:
                known = len(rest)
                rest += stream.read(asked)
                if before != _version(stream):
                    raise OSError("the file has changed while it was judged: scan it again")
                if len(rest) < known + asked:
                    yield rest, True
                    return
                if (end := rest.rfind(_MARKER, max(0, known - len(_MARKER)))) >= 0:
                    yield rest[: end + 1], False
                    rest = rest[end + 1 :]
                elif len(rest) >= LONGEST_TEXT + len(_MARKER):
                    raise too_long(stream.seek(0, os.SEEK_END))
                # Of a document that is longer as much again is read each time, since what was read is copied.
                asked = min(max(PAGE_BYTES, len(rest)), LONGEST_TEXT + len(_MARKER) - len(rest))

    def _stream(self, file: str) -> IO[bytes]:
        """The text of a file in UTF-8. Raises OSError, NotRendered."""
        if file in self._paths.units or file in self._instead or file == STDIN or not Path(file).is_file():
            return io.BytesIO(self._read(file))
        return open_utf8(Path(file))

    def _parts(self, files: Iterable[str]) -> Iterator[_FilePart | Gap]:
        for file in files:
            try:
                yield from self._parts_of(file)
            except OSError as error:
                message = f"{file}: {error.strerror or error}"
                yield Gap(reason="UnreadableFile", message=message, source=KnownLocation(file=file, line=1))
            except NotRendered as error:
                home = KnownLocation(file=self._home(file), line=1)
                yield Gap(reason="NotRendered", message=f"{file}: not rendered, so not judged: {error}", source=home)

    def _parts_of(self, file: str) -> Iterator[_FilePart | Gap]:
        """The parts of one file. Raises OSError, NotRendered."""
        # Once for each namespace that it is put into.
        namespaces = self._paths.namespaces.get(file, [""])
        offset, line = 0, 1
        for text, last in self._windows(file):
            cuts: Sequence[dict[str, Any]] = [{"offset": 0, "length": len(text), "line": 1}]
            if len(text) > 2 * PAGE_BYTES:
                cuts, problems = self._engine.split(text, PAGE_BYTES)
                for problem in problems:
                    yield self._unreadable(file, line - 1 + problem["line"], problem["message"])
            whole = last and not offset and len(cuts) == 1
            for cut in cuts:
                start = cut["offset"]
                own = text[start : start + cut["length"]]
                cut["line"] += line - 1
                for one in namespaces:
                    yield _FilePart(file=file, text=own, offset=offset + start, cut=cut, whole=whole, namespace=one)
            offset += len(text)
            line += text.count(b"\n")

    def _start(self, parts: Sequence[_FilePart], wanted: Wanted) -> Loading:
        following, self._following = self._following, 0
        return self._engine.load_files(
            [part.header() for part in parts],
            b"".join(part.text for part in parts),
            namespace=self._namespace_of(parts),
            whole_kinds=wanted.whole_names,
            custom_workloads=self._custom_workloads,
            surroundings=self._surroundings,
            following=following,
        )

    def _loaded(self, parts: Sequence[_FilePart], loading: Loading, wanted: Wanted) -> Iterator[Page]:
        """The page of parts. Where the engine fails of one of them, that is a gap, and each other a page of its own."""
        try:
            batch = self._engine.loaded(loading)
        except EngineError as error:
            self._engine.revive()  # Raises where no engine starts.
            if len(parts) > 1:
                for part in parts:
                    yield from self._loaded([part], self._start([part], wanted), wanted)
                return
            self._gaps += 1
            yield Page(listing="files", gaps=[self._unreadable(parts[0].file, parts[0].cut["line"], error.what)])
            return
        yield self._page(parts, batch)

    def _page(self, parts: Sequence[_FilePart], batch: Batch) -> Page:
        foreign = self._foreign(parts, batch)
        for part in foreign:
            self._paths.leave_out(parts[part].file)
        gaps = [
            self._unreadable(parts[p["part"]].file, p["line"], p["message"])
            for p in batch.problems
            if p["part"] not in foreign
        ]
        documents = documents_of(batch.documents)
        self._gaps += len(gaps)
        self._documents += len(documents)
        if self._namespace:
            self._within += sum(1 for record in batch.documents if record["namespace"] == self._namespace)
        texts = [_text_of(parts[record["part"]], record) for record in batch.documents]
        sources = [self._source(text) for text in texts]

        def located(places: Mapping[int, Mapping[str, Place]]) -> None:
            for at, known in places.items():
                template = batch.documents[at].get("template")
                if template:
                    known = {f"{template}.{path}" if path else "": place for path, place in known.items()}
                self.lines.know(texts[at], known)

        if self._namespace or self._selector:
            # Left-out documents stay where they are, since tasks name documents by their index.
            own = [documents[record.get("parent", at)] for at, record in enumerate(batch.documents)]
            kept = [self._wanted(document) for document in own]
            documents = [d if keep else hidden(d) for d, keep in zip(documents, kept, strict=True)]
        return Page(listing="files", batch=batch, documents=documents, sources=sources, gaps=gaps, located=located)

    def _foreign(self, parts: Sequence[_FilePart], batch: Batch) -> set[int]:
        """Parts that are whole files of folders, and hold nothing but what another program reads."""
        objects = {record["part"] for record in batch.documents}
        files = {
            at
            for at, part in enumerate(parts)
            if part.whole and part.file in self._paths.found - self._paths.units.keys()
        }
        found = {problem["part"] for problem in batch.problems} & files - objects
        for problem in batch.problems:
            name = Path(parts[problem["part"]].file).name
            if problem.get("object") != "foreign" and not any(fnmatchcase(name, one) for one in FOREIGN_NAMES):
                found.discard(problem["part"])
        return found

    def _wanted(self, document: Document) -> bool:
        """Whether -n and -l choose a document. What cannot be read may be what they ask for."""
        elsewhere = self._namespace and document.resource.namespace != self._namespace
        if elsewhere and not document.unreadable("metadata.namespace"):
            return False
        return self._selector is None or self._selector.rejects(document) is None

    def _unreadable(self, file: str, line: int, message: str) -> Gap:
        source = KnownLocation(file=file, line=line)
        shown = "standard input" if file == STDIN else file
        if file in self._paths.units:
            shown, source = f"{file}, rendered", KnownLocation(file=self._home(file), line=1)
        return Gap(reason="UnreadableDocument", message=f"{shown}:{line}: {message}", source=source)

    def _source(self, text: DocumentText) -> SourceLocation:
        source = FileSource(text, self.lines)
        rendered = self._rendered.get(text.file)
        return rendered.source(source) if isinstance(rendered, Rendered) else source


def _version(stream: IO[bytes]) -> tuple[int, int]:
    """What is another one when a file that is open was written to; always the same of a text that is held."""
    if isinstance(stream, io.BytesIO):
        return 0, 0
    now = os.fstat(stream.fileno())
    return now.st_size, now.st_mtime_ns


def _refuse_long(stream: IO[bytes]) -> None:
    """Raise OSError for a file with a text that is longer than LONGEST_TEXT, before any of it is held."""
    size, _ = _version(stream)
    if size <= LONGEST_TEXT:
        return
    start = at = 0
    text = b""
    while chunk := stream.read(PAGE_BYTES):
        # A marker may begin in the piece before.
        text = text[1 - len(_MARKER) :] + chunk
        at += len(chunk)
        if (end := text.rfind(_MARKER)) >= 0:
            start = at - len(text) + end
        if at - start > LONGEST_TEXT + len(_MARKER):
            raise too_long(size)
    stream.seek(0)


def _text_of(part: _FilePart, record: DocumentRecord) -> DocumentText:
    """Where a document is written."""
    return DocumentText(
        file=part.file,
        offset=part.offset + record["offset"],
        length=record["length"],
        first_line=record["line"],
        json=record.get("json", False),
        item=record.get("item", ""),
    )


def _may_hold_surroundings(text: bytes) -> bool:
    """Whether there may be a LimitRange or a ServiceAccount, without reading the text."""
    return b"LimitRange" in text or text.count(b"ServiceAccount") > text.count(b"automountServiceAccountToken")


def _may_name(text: bytes) -> bool:
    """Whether there may be a resource of Argo CD's or Flux's to follow, without reading the text."""
    return b"argoproj.io/" in text or b".toolkit.fluxcd.io/" in text


def hidden(document: Document) -> Document:
    """A document that no assignment selects: its kind has no name."""
    return structs.replace(
        document,
        resource=structs.replace(document.resource, api_version="", kind=""),
        template="",
        parent=None,
        containers=(),
        problems=(),
    )


def _refuse(path: Path) -> None:
    """Raise OSError for what is no file, such as a pipe: reading it could wait for ever."""
    if path.is_dir():
        os.scandir(path).close()  # Says why a folder cannot be opened.
        raise OSError("a link to a folder, which is not followed")
    if path.exists():
        raise OSError("not a regular file: give it with -f itself to read it")
