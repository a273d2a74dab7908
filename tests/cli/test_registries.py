"""Commands and formats are found by their files: a new one touches no other."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from aksp.cli import commands
from aksp.cli.root import app
from aksp.report import formats
from aksp.report.registry import DEFAULT, FORMATS
from tests.modules import modules


def _files(package: object) -> set[str]:
    (folder,) = package.__path__  # type: ignore[attr-defined]
    return {file.stem for file in Path(folder).glob("*.py")} - {"__init__"}


def test_each_module_of_commands_is_a_command_in_its_place() -> None:
    group = typer.main.get_command(app)
    listed = group.list_commands(typer.Context(group))  # type: ignore[attr-defined]
    assert _files(commands) == set(listed)
    assert all(group.get_command(typer.Context(group), name).name == name for name in listed)  # type: ignore[attr-defined]
    places = [import_module(f"{commands.__name__}.{name}").PLACE for name in listed]
    assert places == sorted(set(places))


def test_a_command_line_imports_its_command_alone() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "import sys; from aksp.cli.app import main; main(['version']); print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    imported = {name.rpartition(".")[2] for name in found.split() if name.startswith(f"{commands.__name__}.")}
    assert imported == {"version"}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_called_as_its_module(name: str) -> None:
    assert FORMATS[name].name == name


def test_each_module_of_formats_is_a_format_and_the_default_comes_first() -> None:
    assert {name.replace("_", "-") for name in _files(formats)} == set(FORMATS)
    assert next(iter(FORMATS)) == DEFAULT
    assert "nonsense" not in FORMATS


def test_one_module_connects_with_the_cluster_that_options_name() -> None:
    found = {
        name
        for name, tree in modules()
        if name.startswith("cli/")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "aksp.kube.config"
        if any(one.name == "connect" for one in node.names)
    }
    # The add-on's own process asks for the name of its cluster, and has a log in place of notes.
    assert found == {"cli/clusters.py", "cli/addon_process.py"}
