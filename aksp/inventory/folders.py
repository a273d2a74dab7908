"""Which files of a folder are read: what kubectl reads of it, but for hidden folders, the workspace and what is excluded."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aksp.errors import InvalidInput
from aksp.yaml_reader import read_file

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

#: What kubectl reads from a folder.
SUFFIXES = (".yaml", ".yml", ".json")
IGNORE_FILE = ".akspignore"
#: Files of other programs that may lack no field, or cannot be read: they are known by their names.
FOREIGN_NAMES = ("Chart.yaml", "Chart.yml", "values*.yaml", "values*.yml", "tsconfig*.json", "jsconfig.json")
_NAMED = 3
"""How many paths a note names."""


class Folders:
    """The files of folders, and notes on what is left out.

    ``exclude`` has patterns as in .gitignore, from the folder that is named. An .akspignore there, and one in the working
    folder, has more. ``workspace`` is not read where it lies within a folder: its documents are not the repository's.
    Raises InvalidInput for a pattern that is none, and a file of patterns that cannot be read.
    """

    def __init__(self, *, recursive: bool, exclude: Sequence[str] = (), workspace: Path | None = None) -> None:
        self._recursive = recursive
        self._exclude = exclude
        self._workspace = workspace.resolve() if workspace else None
        self._hidden: list[str] = []
        self._excluded: list[str] = []
        self._foreign: dict[str, None] = {}

    def files(self, folder: Path) -> list[str]:
        """What is read of a folder, in order, and folders in it that cannot be opened.

        What has one of the suffixes and is no folder is read, or is told: a link that leads nowhere, one to a folder,
        a pipe.
        """
        ignored = list(self._ignored(folder))
        unopened: list[OSError] = []
        found: list[str] = []
        for path, folders, files in os.walk(folder, onerror=unopened.append):
            # A link to a folder is not followed; like a file it is told as what cannot be read.
            links = [one for one in folders if os.path.islink(os.path.join(path, one))]
            for name in files + links:
                file = os.path.join(path, name)
                if not name.endswith(SUFFIXES):
                    continue
                if _matches(ignored, file):
                    self._excluded.append(file)
                else:
                    found.append(file)
            if not self._recursive:
                break
            folders[:] = [one for one in folders if self._entered(os.path.join(path, one), ignored)]
        return sorted([*found, *(os.fspath(error.filename) for error in unopened)], key=Path)

    def leave_out(self, file: str) -> None:
        """Note a file of another program."""
        self._foreign[file] = None

    @property
    def notes(self) -> list[str]:
        """What was left out, one note for each reason."""
        told = {
            "no manifests, left out": self._foreign,
            f"left out by --exclude or {IGNORE_FILE}": self._excluded,
            "hidden folders, left out unless -f names them": self._hidden,
        }
        return [f"{what}: {_some(paths)}" for what, paths in told.items() if paths]

    def _entered(self, folder: str, ignored: Sequence[tuple[str, GitIgnoreSpec]]) -> bool:
        if self._workspace is not None and Path(folder).resolve() == self._workspace:
            return False
        name = os.path.basename(folder)
        if name.startswith("."):
            if name != ".git":
                self._hidden.append(folder)
            return False
        if _matches(ignored, folder + os.sep):
            self._excluded.append(folder)
            return False
        return True

    def _ignored(self, folder: Path) -> Iterator[tuple[str, GitIgnoreSpec]]:
        """Patterns, with the folder that they start from, which ends with a separator."""
        start = os.path.abspath(folder)
        sources: list[tuple[str, str, Sequence[str]]] = [(start, "--exclude", self._exclude)]
        for place in dict.fromkeys((start, os.getcwd())):
            file = Path(place, IGNORE_FILE)
            sources.append((place, str(file), read_file(file).splitlines() if file.is_file() else []))
        for place, where, lines in sources:
            if not lines:
                continue
            from pathspec import GitIgnoreSpec

            try:
                yield os.path.join(place, ""), GitIgnoreSpec.from_lines(lines)
            except ValueError as error:
                raise InvalidInput(f"a pattern cannot be read: {error}", where=where) from error


def _matches(ignored: Sequence[tuple[str, GitIgnoreSpec]], path: str) -> bool:
    """Whether a pattern leaves a path out. A folder's ends with a separator, by which patterns know it."""
    end = os.sep if path.endswith(os.sep) else ""
    whole = os.path.abspath(path) + end
    return any(whole.startswith(place) and spec.match_file(whole[len(place) :]) for place, spec in ignored)


def _some(paths: Collection[str]) -> str:
    """The first paths, and how many more there are."""
    shown = list(paths)[:_NAMED]
    more = len(paths) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
