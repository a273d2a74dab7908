"""Every scenario in every format looks as it was found good."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

import pytest

from aksp.report.interface import GroupBy, Show
from aksp.report.registry import FORMATS
from tests.replacing import replace

from .render import render
from .scenarios import SCENARIOS, many

Golden = Callable[[str, str], None]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_format_renders_every_scenario_as_before(scenario: str, format: str, golden: Golden) -> None:
    report = SCENARIOS[scenario]()
    if len(report.results) > 50 and format in (
        "azure-componentpolicystates",
        "wide",
        "json",
        "yaml",
        "csv",
        "policyreport",
        "openreports",
        "junit",
        "sarif",
        "html",
    ):
        # A thousand like lines would be hard to look at: the first of them, and the last.
        report = replace(report, results=(*report.results[:12], report.results[-1]))
    golden(f"{scenario}.{format}.txt", bare(render(report, format)))


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_renders_ten_thousand_findings_as_before(format: str, golden: Golden) -> None:
    golden(f"many.{format}.txt", digest(bare(render(many(), format))))


def bare(text: str) -> str:
    """A page without its style sheet and scripts, the same in all, which tests/pages sees; other formats as they are."""
    if not text.startswith("<!doctype html>"):
        return text
    text = re.sub(r"<(style|script)>.*?</\1>", r"<\1>…</\1>", text, flags=re.DOTALL)
    return re.sub(r"sha256-[A-Za-z0-9+/=]+", "sha256-…", text)


def digest(text: str) -> str:
    """What stands for a text of megabytes: its hash and size, and how its first lines begin."""
    lines = text.splitlines()
    head = [line[:160] for line in lines[:20]]
    hashed = hashlib.sha256(text.encode()).hexdigest()
    return "\n".join([f"sha256 {hashed}", f"{len(lines)} lines, {len(text)} characters", *head, ""])


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("width", [80, 140])
def test_a_terminal_shows_every_scenario_as_before(scenario: str, width: int, golden: Golden) -> None:
    golden(f"{scenario}.terminal-{width}.txt", render(SCENARIOS[scenario](), "table", terminal=True, width=width))


@pytest.mark.parametrize("group_by", [GroupBy.ASSIGNMENT, GroupBy.NAMESPACE])
def test_groups_make_sections_as_before(group_by: GroupBy, golden: Golden) -> None:
    golden(f"violations.by-{group_by}.txt", render(SCENARIOS["violations"](), "table", group_by=group_by))


def test_colours_are_as_before(golden: Golden) -> None:
    golden("gaps.color.txt", render(SCENARIOS["gaps"](), "table", color=True))
    golden("gaps.terminal-color.txt", render(SCENARIOS["gaps"](), "table", color=True, terminal=True))


def test_compliant_results_are_listed_when_asked_for(golden: Golden) -> None:
    golden("clean.show-all.txt", render(SCENARIOS["clean"](), "table", show=Show.ALL))
