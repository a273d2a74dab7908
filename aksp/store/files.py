"""A workspace directory: one YAML document per file under assignments/, exemptions/ and scopes/."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from aksp.compliance.parameters import nearest
from aksp.errors import InvalidInput
from aksp.model.assignment import Assignment, Exemption
from aksp.model.scope_tree import PlacedScope
from aksp.store.atomic_file import AtomicFile
from aksp.store.documents import WORDS, assignment_from, document_of, exemption_from
from aksp.store.fields import WrongField
from aksp.store.interface import ApplyResult, Stored
from aksp.store.scope_documents import check_tree, scope_from
from aksp.workspace_folder import is_document
from aksp.yaml_reader import line_of, read_file, read_yaml
from aksp.yaml_writer import to_yaml

if TYPE_CHECKING:
    from yaml.nodes import Node


class _Named(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def origin(self) -> str: ...


T = TypeVar("T", bound=_Named)

#: The folder of each kind.
_FOLDERS: Final = {"PolicyAssignment": "assignments", "PolicyExemption": "exemptions", "PolicyScope": "scopes"}
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

    def scopes(self) -> list[PlacedScope]:
        """The scope tree's entries, by name. Raises InvalidInput for one that is wrong, or says what another says."""
        found = self._all("scopes", scope_from)
        check_tree(found)
        return found

    def listed(self, kind: str) -> Sequence[Stored]:
        """All of a kind, by name."""
        readers: dict[str, Callable[[], Sequence[Stored]]] = {
            "PolicyAssignment": self.assignments,
            "PolicyExemption": self.exemptions,
            "PolicyScope": self.scopes,
        }
        return readers[kind]()

    def _all(self, folder: str, read: Callable[[Any, str], T]) -> list[T]:
        found: dict[str, T] = {}
        for path in self._paths(folder):
            try:
                documents = _documents(path)
            except InvalidInput as error:
                if isinstance(error.__cause__, FileNotFoundError) and not path.is_symlink():
                    continue  # it was deleted meanwhile
                raise
            for document, node in documents:
                try:
                    one = read(document, str(path))
                except WrongField as error:
                    line = line_of(node, error.field)
                    raise InvalidInput(error.what, where=f"{path}:{line}", hint=error.hint) from error
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
        for path in entries:
            if path.name.startswith("."):
                continue
            if is_document(path):
                yield path
            elif path.is_dir():
                _refuse_within(path)

    def save(self, one: Stored, *, replace: bool) -> tuple[ApplyResult, str]:
        """Keep one in its own file; what became of it, and the file's path.

        The same content again changes nothing; other content needs replace. Of several that keep a new name at once
        one is first, and it is there to the others. Raises InvalidInput.
        """
        document = document_of(one)
        kind, name = document["kind"], one.name
        text = to_yaml(document)
        new = self.root / _FOLDERS[kind] / f"{name}.yaml"
        for _ in range(_TRIES):
            existing = self._known(kind).get(name)
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
            if document_of(existing) == document:
                return ApplyResult.UNCHANGED, existing.origin
            if not replace:
                raise InvalidInput(
                    f"{WORDS[kind]} {name!r} exists with other content",
                    where=existing.origin,
                    hint="give --replace to overwrite it, or another --name",
                )
            path = self._own_file(existing, kind)
            write_beside(path, text)
            return ApplyResult.CONFIGURED, str(path)
        raise InvalidInput(
            f"the file is there, and does not hold {WORDS[kind]} {name!r}",
            where=str(new),
            hint="rename it, or give another --name",
        )

    def delete(self, name: str, kind: str = "PolicyAssignment") -> str:
        """Remove the file of one and give its path. Raises InvalidInput when there is none."""
        found = self._known(kind)
        if name not in found:
            raise InvalidInput(f"there is no {WORDS[kind]} {name!r} in {self.root}", hint=nearest(name, found))
        path = self._own_file(found[name], kind)
        try:
            path.unlink()
        except FileNotFoundError as error:
            raise InvalidInput(f"{WORDS[kind]} {name!r} was deleted meanwhile", where=str(path)) from error
        except OSError as error:
            raise InvalidInput(f"cannot be deleted: {error.strerror}", where=str(path)) from error
        return str(path)

    def _known(self, kind: str) -> dict[str, Stored]:
        """All of a kind by name."""
        return {one.name: one for one in self.listed(kind)}

    def _own_file(self, wanted: Stored, kind: str) -> Path:
        """The file of one, in which it must be alone."""
        others = [
            name for name, one in self._known(kind).items() if one.origin == wanted.origin and name != wanted.name
        ]
        if others:
            raise InvalidInput(
                f"the file holds other {WORDS[kind]}s too: {', '.join(others)}",
                where=wanted.origin,
                hint="edit it by hand",
            )
        return Path(wanted.origin)


def _refuse_within(folder: Path) -> None:
    """Raise InvalidInput for a folder with documents, since nobody would judge by what they assign."""
    if (within := next((path for path in sorted(folder.rglob("*")) if is_document(path)), None)) is not None:
        raise InvalidInput(
            f"is in a folder of {folder.parent.name}/, where nothing is read",
            where=str(within),
            hint=f"move it into {folder.parent}",
        )


def _documents(path: Path) -> list[tuple[Any, Node]]:
    return [(document, node) for document, node in read_yaml(read_file(path), str(path)) if document is not None]


def write_beside(path: Path, text: str, *, new: bool = False, as_open: bool = False) -> None:
    """Write a file whole or not at all; ``new`` only where none is, ``as_open`` with the mode of the one there is.

    Raises InvalidInput.
    """
    beside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = AtomicFile(path)
        if as_open and hasattr(os, "fchmod"):
            os.fchmod(beside.stream.fileno(), stat.S_IMODE(os.stat(path).st_mode))
        beside.stream.write(text)
        beside.put_in_place(new=new)
    except OSError as error:
        raise InvalidInput(f"cannot be written: {error.strerror}", where=str(path)) from error
    finally:
        if beside is not None:
            beside.discard()
