"""What judged nothing says so, in every format, and is called Compliant in none."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aksp.model.compliance import AssignmentSummary, Gap, Report, Snapshot
from aksp.report.interface import Show
from aksp.report.registry import FORMATS
from tests.replacing import replace
from tests.report import scenarios
from tests.report.render import render
from tests.report.scenarios import IMAGES, LIMITS, PORTS, PRIVILEGED, SCENARIOS, S

REASONS = ["matched nothing: no Pod that it reaches", "judged at admission only", "its effect is Disabled"]
IDLE = st.builds(
    lambda key, message: scenarios.summary(key, S.NOT_STARTED, None, {}, {}, message=message),
    st.sampled_from([IMAGES, PRIVILEGED, LIMITS, PORTS]),
    st.sampled_from(REASONS),
)
GAP = Gap(reason="NoDocument", message="there is no document in standard input, so nothing was judged")


def nothing(lines: list[AssignmentSummary], gaps: list[Gap]) -> Report:
    return scenarios.report(state=S.NOT_STARTED, percent=None, assignments=lines, gaps=gaps)


def without_words(text: str, format: str) -> str:
    """What a format says of this report: without the page's scripts and styles, and counts that are 0."""
    if format == "html":
        text = re.sub(r"<(script|style|svg|template)\b.*?</\1>", "", text, flags=re.DOTALL)
        text = re.sub(r"<p[^>]*>Written by aksp.*?</p>", "", text, flags=re.DOTALL)
        text = re.sub(r"<th .*", "", text)
    text = re.sub(r'"?\w+"?: 0\b', "", text)
    return re.sub(r'^.*state="\w+".* 0$', "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=25, deadline=None)
@given(
    st.lists(IDLE, max_size=4, unique_by=lambda line: line.name), st.sampled_from([[], [GAP]]), st.sampled_from(Show)
)
def test_no_format_calls_a_run_that_judged_nothing_compliant(
    format: str, lines: list[AssignmentSummary], gaps: list[Gap], show: Show
) -> None:
    told = without_words(render(nothing(lines, gaps), format, show=show), format)

    assert not re.search(r"(?<!\w)(?<!-)Compliant", told)
    assert not re.search(r"\b100(\.0)?\b", told)


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"github", "azuredevops", "gitlab", "prometheus", "summary"}))
@pytest.mark.parametrize("message", REASONS)
def test_an_assignment_that_judged_nothing_is_told_with_its_reason(format: str, message: str) -> None:
    line = scenarios.summary(IMAGES, S.NOT_STARTED, None, {}, {}, message=message)
    told = render(replace(SCENARIOS["clean"](), assignments=(line,)), format)

    if format != "summary":  # one line, which has their number
        assert message in " ".join(told.split())
    assert "skip" in told if format in ("policyreport", "openreports") else "NotStarted" in told


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"prometheus", "summary"}))
def test_every_format_says_that_there_was_nothing_at_all(format: str) -> None:
    told = " ".join(render(nothing([], [GAP]), format).split())

    assert ("so nothing was judged" if format == "summary" else GAP.message) in told


def test_the_summary_counts_assignments_that_judged_nothing() -> None:
    idle = scenarios.summary(IMAGES, S.NOT_STARTED, None, {}, {}, message=REASONS[0])
    clean = SCENARIOS["clean"]()
    told = render(replace(clean, assignments=(*clean.assignments, idle)), "summary")

    assert told.endswith(" NotStarted: 1 assignment.\n")
    assert "nothing was judged" in render(nothing([], [GAP]), "summary")


@pytest.mark.parametrize("format", ["github", "azuredevops"])
def test_the_gist_in_a_log_says_that_nothing_was_judged(format: str) -> None:
    assert "Nothing was judged" in render(SCENARIOS["unmatched"](), format)


def test_prometheus_has_no_sample_of_a_percentage_where_nothing_was_judged() -> None:
    samples = [line for line in render(SCENARIOS["unmatched"](), "prometheus").splitlines() if not line.startswith("#")]
    assert not [line for line in samples if "percent" in line]
    assert [line for line in samples if line.startswith("aksp_assignments") and line.endswith(" 1")] == [
        'aksp_assignments{state="NotStarted",target="prod"} 1'
    ]


def test_json_has_null_and_yaml_too() -> None:
    document = json.loads(render(SCENARIOS["unmatched"](), "json"))
    assert (document["state"], document["compliancePercent"]) == ("NotStarted", None)
    (line,) = document["assignments"]
    assert (line["state"], line["compliancePercent"], line["message"]) == ("NotStarted", None, REASONS[0])
    assert "compliancePercent: null" in render(SCENARIOS["unmatched"](), "yaml")


def test_the_page_draws_neither_bar_nor_point_of_a_run_that_judged_nothing() -> None:
    report = SCENARIOS["unmatched"]()
    past = replace_past(report)
    page = render(past, "html")
    assert "<polyline" not in page and 'class="percent"' not in page and '<rect class="fill-' not in page


def replace_past(report: Report) -> Report:
    """The report with one earlier scan that judged something: one point makes no line."""
    before = Snapshot(
        evaluated_at=scenarios.NOW,
        state=S.COMPLIANT,
        compliance_percent=100.0,
        non_compliant=0,
        assignments={IMAGES.name: (S.COMPLIANT, 100.0)},
    )
    return replace(report, past=[before])


def test_csv_lists_gaps_and_idle_assignments_after_the_results() -> None:
    rows = list(csv.DictReader(io.StringIO(render(SCENARIOS["gaps"](), "csv"), newline="")))
    assert [(row["assignment"], row["state"], row["message"][:15]) for row in rows[-2:]] == [
        ("unique-ingress-hosts", "NotStarted", "its effect is D"),
        ("", "Forbidden", rows[-1]["message"][:15]),
    ]
