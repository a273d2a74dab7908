"""The pages for contributors hold what is there: folders, files, commands."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, table

ARCHITECTURE = ROOT / "docs" / "architecture.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
#: What is no folder of the product: made by its build, or by git.
PAGES = [ARCHITECTURE, CONTRIBUTING]


def _folders() -> set[str]:
    """The packages of aksp, the Go packages, and the other folders at the root that hold something of the repository."""
    packages = {file.parent.relative_to(ROOT).as_posix() for file in (ROOT / "aksp").rglob("__init__.py")}
    go = {file.parent.relative_to(ROOT).as_posix() for file in (ROOT / "engine").rglob("*.go")}
    others = {"bench", "charts", "definitions", "docs", "examples", "tests"}
    return packages | {one for one in go if "testdata" not in one} | others


def test_the_table_of_folders_is_the_tree() -> None:
    rows = table(ARCHITECTURE, "Folder", "What it is")
    named = [row[0].strip("`").rstrip("/") for row in rows]
    assert len(named) == len(set(named))
    assert set(named) == _folders()
    assert all(row[1].endswith(".") for row in rows)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_pages_name_is_there(page: object) -> None:
    text = page.read_text(encoding="utf-8")  # type: ignore[attr-defined]
    paths = re.findall(r"`((?:aksp|engine|tests|docs|definitions|examples|bench|charts)/[\w./-]*)`", text)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_picture_names_modules_that_there_are() -> None:
    picture = "".join(re.findall(r"```\n(.*?)```", ARCHITECTURE.read_text(encoding="utf-8"), re.DOTALL))
    rooms = "|".join(sorted(one.name for one in (ROOT / "aksp").iterdir() if (one / "__init__.py").exists()))
    named = set(re.findall(rf"\b((?:{rooms})/[a-z_/]+)", picture))
    assert len(named) > 15
    assert [
        one for one in sorted(named) if not ((ROOT / "aksp" / f"{one}.py").exists() or (ROOT / "aksp" / one).is_dir())
    ] == []


def test_the_targets_of_make_are_those_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {row[0].strip("`").removeprefix("make ") for row in table(CONTRIBUTING, "Command", "What it does")}
    assert named <= targets
    assert {"lint", "unit", "e2e", "test"} <= named
