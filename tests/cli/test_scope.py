"""``aksp scope``, and what reaches a cluster by the scope tree."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.cli.conftest import Aksp, pod

GROUPS = "/providers/Microsoft.Management/managementGroups/"
ARM = "/subscriptions/1/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/prod"


@pytest.fixture
def tree(aksp: Aksp) -> Aksp:
    aksp.done("scope", "add", GROUPS + "corp")
    aksp.done("scope", "add", "/subscriptions/1", "--parent", "corp", "--name", "shop")
    aksp.done("scope", "add", ARM, "--location", "westeurope", "-l", "tier=prod")
    aksp.done("scope", "add", "/clusters/kind", "--parent", "corp")
    privileged = pod("bad")
    privileged["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    aksp.put("bad.json", privileged)
    return aksp


def judged(aksp: Aksp, cluster: str) -> tuple[int, list[tuple[str, str]], list[str]]:
    run = aksp("compliance", "-f", "bad.json", "--cluster", cluster, "-o", "json", "-q")
    return run.code, run.states, [gap["reason"] for gap in run.json["gaps"]]


def test_entries_are_kept_as_documents_and_listed_below_what_they_lie_in(tree: Aksp) -> None:
    document = yaml.safe_load((tree.workspace / "scopes/prod.yaml").read_text())
    lines = [line.split()[:3] for line in tree("scope").out.splitlines()[1:]]

    assert document["spec"] == {
        "scope": ARM, "context": "prod", "location": "westeurope", "labels": {"tier": "prod"},
    }  # fmt: skip
    assert lines == [
        ["corp", "management", "group"],
        ["·", "kind", "cluster"],
        ["·", "shop", "subscription"],
        ["·", "·", "prod"],
    ]
    assert yaml.safe_load(tree("scope", "show", "prod").out) == document
    assert tree("scope", "list", "-o", "name").out.splitlines()[0] == "policyscope.policy.aksp.io/corp"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/foo/x"], "expected the ARM id"),
        (["foo"], "does not start with /"),
        (["/subscriptions/2", "-l", "a=b"], "only clusters have"),
        (["/subscriptions/2", "--parent", "prod"], "expected a management group"),
        (["/subscriptions/2", "--parent", "nothing"], "no such name"),
        (["/clusters/x", "--context", "y"], "names the context 'x'"),
        ([ARM, "--name", "again"], "is that of 'prod' too"),
        (["/clusters/prod", "--name", "again"], "the kubeconfig context 'prod' is that of 'prod' too"),
        ([ARM.replace("/prod", "/p"), "--parent", "corp"], "says already where it lies"),
        ([GROUPS + "corp", "--parent", GROUPS + "corp", "--replace"], "lies in itself"),
        ([GROUPS + "corp", "--display-name", "Corp"], "exists with other content"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(tree: Aksp, arguments: list[str], said: str) -> None:
    before = sorted((tree.workspace / "scopes").iterdir())
    run = tree("scope", "add", *arguments)

    assert run.code == 2
    assert said in run.err
    assert sorted((tree.workspace / "scopes").iterdir()) == before


def test_what_others_lie_in_is_not_removed_without_them(tree: Aksp) -> None:
    assert "kind lies in corp" in tree("scope", "remove", "corp").err
    assert tree("scope", "remove", "corp", "shop", "kind").code == 0
    assert [path.stem for path in (tree.workspace / "scopes").iterdir()] == ["prod"]


@pytest.mark.parametrize("scope", [GROUPS + "corp", "/subscriptions/1", "/subscriptions/1/resourceGroups/RG", ARM])
def test_an_assignment_above_a_cluster_judges_what_lies_in_it(tree: Aksp, scope: str) -> None:
    tree.done("assign", "no-privileged", "--scope", scope)

    assert judged(tree, "prod") == (1, [("bad", "NonCompliant")], [])


def test_a_cluster_that_the_scope_does_not_hold_is_not_judged_and_does_not_look_compliant(tree: Aksp) -> None:
    tree.done("assign", "no-privileged", "--scope", "/subscriptions/1")

    assert judged(tree, "kind") == (4, [], ["NothingAssigned"])


def test_a_cluster_that_nobody_placed_is_a_gap(tree: Aksp) -> None:
    tree.done("assign", "no-privileged", "--scope", GROUPS + "corp")
    tree.done("assign", "no-host-process", "--not-scope", ARM)

    assert judged(tree, "nowhere") == (4, [], ["UnknownScope", "UnknownScope"])


def test_manifests_for_no_cluster_are_judged_by_what_is_assigned_above_clusters(tree: Aksp) -> None:
    tree.done("assign", "no-privileged", "--scope", "/subscriptions/1")
    run = tree("compliance", "-f", "bad.json", "-o", "json", "-q")

    assert (run.code, run.states) == (1, [("bad", "NonCompliant")])


def test_an_exemption_above_a_cluster_holds_for_it(tree: Aksp) -> None:
    tree.done("assign", "no-privileged", "--scope", GROUPS + "corp")
    tree.done(
        "exempt", "--assignment", "no-privileged", "--category", "Waiver", "--scope", "/subscriptions/1",
        "--until", "30d",
    )  # fmt: skip

    assert judged(tree, "prod") == (0, [("bad", "Exempt")], [])
    assert judged(tree, "kind") == (1, [("bad", "NonCompliant")], [])


def test_what_reaches_a_cluster_is_told_with_its_origin_and_what_leaves_it_out(tree: Aksp) -> None:
    tree.done("assign", "no-privileged", "--scope", GROUPS + "corp", "--not-scope", f"{ARM}/namespaces/infra")
    tree.done("assign", "no-privileged", "--name", "again", "--scope", f"{ARM}/namespaces/shop")
    tree.done("assign", "no-host-process", "--not-scope", "/subscriptions/1")
    tree.done("assign", "no-latest-tag", "--scope", "/subscriptions/2")
    tree.done("assign", "no-probe-hosts", "--scope", GROUPS + "unknown")
    found = {one["assignment"]: one for one in tree("assignments", "--cluster", "prod", "-o", "json").json}

    assert {name: (one["from"], one["reaches"]) for name, one in found.items()} == {
        "no-host-process": ("everywhere", "nothing"),
        "no-privileged": ("management group", "all of it"),
        "again": ("namespace", "namespace shop"),
        "no-probe-hosts": ("management group", "unknown"),
    }
    assert found["no-host-process"]["leftOutBy"] == {"field": "notScopes", "value": "/subscriptions/1"}
    assert found["no-privileged"]["without"] == [f"{ARM}/namespaces/infra"]
    assert found["again"]["shadowedBy"] == []  # the other leaves infra out, and this one does not say so
    assert "does not have" in found["no-probe-hosts"]["unknown"]


def test_an_assignment_that_says_what_one_above_it_says_is_told(tree: Aksp) -> None:
    tree.done("assign", "no-privileged", "--scope", GROUPS + "corp")
    tree.done("assign", "no-privileged", "--name", "again", "--scope", "/subscriptions/1")
    tree.done("assign", "no-privileged", "--name", "other", "--scope", "/subscriptions/1", "--effect", "Audit")
    found = {
        one["assignment"]: one["shadowedBy"] for one in tree("assignments", "--cluster", "prod", "-o", "json").json
    }

    assert found == {"no-privileged": [], "again": ["no-privileged"], "other": []}


def test_explain_names_the_scopes_that_a_cluster_lies_in(tree: Aksp) -> None:
    tree.done("assign", "no-privileged", "--scope", "/subscriptions/1")
    run = tree("explain", "pod/bad", "-f", "bad.json", "--cluster", "prod", "-o", "json")

    lineage = run.json["assignments"][0]["lineage"]
    assert lineage[:3] == ["/", GROUPS + "corp", "/subscriptions/1"]
    assert lineage[-2] == "/clusters/prod"


EUROPE = '[{"name": "eu", "selectors": [{"kind": "resourceLocation", "in": ["westeurope"]}]}]'


def test_an_exemption_with_selectors_waives_where_they_select_and_nowhere_else(tree: Aksp) -> None:
    tree.done("scope", "add", "/clusters/east", "--parent", "corp", "--location", "eastus")
    tree.done("assign", "no-privileged", "--scope", GROUPS + "corp")
    run = tree.done(
        "exempt", "--assignment", "no-privileged", "--category", "Waiver", "--until", "30d",
        "--resource-selectors", EUROPE,
    )  # fmt: skip
    assert "everything in its scope, where its resourceSelectors select" in run.out

    assert judged(tree, "prod") == (0, [("bad", "Exempt")], [])
    assert judged(tree, "east") == (1, [("bad", "NonCompliant")], [])
    # Whether it holds is not known there: it waives nothing, and that is told.
    assert judged(tree, "kind") == (1, [("bad", "NonCompliant")], [])
    told = "exemption no-privileged waives nothing here: "
    undecided = tree("compliance", "-f", "bad.json", "--cluster", "kind").err
    assert f"{told}it cannot be told whether its resourceSelectors select /clusters/kind" in undecided
    without = tree("compliance", "-f", "bad.json")
    assert (without.code, f"{told}its resourceSelectors select clusters" in without.err) == (1, True)


def test_selectors_and_overrides_are_given_as_json_or_in_a_file(tree: Aksp) -> None:
    tree.put("eu.yaml", "- name: eu\n  selectors: [{kind: resourceLocation, in: [westeurope]}]\n")
    overrides = '[{"kind": "policyEffect", "value": "Audit", "selectors": [{"kind": "resourceLocation", "in": ["westeurope"]}]}]'
    tree.done(
        "assign",
        "no-privileged",
        "--scope",
        GROUPS + "corp",
        "--resource-selectors",
        "@eu.yaml",
        "--overrides",
        overrides,
    )
    spec = yaml.safe_load((tree.workspace / "assignments/no-privileged.yaml").read_text())["spec"]
    assert (spec["resourceSelectors"], spec["overrides"]) == (json.loads(EUROPE), json.loads(overrides))
    run = tree("compliance", "-f", "bad.json", "--cluster", "prod", "-o", "json", "-q")
    assert run.json["assignments"][0]["effect"] == "Audit"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--resource-selectors", "[{", "--resource-selectors: not JSON"),
        ("--resource-selectors", "@nowhere.json", "nowhere.json: there is no such file"),
        ("--resource-selectors", '{"a": 1}', "expected a list"),
        ("--resource-selectors", '[{"selectors": [{"kind": "userPrincipalId", "in": ["x"]}]}]', "selectors[0].kind is"),
        ("--overrides", '[{"kind": "policyVersion", "value": "1"}]', "overrides[0].kind is 'policyVersion'"),
        ("--overrides", '[{"kind": "policyEffect", "value": "Nothing"}]', "Nothing"),
    ],
)
def test_selectors_and_overrides_that_are_wrong_are_refused(tree: Aksp, option: str, value: str, said: str) -> None:
    run = tree("assign", "no-privileged", option, value)
    assert (run.code, said in run.err) == (2, True), run.err


def test_overrides_and_selectors_by_location_decide_for_each_cluster(tree: Aksp) -> None:
    tree.put(
        "ws/assignments/a.json",
        {
            "apiVersion": "policy.aksp.io/v1alpha1",
            "kind": "PolicyAssignment",
            "metadata": {"name": "a"},
            "spec": {
                "policyDefinitionId": "no-privileged",
                "overrides": [
                    {"kind": "policyEffect", "value": "Audit", "selectors": [{"kind": "resourceLocation", "in": ["West Europe"]}]}
                ],
                "resourceSelectors": [{"name": "eu", "selectors": [{"kind": "resourceLocation", "in": ["westeurope"]}]}],
            },
        },
    )  # fmt: skip
    tree.done("scope", "add", "/clusters/east", "--parent", "corp", "--location", "eastus")
    run = tree("compliance", "-f", "bad.json", "--cluster", "prod", "-o", "json", "-q")

    assert run.json["assignments"][0]["effect"] == "Audit"
    assert judged(tree, "east") == (4, [], ["NothingAssigned"])
    assert judged(tree, "kind") == (4, [], ["UnknownScope"])
