"""Whatever is found in a file is told with its file and line, in every format that tells places."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aksp.model.compliance import ComplianceState, Finding, Report, Result
from aksp.model.resource import Container, Owner, Resource
from aksp.report.interface import GroupBy
from tests.replacing import replace
from tests.report.render import render
from tests.report.scenarios import FILES, IMAGES, LEGACY, LIMITS, Line, report, summary
from tests.report.test_html import data_of, read_back
from tests.results import a_result

S = ComplianceState
NAMES = ["web", "api"]


@st.composite
def results(draw: st.DrawFn) -> Result:
    """Few names and many places, so that the same finding of the same resource stands in several."""
    state = draw(st.sampled_from([S.NON_COMPLIANT, S.NON_COMPLIANT, S.EXEMPT, S.ERROR]))
    kind = draw(st.sampled_from(["Pod", "Deployment"]))
    owner = draw(st.sampled_from([None, Owner(kind="Deployment", name="web")])) if kind == "Pod" else None
    container = draw(st.sampled_from([None, Container(name="web", type="containers", image="nginx")]))
    return a_result(
        assignment=draw(st.sampled_from([IMAGES, LIMITS])),
        state=state,
        resource=Resource(api_version="v1", kind=kind, namespace="shop", name=draw(st.sampled_from(NAMES))),
        finding=Finding(
            message=draw(st.sampled_from(["no limit", "image nginx"])),
            container=container,
            path=draw(st.sampled_from([None, "spec.containers[0].image"])),
        ),
        owner=owner,
        exemption=LEGACY if state is S.EXEMPT else None,
        source=Line(draw(st.sampled_from(["a.yaml", "b.yaml", "sub/c.yaml"])), draw(st.integers(1, 12))),
    )


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """In the order of a report: the results of a resource follow one another."""
    some = draw(st.lists(results(), min_size=1, max_size=14))
    some.sort(key=lambda one: (one.assignment.name, one.resource.kind, one.resource.name))
    assignments = [summary(one, S.NON_COMPLIANT, 0.0, {}, {}) for one in (IMAGES, LIMITS)]
    return report(target=FILES, state=S.NON_COMPLIANT, percent=0.0, results=some, assignments=assignments)


def csv_places(of: Report) -> set[tuple[str, int]]:
    rows = csv.DictReader(io.StringIO(render(of, "csv")))
    return {(row["source.file"], int(row["source.line"])) for row in rows if row["source.file"]}


def written(text: str) -> set[tuple[str, int]]:
    """Places as ``file:line``, as people read them."""
    return {(file, int(line)) for file, line in re.findall(r"((?:sub/)?[abc]\.yaml):(\d+)", text.replace("\\", ""))}


def _sarif(text: str) -> set[tuple[str, int]]:
    places = [
        one["physicalLocation"]
        for run in json.loads(text)["runs"]
        for found in run["results"]
        for one in found["locations"]
    ]
    return {(one["artifactLocation"]["uri"], one["region"]["startLine"]) for one in places}


def _json(text: str) -> set[tuple[str, int]]:
    return {(one["source"]["file"], one["source"]["line"]) for one in json.loads(text)["results"]}


def _html(text: str) -> set[tuple[str, int]]:
    return {(one["file"], one["line"]) for one in read_back(data_of(text))}


def _yaml(text: str) -> set[tuple[str, int]]:
    return {(file, int(line)) for file, line in re.findall(r"file: (\S+)\n\s+line: (\d+)", text)}


READERS: dict[str, Any] = {
    "json": _json,
    "yaml": _yaml,
    "html": _html,
    "wide": written,
}


@settings(max_examples=60, deadline=None)
@given(reports())
def test_every_place_of_csv_is_in_every_format_that_names_places(of: Report) -> None:
    wanted = csv_places(of)

    assert wanted == {(one.source.file, one.source.line) for one in of.results if one.source}
    for name, places in READERS.items():
        assert places(render(of, name)) == wanted, name


@settings(max_examples=60, deadline=None)
@given(reports())
def test_sarif_has_every_place_of_what_violates(of: Report) -> None:
    """Replicas that are exempt from what others violate are counted in its message."""
    violations = replace(of, results=tuple(one for one in of.results if one.state is S.NON_COMPLIANT))

    assert _sarif(render(violations, "sarif")) == csv_places(violations)


@settings(max_examples=40, deadline=None)
@given(reports())
def test_junit_names_every_place_of_what_does_not_pass(of: Report) -> None:
    """A case that is skipped has its file alone."""
    failing = replace(of, results=tuple(one for one in of.results if one.state is not S.EXEMPT))

    assert written(render(failing, "junit")) == csv_places(failing)


@settings(max_examples=60, deadline=None)
@given(reports())
def test_the_table_and_markdown_name_every_place_or_say_how_many_more(of: Report) -> None:
    wanted = csv_places(of)

    for name in ("table", "markdown"):
        by_row = render(of, name)
        assert written(render(of, name, group_by=GroupBy.NONE)) == wanted, name
        assert written(by_row) <= wanted
        assert written(by_row) == wanted or "more places" in by_row, name


@settings(max_examples=40, deadline=None)
@given(reports())
def test_the_page_gives_every_row_its_own_file_and_line(of: Report) -> None:
    rows = read_back(data_of(render(of, "html")))

    assert [(row["name"], row["file"], row["line"]) for row in rows] == [
        (one.resource.name, one.source.file, one.source.line) for one in of.results if one.source
    ]


@pytest.mark.parametrize("format", ["github", "azuredevops", "gitlab"])
@pytest.mark.parametrize("places", [1, 2, 4, 5, 40])
def test_annotations_name_the_further_places_of_a_finding_and_count_the_rest(format: str, places: int) -> None:
    """Replicas of one workload have one finding, and a file that lists them has it in as many places."""
    first = a_result(
        assignment=IMAGES,
        state=S.NON_COMPLIANT,
        resource=Resource(api_version="v1", kind="Pod", namespace="shop", name="web-0"),
        finding=Finding(message="image nginx", path="spec.containers[0].image"),
        owner=Owner(kind="Deployment", name="web"),
    )
    replicas = [
        replace(first, resource=replace(first.resource, name=f"web-{at}"), source=Line("a.yaml", 10 * at + 1))
        for at in range(places)
    ]
    text = render(report(target=FILES, state=S.NON_COMPLIANT, percent=0.0, results=replicas), format)

    named = written(text.replace("%3A", ":"))
    assert named == {("a.yaml", 10 * at + 1) for at in range(1, min(places, 4))}
    assert (f"and {places - 4} more places" in text) == (places > 4)
