"""The README says what the code does."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from aksp.catalog.folder import bundled
from aksp.cli import root
from aksp.cli.options import FailOn, ListFormat
from aksp.errors import EXIT_MEANINGS, ExitCode
from aksp.model.compliance import ComplianceState
from aksp.model.effect import Effect
from aksp.report.registry import FORMATS
from tests.docs.pages import README, ROOT, blocks, code, prose, table

DOCS = ROOT / "docs"
ASSIGN = DOCS / "assign.md"


def test_exit_codes_are_those_of_the_code() -> None:
    rows = table(README, "Code", "Meaning")
    assert rows == [[str(int(exit_code)), EXIT_MEANINGS[exit_code]] for exit_code in ExitCode]


def test_formats_are_those_of_the_registry() -> None:
    rows = table(DOCS / "report.md", "Format", "What it is")
    assert rows == [[f"`{form.name}`", form.description] for form in FORMATS.values()]


def test_the_readme_is_short_and_names_every_command() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) < 250
    named = [name for _, cell in table(README, "For", "Commands") for name in code(cell)]
    assert sorted(named) == sorted(root.command().commands)


@cache
def assign_options(slug: str) -> list[Any]:
    """The options of one definition's command, in the order of its help."""
    group: Any = root.command().commands["assign"]
    command = group.get_command(group.make_context("assign", [], resilient_parsing=True), slug)
    return [option for option in command.params if "--help" not in option.opts]


@cache
def common_options() -> set[str]:
    """The options that every definition's command has."""
    return set.intersection(*({option.opts[-1] for option in assign_options(one.slug)} for one in bundled()))


def test_common_options_are_those_of_assign() -> None:
    written = {name for cell, _ in table(ASSIGN, "Option", "Meaning") for name in code(cell)}
    long = {
        max(option.opts, key=len) for option in assign_options("no-privileged") if option.opts[-1] in common_options()
    }
    assert written == long


def test_the_default_exclusions_are_named() -> None:
    defaults = {tuple(one.parameters["excludedNamespaces"].default) for one in bundled()}
    assert len(defaults) == 1
    meaning = next(text for cell, text in table(ASSIGN, "Option", "Meaning") if "--exclude-namespace" in cell)
    assert tuple(code(meaning)) == next(iter(defaults))


def test_effects_are_those_of_the_model() -> None:
    assert [code(cell)[0] for cell, _ in table(ASSIGN, "Effect", "A violation")] == list(Effect)


def test_states_are_those_of_the_model_in_their_order() -> None:
    assert [code(cell)[0] for cell, _ in table(DOCS / "report.md", "State", "Meaning")] == list(ComplianceState)


def test_thresholds_and_list_formats_exist() -> None:
    text = " ".join(prose(README).split())
    assert set(re.findall(r"`--fail-on (\w+)`", text)) <= set(FailOn)
    listed = re.search(r"The commands that list take (.*?)\.", text)
    assert listed is not None
    assert [name.removeprefix("-o ") for name in code(listed[1])] == list(ListFormat)


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    written = [*code(prose(README)), *(line for block in blocks(README) for line in block.text.splitlines())]
    named = {match[1] for line in written if (match := re.match(r"make ([a-z0-9]+)\b", line))}
    assert named <= targets, f"the Makefile lacks {', '.join(sorted(named - targets))}"
