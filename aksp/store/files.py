"""A workspace directory: one YAML document per file under assignments/ and exemptions/."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from aksp.compliance.parameters import nearest
from aksp.errors import InvalidInput
from aksp.model.assignment import Assignment, Exemption
from aksp.store.atomic_file import AtomicFile
from aksp.store.documents import assignment_document, assignment_from, exemption_from
from aksp.store.interface import ApplyResult
from aksp.yaml_reader import read_file, read_yaml
from aksp.yaml_writer import to_yaml


class _Named(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def origin(self) -> str: ...


T = TypeVar("T", bound=_Named)

#: How often a name is tried that others take and free at the same time.
_TRIES: Final = 50


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
            try:
                documents = _documents(path)
            except InvalidInput as error:
                if isinstance(error.__cause__, FileNotFoundError) and not path.is_symlink():
                    continue  # it was deleted meanwhile
                raise
            for document in documents:
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

    def save(self, assignment: Assignment, *, replace: bool) -> tuple[ApplyResult, str]:
        """Keep an assignment in its own file; what became of it, and the file's path.

        The same content again changes nothing; other content needs replace. Of several that keep a new name at once
        one is first, and it is there to the others. Raises InvalidInput.
        """
        text = to_yaml(assignment_document(replaced(assignment, origin="")))
        new = self.root / "assignments" / f"{assignment.name}.yaml"
        for _ in range(_TRIES):
            existing = {one.name: one for one in self.assignments()}.get(assignment.name)
            if existing is None:
                try:
                    write_beside(new, text, new=True)
                    return ApplyResult.CREATED, str(new)
                except InvalidInput as error:
                    if not isinstance(error.__cause__, FileExistsError):
                        raise
                    # Somebody was quicker, unless the file is there all the time.
                    time.sleep(0.01)
                    continue
            if assignment_document(existing) == assignment_document(assignment):
                return ApplyResult.UNCHANGED, existing.origin
            if not replace:
                raise InvalidInput(
                    f"assignment {assignment.name!r} exists with other content",
                    where=existing.origin,
                    hint="give --replace to overwrite it, or another --name",
                )
            path = self._own_file(existing)
            write_beside(path, text)
            return ApplyResult.CONFIGURED, str(path)
        raise InvalidInput(
            f"the file is there, and does not hold assignment {assignment.name!r}",
            where=str(new),
            hint="rename it, or give another --name",
        )

    def delete(self, name: str) -> str:
        """Remove an assignment's file and give its path. Raises InvalidInput when there is none."""
        found = {one.name: one for one in self.assignments()}
        if name not in found:
            raise InvalidInput(f"there is no assignment {name!r} in {self.root}", hint=nearest(name, found))
        path = self._own_file(found[name])
        try:
            path.unlink()
        except FileNotFoundError as error:
            raise InvalidInput(f"assignment {name!r} was deleted meanwhile", where=str(path)) from error
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


def _documents(path: Path) -> list[Any]:
    return [document for document, _ in read_yaml(read_file(path), str(path)) if document is not None]


def write_beside(path: Path, text: str, *, new: bool = False) -> None:
    """Write a file whole or not at all; ``new`` only where none is. Raises InvalidInput."""
    beside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = AtomicFile(path)
        beside.stream.write(text)
        beside.put_in_place(new=new)
    except OSError as error:
        raise InvalidInput(f"cannot be written: {error.strerror}", where=str(path)) from error
    finally:
        if beside is not None:
            beside.discard()
