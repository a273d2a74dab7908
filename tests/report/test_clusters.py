"""Reports of several clusters in each format that can tell them apart."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator

from aksp.cli.clusters import ClusterChoice
from aksp.cli.comparison import BaselineOptions
from aksp.cli.evaluation import ComplianceRequest, exit_code
from aksp.cli.filters import Filters
from aksp.cli.manifests import ManifestOptions
from aksp.cli.options import ColorWhen, FailOn, ReportSource
from aksp.cli.outputs import Outputs
from aksp.errors import ExitCode, InvalidInput
from aksp.model.compliance import ComplianceState, Report, Target, TargetKind
from aksp.report.interface import GroupBy, Show, Style
from aksp.report.parse import report_from
from aksp.report.pipeline.annotations import annotate
from aksp.report.registry import FORMATS
from aksp.report.text import safe
from tests.replacing import replace
from tests.report.clusters import MIXES, alone, clusters, fleet_of, twins
from tests.report.scenarios import SCENARIOS
from tests.report.test_html import data_of, parsed
from tests.report.test_wire import SCHEMA

#: They have lines for what does not comply, or counts, and none for a cluster in which all complies.
LISTS = ("csv", "github", "azuredevops", "gitlab", "azure-componentpolicystates", "azure-summary")
REQUEST = ComplianceRequest(
    where=ClusterChoice(), manifests=ManifestOptions(), outputs=(), source=ReportSource.SCAN, filters=Filters(),
    show=Show.NON_COMPLIANT, group_by=GroupBy.OWNER, fail_on=FailOn.ENFORCED, require_match=False, color=ColorWhen.AUTO,
    chunk_size=500, quiet=True, workspace=None, compared=BaselineOptions(),
)  # fmt: skip
MANY = [one.name for one in FORMATS.values() if one.one_cluster is None]


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
    elif name not in LISTS:
        assert "two" in text


def test_just_what_is_applied_to_a_cluster_is_refused_and_says_what_to_do() -> None:
    refused = [name for name in FORMATS if name not in MANY]

    assert refused == ["openreports", "policyreport"]
    for name in refused:
        with pytest.raises(
            InvalidInput, match="tells of one cluster, and several are judged: its objects lie in"
        ) as caught:
            Outputs.parse([name]).refuse_one_cluster_formats()
        assert f"--cluster NAME -o {name} | kubectl --context NAME apply" in (caught.value.hint or "")


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
    listed = {(one["cluster"], one["assignment"], one["referenceId"]) for one in document["results"]}
    expected.update(
        (safe(one["name"]), "error" if each["state"] == "Error" else "skipped")
        for one in document["clusters"]
        for line in one["assignments"]
        for each in line["members"] or [line]
        if each["state"] in ("NotStarted", "Error")
        and (one["name"], line["name"], each.get("referenceId")) not in listed
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
    for name in (name for name, scenario in MIXES[mix].items() if scenario is None):
        own = {suite.get("name"): suite for suite in suites if suite.get("hostname") == name}
        assert own.keys() == {f"{name}: allowed-images", f"{name}: gaps"}
        assert {(suite.get("tests"), suite.get("errors")) for suite in own.values()} == {("1", "1")}


def findings_of(document: Any) -> Counter[str]:
    """How many findings of workloads each cluster has by JSON, replicas as one; what is exempt is none."""
    most: dict[tuple[str, ...], int] = {}
    each: Counter[tuple[str, ...]] = Counter()
    for one in document["results"]:
        if one["state"] not in ("NonCompliant", "Error", "Conflicting"):
            continue
        resource, container = one["resource"], one["container"]
        workload = one["owner"] or {"kind": resource["kind"], "name": resource["name"]}
        place = one["message"].replace(resource["name"], workload["name"]) if one["path"] is None else one["path"]
        identity: tuple[str, ...] = (
            one["cluster"], one["assignment"], str(one["referenceId"]), resource["namespace"], workload["kind"],
            workload["name"], container["name"] if container else "", place,
        )  # fmt: skip
        # A second one at the same place of the same resource is another finding.
        each[*identity, resource["name"]] += 1
        most[identity] = max(most.get(identity, 0), each[*identity, resource["name"]])
    found: Counter[str] = Counter()
    for key, number in most.items():
        found[safe(key[0])] += number
    return found


def of_cluster(text: str, names: Mapping[str, Any]) -> str:
    """The cluster that a text begins with, after the name of its assignment or its reason."""
    (found,) = {safe(name) for name in names if f": {safe(name)}: " in text}
    return found


@pytest.mark.parametrize("mix", MIXES)
def test_issues_of_azure_pipelines_are_the_findings_and_gaps_of_json_each_with_its_cluster(mix: str) -> None:
    report, parts = fleet_of(MIXES[mix]), MIXES[mix]
    document = as_json(report)
    out = io.StringIO()
    FORMATS["azuredevops"].render(report, out, Style())
    lines = [line for line in out.getvalue().splitlines() if line.startswith("##vso[")]
    expected = Counter(safe(gap["cluster"]) for gap in own_gaps(document))
    # What keeps an object from being judged is told once for all assignments.
    errors = Counter(
        (one["cluster"], repr(one["resource"]), one["message"])
        for one in document["results"]
        if one["state"] == "Error"
    )
    found = Counter(of_cluster(line.replace(" could not be judged:", "", 1), parts) for line in lines)
    expected.update(findings_of(document))
    for (cluster, *_), number in errors.items():
        expected[safe(cluster)] -= number - 1

    assert found == +expected
    for name, scenario in parts.items():
        if scenario is None:
            assert any(
                line.startswith("##vso[task.logissue type=warning;code=ClusterUnreachable;]") and f": {name}: " in line
                for line in lines
            )


@pytest.mark.parametrize("mix", MIXES)
def test_annotations_are_those_of_each_cluster_alone_by_its_name(mix: str) -> None:
    def told(report: Report, name: str = "") -> Counter[tuple[str, str, str]]:
        texts = Counter[tuple[str, str, str]]()
        for level, some in annotate(report).items():
            for one in some:
                message = one.message
                if name:
                    begin = "" if one.finding else "could not be judged: "
                    message = f"{begin}{safe(name)}: {message.removeprefix(begin)}"
                texts[level, one.title, message] += 1
        return texts

    report = fleet_of(MIXES[mix])
    expected = Counter[tuple[str, str, str]]()
    for name, scenario in MIXES[mix].items():
        if scenario is None:
            expected["warning", "ClusterUnreachable", f"could not be judged: {name}: connection refused"] += 1
        else:
            expected += told(replace(alone(name, scenario), rules=report.rules), name)

    assert told(report) == expected


def test_github_warns_of_a_dead_cluster_before_all_other_warnings() -> None:
    warnings = [line for line in rendered("github").splitlines() if line.startswith("::warning")]

    assert warnings[0] == "::warning title=ClusterUnreachable::could not be judged: gone: connection refused"


def test_a_violation_is_an_error_where_its_own_cluster_would_refuse_it() -> None:
    """Of several clusters an assignment may be overridden in one."""
    lines = {"one": "EnforceRegoPolicy", "two": "Audit"}
    whole = twins()
    report = replace(
        whole,
        assignments=[replace(line, effect="mixed") for line in whole.assignments],
        clusters=[
            replace(one, assignments=[replace(line, effect=lines[one.name], enforcement_mode="Default") for line in one.assignments])
            for one in whole.clusters
        ],
    )  # fmt: skip
    found = annotate(report)

    assert {one.finding.first.resource.cluster for one in found["error"] if one.finding} == {"one"}
    assert {one.finding.first.resource.cluster for one in found["warning"] if one.finding} == {"two"}
    assert exit_code(REQUEST, report) is ExitCode.NON_COMPLIANT
    only_two = replace(report, results=[one for one in report.results if one.resource.cluster == "two"])
    assert exit_code(REQUEST, only_two) is ExitCode.OK


@pytest.mark.parametrize("mix", MIXES)
def test_gitlab_has_an_issue_for_each_finding_and_gap_of_json_in_the_folder_of_its_cluster(mix: str) -> None:
    parts = MIXES[mix]
    report = fleet_of(parts)
    document = as_json(report)
    out = io.StringIO()
    FORMATS["gitlab"].render(report, out, Style())
    issues = json.loads(out.getvalue())
    expected = findings_of(document)
    expected.update(safe(gap["cluster"]) for gap in own_gaps(document))
    found = Counter(of_cluster(one["description"], parts) for one in issues)

    assert found == expected
    assert len({one["fingerprint"] for one in issues}) == len(issues)
    for one in issues:
        if not one["location"]["path"].endswith((".json", ".yml")):  # written in no file
            folder = unquote(one["location"]["path"]).removeprefix("cluster/")
            assert folder.startswith(f"{of_cluster(one['description'], parts)}/")
    gone = {of_cluster(one["description"], parts) for one in issues if one["check_name"] == "gap-ClusterUnreachable"}
    assert gone == {name for name, scenario in parts.items() if scenario is None}


def test_gitlab_knows_a_finding_of_one_cluster_whatever_others_there_are() -> None:
    def prints(parts: Mapping[str, str | None]) -> set[str]:
        out = io.StringIO()
        FORMATS["gitlab"].render(fleet_of(parts), out, Style())
        return {one["fingerprint"] for one in json.loads(out.getvalue())}

    one, two, both = (dict.fromkeys(names, "violations") for names in (["one"], ["two"], ["one", "two"]))

    assert prints(one) | prints(two) == prints(both)
    assert not prints(one) & prints(two)


def azure(report: Report, name: str, **style: Any) -> Any:
    out = io.StringIO()
    FORMATS[name].render(report, out, Style(**style))
    return json.loads(out.getvalue())


@pytest.mark.parametrize("mix", MIXES)
def test_records_of_azure_are_those_of_json_by_the_id_of_each_cluster(mix: str) -> None:
    report = fleet_of(MIXES[mix])
    document = as_json(report)
    ids = {one["name"]: one["id"] or one["scope"] for one in document["clusters"]}
    states = azure(report, "azure-policystates")
    components = azure(report, "azure-componentpolicystates", show=Show.ALL)
    lines = Counter(
        (ids[one["name"]], line["name"], each["state"])
        for one in document["clusters"]
        for line in one["assignments"]
        for each in line["members"] or [line]
    )
    objects = {
        (ids[one["cluster"]], one["assignment"], one["referenceId"], repr(one["resource"]))
        for one in document["results"]
    }

    assert states["@odata.count"] == len(states["value"])
    assert Counter(
        (
            one["resourceId"],
            one["policyAssignmentName"],
            {"Conflict": "Conflicting"}.get(one["complianceState"], one["complianceState"]),
        )
        for one in states["value"]
    ) == lines  # fmt: skip
    assert Counter(one["resourceId"] for one in components["value"]) == Counter(one[0] for one in objects)
    for name in ("azure-policystates", "azure-componentpolicystates", "azure-summary"):
        made = azure(report, name)
        # A cluster that was not judged has no record, and may not be missing without a word.
        unjudged = {one["resourceId"] for one in made["@aksp.unjudged"] if "policyAssignmentName" not in one}
        assert unjudged == {ids[one["name"]] for one in document["clusters"] if one["message"]}
        assert [gap["cluster"] for gap in made["@aksp.gaps"]] == [gap["cluster"] for gap in document["gaps"]]
    counts = azure(report, "azure-summary")["value"][0]["results"]
    assert counts["nonCompliantResources"] == document["counts"]["resources"]["NonCompliant"]


def test_a_record_of_azure_has_the_id_the_place_and_the_kind_of_its_cluster() -> None:
    arm = "/subscriptions/1/resourceGroups/rg/providers/Microsoft"
    whole = twins()
    first, second = whole.clusters
    report = replace(
        whole,
        clusters=(
            replace(first, id=f"{arm}.ContainerService/managedClusters/one", location="westeurope"),
            replace(second, id=f"{arm}.Kubernetes/connectedClusters/two", location=""),
        ),
    )
    for name in ("azure-policystates", "azure-componentpolicystates"):
        found = {
            (one["resourceId"], one["resourceType"], one["resourceLocation"], one["subscriptionId"], one["resourceGroup"])
            for one in azure(report, name)["value"]
        }  # fmt: skip
        assert found == {
            (f"{arm}.ContainerService/managedClusters/one", "Microsoft.ContainerService/managedClusters", "westeurope", "1", "rg"),
            (f"{arm}.Kubernetes/connectedClusters/two", "Microsoft.Kubernetes/connectedClusters", None, "1", "rg"),
        }  # fmt: skip
