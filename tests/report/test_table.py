"""The table is complete, fits, and cannot be steered by what it shows."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aksp.model.compliance import ComplianceState, Finding, Result
from aksp.report.interface import GroupBy, Show
from aksp.report.registry import FORMATS
from aksp.report.text import safe, width_of, wrap

from .render import render
from .scenarios import IMAGES, SCENARIOS, pod

BOTH = pytest.mark.parametrize("terminal", [False, True])


@BOTH
@pytest.mark.parametrize("width", [40, 60, 80, 140])
@pytest.mark.parametrize("group_by", GroupBy)
@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "violations"])
def test_no_line_is_wider_than_asked_for(scenario: str, group_by: GroupBy, width: int, terminal: bool) -> None:
    text = render(SCENARIOS[scenario](), "table", width=width, group_by=group_by, terminal=terminal)
    assert max(width_of(line) for line in text.splitlines()) <= width


@BOTH
@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_of_a_message_is_lost(width: int, terminal: bool) -> None:
    for report in (make() for make in SCENARIOS.values()):
        reasons = _last_column(render(report, "table", width=width, terminal=terminal), "REASON")
        for result in report.results:
            if result.state not in (ComplianceState.EXEMPT, ComplianceState.COMPLIANT):
                assert safe(result.finding.message).replace(" ", "") in reasons


def _last_column(text: str, header: str) -> str:
    """What stands in the last column below a header, without blanks."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if header in line.split():
            start = line.index(header)
            return "".join(_from_column(line, start) for line in lines[at + 1 :]).replace(" ", "")
    return ""


def _from_column(line: str, column: int) -> str:
    return next((line[at:] for at in range(len(line)) if width_of(line[:at]) >= column), "")


@pytest.mark.parametrize("terminal", [False, True])
def test_both_renderers_show_the_same_words(terminal: bool) -> None:
    for make in SCENARIOS.values():
        plain, rich = (
            [set(line.split()) - {"|"} for line in render(make(), "table", terminal=each).splitlines() if line.strip()]
            for each in (False, True)
        )
        assert [line for line in plain if not _rule(line)] == [line for line in rich if not _rule(line)]


def _rule(words: set[str]) -> bool:
    return all(set(word) <= {"-", "─"} and len(word) > 1 for word in words)


@BOTH
@pytest.mark.parametrize("format", FORMATS)
def test_nothing_invisible_reaches_a_terminal_without_colour(format: str, terminal: bool) -> None:
    for make in SCENARIOS.values():
        text = render(make(), format, terminal=terminal, show=Show.ALL)
        assert all(char.isprintable() or char in "\r\n" for char in text)
        if format != "csv":
            assert "\r" not in text


@BOTH
def test_replicas_with_one_finding_are_one_row_with_a_count(terminal: bool) -> None:
    text = render(SCENARIOS["violations"](), "table", terminal=terminal)
    assert text.count("shop Deployment/web") == 1
    assert "300 pods" in text
    assert "2 pods" in text
    assert text.count("no CPU limit is set") == 1


def test_without_grouping_every_result_is_a_row() -> None:
    text = render(SCENARIOS["violations"](), "table", group_by=GroupBy.NONE, width=140)
    assert text.count("no CPU limit is set") == 300
    assert "pod web-6d4cf56db6-00299" in text


def test_an_exemption_says_who_why_and_until_when() -> None:
    text = render(SCENARIOS["violations"](), "table", width=200)
    for words in (
        "legacy-billing: Waiver, until 2026-12-31",
        "Vendor image: Replaced by our own build in the fourth quarter",
        "requested by jane@contoso.com",
        "mesh-agents: Mitigated, no end date",
    ):
        assert words in text


def test_findings_whose_values_have_no_hash_are_grouped_by_value() -> None:
    results = tuple(
        Result(
            assignment=IMAGES,
            state=ComplianceState.NON_COMPLIANT,
            resource=pod("shop", f"web-{at}"),
            owner=SCENARIOS["violations"]().results[-2].owner,
            finding=Finding(message="no", observed=[at % 2]),
        )
        for at in range(6)
    )
    text = render(replace(SCENARIOS["violations"](), results=results), "table")
    assert text.count("3 pods") == 1  # the second row of the same workload leaves out what has not changed
    assert len(re.findall(r"contoso-images +no$", text, re.MULTILINE)) == 2


def test_a_place_in_a_file_is_shown_and_standard_input_is_named() -> None:
    text = render(SCENARIOS["manifests"](), "table", width=140)
    assert "deploy/base/web/deployment.yaml:23" in text
    assert "<stdin>:41" in text


@pytest.mark.parametrize(
    ("scenario", "gist"),
    [
        ("clean", "Everything that was judged complies."),
        ("violations", "302 of 320 resources do not comply."),
        ("gaps", "Everything that could be judged complies. Not judged: 2 resources in error, 2 gaps."),
        ("empty", "No assignment applies here, so nothing was judged. `aksp assign` makes one."),
        ("unmatched", "Nothing was judged: no resource matches these assignments."),
    ],
)
def test_the_last_line_is_the_gist(scenario: str, gist: str) -> None:
    assert render(SCENARIOS[scenario](), "table", width=120).splitlines()[-1] == gist


@settings(max_examples=200, deadline=None)
@given(st.text(), st.integers(min_value=2, max_value=30))
def test_wrapping_loses_nothing_but_blanks_and_keeps_the_width(text: str, width: int) -> None:
    clean = safe(text)
    lines = [clean[start:end] for start, end in wrap(clean, width)]
    assert "".join(lines).replace(" ", "") == clean.replace(" ", "")
    assert all(width_of(line) <= width for line in lines)


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_safe_text_prints_and_stays_as_it_is_when_it_did(text: str) -> None:
    assert safe(text).isprintable()
    assert safe(safe(text)) == safe(text)
    if text.isprintable():
        assert safe(text) == text
