"""A workspace directory: one YAML document per file under assignments/ and exemptions/."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any, Protocol, TypeVar

from aksp.compliance.parameters import nearest
from aksp.errors import InvalidInput
from aksp.model.assignment import Assignment, Exemption
from aksp.store.documents import assignment_document, assignment_from, exemption_from


class _Named(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def origin(self) -> str: ...


T = TypeVar("T", bound=_Named)


class Files:
    """The documents of one workspace directory. Nothing is made before something is saved."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def assignments(self) -> list[Assignment]:
        """All assignments, by name. Raises InvalidInput for one that is wrong."""
        return self._all("assignments", assignment_from)

    def exemptions(self) -> list[Exemption]:
        """All exemptions, by name. Raises InvalidInput for one that is wrong."""
        return self._all("exemptions", exemption_from)

    def _all(self, folder: str, read: Callable[[Any, str], T]) -> list[T]:
        found: dict[str, T] = {}
        for path in self._paths(folder):
            for document in _documents(path):
                one = read(document, str(path))
                if (other := found.get(one.name)) is not None:
                    raise InvalidInput(
                        f"metadata.name {one.name!r} is there already, in {other.origin}", where=str(path)
                    )
                found[one.name] = one
        return [found[name] for name in sorted(found)]

    def _paths(self, folder: str) -> Iterator[Path]:
        directory = self.root / folder
        try:
            entries = sorted(directory.iterdir())
        except FileNotFoundError:
            return
        except OSError as error:
            raise InvalidInput(f"the workspace cannot be read: {error.strerror}", where=str(directory)) from error
        yield from (
            path for path in entries if path.suffix in (".yaml", ".yml", ".json") and not path.name.startswith(".")
        )

    def save(self, assignment: Assignment, *, replace: bool) -> str:
        """Keep an assignment in its own file and give the file's path.

        The same content again changes nothing; other content needs replace. Raises InvalidInput.
        """
        existing = {one.name: one for one in self.assignments()}.get(assignment.name)
        if existing is not None:
            if assignment_document(existing) == assignment_document(assignment):
                return existing.origin
            if not replace:
                raise InvalidInput(
                    f"assignment {assignment.name!r} exists with other content",
                    where=existing.origin,
                    hint="give --replace to overwrite it, or another --name",
                )
        path = self.root / "assignments" / f"{assignment.name}.yaml"
        if existing is not None:
            path = self._own_file(existing)
        write_beside(path, to_yaml(assignment_document(replaced(assignment, origin=""))))
        return str(path)

    def delete(self, name: str) -> str:
        """Remove an assignment's file and give its path. Raises InvalidInput when there is none."""
        found = {one.name: one for one in self.assignments()}
        if name not in found:
            raise InvalidInput(f"there is no assignment {name!r} in {self.root}", hint=nearest(name, found))
        path = self._own_file(found[name])
        try:
            path.unlink()
        except OSError as error:
            raise InvalidInput(f"cannot be deleted: {error.strerror}", where=str(path)) from error
        return str(path)

    def _own_file(self, assignment: Assignment) -> Path:
        """The file of an assignment, in which it must be alone."""
        others = [
            one.name for one in self.assignments() if one.origin == assignment.origin and one.name != assignment.name
        ]
        if others:
            raise InvalidInput(
                f"the file holds other assignments too: {', '.join(others)}",
                where=assignment.origin,
                hint="edit it by hand",
            )
        return Path(assignment.origin)


def to_yaml(document: Any) -> str:
    """A document as YAML, keys in their given order."""
    import yaml

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def _documents(path: Path) -> list[Any]:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """YAML in which a key stands once: of two, one would be ignored without a word."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key, _ in node.value:
                if key.tag != "tag:yaml.org,2002:merge" and key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        problem=f"key {key.value!r} is there twice", problem_mark=key.start_mark
                    )
                if isinstance(key, yaml.ScalarNode):
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

    try:
        with path.open("rb") as stream:
            return [document for document in yaml.load_all(stream, Loader) if document is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise InvalidInput(f"invalid YAML: {problem}", where=f"{path}{line}") from error
    except (OSError, ValueError, RecursionError) as error:
        # ValueError: a time such as 2026-13-45, or text in no Unicode encoding.
        raise InvalidInput(f"cannot be read: {error}", where=str(path)) from error


def put_in_place(name: str, path: Path) -> None:
    """Rename a file that was made beside its place, with the mode of any new file. Raises OSError."""
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(name, 0o666 & ~mask)
    os.replace(name, path)


def write_beside(path: Path, text: str) -> None:
    """Write a file whole or not at all: beside it first, then renamed. Raises InvalidInput."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InvalidInput(f"cannot be written: {error.strerror}", where=str(path)) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        put_in_place(name, path)
    except OSError as error:
        os.unlink(name)
        raise InvalidInput(f"cannot be written: {error.strerror}", where=str(path)) from error
