"""What a watch shows: lines of events, and a screen that always fits its window."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aksp.model.compliance import ComplianceState, Finding, Gap, Report
from aksp.model.event import Event, EventType
from aksp.model.resource import Resource
from aksp.report import events
from aksp.report.table.live import ScreenState, rows, screen
from aksp.report.text import width_of
from tests.docs.pages import ROOT, code, table
from tests.replacing import replace
from tests.report import scenarios
from tests.results import changed

NOW = datetime(2026, 9, 1, 10, 0, tzinfo=UTC)
S = ComplianceState
SCENARIOS = [
    scenarios.clean,
    scenarios.violations,
    scenarios.gaps,
    scenarios.hostile,
    scenarios.empty,
    scenarios.unmatched,
]
HEADING = ["TIME", "CHANGE", "NAMESPACE", "RESOURCE", "CONTAINER", "ASSIGNMENT", "STATE", "MESSAGE"]


def view(report: Report, *, more: int = 0, **changed: Any) -> ScreenState:
    results = [one for one in report.results if one.state is not S.EXEMPT]
    plain = ScreenState(
        report=replace(report, results=results),
        found=len(results) + more,
        objects=310,
        kinds=2,
        changed_at=NOW,
        synced=True,
        lost=False,
        how="q quits",
    )
    return replace(plain, **changed)


def shown(one: ScreenState, width: int = 100, height: int = 40) -> str:
    return "\n".join(screen(one, width=width, height=height, color=False))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.__name__)
@settings(max_examples=25, deadline=None)
@given(width=st.integers(40, 200), height=st.integers(1, 80), more=st.sampled_from([0, 7]))
def test_the_screen_fits_every_window_and_nothing_steers_the_terminal(
    scenario: Any, width: int, height: int, more: int
) -> None:
    one = view(scenario(), more=more)
    lines = screen(one, width=width, height=height, color=False)
    assert len(lines) == height
    assert all(line.isprintable() for line in lines)
    assert max(map(width_of, lines)) <= width
    assert lines[-1] == "q quits"
    if one.found and height > 2:
        assert "Findings" in "\n".join(lines) or "more finding" in "\n".join(lines)


def test_a_window_with_room_shows_everything() -> None:
    report = scenarios.violations()
    text = shown(view(report), height=400)
    assert "more" not in text
    for result in view(report).report.results:
        name = result.owner.name if result.owner else result.resource.name
        assert name in text and (result.finding.container is None or result.finding.container.name in text)
    for line in report.assignments:
        assert line.name in text


def test_a_small_window_shows_the_worst_assignments_and_says_how_many_more_there_are() -> None:
    text = shown(view(scenarios.violations(), more=5), height=24)
    assert "… 2 more assignments" in text and "allowed-service-ports" in text
    rows = len(view(scenarios.violations()).report.results)
    assert f"… {rows + 5 - 1} more findings" in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_scrolling_shows_each_finding_once_and_counts_those_above_and_below(width: int, height: int) -> None:
    one = view(scenarios.violations())
    seen: set[str] = set()
    for first in range(rows(one) + 2):
        text = shown(replace(one, first=first), width, height)
        assert len(text.splitlines()) == height
        assert (" above" in text) is (first > 0)
        seen |= {line.name for line in one.report.assignments if line.name in text.partition("Findings")[2]}
    # Beyond the last row the last one stays.
    assert text == shown(replace(one, first=rows(one) - 1), width, height)
    assert "more finding" not in text
    assert seen == {each.assignment.name for each in one.report.results}


def test_a_finding_that_is_scrolled_to_keeps_the_name_of_its_resource() -> None:
    one = view(scenarios.violations())
    for first in range(rows(one)):
        findings = shown(replace(one, first=first), 120, 60).partition("Findings")[2].splitlines()
        assert "/" in findings[3], findings[:5]


def test_a_search_shows_what_has_it_and_says_how_many() -> None:
    one = view(scenarios.violations(), more=5)
    name = one.report.results[0].assignment.name
    wanted = [each for each in one.report.results if name in each.assignment.name]
    text = shown(replace(one, search=name.upper()), 140, 400)
    assert f"/{name.upper()}  {len(wanted)} finding" in text and f"of the newest {len(one.report.results)}" in text
    assert shown(replace(one, search="nowhere")).splitlines()[-1].startswith("/nowhere  0 findings of the newest")


def test_many_gaps_leave_room_for_the_rest() -> None:
    gaps = [Gap(reason="Forbidden", message=f"Kind{number} could not be listed") for number in range(30)]
    text = shown(view(replace(scenarios.violations(), gaps=gaps)), height=30)
    assert "Kind0 could" in text and "more gaps" in text and "Assignments" in text and "Findings" in text


def test_the_head_says_how_it_stands() -> None:
    report = scenarios.violations()
    assert "watching 310 objects of 2 kinds  last change 2026-09-01T10:00:00Z" in shown(view(report))
    assert "nothing has changed yet" in shown(view(report, changed_at=None))
    assert "reconnecting" in shown(view(report, lost=True)) and "reconnecting" not in shown(view(report))
    reading = shown(view(report, synced=False))
    assert "Reading the cluster …  310 objects" in reading and "% compliant" not in reading
    assert "NotStarted  nothing judged" in shown(view(scenarios.empty()))


def test_colours_change_nothing_but_colours() -> None:
    import re

    one = view(scenarios.violations())
    colored = screen(one, width=90, height=30, color=True)
    assert [re.sub(r"\x1b\[\d+m", "", line) for line in colored] == screen(one, width=90, height=30, color=False)
    assert any("\x1b[31m" in line for line in colored)


def event(kind: EventType = EventType.ADDED, **more: Any) -> Event:
    result = next(one for one in scenarios.violations().results if one.state is S.NON_COMPLIANT)
    return Event(**{"type": kind, "at": NOW, "result": result, **more})


def test_a_line_has_its_columns_where_the_heading_has_them() -> None:
    one = event()
    assert one.result is not None and one.result.finding.container is not None
    heading, line = events.heading(), events.line(one)
    assert heading.split() == HEADING
    assert line[heading.index("CHANGE") :].startswith("ADDED")
    cells = line.split()
    assert cells[:7] == [
        "2026-09-01T10:00:00Z", "ADDED", one.result.resource.namespace, f"Pod/{one.result.resource.name}",
        one.result.finding.container.name, one.result.assignment.name, "NonCompliant",
    ]  # fmt: skip
    assert line.endswith(one.result.finding.message)


def test_what_is_gone_and_what_a_state_was_are_said() -> None:
    one = event()
    assert one.result is not None
    assert events.line(event(EventType.RESOLVED, gone=True)).endswith(" (the Pod is gone)")
    before = changed(one.result, state=S.EXEMPT)
    assert events.line(event(EventType.CHANGED, before=before)).endswith(" (was Exempt)")
    assert not events.line(event(EventType.CHANGED, before=one.result)).endswith(")")


def test_a_gap_is_a_line_too() -> None:
    gap = Gap(reason="Forbidden", message="Service could not be listed")
    line = events.line(event(result=None, gap=gap))
    assert line.split()[1:7] == ["ADDED", "-", "-", "-", "-", "Forbidden"] and line.endswith(gap.message)
    resource = Resource(api_version="v1", kind="Pod", namespace="shop", name="web")
    assert events.line(event(result=None, gap=replace(gap, resource=resource))).endswith(
        "Pod shop/web: Service could not be listed"
    )


HOSTILE = "a\x1b]0;x\x07 \u202eb\nc\x7f"


def test_nothing_in_a_line_steers_a_terminal_or_makes_another_column() -> None:
    one = event()
    assert one.result is not None
    resource = replace(one.result.resource, namespace=HOSTILE, name=HOSTILE)
    result = changed(one.result, resource=resource, finding=Finding(message=HOSTILE))
    line = events.line(event(result=result))
    assert line.isprintable() and len(line.split()) > 7
    assert line.split()[6] == "NonCompliant"
    text = events.json_line(event(result=result), S.NON_COMPLIANT, 12.34)
    assert text.isprintable() and "\n" not in text
    assert json.loads(text)["result"]["resource"]["name"] == HOSTILE


def test_json_has_the_fields_that_the_documentation_lists() -> None:
    one = event(EventType.CHANGED, before=event().result)
    document = json.loads(events.json_line(one, S.NON_COMPLIANT, 12.34))
    rows = table(ROOT / "docs" / "watch.md", "Field", "Meaning")
    assert [code(cell)[0] for cell, _ in rows] == list(document)
    assert (document["type"], document["state"], document["compliancePercent"]) == ("CHANGED", "NonCompliant", 12.3)
    assert document["result"] == document["before"] and document["gap"] is None


def test_the_columns_are_those_that_the_documentation_lists() -> None:
    rows = table(ROOT / "docs" / "watch.md", "Column", "Holds")
    assert [code(cell)[0] for cell, _ in rows] == HEADING
