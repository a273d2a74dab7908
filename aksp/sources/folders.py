"""Which files of a folder are read: what kubectl reads of it, but for hidden folders, the workspace and what is excluded."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from aksp.errors import InvalidInput
from aksp.sources.rendering.helm import CHART, PARTS, Chart
from aksp.sources.rendering.kustomize import NAMES as KUSTOMIZATIONS
from aksp.sources.rendering.kustomize import Overlay, used_by
from aksp.sources.rendering.options import Rendering, Unit
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
    With ``rendering`` a chart's folder stands for what Helm reads of it, an overlay's for what kustomize reads.
    Raises InvalidInput for a pattern that is none, and a file of patterns that cannot be read.
    """

    def __init__(
        self,
        *,
        recursive: bool,
        exclude: Sequence[str] = (),
        workspace: Path | None = None,
        rendering: Rendering | None = None,
    ) -> None:
        self._recursive = recursive
        self._exclude = exclude
        self._workspace = workspace.resolve() if workspace else None
        self._hidden: list[str] = []
        self._excluded: list[str] = []
        self._foreign: dict[str, None] = {}
        self._rendering = rendering
        #: Charts and overlays of the folders so far, by their folders.
        self.units: dict[str, Unit] = {}
        self._for_others: list[str] = []

    def files(self, folder: Path, *, recursive: bool = False) -> list[str]:
        """What is read of a folder, in order, and folders in it that cannot be opened.

        What has one of the suffixes and is no folder is read, or is told: a link that leads nowhere, one to a folder,
        a pipe.
        """
        ignored = list(self._ignored(folder))
        unopened: list[OSError] = []
        found: list[str] = []
        overlays: list[str] = []
        for path, folders, files in os.walk(folder, onerror=unopened.append):
            # A link to a folder is not followed; like a file it is told as what cannot be read.
            links = [one for one in folders if os.path.islink(os.path.join(path, one))]
            names = [one for one in files + links if one.endswith(SUFFIXES) or one in KUSTOMIZATIONS]
            excluded = [one for one in names if _matches(ignored, os.path.join(path, one))]
            self._excluded += [os.path.join(path, one) for one in excluded if one.endswith(SUFFIXES)]
            names = [one for one in names if one not in excluded]
            if self._rendering is not None and CHART in names:
                found += self._chart(path)
                names = [one for one in names if one != CHART and not fnmatchcase(one, "values*.y*ml")]
                folders[:] = [one for one in folders if one not in PARTS]
            if self._rendering is not None and not set(KUSTOMIZATIONS).isdisjoint(names):
                overlays.append(path)
                names = [one for one in names if one not in KUSTOMIZATIONS]
            found += [os.path.join(path, one) for one in names if one.endswith(SUFFIXES)]
            if not (self._recursive or recursive):
                break
            folders[:] = [one for one in folders if self._entered(os.path.join(path, one), ignored)]
        if overlays:
            found = self._with_overlays(found, overlays)
        return sorted([*found, *(os.fspath(error.filename) for error in unopened)], key=Path)

    def _chart(self, path: str) -> list[str]:
        """The folder of a chart; nothing of one that makes nothing by itself."""
        assert self._rendering is not None
        chart = Chart(folder=path, options=self._rendering.chart)
        if chart.is_library():
            self._for_others.append(path)
            return []
        self.units[path] = chart
        return [path]

    def _with_overlays(self, found: Sequence[str], overlays: Sequence[str]) -> list[str]:
        """What is read besides overlays that no other overlay uses, and these."""
        uses = {Path(one).resolve(): set(used_by(Path(one))) for one in overlays}
        components = {one for one in overlays if Overlay(folder=one).is_component()}
        kept: dict[str, Overlay] = {}
        read: set[Path] = set()
        # Then those that only one another use, or components that nothing uses: no other would have them.
        for left_for_others in ({path for one in uses.values() for path in one}, set[Path]()):
            for one in overlays:
                if one in components or Path(one).resolve() in left_for_others | read:
                    continue
                kept[one] = Overlay(folder=one)
                waiting = [Path(one).resolve()]
                while waiting:
                    new = uses.get(waiting.pop(), set()) - read
                    read |= new
                    waiting += new
        self._for_others += [one for one in overlays if one in components and Path(one).resolve() not in read]
        self.units |= kept
        # The patches of a component are no manifests either.
        read |= {path for one in components for path in uses[Path(one).resolve()] if path.is_file()}
        return [*(one for one in found if Path(one).resolve() not in read), *kept]

    def leave_out(self, file: str) -> None:
        """Note a file of another program."""
        self._foreign[file] = None

    @property
    def notes(self) -> list[str]:
        """What was left out, one note for each reason."""
        told = {
            "no manifests, left out": self._foreign,
            f"left out by --exclude or {IGNORE_FILE}": self._excluded,
            "library charts and components, which others use, left out": self._for_others,
            "hidden folders, left out unless -f names them": self._hidden,
        }
        return [f"{what}: {some(paths)}" for what, paths in told.items() if paths]

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


def some(paths: Collection[str]) -> str:
    """The first paths, and how many more there are."""
    shown = list(paths)[:_NAMED]
    more = len(paths) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
