"""docs/cli.md and docs/aksp.1 are what the commands say."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aksp.catalog.folder import bundled, bundled_initiatives
from aksp.cli import root
from aksp.report.registry import FORMATS
from docs import reference
from tests.docs.pages import ROOT, anchors, links, prose, table

AGAIN = "run `make docs`, or docs/reference.py"


@pytest.fixture(scope="module")
def page() -> str:
    return reference.markdown()


@pytest.fixture(scope="module")
def manual() -> str:
    return reference.manual()


def test_the_page_is_what_the_commands_say(page: str) -> None:
    assert reference.PAGE.read_text(encoding="utf-8") == page, AGAIN


def test_the_manual_is_what_the_commands_say(manual: str) -> None:
    assert reference.MANUAL.read_text(encoding="utf-8") == manual, AGAIN


def test_the_schema_of_a_result_is_what_the_table_of_fields_says() -> None:
    assert reference.SCHEMA.read_text(encoding="utf-8") == reference.schema(), AGAIN


def test_a_workspace_of_whoever_makes_them_does_not_show(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "definitions" / "mine"
    own.mkdir(parents=True)
    (own / "definition.json").write_text("{", encoding="utf-8")
    monkeypatch.setenv("AKSP_WORKSPACE", str(tmp_path))

    assert reference.markdown() == page


def visible(command: Any, path: str) -> set[str]:
    """The paths of a command and of all below it, found without the generator."""
    below = getattr(command, "commands", {})
    return {path}.union(*(visible(one, f"{path} {name}") for name, one in below.items() if not one.hidden))


def test_every_command_has_its_section_and_no_other_is_there(page: str) -> None:
    written = set(re.findall(r"^## (aksp.*)$", page, re.MULTILINE))

    assert written == visible(root.command(), "aksp")
    assert set(re.findall(r"^### aksp assign (.+)$", page, re.MULTILINE)) == {
        *(one.slug for one in bundled()),
        *(one.slug for one in bundled_initiatives()),
    }


def test_every_option_is_written_where_it_belongs(page: str) -> None:
    for path in sorted(visible(root.command(), "aksp")):
        command: Any = root.command()
        for name in path.split()[1:]:
            command = command.commands[name]
        section = page.split(f"\n## {path}\n", 1)[1].partition("\n## ")[0]
        for parameter in command.params:
            names = [name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("-")]
            if path == "aksp assign" or "--help" in names or getattr(parameter, "hidden", False):
                continue
            for name in names:
                assert re.search(rf"^\| `(?:[^`]* )?{re.escape(name)}[ ,`]", section, re.MULTILINE), f"{path} {name}"


def test_formats_and_exit_codes_are_listed() -> None:
    assert [row[0] for row in table(reference.PAGE, "Format", "What it is")] == [f"`{name}`" for name in FORMATS]
    assert [row[0] for row in table(reference.PAGE, "Code", "Meaning")] == ["0", "1", "2", "3", "4", "5", "130"]


def test_links_within_the_page_lead_somewhere() -> None:
    assert {link.removeprefix("#") for link in links(reference.PAGE)} <= anchors(reference.PAGE)


def test_every_variable_of_the_environment_is_read_somewhere() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "aksp").rglob("*.py"))
    for names, _ in reference.ENVIRONMENT:
        for name in names.split(", "):
            assert f'"{name}"' in code, name


@pytest.mark.parametrize(
    ("text", "markdown", "roff"),
    [
        ("a *.yaml file", r"a \*.yaml file", r"a *.yaml file"),
        ("`*.yaml` or a|b", r"`*.yaml` or a\|b", r"\fB*.yaml\fR or a|\:b"),
        ("<b> [x](y) _z_", r"\<b> \[x\](y) \_z\_", r"<b> [x](y) _z_"),
        (".aksp/ is found", ".aksp/ is found", r"\&.aksp/ is found"),
        ("'quoted' -f C:\\x", r"'quoted' -f C:\\x", r"\(aqquoted\(aq \-f C:\ex"),
        ("one … two", "one … two", r"one \[u2026] two"),
    ],
)
def test_text_is_printed_as_it_is(text: str, markdown: str, roff: str) -> None:
    assert reference.cell(text) == markdown
    assert reference.inline(text) == roff


def test_no_line_of_the_manual_is_a_request_by_accident(manual: str) -> None:
    known = {"TH", "SH", "SS", "TP", "PP", "BR", "nh", "ad"}
    for line in manual.splitlines():
        assert not line.startswith("'")
        if line.startswith(".") and not line.startswith('.\\"'):
            assert line[1:].split()[0] in known, line


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_groff_has_nothing_to_say_about_the_manual() -> None:
    ran = subprocess.run(
        ["groff", "-ww", "-man", "-Tutf8", "-P-c", str(reference.MANUAL)], capture_output=True, check=True
    )
    shown = re.sub(r".\x08", "", ran.stdout.decode())

    assert ran.stderr == b""
    assert "--fail-on <any|enforced|none>" in shown
    assert "aksp assign allowed-images" in shown


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="needs mandoc")
def test_mandoc_misses_nothing_but_a_date() -> None:
    ran = subprocess.run(["mandoc", "-T", "lint", str(reference.MANUAL)], capture_output=True, text=True, check=False)

    assert [line for line in ran.stdout.splitlines() if "missing date" not in line] == []


def test_the_page_says_nothing_that_markdown_would_take_for_markup() -> None:
    """Outside of code no help leaves a bare < behind, which would be HTML."""
    assert not re.findall(r"(?<!\\)<(?!!--)", re.sub(r"`[^`]*`", "", prose(reference.PAGE)))
