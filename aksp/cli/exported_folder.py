"""The folder of an export: a file for each document, and a list by which a later export knows its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aksp.cli.ci import note
from aksp.errors import InvalidInput
from aksp.report.figures import plural
from aksp.store.files import write_beside
from aksp.yaml_reader import read_file

#: The list of the files of an export, in its folder.
LISTED: Final = ".aksp-export"


def write_folder(files: Mapping[str, str], folder: Path, *, whole: bool) -> None:
    """Write the texts of files. Files of an earlier export that this one does not have are removed.

    If the export is not ``whole`` they stay, and are told: a policy that is in force elsewhere must not go because its
    document could not be exported this time. Raises InvalidInput.
    """
    earlier = _listed(folder)
    for name, text in files.items():
        write_beside(folder / name, text)
    kept = []
    for name in sorted(earlier - set(files)):
        path = folder / name
        if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
            continue  # a list or a link must never remove files outside the folder
        if whole:
            path.unlink()
            note(f"removed {path}: it is no longer exported")
        else:
            kept.append(name)
            note(f"kept {path} of an earlier export, since not all that is assigned could be exported now")
    write_beside(folder / LISTED, "\n".join(sorted({*files, *kept})) + "\n")
    note(f"{plural(len(files), 'file')} in {folder}")


def _listed(folder: Path) -> set[str]:
    try:
        written = read_file(folder / LISTED).splitlines() if (folder / LISTED).is_file() else []
    except InvalidInput:
        return set()  # another program's file
    return {name for name in written if name.endswith((".json", ".yaml"))}
