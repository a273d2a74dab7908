"""Baselines, changes since the last scan, and `aksp history`."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Aksp, Run, kubeconfig, pod


def deployment(name: str, *, privileged: bool = True, replicas: int = 1, containers: int = 1) -> dict[str, Any]:
    spec = pod(privileged=privileged)["spec"]
    more = [{**spec["containers"][0], "name": f"side{at}"} for at in range(1, containers)]
    spec["containers"] = [*more, *spec["containers"]]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "template": {"spec": spec}},
    }


@pytest.fixture
def assigned(aksp: Aksp) -> Aksp:
    """With no-privileged assigned, and one Deployment that breaks it."""
    aksp.done("assign", "no-privileged")
    aksp.put("d/old.json", deployment("old"))
    return aksp


def scan(aksp: Aksp, *options: str) -> Run:
    return aksp("compliance", "-f", "d", *options)


# Baselines


def test_only_what_is_new_fails(assigned: Aksp) -> None:
    assert scan(assigned).code == 1
    written = scan(assigned, "--write-baseline")
    assert written.code == 0
    assert f"1 violation written to {assigned.workspace / 'baseline.json'}" in written.err

    assert scan(assigned, "--fail-on-new").code == 0
    assert scan(assigned).code == 1, "without the option everything counts"

    assigned.put("d/new.json", deployment("new"))
    run = scan(assigned, "--fail-on-new")
    assert run.code == 1
    assert "1 new violation, 1 known, 0 no longer found" in run.err
    assert "new: Deployment default/new [web]: no-privileged: securityContext.privileged is true" in run.err


def test_a_container_that_moves_is_not_new_and_a_new_one_is(assigned: Aksp) -> None:
    scan(assigned, "--write-baseline")
    assigned.put("d/old.json", deployment("old", containers=2))
    run = scan(assigned, "--fail-on-new", "-o", "json", "--show", "new")
    assert run.code == 1
    assert [one["container"]["name"] for one in run.json["results"]] == ["side1"]
    assert run.json["counts"]["containers"]["NonCompliant"] == 2, "counts are complete"


def test_the_report_lists_everything_unless_just_the_new_is_asked_for(assigned: Aksp) -> None:
    scan(assigned, "--write-baseline")
    assigned.put("d/new.json", deployment("new"))
    assert [name for name, _ in scan(assigned, "--fail-on-new", "-o", "json").states] == ["new", "old"]
    assert [name for name, _ in scan(assigned, "--fail-on-new", "-o", "json", "--show", "new").states] == ["new"]


def test_a_baseline_may_lie_anywhere(assigned: Aksp) -> None:
    assert scan(assigned, "--baseline", "known.json", "--write-baseline").code == 0
    assert scan(assigned, "--baseline", "known.json", "--fail-on-new").code == 0
    assert scan(assigned, "--baseline", "known.json").code == 1
    assert scan(assigned, "--fail-on-new").code == 2, "the workspace has none"


def test_fail_on_enforced_goes_together_with_what_is_new(assigned: Aksp) -> None:
    assigned.put("d/old.json", deployment("old", privileged=False))
    scan(assigned, "--write-baseline")
    assigned.put("d/old.json", deployment("old"))
    assert scan(assigned, "--fail-on-new", "--fail-on", "enforced").code == 1
    assigned.done("assign", "no-privileged", "--effect", "Audit", "--replace")
    assert scan(assigned, "--fail-on-new", "--fail-on", "enforced").code == 0
    assert scan(assigned, "--fail-on-new").code == 1


def test_what_cannot_be_judged_is_inconclusive_with_a_baseline_too(assigned: Aksp) -> None:
    scan(assigned, "--write-baseline")
    assigned.put("d/broken.yaml", "a: [\n")
    assert scan(assigned, "--fail-on-new").code == 4
    assert scan(assigned, "--write-baseline").code == 4


def test_a_missing_baseline_is_told_before_anything_is_judged(assigned: Aksp) -> None:
    run = scan(assigned, "--fail-on-new")
    assert (run.code, run.out) == (2, "")
    assert "there is no such baseline" in run.err and "--write-baseline" in run.err


def test_more_than_ten_new_violations_are_counted(assigned: Aksp) -> None:
    scan(assigned, "--write-baseline")
    assigned.put(
        "d/many.json", {"apiVersion": "v1", "kind": "List", "items": [deployment(f"n{i:02}") for i in range(12)]}
    )
    err = scan(assigned, "--fail-on-new").err
    assert err.count("note: new: Deployment") == 10
    assert "new: and 2 more" in err


def test_a_baseline_that_cannot_be_written_loses_neither_report_nor_file(assigned: Aksp) -> None:
    run = scan(assigned, "--baseline", "none/where/b.json", "--write-baseline")
    assert run.code == 0
    blocked = assigned.put("blocked", "a file")
    run = scan(assigned, "--baseline", f"{blocked}/b.json", "--write-baseline")
    assert run.code == 2 and "cannot be written" in run.err
    assert "NonCompliant" in run.out
    assert Path(assigned.folder / blocked).read_text() == "a file"


# Changes since the last scan


def test_diff_says_what_came_and_what_went(assigned: Aksp) -> None:
    first = scan(assigned, "--diff")
    assert "there is no earlier scan" in first.err and "Changes since" not in first.out
    assert "No finding has changed since" in scan(assigned, "--diff").out
    assigned.put("d/new.json", deployment("new"))
    assigned.put("d/old.json", deployment("old", privileged=False))
    run = scan(assigned, "--diff")
    section = run.out.partition("Changes since")[2]
    assert "new       default Deployment/new" in section
    assert "resolved  default Deployment/old" in section
    assert "0.0% → 50.0% compliant" in section
    assert ": 1 new violation, 1 resolved" in run.err


def test_diff_is_in_markdown_too(assigned: Aksp) -> None:
    scan(assigned)
    assigned.put("d/new.json", deployment("new"))
    assert "### Changes since" in scan(assigned, "--diff", "-o", "markdown").out


def test_a_finding_that_becomes_exempt_is_a_change(assigned: Aksp) -> None:
    scan(assigned)
    exemption = {
        "apiVersion": "policy.aksp.io/v1alpha1",
        "kind": "PolicyExemption",
        "metadata": {"name": "legacy"},
        "spec": {"policyAssignmentId": "no-privileged", "exemptionCategory": "Waiver"},
    }
    assigned.put("ws/exemptions/legacy.yaml", json.dumps(exemption))
    assert "now exempt" in scan(assigned, "--diff").out


def test_scans_of_different_parts_are_not_compared(assigned: Aksp) -> None:
    scan(assigned)
    assert "there is no earlier scan" in scan(assigned, "-n", "default", "--diff").err


def test_without_history_no_scan_is_said_to_be_remembered(assigned: Aksp) -> None:
    run = scan(assigned, "--diff", "--no-history")
    assert "there is no earlier scan of this target to compare with" in run.err
    assert "remembered" not in run.err


def test_the_add_on_does_not_compare(assigned: Aksp) -> None:
    run = assigned("compliance", "--from", "addon", "--diff", "--kubeconfig", "none")
    assert run.code == 2 and "--from addon" in run.err


# History


def test_every_scan_leaves_a_record(assigned: Aksp) -> None:
    scan(assigned)
    assigned.put("d/fine.json", deployment("fine", privileged=False))
    scan(assigned)
    documents = assigned.done("history", "-o", "json").json
    (one,) = documents
    assert one["target"] == {"kind": "Manifests", "name": "d", "scope": "/", "filters": []}
    assert [scan["compliancePercent"] for scan in one["scans"]] == [0.0, 50.0]
    assert one["scans"][1]["nonCompliant"] == 1
    assert one["scans"][1]["assignments"] == [
        {"name": "no-privileged", "state": "NonCompliant", "compliancePercent": 50.0}
    ]
    table = assigned.done("history").out
    assert "manifests d: NonCompliant, 50.0% compliant" in table
    assert "▁█" in table and "+50.0" in table


def test_several_targets_are_listed_and_one_can_be_chosen(assigned: Aksp) -> None:
    scan(assigned)
    scan(assigned, "-n", "default")
    listed = assigned.done("history").out
    assert "manifests d -n default" in listed and "TREND" in listed
    assert assigned.done("history", "-o", "name").out.splitlines() == ["manifests d -n default", "manifests d"]
    assert "SCANNED" in assigned.done("history", "-f", "d").out
    wrong = assigned("history", "--cluster", "prod")
    assert wrong.code == 2 and "there are: manifests d" in wrong.err


def test_the_current_cluster_is_asked_of_the_kubeconfig(assigned: Aksp) -> None:
    config = assigned.put("config", kubeconfig("prod", current="prod"))
    run = assigned("history", "--cluster", "--kubeconfig", config)
    assert run.code == 2 and "no scan of cluster prod is remembered" in run.err


def test_without_any_scan_it_says_what_makes_one(aksp: Aksp) -> None:
    run = aksp("history")
    assert (run.code, run.out) == (0, "")
    assert "aksp compliance" in run.err


def test_no_history_leaves_nothing(assigned: Aksp) -> None:
    scan(assigned, "--no-history")
    assert not (assigned.workspace / "data").exists()


def test_nothing_assigned_leaves_nothing(aksp: Aksp) -> None:
    aksp.put("d/old.json", deployment("old"))
    scan(aksp)
    assert not list(aksp.workspace.iterdir())


def test_old_records_are_deleted_when_asked_for(assigned: Aksp) -> None:
    scan(assigned)
    scan(assigned)
    database = sqlite3.connect(assigned.workspace / "data" / "history.sqlite3")
    with database:
        database.execute("UPDATE scans SET evaluated_at = '2020-01-01T00:00:00+00:00' WHERE id = 1")
    database.close()
    assert "1 record deleted" in assigned.done("history", "--forget", "90d").err
    assert len(assigned.done("history", "-o", "json").json[0]["scans"]) == 1
    assert assigned("history", "--forget", "soon").code == 2


def test_a_history_that_cannot_be_written_costs_no_report(assigned: Aksp) -> None:
    assigned.put("ws/data", "a file where the folder should be")
    run = scan(assigned)
    assert run.code == 1 and "NonCompliant" in run.out
    assert "not remembered: " in run.err


def test_a_history_that_cannot_be_read_is_an_error_where_it_is_asked_for(assigned: Aksp) -> None:
    assigned.put("ws/data/history.sqlite3", "no database at all, but more than a header has" * 50)
    assert assigned("history").code == 2
    assert scan(assigned, "--diff").code == 1
    assert assigned("history").code == 0
