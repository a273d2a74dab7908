"""The table is complete, fits, and cannot be steered by what it shows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.model.compliance import AssignmentKey, ComplianceState, Finding
from aksp.report.figures import sparkline
from aksp.report.interface import GroupBy, Show
from aksp.report.registry import FORMATS
from aksp.report.text import safe, width_of, wrap
from tests.replacing import replace
from tests.results import a_result, changed

from .render import render
from .scenarios import IMAGES, SCENARIOS, S, counts, pod

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
    return all(set(word) <= {"-", "─"} for word in words) and max(map(len, words)) > 1


@BOTH
@pytest.mark.parametrize("format", FORMATS)
def test_nothing_invisible_reaches_a_terminal_without_colour(format: str, terminal: bool) -> None:
    for make in SCENARIOS.values():
        text = render(make(), format, terminal=terminal, show=Show.ALL)
        assert text.replace("\r", "").replace("\n", "").isprintable()
        if format != "csv":
            assert "\r" not in text


@BOTH
def test_replicas_with_one_finding_are_one_row_with_a_count(terminal: bool) -> None:
    text = render(SCENARIOS["violations"](), "table", terminal=terminal)
    assert text.count("shop Deployment/web") == 1
    assert "shop Deployment/web, 300 pods\n" in text
    assert " 2 of 300 pods\n" in text
    assert text.count("no CPU limit is set") == 1


@BOTH
def test_one_replica_that_differs_from_the_others_is_named(terminal: bool) -> None:
    violations = SCENARIOS["violations"]()
    results = [each for each in violations.results if each.resource.name != "web-6d4cf56db6-00001"]
    text = render(replace(violations, results=results), "table", width=100, terminal=terminal)
    assert " 1 of 299 pods: web-" in text


@BOTH
@pytest.mark.parametrize("width", [40, 60])
def test_a_long_heading_wraps_deeper_than_its_rows_and_is_not_cut(width: int, terminal: bool) -> None:
    violations = SCENARIOS["violations"]()
    name = "-".join(["checkout"] * 8)
    results = [replace(violations.results[-1], resource=replace(violations.results[-1].resource, name=name))]
    lines = render(replace(violations, results=results), "table", width=width, terminal=terminal).splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("shop Service/"))
    after = next(at for at, line in enumerate(lines) if line.startswith("  low "))
    assert all(re.match(r" {4}\S", line) for line in lines[first + 1 : after])
    assert "".join(line.strip() for line in lines[first:after]) == f"shop Service/{name}"


def _severities(text: str) -> list[str]:
    return [
        line.split()[0]
        for line in text.splitlines()
        if line.startswith(("  critical ", "  high ", "  medium ", "  low "))
    ]


def test_the_worst_comes_first_by_severity_then_what_is_refused_then_the_state() -> None:
    violations = SCENARIOS["violations"]()
    state = ComplianceState
    wanted = [
        ("critical", "Audit", state.NON_COMPLIANT),
        ("high", "Deny", state.NON_COMPLIANT),
        ("high", "Deny", state.ERROR),
        ("high", "Audit", state.NON_COMPLIANT),
        ("low", "EnforceRegoPolicy", state.NON_COMPLIANT),
    ]
    results = [
        a_result(
            assignment=AssignmentKey(assignment=f"a{at}", definition="d", effect=effect, severity=severity),
            state=was,
            resource=pod("shop", f"web-{at}"),
            finding=Finding(message="it is so"),
        )
        for at, (severity, effect, was) in enumerate(wanted)
    ]
    report = replace(violations, results=results[::-1])
    text = render(report, "table", width=100)
    order = [line.split()[-1] for line in text.splitlines() if line.startswith("shop Pod/web-")]
    assert order == [f"Pod/web-{at}" for at in range(len(wanted))]
    assert _severities(text) == [severity for severity, _, _ in wanted]
    assert [row.split()[2] for row in render(report, "wide").splitlines() if row.startswith("shop ")] == [
        f"web-{at}" for at in range(len(wanted))
    ]
    cut = render(report, "table", width=100, limit=2)
    assert _severities(cut) == ["critical", "high"]
    assert "3 more findings, none of them worse" in cut
    markdown = [line for line in render(report, "markdown").splitlines() if line.startswith("| shop Pod/")]
    assert [line.split(" | ")[1] for line in markdown] == [severity for severity, _, _ in wanted]


def test_where_no_severity_is_known_there_is_no_column_for_it() -> None:
    violations = SCENARIOS["violations"]()
    shared = violations.results[0].shared
    key = replace(shared.assignment, severity="")
    result = replace(
        violations.results[0],
        shared=replace(shared, assignment=key, exemption=None, state=ComplianceState.NON_COMPLIANT),
    )
    lines = [replace(line, severity="") for line in violations.assignments]
    report = replace(violations, results=[result], assignments=lines)
    assert "SEVERITY" not in render(report, "table", width=200)


def test_findings_of_one_assignment_have_its_severity_in_their_title() -> None:
    text = render(SCENARIOS["violations"](), "table", group_by=GroupBy.ASSIGNMENT)
    assert "Findings of resource-limits  medium severity\n" in text


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
        a_result(
            assignment=IMAGES,
            state=ComplianceState.NON_COMPLIANT,
            resource=pod("shop", f"web-{at}"),
            owner=SCENARIOS["violations"]().results[-2].owner,
            finding=Finding(message="no", observed=[at % 2]),
        )
        for at in range(6)
    )
    text = render(replace(SCENARIOS["violations"](), results=results), "table")
    assert len(re.findall(r"contoso-images +no\n +3 of 6 pods$", text, re.MULTILINE)) == 2


def test_a_place_in_a_file_is_shown_and_standard_input_is_named() -> None:
    lines = [line.strip() for line in render(SCENARIOS["manifests"](), "table", width=80).splitlines()]
    assert "deploy/base/web/deployment.yaml:23" in lines
    assert "<stdin>:41" in lines


def test_every_finding_has_its_place() -> None:
    manifests = SCENARIOS["manifests"]()
    first = manifests.results[0]
    results = (first, changed(first, finding=replace(first.finding, message="another")))
    assert render(replace(manifests, results=results), "table").count("<stdin>:41") == 2


def test_an_assignment_that_matched_nothing_is_not_started_and_says_why() -> None:
    text = render(SCENARIOS["unmatched"](), "table", width=120)
    assert re.search(r"EnforceRegoPolicy +NotStarted +- +- +-\n", text)
    assert "matched nothing: no Pod that it reaches" in text
    assert "NotStarted" in render(SCENARIOS["gaps"](), "table", width=120)


def test_exempt_resources_stand_beside_the_others() -> None:
    text = render(SCENARIOS["violations"](), "table")
    assert "non-compliant+exempt/all" in text
    assert re.search(r"no-privileged .* 1\+3/316 +1\+3/920\n", text)


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


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        # Whole, the image would leave "image" alone and cost a line.
        ("image docker.io/library/nginx:latest is not", 28, ["image docker.io/library/", "nginx:latest is not"]),
        # No line saved: words stay whole.
        ("image docker.io/nginx:1.29 at", 23, ["image", "docker.io/nginx:1.29 at"]),
        # Not a lone word.
        ("an image docker.io/library/nginx:1 is", 28, ["an image", "docker.io/library/nginx:1 is"]),
    ],
)
def test_a_short_word_alone_takes_part_of_a_long_one_if_that_saves_a_line(
    text: str, width: int, lines: list[str]
) -> None:
    assert [text[start:end] for start, end in wrap(text, width)] == lines


@given(st.text(), st.integers(min_value=2, max_value=30))
def test_wrapping_loses_nothing_but_blanks_and_keeps_the_width(text: str, width: int) -> None:
    clean = safe(text)
    lines = [clean[start:end] for start, end in wrap(clean, width)]
    assert "".join(lines).replace(" ", "") == clean.replace(" ", "")
    assert all(width_of(line) <= width for line in lines)


@given(st.text())
def test_safe_text_prints_and_stays_as_it_is_when_it_did(text: str) -> None:
    assert safe(text).isprintable()
    assert safe(safe(text)) == safe(text)
    if text.isprintable():
        assert safe(text) == text


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([50.0], "▄"),
        ([0.0, 50.0, 100.0], "▁▅█"),
        ([98.0, None, 99.0], "▁ █"),
        ([None, None], "  "),
    ],
)
def test_a_sparkline_reaches_from_the_lowest_value_to_the_highest(values: list[float | None], line: str) -> None:
    assert sparkline(values) == line


def test_a_report_of_errors_alone_does_not_say_that_anything_complies() -> None:
    gaps = SCENARIOS["gaps"]()
    line = replace(gaps.assignments[0], counts=counts({S.ERROR: 2}, {}))
    text = render(replace(gaps, assignments=(line,)), "table", width=120)
    assert "Nothing could be judged. Not judged: 2 resources in error, 2 gaps." in text
    assert "complies" not in text
