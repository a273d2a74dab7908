"""What an initiative, its groups and its members came to can be counted from each format that lists results, or read in it."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from xml.etree import ElementTree

import pytest
import yaml

from aksp.engine import Engine
from aksp.model.compliance import PRECEDENCE, Report
from aksp.report.interface import Show
from tests.addon.test_parity import generated
from tests.test_initiatives import Folder, initiative

from .render import render
from .test_html import data_of, read_back

#: What a line is about: an assignment, and the member or the group in it, or all of it.
Line = tuple[str, str, str]
Counts = dict[Line, dict[str, int]]
Row = tuple[Line, object, str]
"""The line, the resource and its state."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    root = tmp_path_factory.mktemp("rollup")
    objects = root / "objects.json"
    items = [one.new for one in generated(120)[0]]
    objects.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), encoding="utf-8")
    with Engine() as engine:
        folder = Folder(root / "ws", engine)
        for slug, seed in (("team", 1), ("other", 2)):
            properties, given = initiative(random.Random(seed))
            folder.initiative(properties, slug)
            folder.assign(f"by-{slug}", slug, given)
        folder.assign("alone", "no-privileged")
        waived = {
            "policyAssignmentId": "by-team",
            "exemptionCategory": "Waiver",
            "policyDefinitionReferenceIds": ["Labels"],
        }
        folder.write("exemption", "labels", {**waived, "resources": [{"namespace": "shop"}]})
        # Lines in the file are looked up while the engine runs.
        yield folder.report(objects)


def told(report: Report) -> Counts:
    """By the JSON report; lines that judged nothing are left out."""
    found: Counts = {}
    for one in json.loads(render(report, "json"))["assignments"]:
        found[one["name"], "", ""] = one["counts"]["resources"]
        found |= {(one["name"], "member", each["referenceId"]): each["counts"]["resources"] for each in one["members"]}
        found |= {(one["name"], "group", each["name"]): each["counts"]["resources"] for each in one["groups"]}
    positive = {line: {state: count for state, count in counts.items() if count} for line, counts in found.items()}
    return {line: counts for line, counts in positive.items() if counts}


def counted(rows: Iterable[Row]) -> Counts:
    """Distinct resources by their state: of several results the first in the order of states."""
    states: defaultdict[Line, dict[object, str]] = defaultdict(dict)
    order = [state.value for state in PRECEDENCE]
    for line, resource, state in rows:
        if state in order:
            states[line][resource] = min(states[line].get(resource, state), state, key=order.index)
    return {line: dict(Counter(found.values())) for line, found in states.items()}


def lines(assignment: str, reference: str, groups: Iterable[str]) -> Iterator[Line]:
    yield assignment, "", ""
    if reference:
        yield assignment, "member", reference
        yield from ((assignment, "group", group) for group in groups)


def of_csv(report: Report) -> Iterator[Row]:
    for row in csv.DictReader(io.StringIO(render(report, "csv", show=Show.ALL), newline="")):
        resource = tuple(row[f"resource.{name}"] for name in ("apiVersion", "kind", "namespace", "name", "uid"))
        groups = json.loads(row["groupNames"] or "[]")
        if any(resource):
            for line in lines(row["assignment"], row["referenceId"], groups):
                yield line, resource, row["state"]


def of_policy_reports(report: Report, format: str) -> Iterator[Row]:
    for document in yaml.load_all(render(report, format, show=Show.ALL), yaml.CSafeLoader):
        for one in document["results"]:
            told = one["properties"]
            reference = told.get("referenceId", "")
            groups = json.loads(told.get("groupNames", "[]"))
            for line in lines(one["policy"].removesuffix(f"/{reference}"), reference, groups):
                for resource in one.get("resources", ()):
                    yield line, tuple(resource.items()), told["state"]


LISTING: Mapping[str, Callable[[Report], Iterator[Row]]] = {
    "csv": of_csv,
    "policyreport": lambda report: of_policy_reports(report, "policyreport"),
    "openreports": lambda report: of_policy_reports(report, "openreports"),
}


@pytest.mark.parametrize("format", LISTING)
def test_counted_from_the_results_it_is_what_json_says(format: str, report: Report) -> None:
    expected = told(report)

    assert counted(LISTING[format](report)) == expected
    assert {kind for _, kind, _ in expected} == {"", "member", "group"}
    assert {state for counts in expected.values() for state in counts} >= {"NonCompliant", "Compliant", "Exempt"}


def test_counted_from_the_rows_of_the_page_it_is_what_json_says(report: Report) -> None:
    """Groups have no rows of their own: the page says what they came to."""

    def rows() -> Iterator[Row]:
        for one in read_back(data_of(render(report, "html", show=Show.ALL))):
            assignment, _, reference = one["assignment"].partition("/")
            for line in lines(assignment, reference, ()):
                yield line, (one["kind"], one["namespace"], one["name"]), one["state"]

    assert counted(rows()) == {line: counts for line, counts in told(report).items() if line[1] != "group"}


# Formats that say it themselves


def test_the_page_has_a_row_for_each_line_with_its_state_and_a_bar_of_its_states(report: Report) -> None:
    page = render(report, "html")
    states: dict[Line, tuple[str, float | None]] = {}
    bars: Counts = {}
    table = r'<tr data-policy="([^"]*)"(.*?)</tr>'
    group = r"<tr>\s*<td>([^<]*)</td>\s*<th scope=\"row\">([^<]*)</th>(.*?)</tr>"
    found = [
        ((name.partition("/")[0], "member" if "/" in name else "", name.partition("/")[2]), text)
        for name, text in re.findall(table, page, re.DOTALL)
    ]
    found += [((name, "group", of), text) for name, of, text in re.findall(group, page, re.DOTALL)]
    for line, text in found:
        (state,) = re.findall(r'class="state state-(\w+)"', text)
        percent = re.search(r"([\d.]+)%</td>", text)
        states[line] = state, float(percent[1]) if percent else None
        if bar := re.search(r"<title>(.*) of [\d,]+ resources</title>", text):
            bars[line] = {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", bar[1])}

    assert bars == told(report)
    assert {line: states[line] for line in figures(report)} == figures(report)


def figures(report: Report) -> dict[Line, tuple[str, float | None]]:
    """The state and the percentage of the initiatives' lines, by the JSON report."""
    found = {}
    for one in json.loads(render(report, "json"))["assignments"]:
        if one["members"]:
            found[one["name"], "", ""] = one["state"], one["compliancePercent"]
            for kind, key in (("member", "referenceId"), ("group", "name")):
                for each in one[f"{kind}s"]:
                    found[one["name"], kind, each[key]] = each["state"], each["compliancePercent"]
    return found


def test_sarif_has_it_among_the_properties_of_the_run(report: Report) -> None:
    found = {}
    (run,) = json.loads(render(report, "sarif"))["runs"]
    for one in run["properties"]["initiatives"]:
        found[one["assignment"], "", ""] = one["state"], one["compliancePercent"]
        for kind in ("member", "group"):
            for each in one[f"{kind}s"]:
                found[one["assignment"], kind, each["name"]] = each["state"], each["compliancePercent"]

    assert found == figures(report)


def test_prometheus_has_a_series_for_each_line_and_state(report: Report) -> None:
    found: defaultdict[Line, dict[str, int]] = defaultdict(dict)
    for metric, text, number in re.findall(r"^(\w+)\{(.*)\} (\d+)$", render(report, "prometheus"), re.MULTILINE):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', text))
        if metric in ("aksp_resources", "aksp_group_resources") and int(number):
            line = next(
                ((kind, labels[key]) for kind, key in (("member", "reference"), ("group", "group")) if key in labels),
                ("", ""),
            )
            found[(labels["assignment"], *line)][labels["state"]] = int(number)

    assert found == told(report)


def test_junit_has_the_states_in_each_suite_and_a_case_for_each_container(report: Report) -> None:
    failing: defaultdict[Line, set[str]] = defaultdict(set)
    states = {}
    for suite in ElementTree.fromstring(render(report, "junit")).iter("testsuite"):
        given = {one.attrib["name"]: one.attrib["value"] for one in suite.iter("property")}
        reference = given.get("referenceId", "")
        assignment = suite.attrib["name"].removesuffix(f"/{reference}")
        groups = [name.removeprefix("groupState.") for name in given if name.startswith("groupState.")]
        if reference:
            states[assignment, "", ""] = given["initiativeState"]
            states[assignment, "member", reference] = given["state"]
            states |= {(assignment, "group", group): given[f"groupState.{group}"] for group in groups}
        for line in lines(assignment, reference, groups):
            failing[line] |= {
                c.attrib["name"].partition("[")[0] for c in suite.iter("testcase") if c.find("failure") is not None
            }

    # A group without members has no suite.
    assert states == {line: state for line, (state, _) in figures(report).items() if line[1:] != ("group", "none")}
    expected = {line: counts.get("NonCompliant", 0) for line, counts in told(report).items()}
    assert {line: len(names) for line, names in failing.items() if line in expected} == expected


def test_tables_have_a_row_for_each_line(report: Report) -> None:
    """NonCompliant, Exempt and all of the resources; groups that comply are left out of Markdown."""
    rows = [
        [cell.strip().replace("\\", "") for cell in row.split("|")[1:-1]]
        for row in render(report, "markdown").splitlines()
        if row.startswith("| ")
    ]
    found: dict[Line, tuple[int, int, int]] = {}
    assignment, section = "", ""
    for first, *cells in rows:
        if first == "Assignment":
            section = cells[0]
        elif section == "Group" and len(cells) == 5:
            found[first, "group", cells[0]] = _shares(cells[3])
        elif section in ("Definition", "Effect") and len(cells) >= 5:
            known = first in {one.name for one in report.assignments}
            assignment = first if known else assignment
            found[(assignment, "", "") if known else (assignment, "member", first)] = _shares(cells[-2])

    expected = {
        line: (counts.get("NonCompliant", 0), counts.get("Exempt", 0), sum(counts.values()))
        for line, counts in told(report).items()
    }
    complying = {line for line, (state, _) in figures(report).items() if line[1] == "group" and state == "Compliant"}
    assert {line: shares for line, shares in found.items() if shares[2]} == {
        line: shares for line, shares in expected.items() if line not in complying
    }


def _shares(text: str) -> tuple[int, int, int]:
    match = re.fullmatch(r"(\d+)(?:\+(\d+))?/(\d+)", text)
    return (int(match[1]), int(match[2] or 0), int(match[3])) if match else (0, 0, 0)
