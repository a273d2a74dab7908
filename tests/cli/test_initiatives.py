"""Initiatives on the command line: listed, assigned, judged, explained, exempt, chosen, exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.catalog.folder import bundled_initiatives, initiative_as_json
from tests.cli.conftest import Aksp

SLUGS = [one.slug for one in bundled_initiatives()]
BASELINE = "azure-pod-security-baseline"
#: A definition of Azure's for clusters in Azure, which nothing here stands for.
UNAVAILABLE = "5dc99dae-cfb2-42cc-8762-9aae02b74e27"
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "hostPID": True,
        "containers": [{"name": "main", "image": "nginx", "securityContext": {"privileged": True}}],
    },
}


@pytest.fixture
def assigned(aksp: Aksp) -> Aksp:
    aksp.done("assign", BASELINE, "--name", "level")
    aksp.put("pod.json", POD)
    return aksp


def of_member(document: Any) -> set[tuple[str, str]]:
    return {(one["referenceId"], one["state"]) for one in document["results"]}


def test_initiatives_are_listed_in_every_format_and_found_by_words(aksp: Aksp) -> None:
    table = aksp.done("initiatives").out
    assert all(slug in table for slug in SLUGS) and "3 (3 not available)" in table
    assert aksp.done("initiatives", "list", "-o", "name").out.split() == SLUGS
    found = aksp.done("initiatives", "-o", "json").json
    assert [one["name"] for one in found] == [one.name for one in bundled_initiatives()]
    assert yaml.safe_load(aksp.done("initiatives", "-o", "yaml").out) == found
    assert aksp.done("initiatives", "--search", "nopRIVILEGEDcontainers restricted", "-o", "name").out.split() == [
        "azure-pod-security-restricted"
    ]


def test_one_is_shown_with_its_members_groups_options_and_what_is_not_available(aksp: Aksp) -> None:
    shown = aksp.done("initiatives", "show", "AKS_ImageIntegrity").out
    assert f"deployAKSImageIntegrity: not available ({UNAVAILABLE})" in " ".join(shown.split())
    assert "3 of 3 members cannot be judged" in shown and "--exclude-image" in shown
    level = aksp.done("initiatives", "show", "pod-security-baseline").out
    assert "host-network-ports (groups host-namespaces, host-ports)" in level and "not available" not in level
    path = Path(next(one.origin for one in bundled_initiatives() if one.slug == BASELINE))
    assert aksp.done("initiatives", "show", BASELINE, "-o", "json").json == initiative_as_json(path)


def test_a_member_that_asks_for_another_version_is_counted_and_shown_as_not_available(aksp: Aksp) -> None:
    member = {"policyDefinitionId": "no-privileged", "policyDefinitionReferenceId": "Privileged"}
    text = json.dumps({"properties": {"policyDefinitions": [{**member, "definitionVersion": "9.*.*"}]}})
    aksp.put("ws/definitions/initiatives/newer.json", text)

    (line,) = [row for row in aksp.done("initiatives").out.splitlines() if row.startswith("newer")]
    assert "1 (1 not available)" in line
    shown = " ".join(aksp.done("initiatives", "show", "newer").out.split())
    assert "Privileged: not available, it asks for version 9.*.* of no-privileged, and there is" in shown
    assert "1 of 1 members cannot be judged" in shown


def test_a_definition_and_an_initiative_are_told_apart(aksp: Aksp) -> None:
    run = aksp("initiatives", "show", "no-privileged")
    assert run.code == 2 and "`aksp definitions show no-privileged` shows it" in run.err
    run = aksp("definitions", "show", BASELINE)
    assert run.code == 2 and f"`aksp initiatives show {BASELINE}` shows it" in run.err


@pytest.mark.parametrize(
    "name",
    [BASELINE, "a8640138-9b0a-4a28-b8cb-1666c838647d", "PSPBaselineStandard",
     "/providers/Microsoft.Authorization/policySetDefinitions/a8640138-9b0a-4a28-b8cb-1666c838647d"],
)  # fmt: skip
def test_an_initiative_is_assigned_by_any_of_its_names(name: str, aksp: Aksp) -> None:
    made = aksp.done("assign", name, "--effect", "deny", "--override", "NoHostPathVolume=disabled", "-o", "json").json
    assert made["spec"]["policyDefinitionId"] == BASELINE
    assert made["spec"]["parameters"] == {"effect": {"value": "Deny"}}
    selectors = [{"kind": "policyDefinitionReferenceId", "in": ["NoHostPathVolume"]}]
    assert made["spec"]["overrides"] == [{"kind": "policyEffect", "value": "Disabled", "selectors": selectors}]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--override", "NoHostPath=Audit"], "did you mean 'NoHostPathVolume'?"),
        (["--override", "NoHostPathVolume"], "is not REFERENCE=EFFECT"),
        (["--override", "NoHostPathVolume=Mutate"], "effects are EnforceRegoPolicy, Deny, Audit, Warn, Disabled"),
        (["--selector", "a=b"], "has no parameter 'labelSelector'"),
        (["--host-paths", '{"path": []}'], "level/NoHostPathVolume"),
    ],
)
def test_what_is_wrong_is_told_when_it_is_assigned(arguments: list[str], told: str, aksp: Aksp) -> None:
    run = aksp("assign", BASELINE, "--name", "level", *arguments)
    assert run.code == 2 and told in run.err, run.err
    assert not (aksp.workspace / "assignments").exists()


def test_members_that_are_not_available_are_told_and_are_gaps_until_they_are_left_out(assigned: Aksp) -> None:
    run = assigned.done("assign", "azure-image-integrity", "--name", "signed")
    assert run.err.count("and reports show it as an error") == 3 and "signed/deployAKSPolicyAddOn" in run.err
    assigned.done("assignments", "delete", "level")
    report = assigned("compliance", "-f", "pod.json", "-o", "json")
    assert report.code == 4 and [one["state"] for one in report.json["assignments"]] == ["Error"]
    disabled = assigned.done("assign", "azure-image-integrity", "--name", "signed", "--effect", "Disabled", "--replace")
    assert "reports show" not in disabled.err
    assert assigned("compliance", "-f", "pod.json", "-o", "json").json["assignments"][0]["state"] == "NotStarted"


def test_a_run_is_about_one_member_in_any_case_of_letters_and_one_that_is_not_there_is_an_error(assigned: Aksp) -> None:
    run = assigned("compliance", "-f", "pod.json", "--assignment", "level/NOPRIVILEGED*", "-o", "json")
    assert {one for one, _ in of_member(run.json)} == {"NoPrivilegedContainers"}
    for pattern, hint in (("level/NoPrivileged", "level/NoPrivilegedContainers"), ("level/gone*", "known: level/")):
        run = assigned("compliance", "-f", "pod.json", "--assignment", pattern)
        assert run.code == 2 and f"--assignment {pattern}: no initiative" in run.err and hint in run.err


def test_a_group_whose_members_are_all_left_out_is_left_out_too(aksp: Aksp) -> None:
    aksp.done("assign", "pod-security-restricted")
    aksp.put("pod.json", POD)
    report = aksp("compliance", "-f", "pod.json", "--assignment", "*/run-as-non-root", "-o", "json").json
    assert [one["displayName"] for one in report["assignments"][0]["groups"]] == ["Running as Non-root"]


def test_members_stand_close_to_one_another_where_one_says_why_it_is_not_judged(aksp: Aksp) -> None:
    aksp.put("pod.json", POD)
    table = aksp("assign", "nsa-hardening", "--what-if", "-f", "pod.json").out.partition("Assignments")[2]
    lines = table.partition("Groups")[0].strip().splitlines()
    assert any("matched nothing" in line for line in lines) and lines.count("") == 1  # below the title


def test_the_list_of_exemptions_names_the_members_that_alone_are_exempt(assigned: Aksp) -> None:
    assigned.done("exempt", "pod/web", "-n", "shop", "--assignment", "level/NoPrivilegedContainers",
                  "--category", "Waiver", "--until", "30d")  # fmt: skip
    assert "  level/NoPrivilegedContainers  " in assigned.done("exemptions").out


def test_what_is_no_initiative_is_told_as_such(aksp: Aksp) -> None:
    run = aksp("initiatives", "show", "gone")
    assert run.code == 2 and "there is no initiative 'gone'" in run.err and "`aksp initiatives` lists all" in run.err


def test_what_if_judges_by_the_members(assigned: Aksp) -> None:
    run = assigned("assign", "pod-security-baseline", "--what-if", "-f", "pod.json", "-o", "json")
    assert run.code == 1 and {"no-privileged", "block-host-namespaces"} == {one for one, _ in of_member(run.json)}
    assert "1 workload could no longer start: Pod shop/web" in run.err


def test_a_member_is_explained_by_its_name(assigned: Aksp) -> None:
    found = assigned.done("explain", "level/noprivilegedcontainers", "-f", "pod.json", "-o", "json").json
    assert found["name"] == "level/NoPrivilegedContainers" and found["state"] == "NonCompliant"
    effect = next(one for one in found["parameters"] if one["name"] == "effect")
    assert (effect["value"], effect["from"]) == ("Audit", "initiative")
    for subject, told in (
        ("level", "is of an initiative, and one of its members can be explained"),
        ("level/NoPrivileged", "has no member 'NoPrivileged'"),
    ):
        run = assigned("explain", subject, "-f", "pod.json")
        assert run.code == 2 and told in run.err
    names = {
        one["name"] for one in assigned.done("explain", "pod/web", "-f", "pod.json", "-o", "json").json["assignments"]
    }
    assert "level/ContainerCapabilities" in names and "level" not in names


@pytest.mark.parametrize(
    ("options", "references"),
    [
        (["--assignment", "level/NoPrivilegedContainers"], {"NoPrivilegedContainers"}),
        (["--assignment", "lev*", "--definition", "no-privileged"], {"NoPrivilegedContainers"}),
        (["--definition", BASELINE], {"NoPrivilegedContainers", "BlockUsingHostProcessIDAndIPC"}),
        (["--severity", "high", "--assignment", "level"], {"BlockUsingHostProcessIDAndIPC"}),
    ],
)
def test_a_run_may_be_about_some_members(options: list[str], references: set[str], assigned: Aksp) -> None:
    assigned.done("assign", "run-as-non-root")
    run = assigned("compliance", "-f", "pod.json", *options, "-o", "json")
    assert run.code == 1 and {one["referenceId"] for one in run.json["results"]} == references
    (line,) = run.json["assignments"]
    assert {one["referenceId"] for one in line["members"]} >= references


def test_findings_of_one_member_are_exempt_by_option_and_from_a_report(assigned: Aksp) -> None:
    options = ("--category", "Waiver", "--name", "one")
    made = assigned.done("exempt", "pod/web", "-n", "shop", "--assignment", "level/NoPrivilegedContainers", *options)
    assert "one" in made.out
    report = assigned("compliance", "-f", "pod.json", "-o", "json").json
    assert of_member(report) == {
        ("NoPrivilegedContainers", "Exempt"),
        ("BlockUsingHostProcessIDAndIPC", "NonCompliant"),
    }

    assigned.put("report.json", report)
    assigned.done("exempt", "--from-report", "report.json", "--select", "assignment=level", "--category", "Mitigated")
    assert {state for _, state in of_member(assigned("compliance", "-f", "pod.json", "-o", "json").json)} == {"Exempt"}
    documents = [yaml.safe_load(path.read_text()) for path in (assigned.workspace / "exemptions").iterdir()]
    spec = next(one["spec"] for one in documents if one["metadata"]["name"] != "one")
    assert (spec["policyAssignmentId"], spec["policyDefinitionReferenceIds"]) == (
        "level",
        ["BlockUsingHostProcessIDAndIPC"],
    )

    run = assigned("exempt", "pod/web", "-n", "shop", "--assignment", "level/NoPrivileged", "--category", "Waiver")
    assert run.code == 2 and "has no member 'NoPrivileged'" in run.err


def test_baselines_and_the_history_tell_members_apart(assigned: Aksp) -> None:
    assigned("compliance", "-f", "pod.json", "--baseline", "known.json", "--write-baseline")
    run = assigned("compliance", "-f", "pod.json", "--baseline", "known.json", "--fail-on-new")
    assert run.code == 0, run.err
    worse = json.loads(json.dumps(POD))
    worse["spec"]["hostIPC"] = True
    assigned.put("pod.json", worse)
    run = assigned("compliance", "-f", "pod.json", "--baseline", "known.json", "--fail-on-new")
    assert run.code == 1 and "new: Pod shop/web: level/BlockUsingHostProcessIDAndIPC: hostIPC is true" in run.err


def test_members_become_constraints_of_their_own(assigned: Aksp) -> None:
    run = assigned.done("export", "gatekeeper")
    constraints = [one for one in yaml.safe_load_all(run.out) if one and one["apiVersion"].startswith("constraints.")]
    named = {one["metadata"]["name"] for one in constraints}
    assert named == {
        "level-noprivilegedcontainers", "level-blockusinghostnetwork", "level-blockusinghostprocessidandipc",
        "level-containercapabilities", "level-nohostpathvolume",
    }  # fmt: skip
    annotations = constraints[0]["metadata"]["annotations"]
    assert {key.rpartition("/")[2] for key in annotations} >= {"assignment", "initiative", "reference-id"}
