"""A job's summary is never longer than the pipeline takes, and says what it leaves out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aksp.model.compliance import Gap
from aksp.report.interface import GroupBy, Show, Style
from aksp.report.pipeline.job_summary import LIMIT_BYTES, job_summary

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
