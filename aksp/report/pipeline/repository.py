"""Where findings are, for readers that know files by their path from the root of a repository."""

from __future__ import annotations

import posixpath
from enum import StrEnum
from pathlib import PurePath
from urllib.parse import quote

from msgspec import Struct

from aksp.model.compliance import Gap, Result, SourceLocation, Target, TargetKind
from aksp.model.resource import Resource
from aksp.report.interface import Style

#: The path of what came through standard input.
STDIN = "stdin"


class PlaceKind(StrEnum):
    """The kinds of places."""

    REPOSITORY = "repository"
    ELSEWHERE = "elsewhere"
    STDIN = "stdin"
    OBJECT = "object"


class Place(Struct, frozen=True, kw_only=True):
    """A file and a line, the path with forward slashes and without ``./`` at its start.

    In the repository the path leads from its root. Elsewhere it is absolute, or as it was given when the root is not
    known. An object without a file has a path of its own: see ``object_path``. ``columns`` are where the field
    begins and the column after the line's end, counted from 1; None when unknown.
    """

    origin: PlaceKind
    path: str
    line: int = 1
    columns: tuple[int, int] | None = None

    @property
    def uri(self) -> str:
        """The path as a URI reference by RFC 3986."""
        if self.origin is PlaceKind.OBJECT:
            return self.path  # it is one already
        if posixpath.isabs(self.path) or PurePath(self.path).is_absolute():
            return f"file:///{_quoted(self.path.lstrip('/'), '/:')}"
        return _quoted(self.path, "/")


def place_of(result: Result, target: Target, style: Style) -> Place:
    """Where a result is written, or a path for it when it is in no file. Looks its line up."""
    if result.source is not None:
        return in_file(result.source, style)
    resource, made_by = result.resource, result.workload
    path = object_path(target, resource.namespace, made_by.kind, made_by.name, cluster=resource.cluster)
    return Place(origin=PlaceKind.OBJECT, path=path)


def in_file(source: SourceLocation, style: Style) -> Place:
    """A place in a file. Looks its line up."""
    line, columns = source.line, source.columns
    if source.file == "-":
        return Place(origin=PlaceKind.STDIN, path=STDIN, line=line, columns=columns)
    path = file_path(source.file, style)
    outside = path == ".." or path.startswith("../") or posixpath.isabs(path) or PurePath(path).is_absolute()
    return Place(origin=PlaceKind.ELSEWHERE if outside else PlaceKind.REPOSITORY, path=path, line=line, columns=columns)


def gap_place(gap: Gap, target: Target, style: Style) -> Place:
    """Where a gap is, or a path for it, made of its resource or its reason."""
    if gap.source is not None:
        return in_file(gap.source, style)
    resource = gap.resource or Resource(api_version="", kind="gaps", namespace="", name=gap.reason)
    path = object_path(target, resource.namespace, resource.kind, resource.name, cluster=gap.cluster)
    return Place(origin=PlaceKind.OBJECT, path=path)


def object_path(target: Target, *names: str, cluster: str = "") -> str:
    """A path for an object that is in no file, the same in every run: ``cluster/prod/shop/Deployment/web.yaml``.

    ``cluster``: the object's cluster, if there are several. Percent-encoded, since names may contain any character.
    """
    root = ("manifests",) if target.kind is TargetKind.MANIFESTS else ("cluster", cluster or target.name)
    return "/".join(_segment(name) for name in (*root, *names) if name) + ".yaml"


def file_path(file: str, style: Style) -> str:
    """A file's path from the root of the repository, where it is in it."""
    given = PurePath(file)
    root = PurePath(style.root).as_posix() if style.root else ""
    if not given.is_absolute():
        path = posixpath.normpath(posixpath.join(PurePath(style.base).as_posix(), given.as_posix()))
        if not root or not (path == ".." or path.startswith("../")):
            return path
        return posixpath.normpath(posixpath.join(root, path))
    path = posixpath.normpath(given.as_posix())
    below = path.removeprefix(root.rstrip("/") + "/") if root else path
    return below or path


def _segment(name: str) -> str:
    """A name as one segment of a path. A name of only dots would lead to another folder."""
    return "_" * len(name) if name in (".", "..") else _quoted(name, "")


def _quoted(text: str, safe: str) -> str:
    try:
        # Bytes of a file's name that are no UTF-8 come as surrogates, and are written as the bytes they were.
        raw = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raw = text.encode(errors="backslashreplace")
    return quote(raw, safe=safe)
