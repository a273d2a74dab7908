"""Baselines of several clusters: what is known of each, and what stays known of those that a scan did not judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from aksp.cli.comparison import BaselineOptions, Comparison
from aksp.cli.progress import Notes
from aksp.compliance.changes import remembered
from aksp.model.compliance import ComplianceState, Report
from aksp.report.interface import Show
from aksp.report.pipeline.annotations import annotate
from aksp.store.baseline import read_baseline
from tests.cli.conftest import Aksp
from tests.cli.test_fleet import fleet as fleet
from tests.cli.test_fleet import written as write
from tests.replacing import replace
from tests.report.clusters import MIXES, alone, fleet_of
from tests.report.render import render

BAD = ComplianceState.NON_COMPLIANT


def compared(folder: Path, report: Report, **options: Any) -> tuple[Comparison, Report]:
    comparison = Comparison(
        options=BaselineOptions(baseline=str(folder / "b.json"), history=False, **options),
        workspace=folder,
        notes=Notes(quiet=True),
    )
    comparison.prepare()
    report = comparison.begin(report)
    comparison.end()
    return comparison, report


def violations_of(report: Report) -> dict[str, str]:
    """Fingerprints of violations, each with its cluster."""
    return {key: one.cluster for key, one in remembered(report.results).items() if one.state is BAD}


def written(folder: Path, parts: Mapping[str, str | None]) -> Report:
    return compared(folder, fleet_of(parts), write_baseline=True)[1]


@pytest.mark.parametrize("mix", MIXES)
def test_a_baseline_has_the_violations_of_each_cluster_and_then_none_is_new(tmp_path: Path, mix: str) -> None:
    expected = violations_of(written(tmp_path, MIXES[mix]))
    held, report = compared(tmp_path, fleet_of(MIXES[mix]), fail_on_new=True)

    assert {key: one.cluster for key, one in read_baseline(tmp_path / "b.json").items()} == expected
    assert held.new == []
    assert report.known is not None
    assert report.known.known == len(expected)


@pytest.mark.parametrize("name", ["junit", "sarif", "annotations"])
def test_what_is_known_of_one_cluster_is_new_in_another(tmp_path: Path, name: str) -> None:
    twins = MIXES["twins"]
    written(tmp_path, {"one": "violations", "two": "clean"})
    held, report = compared(tmp_path, fleet_of(twins), fail_on_new=True)
    number = sum(cluster == "two" for cluster in violations_of(report).values())

    assert {one.cluster for one in held.new} == {"two"}
    assert len(held.new) == number > 0
    if name == "sarif":
        runs = json.loads(render(report, "sarif"))["runs"]
        found = {
            run["properties"]["target"]: {one["baselineState"] for one in run["results"] if "baselineState" in one}
            for run in runs
        }
        assert found == {"one": {"unchanged"}, "two": {"new"}}
    elif name == "junit":
        suites = ElementTree.fromstring(render(report, "junit")).findall("testsuite")
        assert {suite.get("hostname") for suite in suites if suite.get("failures") != "0"} == {"two"}
    else:
        told = annotate(report)
        findings = [one.finding.first for one in (*told["error"], *told["warning"]) if one.finding]
        assert {one.resource.cluster for one in findings if one.state is BAD} == {"two"}


def test_just_what_is_new_is_shown_with_its_cluster(tmp_path: Path) -> None:
    written(tmp_path, {"one": "violations", "two": "clean"})
    _, report = compared(tmp_path, fleet_of(MIXES["twins"]), only_new=True)

    assert {one.resource.cluster for one in report.results if one.state is BAD} == {"two"}
    assert "one: " not in render(report, "azuredevops", show=Show.NEW)


def test_a_dead_cluster_keeps_what_is_known_of_it_and_is_never_green(tmp_path: Path) -> None:
    before = violations_of(written(tmp_path, MIXES["twins"]))
    report = written(tmp_path, {"one": "clean", "two": None})
    kept = {key: one.cluster for key, one in read_baseline(tmp_path / "b.json").items()}
    _, again = compared(tmp_path, fleet_of({"one": "clean", "two": None}), fail_on_new=True)

    assert report.gaps
    assert kept == {key: cluster for key, cluster in before.items() if cluster == "two"}
    assert [gap.cluster for gap in again.gaps] == ["two"]
    assert "two: connection refused" in render(again, "azuredevops")


def test_of_clusters_that_were_not_judged_nothing_is_called_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, MIXES["twins"])
    comparison = Comparison(
        options=BaselineOptions(baseline=str(tmp_path / "b.json"), history=False),
        workspace=tmp_path,
        notes=Notes(quiet=False),
    )
    comparison.prepare()
    comparison.begin(fleet_of({"one": "violations", "two": None}))

    assert "0 new violations" in (said := capsys.readouterr().err)
    assert ", 0 no longer found" in said


def test_a_baseline_of_one_cluster_alone_keeps_what_is_known_of_several(tmp_path: Path) -> None:
    known = violations_of(written(tmp_path, MIXES["twins"]))
    single = compared(tmp_path, alone("one", "violations"), write_baseline=True)[1]

    assert {key: one.cluster for key, one in read_baseline(tmp_path / "b.json").items()} == known | violations_of(
        single
    )


def test_clusters_that_nobody_can_reach_leave_the_baseline_as_it_is(fleet: Aksp) -> None:
    written(fleet.folder, {"one": "violations", "elsewhere": "violations"})
    before = (fleet.folder / "b.json").read_text()
    run = fleet("compliance", "--all-clusters", "--baseline", "b.json", "--write-baseline")
    held = fleet("compliance", "--all-clusters", "--baseline", "b.json", "--fail-on-new")

    assert (run.code, held.code) == (4, 4)
    assert json.loads((fleet.folder / "b.json").read_text())["findings"] == json.loads(before)["findings"]
    assert "of what this scan did not judge stay in b.json" in run.err


def test_the_history_has_a_line_for_all_clusters_of_a_scan_and_diff_takes_one_of_them(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged")
    names = [f"c{number:02}" for number in range(12)]
    first, second = (dict.fromkeys(names, scenario) for scenario in ("violations", "clean"))
    other = {**first, "c99": "clean"} | {"c00": "clean"}
    del other["c01"]
    pasts = []
    for parts in (first, second, other):
        for report in (alone("c00", "clean"), fleet_of(parts)):
            comparison = Comparison(options=BaselineOptions(), workspace=aksp.workspace, notes=Notes(quiet=True))
            pasts.append(len(comparison.begin(report).past))
            comparison.end()
    scans = {one["target"]["name"]: one["scans"] for one in aksp("history", "-o", "json").json}
    table = aksp("history").out

    assert pasts == [0, 0, 1, 1, 2, 0]
    assert [one["state"] for one in scans[", ".join(names)]] == ["NonCompliant", "Compliant"]
    assert len(scans[", ".join(sorted(other))]) == 1  # the same number of clusters, and others
    assert "c09 and 2 more" in table
    assert "clusters " not in aksp("diff").err + aksp("diff").out


def record(aksp: Aksp, *scans: Mapping[str, str | None]) -> None:
    """Remember scans of several clusters, each cluster by itself and all together."""
    aksp.done("assign", "no-privileged")
    for parts in scans:
        for report in (*(alone(name, scenario) for name, scenario in parts.items() if scenario), fleet_of(parts)):
            comparison = Comparison(options=BaselineOptions(), workspace=aksp.workspace, notes=Notes(quiet=True))
            comparison.begin(report)
            comparison.end()


def test_the_history_of_several_clusters_tells_all_of_them_and_each(aksp: Aksp) -> None:
    record(aksp, {"a": "violations", "b": "clean"}, {"a": "clean", "b": "clean"})
    for arguments, order in (
        (("--all-clusters",), ["a", "b"]),
        (("--cluster", "b", "--cluster", "a"), ["b", "a"]),
    ):
        out = aksp("history", *arguments).out
        titles = [line.partition(":")[0] for line in out.splitlines() if "% compliant" in line]
        assert titles == ["clusters a, b", *(f"cluster {name}" for name in order)]
        together = out.partition("ASSIGNMENT")[0]
        assert [line.split()[:3] for line in together.splitlines()[2:5]] == [
            ["CLUSTER", "STATE", "%"],
            ["a", "Compliant", "100.0"],
            ["b", "Compliant", "100.0"],
        ]


def test_diff_of_several_clusters_compares_each_with_itself(aksp: Aksp) -> None:
    record(aksp, {"a": "violations", "b": "clean", "c": None}, {"a": "clean", "b": "violations", "c": "clean"})
    run = aksp("diff", "--all-clusters", "-o", "json")
    kinds = {(one["cluster"], one["change"]) for one in run.json["changes"] if one["after"] != "Exempt"}
    assert ("b", "new") in kinds
    assert {cluster for cluster, _ in kinds} == {"a", "b"}
    assert [(one["name"], one["before"]["state"], one["after"]["state"]) for one in run.json["clusters"]] == [
        ("a", "NonCompliant", "Compliant"),
        ("b", "Compliant", "NonCompliant"),
    ]
    # One of which there is nothing to compare is told, and hides no other.
    assert "c is not compared: no scan of cluster c before the last is remembered" in run.err
    assert aksp("diff", "--cluster", "a", "--cluster", "b", "--fail-on-new").code == 1
    table = aksp("diff", "--all-clusters").out
    assert "a before" in table and "b: shop Pod/debug" in table
    refused = aksp("diff", "--all-clusters", "--cluster", "a")
    assert (refused.code, "does not combine with --all-clusters" in refused.err) == (2, True)
    assert aksp("diff", "--cluster", "a", "--cluster", "z").code == 2


def test_what_cannot_be_compared_of_several_clusters_is_in_the_difference_and_never_passes(aksp: Aksp) -> None:
    record(aksp, *({"a": "clean", "b": None, "c": None}, {"a": "clean", "b": None, "c": "clean"}))
    run = aksp("diff", "--all-clusters", "-o", "json", "--fail-on-new")
    assert run.code == 4
    assert [(one["name"], one["message"]) for one in run.json["notCompared"]] == [
        ("b", "no scan of it alone is remembered"),
        ("c", "no scan of cluster c before the last is remembered that judged something"),
    ]
    assert aksp("diff", "--all-clusters").code == 0
    for form in ("table", "markdown", "html"):
        assert "b is not compared: no scan of it alone" in aksp("diff", "--all-clusters", "-o", form).out
    assert aksp("diff", "--cluster", "a", "--cluster", "c", "--fail-on-new").code == 4
    assert aksp("diff", "--cluster", "a", "--fail-on-new").code == 0
    lines = aksp("history", "--all-clusters").out.splitlines()
    (line,) = [one for one in lines if one.startswith("b ")]
    assert line.endswith("no scan of it is remembered")


def test_a_difference_in_markdown_is_cut_to_what_a_comment_takes_and_says_so(aksp: Aksp) -> None:
    whole = alone("a", "violations")
    bad = next(one for one in whole.results if one.state is BAD)
    many = [
        replace(
            bad, resource=replace(bad.resource, name=f"pod-{at}", cluster=""), shared=replace(bad.shared, owner=None)
        )
        for at in range(2000)
    ]
    write(aksp, "before.json", replace(whole, results=()))
    write(aksp, "after.json", replace(whole, results=many))
    text = aksp("diff", "before.json", "after.json", "-o", "markdown").out
    assert 30_000 < len(text) <= 60_000
    assert "**2000 new violations.**" in text
    last = text.splitlines()[-1]
    assert last.startswith("**This would be too long: ") and "of 2000 changes are listed" in last
    assert text.count("| **new** |") == int(last.split("long: ")[1].split()[0].replace(",", ""))
