"""A report that is read back is the report."""

from __future__ import annotations

import contextlib
import copy
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.compliance.changes import remembered
from aksp.errors import InvalidInput
from aksp.model.assignment import ExemptionCategory
from aksp.model.compliance import KnownLocation, Report, SharedResult
from aksp.report.interface import Show
from aksp.report.parse import NamedExemption, read_report, report_from
from aksp.report.registry import FORMATS
from tests.places import places
from tests.replacing import replace

from .clusters import MIXES, fleet_of
from .render import render
from .scenarios import SCENARIOS


def document(scenario: str, show: Show = Show.ALL) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(render(SCENARIOS[scenario](), "json", show=show))
    return read


@pytest.mark.parametrize("show", Show)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_rendered_again_it_is_the_same_document(scenario: str, show: Show) -> None:
    text = render(SCENARIOS[scenario](), "json", show=show)
    assert render(report_from(json.loads(text)), "json", show=Show.ALL) == text


@pytest.mark.parametrize("format", ["csv", "yaml", "policyreport", "openreports"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_other_formats_say_the_same_too(scenario: str, format: str) -> None:
    report = SCENARIOS[scenario]()
    assert render(report_from(document(scenario)), format) == render(report, format)


def _told(report: Report) -> Report:
    """The report without what its JSON does not hold: see aksp.report.parse."""
    made: dict[int, SharedResult] = {}
    named: dict[tuple[str, str], NamedExemption] = {}

    def shared(of: SharedResult) -> SharedResult:
        if id(of) not in made:
            waived = of.exemption and (of.exemption.name, of.exemption.assignment)
            if waived and waived not in named:
                name, assignment = waived
                named[waived] = NamedExemption(name=name, assignment=assignment, category=ExemptionCategory.WAIVER)
            exemption = named[waived] if waived else None
            made[id(of)] = replace(of, finding=replace(of.finding, fix=None), exemption=exemption)
        return made[id(of)]

    results = [
        replace(
            one,
            shared=shared(one.shared),
            source=one.source and KnownLocation(file=one.source.file, line=one.source.line),
        )
        for one in report.results
    ]
    return replace(report, results=results, gaps=[replace(one, source=None) for one in report.gaps], rules={}, past=())


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_format_says_the_same_of_what_json_holds(scenario: str, format: str) -> None:
    report = _told(SCENARIOS[scenario]())
    assert render(report_from(document(scenario)), format) == render(report, format)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_line_keeps_its_severity_and_one_of_before_has_that_of_its_results(scenario: str) -> None:
    report, read = SCENARIOS[scenario](), document(scenario)
    lines = [(line.name, line.severity) for one in report.assignments for line in (one, *one.members)]
    again = [(line.name, line.severity) for one in report_from(read).assignments for line in (one, *one.members)]
    assert again == lines

    for one in read["assignments"]:
        for line in (one, *one["members"]):
            del line["severity"]
    known = {result.assignment.name for result in report.results}
    before = [(line.name, line.severity) for one in report_from(read).assignments for line in (one, *one.members)]
    assert before == [(name, severity if name in known else "") for name, severity in lines]


@pytest.mark.parametrize("scenario", ["clean", "gaps", "initiatives", "hostile", "manifests", "unmatched"])
def test_the_table_says_the_same_where_nothing_is_exempt(scenario: str) -> None:
    assert render(report_from(document(scenario)), "table") == render(SCENARIOS[scenario](), "table")


def test_the_table_says_of_an_exemption_what_is_known_and_no_more() -> None:
    text = render(report_from(document("violations")), "table")
    assert "legacy-billing" in text
    assert "Waiver" not in text and "no end date" not in text


@pytest.mark.parametrize("number", ["1e400", "-0", "1.10", "123456789012345678901234567890", "1E5"])
def test_numbers_of_a_file_stay_as_they_are_written(tmp_path: Path, number: str) -> None:
    text = render(SCENARIOS["violations"](), "json", show=Show.ALL)
    written = text.replace('"observed": true', f'"observed": {{"a": [{number}]}}')
    assert written != text
    path = tmp_path / "report.json"
    path.write_text(written.replace('"compliancePercent": 0.0', '"compliancePercent": 0.00'))
    report = read_report(str(path))
    assert render(report, "json", show=Show.ALL) == written
    assert remembered(report.results)


def test_replicas_share_their_finding_again() -> None:
    results = report_from(document("violations")).results
    assert len({id(each.shared) for each in results}) == len({id(each.finding) for each in results}) < 15


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"apiVersion": "policy.aksp.io/v2"}, "no ComplianceReport of policy.aksp.io/v1"),
        ({"kind": "Pod"}, "kind 'Pod'"),
        ({"results": {}}, "results: expected a list"),
        ({"results": [1]}, "results[0]: expected an object, found 1"),
        ({"results": [{"resource": {"apiVersion": 1}}]}, "results[0].resource.apiVersion: expected a text, found 1"),
        ({"state": "Splendid"}, "state: expected one of NonCompliant"),
        ({"evaluatedAt": "yesterday"}, "evaluatedAt: expected a time"),
        ({"evaluatedAt": "2026-09-01T10:00:00"}, "evaluatedAt: expected a time"),
        ({"evaluatedAt": "9999-12-31T23:59:59-23:00"}, "evaluatedAt: expected a time"),
        ({"evaluatedAt": "0001-01-01T00:00:00+23:00"}, "evaluatedAt: expected a time"),
        ({"assignments": []}, "results[0].assignment: "),
        (
            {"counts": {"resources": {"NonCompliant": -1}, "containers": {}}},
            "NonCompliant: expected a whole number from 0",
        ),
        (
            {"counts": {"resources": {"NonCompliant": 10**30}, "containers": {}}},
            "NonCompliant: expected a whole number",
        ),
        ({"compliancePercent": "5"}, "compliancePercent: expected a number"),
        ({"compliancePercent": 101}, "compliancePercent: expected a number"),
        ({"counts": {"resources": {}, "containers": {}}}, "counts.resources.NonCompliant is missing"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        report_from({**document("gaps"), **change})
    assert said in str(caught.value)


def _put(document: Any, *path: Any, value: Any) -> dict[str, Any]:
    """The document with another value there."""
    wrong = inner = copy.deepcopy(document)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return dict(wrong)


@pytest.mark.parametrize(
    ("scenario", "path", "value", "said"),
    [
        ("violations", ("state",), "Compliant", "state: Compliant contradicts counts.resources, which makes it NonC"),
        ("violations", ("compliancePercent",), 100.0, "compliancePercent: 100.0 contradicts counts.resources, which m"),
        ("violations", ("assignments", 1, "compliancePercent"), 100.0, "assignments[1].compliancePercent: 100.0"),
        ("violations", ("assignments", 1, "state"), "Compliant", "assignments[1].state: Compliant contradicts"),
        ("violations", ("counts", "resources", "NonCompliant"), 299, "compliancePercent: 5.6 contradicts"),
        ("gaps", ("assignments", 1, "state"), "Compliant", "assignments[1].state: Compliant contradicts"),
        ("empty", ("state",), "Compliant", "state: Compliant contradicts counts.resources, which makes it Error where"),
        ("empty", ("compliancePercent",), 100.0, "which has nothing that was judged"),
        ("initiatives", ("assignments", 2, "state"), "Compliant", "assignments[2].state: Compliant contradicts"),
        ("initiatives", ("assignments", 2, "groups", 1, "state"), "Compliant", "assignments[2].groups[1].state: Comp"),
        ("initiatives", ("assignments", 2, "members", 2, "state"), "Compliant", "assignments[2].members[2].state: C"),
    ],
)
def test_what_contradicts_its_counts_is_refused(scenario: str, path: tuple[Any, ...], value: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        report_from(_put(document(scenario), *path, value=value))
    assert said in str(caught.value)


def test_violations_are_not_lost_with_the_line_of_their_assignment() -> None:
    read = document("violations", Show.NEW)
    for name in ("contoso-images", "resource-limits"):
        read["assignments"] = [one for one in read["assignments"] if one["name"] != name]
        read["results"] = [one for one in read["results"] if one["assignment"] != name]
    with pytest.raises(InvalidInput, match="302 that do not comply contradict those of assignments"):
        report_from(read)
    with pytest.raises(InvalidInput, match=r"12 that were judged contradict .* 0 at least and 0 at most"):
        report_from({**document("clean"), "assignments": [], "results": []})


@pytest.mark.parametrize("mix", MIXES)
def test_reports_of_several_clusters_do_not_contradict_themselves(mix: str) -> None:
    text = render(fleet_of(MIXES[mix]), "json")
    assert render(report_from(json.loads(text)), "json") == text


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("clusters", 0, "state"), "Compliant", "clusters[0].state: Compliant contradicts"),
        (("clusters", 1, "assignments", 0, "state"), "Compliant", "clusters[1].assignments[0].state: Compliant"),
        (("clusters", 1, "assignments"), [], 'is not among the assignments of cluster "one"'),
        (("scopes", 0, "state"), "Compliant", "scopes[0].state: Compliant contradicts"),
        (("results", 0, "cluster"), "gone", 'is not among the assignments of cluster "gone"'),
        (("results", 0, "cluster"), "", "is not among the assignments of the report"),
        (("clusters", 2, "counts", "resources", "Compliant"), 0, "clusters[2].compliancePercent: 100.0 contradicts"),
    ],
)
def test_clusters_and_scopes_that_contradict_their_counts_are_refused(
    path: tuple[Any, ...], value: Any, said: str
) -> None:
    read = json.loads(render(fleet_of(MIXES["one dead"]), "json"))
    with pytest.raises(InvalidInput) as caught:
        report_from(_put(read, *path, value=value))
    assert said in str(caught.value)


def test_fields_that_a_later_version_may_add_are_passed_over() -> None:
    later = document("gaps")
    later["results"][0]["later"] = later["later"] = 1
    assert report_from(later) == report_from(document("gaps"))


MANGLED = document("manifests")
PLACES = list(places(MANGLED))


@given(st.sampled_from(PLACES), st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.just([]), st.just({})))
def test_a_document_that_is_wrong_somewhere_is_refused_or_read_but_never_breaks(
    path: tuple[Any, ...], put: Any
) -> None:
    wrong = copy.deepcopy(MANGLED)
    inner: Any = wrong
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = put
    with contextlib.suppress(InvalidInput):
        report_from(wrong)


def test_ten_thousand_results_are_read_quickly() -> None:
    violations = SCENARIOS["violations"]()
    large = replace(violations, results=tuple(violations.results) * 11)
    read = json.loads(render(large, "json"))
    started = time.process_time()
    report_from(read)
    assert time.process_time() - started < 2
