"""The programs that an installation of this tree puts on PATH, whatever was installed before."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def put(folder: Path) -> Path:
    """Write the console scripts of pyproject.toml into a folder, as pip does, and give the folder."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    folder.mkdir(parents=True, exist_ok=True)
    for name, place in project["scripts"].items():
        module, function = place.split(":")
        script = folder / name
        script.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
            f"from {module} import {function}\nsys.exit({function}())\n",
            encoding="utf-8",
        )
        script.chmod(0o755)
    return folder


def path(folder: Path) -> str:
    """PATH with those programs first."""
    return os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)])
