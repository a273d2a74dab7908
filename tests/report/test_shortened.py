"""Markdown is never longer than a comment or a pipeline's page takes, and says what it leaves out."""

from __future__ import annotations

import re

import pytest

from aksp.model.compliance import Gap
from aksp.report.formats.markdown import LIMIT
from aksp.report.interface import GroupBy, Show, Style
from aksp.report.pipeline.markdown import escape
from aksp.report.pipeline.shortened import LIMIT_BYTES, job_summary
from aksp.report.pipeline.unique_findings import remedy_of
from tests.replacing import replace

from .render import render
from .scenarios import SCENARIOS, many, pod

STYLE = Style(group_by=GroupBy.NONE)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_report_that_fits_is_there_as_it_is(scenario: str) -> None:
    report = SCENARIOS[scenario]()
    text = job_summary(report, Style(), room=LIMIT_BYTES, elsewhere="in a.json")
    assert text is not None
    assert text == render(report, "markdown").encode(errors="backslashreplace").decode()


@pytest.mark.parametrize("room", [400_000, 100_000, 5_000])
def test_a_long_one_keeps_the_most_severe_and_says_where_all_are(room: int) -> None:
    report = many()
    text = job_summary(report, STYLE, room=room, elsewhere="in my_report.json")
    assert text is not None
    assert room / 4 < len(text.encode()) <= room
    assert "most severe of 10,000 results are listed.** All of them are in my\\_report.json." in text
    assert "no CPU limit" not in text  # medium severity goes before high
    assert "is not from an allowed registry" in text


def test_counts_are_complete_whatever_is_left_out() -> None:
    text = job_summary(many(), STYLE, room=5_000, elsewhere="in a.json")
    assert text is not None
    assert "4000 of 4000 resources do not comply." in text


def test_gaps_go_last_and_their_number_stays() -> None:
    gaps = [Gap(reason="UnreadableFile", message=f"{at}: " + "x" * 100) for at in range(100)]
    text = job_summary(replace(SCENARIOS["gaps"](), gaps=gaps), STYLE, room=3_000, elsewhere="in a.json")
    assert text is not None
    assert "no results are listed, and none of 100 gaps" in text


def test_what_complies_is_not_counted_among_what_is_left_out() -> None:
    report = SCENARIOS["clean"]()
    compliant = replace(
        report, results=[replace(report.results[0], resource=pod("shop", f"p{at}")) for at in range(3_000)]
    )
    assert "would be too long" not in str(job_summary(compliant, STYLE, room=10_000, elsewhere=""))
    shown = job_summary(compliant, replace(STYLE, show=Show.ALL), room=10_000, elsewhere="")
    assert "most severe of 3,000 results" in str(shown)


def test_without_room_for_the_head_there_is_none() -> None:
    assert job_summary(many(), STYLE, room=100, elsewhere="in a.json") is None
    assert job_summary(SCENARIOS["clean"](), STYLE, room=-5, elsewhere="") is None


def test_a_report_for_a_comment_is_cut_to_what_one_takes_and_says_so() -> None:
    text = render(many(), "markdown")
    assert LIMIT / 4 < len(text) <= LIMIT
    assert re.search(r"the [\d,]+ most severe of 10,000 results are listed\.\*\* All of them are in the report", text)


def test_a_report_that_is_cut_lists_no_more_than_its_limit() -> None:
    text = render(many(), "markdown", limit=5)
    assert "**This report would be too long: the 5 most severe of 10,000 results are listed.**" in text


def test_a_report_whose_assignments_alone_are_too_long_is_cut_at_a_line() -> None:
    report = SCENARIOS["violations"]()
    one = report.assignments[0]
    lines = [replace(one, name=f"{at}-{'x' * 100}") for at in range(1_000)]
    text = render(replace(report, assignments=lines), "markdown")
    assert LIMIT / 2 < len(text) <= LIMIT
    *rows, _, note, end = text.split("\n")
    assert rows[-1].endswith(" |") and end == ""
    assert note.startswith("**This report would be too long: it is cut here.** All of it is in")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_verdict_comes_right_after_the_title(scenario: str) -> None:
    report = SCENARIOS[scenario]()
    title, _, verdict, *_ = render(report, "markdown").splitlines()
    assert title.startswith("## ")
    gist = " ".join(render(report, "table", width=10_000).splitlines()[-1].split())
    assert re.sub(r"\*\*|\\", "", verdict) == gist


def test_each_violation_has_its_remedy_where_the_rule_or_the_definition_says_one() -> None:
    report = SCENARIOS["violations"]()
    text = render(report, "markdown")
    rows = [line for line in text.split("### Findings")[1].splitlines() if line.startswith("| ")][1:]
    wanted = [escape(told) for one in report.results if (told := remedy_of(report, one))]
    assert wanted and all(any(told in row for row in rows) for told in wanted)
    table = render(report, "table").replace("\n", " ")
    assert all(told not in table for told in wanted)
