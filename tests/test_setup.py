"""What setup.py refuses to build from."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    # setuptools of a virtual environment may have no bdist_wheel yet; builds get their own.
    module: Any = ModuleType("setuptools.command.bdist_wheel")
    module.bdist_wheel = object
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("setuptools.setup", lambda **_: None)
    found: Callable[[Path], None] = runpy.run_path(str(ROOT / "setup.py"))["check_links"]
    return found


def test_the_repository_has_its_links(check: Callable[[Path], None]) -> None:
    check(ROOT)


@pytest.mark.parametrize("lost", ["definitions", "crds", "model/kinds.json"])
@pytest.mark.parametrize("kept", [True, False])
def test_a_copy_without_links_is_refused(check: Callable[[Path], None], tmp_path: Path, lost: str, kept: bool) -> None:
    """Git and unzip leave a file with the link's target in its place; others leave nothing."""
    for name in ("definitions", "crds"):
        (tmp_path / "aksp" / name).mkdir(parents=True)
    (tmp_path / "aksp" / "model").mkdir()
    (tmp_path / "aksp" / "model" / "kinds.json").write_text("{}")
    check(tmp_path)
    place = tmp_path / "aksp" / lost
    if place.is_dir():
        place.rmdir()
    else:
        place.unlink()
    if kept:
        place.write_text("../somewhere/else")

    with pytest.raises(SystemExit, match=rf"lost symbolic links: aksp/{lost}\. Clone"):
        check(tmp_path)
