"""Where the workspace is. Little is imported here: a command looks for what is assigned before all else."""

from __future__ import annotations

import os
from pathlib import Path

from aksp.errors import InvalidInput

WORKSPACE_FOLDER = ".aksp"


def workspace_root(
    given: str | None = None,
    *,
    new: bool = False,
    cwd: Path | None = None,
) -> Path:
    """The workspace directory: --workspace, AKSP_WORKSPACE, the nearest .aksp/ upward, the user's data.

    Raises InvalidInput when the one that is named is not there, except for ``new``: whoever writes makes it.
    """
    if chosen := given or os.environ.get("AKSP_WORKSPACE"):
        told = "--workspace" if given else "AKSP_WORKSPACE"
        try:
            named = Path(chosen).expanduser()
        except RuntimeError as error:
            raise InvalidInput(f"{told} {chosen}: nobody is known by this name whose home it could be in") from error
        if not new and not named.is_dir():
            what = "is no folder" if named.exists() else "is not there"
            raise InvalidInput(
                f"{told} {named}: the workspace {what}",
                hint="`aksp assign` makes the folder that is named; check the name if there should be one",
            )
        return named
    here = cwd or Path.cwd()
    for folder in (here, *here.parents):
        if (folder / WORKSPACE_FOLDER).is_dir():
            return folder / WORKSPACE_FOLDER
    from platformdirs import user_data_path

    return user_data_path("aksp", appauthor=False)


def is_document(path: Path) -> bool:
    """Whether a file of a workspace is read, by its suffix alone."""
    return path.suffix.lower() in (".yaml", ".yml", ".json")
