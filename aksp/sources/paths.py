"""What paths name: files, folders, and the charts and overlays in them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from aksp.errors import InvalidInput
from aksp.sources.folders import SUFFIXES, Folders, some
from aksp.sources.rendering.helm import Chart
from aksp.sources.rendering.kustomize import NAMES, Overlay, kustomization_file
from aksp.sources.rendering.options import Rendering, Unit

if TYPE_CHECKING:
    from aksp.sources.rendering.following import Followed

STDIN = "-"


class Paths:
    """The files that paths name, as kubectl -f and -k take them. Raises InvalidInput for one not there.

    ``units`` are the charts and overlays among them, by their folders. Without ``rendering`` there are none: their files
    are read as they are.
    """

    def __init__(
        self,
        paths: Sequence[str],
        *,
        recursive: bool,
        exclude: Sequence[str],
        workspace: Path | None,
        rendering: Rendering | None,
    ) -> None:
        self._folders = Folders(recursive=recursive, exclude=exclude, workspace=workspace, rendering=rendering)
        self._recursive = recursive
        #: Files that a folder brought along, which need not be manifests.
        self.found: set[str] = set()
        self.units: dict[str, Unit] = {}
        self.files: list[str] = []
        #: The namespaces of what names none, where resources that were followed say so; empty for none.
        self.namespaces: dict[str, list[str]] = {}
        self._followed: dict[str, None] = {}
        if rendering is not None:
            rendering.chart.checked()
        self.files += self._expand(paths)
        self.files += [self._overlay(folder) for folder in (rendering.overlays if rendering else ())]
        if rendering is not None and rendering.chart.given:
            self._check_one_chart(rendering.chart.given[0])

    @property
    def notes(self) -> list[str]:
        """What was left out of folders, and what was followed."""
        followed = [f"followed: {some(self._followed)}"] if self._followed else []
        return [*self._folders.notes, *followed]

    def leave_out(self, file: str) -> None:
        """Note a file of another program."""
        self._folders.leave_out(file)

    def _expand(self, paths: Sequence[str]) -> Iterator[str]:
        refuse_empty(paths)
        seen_stdin = False
        for name in paths:
            if name == STDIN:
                if seen_stdin:
                    raise InvalidInput("-f - is given twice, and standard input can be read once")
                if sys.stdin is None:
                    raise InvalidInput("-f -: standard input is closed")
                seen_stdin = True
                yield name
                continue
            path = Path(name)
            if path.is_dir():
                yield from self._folder(name)
            elif path.exists():
                yield name
            else:
                yield from self._expand(_several(name))

    def follow(self, named: Followed) -> list[str]:
        """Add what a resource names; what is new. Raises InvalidInput for a folder with nothing in it."""
        self._followed[f"{named.by} to {named.place}"] = None
        if named.unit is None:
            found = self._folder(named.place, recursive=named.recursive)
            known = {Path(one).resolve(): one for one in self.files}
            new = [one for one in found if Path(one).resolve() not in known]
            placed = [known.get(Path(one).resolve(), one) for one in found]
        else:
            # Not as it is judged by itself: once as each resource would have it.
            place = Path(named.place).resolve()
            for folder in [one for one in self.units if Path(one).resolve() == place]:
                del self.units[folder]
                self.files.remove(folder)
            # Two resources of one name can have the same chart in two ways.
            key, number = f"{named.place} ({named.by})", 1
            while key in self.units and self.units[key] != named.unit:
                number += 1
                key = f"{named.place} ({named.by}, {number})"
            new, placed = [] if key in self.units else [key], [key]
            self.units[key] = named.unit
        self.files += new
        for one in placed:
            spaces = self.namespaces.setdefault(one, [])
            if (space := named.namespace or "") not in spaces:
                spaces.append(space)
        return new

    def _folder(self, name: str, *, recursive: bool = False) -> list[str]:
        """What is read of a folder. Raises InvalidInput for nothing."""
        found = self._folders.files(Path(name), recursive=recursive)
        if not found:
            hint = "" if self._recursive or recursive else " (give -R to look into its folders)"
            raise InvalidInput(f"no {', '.join(SUFFIXES)} file in the folder{hint}", where=name)
        self.found.update(found)
        self.units.update({one: unit for one, unit in self._folders.units.items() if one in found})
        return found

    def _overlay(self, name: str) -> str:
        refuse_empty([name], "-k")
        if not Path(name).is_dir():
            raise InvalidInput("there is no such folder", where=f"-k {name}")
        if kustomization_file(Path(name)) is None:
            hint = "give manifests, and charts, with -f"
            raise InvalidInput(f"the folder has no {', '.join(NAMES)}", where=f"-k {name}", hint=hint)
        self.units[name] = Overlay(folder=name)
        return name

    def _check_one_chart(self, option: str) -> None:
        """Raise InvalidInput where options are given for a chart, and there is none or more than one."""
        charts = [one.folder for one in self.units.values() if isinstance(one, Chart)]
        if not charts:
            raise InvalidInput(
                f"{option} is about a chart, and none is named", hint="name the folder of its Chart.yaml"
            )
        if len(charts) > 1:
            some = ", ".join(charts[:3]) + ("…" if len(charts) > 3 else "")
            raise InvalidInput(
                f"{option} is about one chart, and there are {len(charts)}: {some}",
                hint="run the command once for each",
            )


def refuse_empty(paths: Sequence[str], option: str = "") -> None:
    """Raise InvalidInput for a path without a character, as a shell makes it of a variable that is not set: it would be the working folder."""
    if "" in paths:
        raise InvalidInput(
            f"{option} the path is empty".strip(),
            hint="is a variable of the shell not set? The working folder is named by a dot",
        )


def _several(name: str) -> list[str]:
    """The paths of a pattern that no shell has resolved, or of a list with commas. Raises InvalidInput for neither."""
    if re.match("[A-Za-z]+://", name):
        hint = f"fetch it first: curl -fsSL {name} | aksp compliance -f -"
        raise InvalidInput("nothing is fetched from the network", where=name, hint=hint)
    if has_magic(name):
        if found := sorted(glob(name, recursive=True)):
            return found
        raise InvalidInput("no file or folder has a name like this", where=name)
    if named := [one for one in name.split(",") if one and "," in name]:
        return named
    raise InvalidInput("there is no such file or folder", where=name)
