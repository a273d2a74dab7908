"""Reports of several clusters in each format that can tell them apart."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator

from aksp.cli.outputs import Outputs
from aksp.errors import InvalidInput
from aksp.model.compliance import ComplianceState, Report, Target, TargetKind
from aksp.report.interface import GroupBy, Show, Style
from aksp.report.parse import report_from
from aksp.report.registry import FORMATS
from aksp.report.text import safe
from tests.report.clusters import MIXES, clusters, fleet_of, twins
from tests.report.scenarios import SCENARIOS
from tests.report.test_html import data_of, parsed
from tests.report.test_wire import SCHEMA

MANY = [one.name for one in FORMATS.values() if one.of_many]
ONE = [one.name for one in FORMATS.values() if not one.of_many]


def rendered(name: str, **style: Any) -> str:
    out = io.StringIO(newline="")
    FORMATS[name].render(clusters(), out, Style(**{"width": 200, **style}))
    return out.getvalue()


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("group_by", GroupBy)
@pytest.mark.parametrize("show", Show)
def test_each_format_names_every_cluster_and_the_gap_of_the_dead_one(name: str, group_by: GroupBy, show: Show) -> None:
    text = rendered(name, group_by=group_by, show=show)

    if name not in ("prometheus", "summary"):  # they count gaps
        assert "connection refused" in text
    for cluster in ("one", "gone"):
        assert cluster in text
    if name == "summary":
        assert text == (
            "gone, one, two: NonCompliant, no percentage: not every cluster was judged."
            " 302 of 332 resources do not comply. Not judged: 1 gap.\n"
        )
    elif name != "csv":  # it has a line for what does not comply, and the other complies
        assert "two" in text


@pytest.mark.parametrize("name", ONE)
def test_a_format_that_knows_one_cluster_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="tells of one cluster"):
        Outputs.parse([name]).refuse_one_cluster_formats()


def test_json_is_valid_by_the_schema_and_is_read_back_as_it_was() -> None:
    document = json.loads(rendered("json"))
    Draft202012Validator(SCHEMA).validate(document)
    read = report_from(document)
    out = io.StringIO()
    FORMATS["json"].render(read, out, Style())

    assert json.loads(out.getvalue()) == document
    assert [one["name"] for one in document["clusters"]] == ["gone", "one", "two"]
    assert [(one["name"], one["parent"] is None) for one in document["scopes"]] == [("Contoso", True), ("shop", False)]
    assert [one.state for one in read.scopes] == [ComplianceState.NON_COMPLIANT] * 2


def test_what_replicas_share_is_not_taken_from_another_cluster() -> None:
    """What was read back shares its parts across clusters, and JSON remembers texts of what is shared."""
    out = io.StringIO()
    FORMATS["json"].render(twins(), out, Style())
    read = report_from(json.loads(out.getvalue()))
    again = io.StringIO()
    FORMATS["json"].render(read, again, Style())

    assert again.getvalue() == out.getvalue()
    found = [one.resource.cluster for one in read.results]
    assert found.count("one") == found.count("two") == len(found) / 2


def test_rows_of_the_table_are_apart_by_cluster() -> None:
    out = io.StringIO()
    FORMATS["table"].render(twins(), out, Style(width=200))
    headings = [line.strip() for line in out.getvalue().splitlines() if line.startswith(("one: ", "two: "))]

    assert headings
    assert {line[5:] for line in headings if line.startswith("one")} == {
        line[5:] for line in headings if line.startswith("two")
    }


def test_csv_says_where_in_a_column() -> None:
    rows = list(csv.DictReader(io.StringIO(rendered("csv"))))

    assert {row["cluster"] for row in rows if row["resource.name"]} == {"one"}
    assert [row["state"] for row in rows if row["cluster"] == "gone"] == ["ClusterUnreachable"]


def test_wide_has_a_column_of_clusters_where_there_are_several() -> None:
    assert "CLUSTER  NAMESPACE" in rendered("wide")


def test_the_page_opens_on_clusters_by_assignments_and_leads_to_the_findings_of_a_cell() -> None:
    page = rendered("html")
    links = [attrs for tag, attrs in parsed(page).elements if tag == "a" and "data-cluster" in attrs]
    data = data_of(page)
    entry_clusters = [data["clusters"][data["entries"]["cluster"][entry]] for entry in data["rows"]["entry"]]

    assert data["clusters"] == ["gone", "one", "two"]
    assert set(entry_clusters) == {"one"}
    assert {link["data-cluster"] for link in links} == {"gone", "one", "two"}
    assert any(
        link["data-policy"] and link["href"].startswith("#cluster=one&policy=") for link in links if link["href"]
    )
    assert page.index('id="clusters-title"') < page.index('id="assignments-title"')
    assert "tier=&lt;b&gt;" in page
    assert "<b>" not in page.partition('id="clusters"')[2].partition("</table>")[0]


def test_links_of_the_same_finding_in_two_clusters_differ() -> None:
    out = io.StringIO()
    FORMATS["html"].render(twins(), out, Style())
    links = data_of(out.getvalue())["entries"]["link"]

    assert len(set(links)) == len(links)


def test_the_page_of_one_cluster_has_no_filter_for_clusters() -> None:
    report = replace(clusters(), clusters=(), scopes=(), results=())
    out = io.StringIO()
    FORMATS["html"].render(report, out, Style())

    assert 'id="cluster"' not in out.getvalue()
    assert 'id="clusters"' not in out.getvalue()


@pytest.mark.parametrize("name", ["sarif", "prometheus"])
def test_clusters_side_by_side_say_what_each_says_alone(name: str) -> None:
    def lines(report: Report) -> set[str]:
        out = io.StringIO()
        FORMATS[name].render(report, out, Style())
        return {line.removesuffix(",") for line in out.getvalue().splitlines()}

    alone = SCENARIOS["violations"]()
    each = [
        replace(
            alone,
            target=Target(kind=TargetKind.CLUSTER, name=one, scope=f"/clusters/{one}", server=alone.target.server),
        )
        for one in ("one", "two")
    ]

    assert lines(twins()) == lines(each[0]) | lines(each[1])


def test_a_dead_cluster_is_a_run_that_did_not_succeed_and_a_metric() -> None:
    runs = json.loads(rendered("sarif"))["runs"]
    found = {run["automationDetails"]["id"]: run["invocations"][0]["executionSuccessful"] for run in runs}

    assert found == {"aksp/cluster/gone/": False, "aksp/cluster/one/": True, "aksp/cluster/two/": True}
    assert 'aksp_gaps{target="gone"} 1' in rendered("prometheus")
    assert 'aksp_compliance_percent{target="gone"}' not in rendered("prometheus")


def as_json(report: Report) -> Any:
    out = io.StringIO()
    FORMATS["json"].render(report, out, Style(show=Show.ALL))
    return json.loads(out.getvalue())


def own_gaps(document: Any) -> list[Any]:
    """The gaps that no result in Error tells already."""
    failed = [(one["cluster"], one["resource"]) for one in document["results"] if one["state"] == "Error"]
    return [gap for gap in document["gaps"] if (gap["cluster"], gap["resource"]) not in failed]


OUTCOMES = {"NonCompliant": "failure", "Error": "error", "Conflicting": "error", "Compliant": ""}
WORST = ("failure", "error", "", "skipped")


@pytest.mark.parametrize("mix", MIXES)
def test_junit_has_the_cases_of_each_cluster_that_json_has(mix: str) -> None:
    report = fleet_of(MIXES[mix])
    document = as_json(report)
    cases: dict[tuple[str, ...], set[str]] = {}
    for one in document["results"]:
        container = one["container"] and (one["container"]["type"], one["container"]["name"])
        where = (one["referenceId"], one["resource"], container, (one["source"] or {}).get("file"))
        key = (safe(one["cluster"]), one["assignment"], repr(where))
        cases.setdefault(key, set()).add(OUTCOMES.get(one["state"], "skipped"))
    expected = Counter((key[0], next(each for each in WORST if each in found)) for key, found in cases.items())
    expected.update((safe(gap["cluster"]), "error") for gap in own_gaps(document))
    expected.update(
        (safe(one["name"]), "skipped")
        for one in document["clusters"]
        for line in one["assignments"]
        for each in line["members"] or [line]
        if each["state"] == "NotStarted"
    )
    out = io.StringIO()
    FORMATS["junit"].render(report, out, Style())
    suites = ElementTree.fromstring(out.getvalue()).findall("testsuite")
    found: Counter[tuple[str | None, str]] = Counter()
    names: Counter[tuple[str | None, str | None]] = Counter()
    for suite in suites:
        cluster = suite.find("properties/property[@name='cluster']").get("value")  # type: ignore[union-attr]
        assert suite.get("name", "").startswith(f"{cluster}: ")
        assert suite.get("hostname") == cluster
        found.update((cluster, case[0].tag if len(case) else "") for case in suite.findall("testcase"))
        names.update((case.get("classname"), case.get("name")) for case in suite.findall("testcase"))

    assert found == expected
    assert set(names.values()) == {1}
    assert len({suite.get("name") for suite in suites}) == len(suites)
    dead = {name for name, scenario in MIXES[mix].items() if scenario is None}
    assert {name for name in dead if found[name, "error"]} == dead
