"""aksp sync: what the workspace assigns, as custom resources, on an API server's objects in memory."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from aksp.errors import Forbidden
from aksp.kube import errors
from tests.catalog.documents import document as definition
from tests.catalog.documents import write
from tests.cli.conftest import Aksp, Run
from tests.store.objects import Objects

OURS = {"app.kubernetes.io/managed-by": "aksp-sync"}


def document(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "policy.aksp.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def assign(aksp: Aksp, name: str, definition: str = "no-privileged", **spec: Any) -> None:
    aksp.put(f"ws/assignments/{name}.json", document("PolicyAssignment", name, policyDefinitionId=definition, **spec))


def exempt(aksp: Aksp, name: str, assignment: str) -> None:
    spec = {"policyAssignmentId": assignment, "exemptionCategory": "Waiver"}
    aksp.put(f"ws/exemptions/{name}.json", document("PolicyExemption", name, **spec))


def remove(aksp: Aksp, name: str) -> None:
    (aksp.workspace / f"{name}.json").unlink()


@pytest.fixture
def workspace(aksp: Aksp) -> Aksp:
    """Two assignments reach the cluster prod, one of a definition of our own; one reaches another cluster."""
    write(aksp.workspace / "definitions", "ours")
    write(
        aksp.workspace / "definitions",
        "unused",
        made=definition(name="unused", **{"properties.metadata.azurePolicyId": None}),
    )
    assign(aksp, "a", scope="/clusters/prod/namespaces/shop")
    assign(aksp, "b", "ours")
    assign(aksp, "elsewhere", scope="/clusters/staging")
    exempt(aksp, "waived", "a")
    exempt(aksp, "not-here", "elsewhere")
    return aksp


ALL = ["policydefinitions/ours", "policyexemptions/waived", "policyassignments/a", "policyassignments/b"]


def lines(run: Run) -> list[tuple[str, str]]:
    """Objects and what became of them, of the lines printed."""
    return [
        (name.replace(".policy.aksp.io/", "s/"), change)
        for name, _, change in (line.partition(" ") for line in run.out.splitlines())
    ]


def test_what_reaches_the_cluster_is_written_with_what_it_needs(workspace: Aksp, server: Objects) -> None:
    run = workspace.done("sync")

    assert lines(run) == [(name, "created") for name in ALL]
    assert run.out.startswith("policydefinition.policy.aksp.io/ours created\n")
    assert run.err == ""
    assert server.names == sorted(ALL)
    assert all(server.document(name)["metadata"]["labels"] == OURS for name in ALL)


def test_the_second_time_all_is_unchanged_and_nothing_is_written(workspace: Aksp, server: Objects) -> None:
    workspace.done("sync")
    server.writes.clear()
    server.trials.clear()

    assert lines(workspace.done("sync")) == [(name, "unchanged") for name in ALL]
    assert lines(workspace.done("sync", "--prune")) == [(name, "unchanged") for name in ALL]
    assert (server.writes, server.trials) == ([], [])


def test_what_changed_is_configured(workspace: Aksp, server: Objects) -> None:
    workspace.done("sync")
    assign(workspace, "b", "ours", enforcementMode="DoNotEnforce")

    assert lines(workspace.done("sync"))[-1] == ("policyassignments/b", "configured")
    assert server.document("policyassignments/b")["spec"]["enforcementMode"] == "DoNotEnforce"


@pytest.mark.parametrize(
    ("options", "connected", "names"),
    [
        ([], (None, None), {"a", "b"}),
        (["--cluster"], (None, None), {"a", "b"}),
        (["--cluster", "staging"], ("staging", None), {"b", "elsewhere"}),
        (["--context", "staging"], ("staging", None), {"b", "elsewhere"}),
        (["--context", "via", "--cluster", "staging"], ("via", None), {"b", "elsewhere"}),
        (["--context", "staging", "--cluster", "--kubeconfig", "k"], ("staging", "k"), {"b", "elsewhere"}),
    ],
)
def test_the_cluster_is_the_context_unless_it_is_named(
    options: list[str], connected: tuple[str | None, str | None], names: set[str], workspace: Aksp, server: Objects
) -> None:
    workspace.done("sync", *options)

    assert server.connected == [connected]
    assert {name.partition("/")[2] for name in server.names if name.startswith("policya")} == names


def test_one_thing_that_is_wrong_and_nothing_is_written(workspace: Aksp, server: Objects) -> None:
    def refused(said: str) -> None:
        run = workspace("sync")
        assert run.code == 2 and said in run.err
        assert (server.writes, server.trials) == ([], [])

    assign(workspace, "c", "allowed-images", parameters={"allowedContainerImagesRegex": {"value": "("}})
    refused("is no RE2 regular expression")
    assign(workspace, "c", "no-privileged", parameters={"gone": {"value": 1}})
    refused("gone")
    assign(workspace, "c", "no-such")
    refused("there is no definition or initiative 'no-such'")
    remove(workspace, "assignments/c")
    workspace.put("ws/exemptions/x.json", document("PolicyExemption", "x", policyAssignmentId="a"))
    refused("spec.exemptionCategory is missing")
    remove(workspace, "exemptions/x")
    write(workspace.workspace / "definitions", "ours", policy_rego="package rule\n\nviolation contains x if {")
    refused("definition 'ours' does not compile")


def test_what_is_disabled_is_checked_and_written_too(workspace: Aksp, server: Objects) -> None:
    assign(workspace, "b", "ours", parameters={"effect": {"value": "Disabled"}})
    assert ("policyassignments/b", "created") in lines(workspace.done("sync"))

    write(workspace.workspace / "definitions", "ours", policy_rego="package rule\n\nviolation contains x if {")
    assert "does not compile" in workspace("sync").err


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Forbidden('User "ann" cannot patch'), 3), (errors.Invalid("spec.scope: Invalid value"), 2)],
)
def test_when_the_api_server_refuses_one_it_has_none(fault: Any, code: int, workspace: Aksp, server: Objects) -> None:
    server.refuse["patch", "policyassignments/b"] = fault
    run = workspace("sync")

    assert run.code == code
    assert run.out == ""
    assert "policyassignment.policy.aksp.io/b: " in run.err
    assert server.names == []


def test_a_cluster_without_the_add_on_says_how_to_get_it(workspace: Aksp, server: Objects) -> None:
    server.served.remove("policydefinitions")
    run = workspace("sync")
    assert run.code == 3 and "`aksp addon enable`" in run.err


def test_a_dry_run_is_the_server_s_and_says_so(workspace: Aksp, server: Objects) -> None:
    run = workspace.done("sync", "--dry-run")
    assert lines(run) == [(name, "created (server dry run)") for name in ALL]
    assert server.trials == [f"apply {name}" for name in ALL]
    assert server.names == []

    workspace.done("sync")
    remove(workspace, "assignments/b")
    server.writes.clear()
    run = workspace.done("sync", "--dry-run", "--prune")
    assert lines(run)[-2:] == [
        ("policyassignments/b", "pruned (server dry run)"),
        ("policydefinitions/ours", "pruned (server dry run)"),
    ]
    assert server.writes == [] and server.names == sorted(ALL)


def test_prune_deletes_what_an_earlier_sync_wrote_and_nothing_else(workspace: Aksp, server: Objects) -> None:
    workspace.done("sync")
    server.put(document("PolicyAssignment", "by-hand", policyDefinitionId="no-privileged"))
    for name in ("assignments/a", "assignments/b", "exemptions/waived"):
        remove(workspace, name)

    run = workspace.done("sync")
    assert run.out == ""
    assert "nothing is assigned in" in run.err and "that reaches /clusters/prod" in run.err
    assert "no longer in the workspace (--prune deletes them): policydefinition.policy.aksp.io/ours" in run.err
    assert "not from a workspace: policyassignment.policy.aksp.io/by-hand" in run.err

    run = workspace.done("sync", "--prune")
    assert lines(run) == [(name, "pruned") for name in reversed(ALL)]
    assert server.names == ["policyassignments/by-hand"]
    assert "no longer in the workspace" not in run.err


def test_what_no_longer_reaches_the_cluster_is_pruned(workspace: Aksp, server: Objects) -> None:
    workspace.done("sync")
    assign(workspace, "a", scope="/clusters/staging")

    pruned = lines(workspace.done("sync", "--prune"))[-2:]
    assert pruned == [("policyassignments/a", "pruned"), ("policyexemptions/waived", "pruned")]


def test_a_definition_that_another_assignment_is_about_stays(workspace: Aksp, server: Objects) -> None:
    workspace.done("sync")
    server.put(document("PolicyAssignment", "by-hand", policyDefinitionId="OurRule"))
    remove(workspace, "assignments/b")

    run = workspace.done("sync", "--prune")
    assert ("policyassignments/b", "pruned") in lines(run)
    assert "policydefinitions/ours" in server.names
    assert "(kept, an assignment in the cluster is about them): policydefinition.policy.aksp.io/ours" in run.err


def test_pruning_by_a_workspace_that_is_not_there_is_refused(
    aksp: Aksp, server: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The user's data folder, which nobody has named and nothing has made.
    monkeypatch.delenv("AKSP_WORKSPACE")
    run = aksp("sync", "--prune")
    assert run.code == 2 and "so --prune would delete everything" in run.err
    assert server.connected == []


def test_an_object_by_hand_of_the_same_name_becomes_the_workspace_s(workspace: Aksp, server: Objects) -> None:
    server.put(document("PolicyAssignment", "a", policyDefinitionId="no-privileged", description="by hand"))

    assert ("policyassignments/a", "configured") in lines(workspace.done("sync"))
    assert "description" not in server.document("policyassignments/a")["spec"]
    assert server.document("policyassignments/a")["metadata"]["labels"] == OURS
    assert ("policyassignments/a", "unchanged") in lines(workspace.done("sync"))


def test_the_objects_can_be_printed_for_kubectl(workspace: Aksp, server: Objects) -> None:
    printed = yaml.safe_load(workspace.done("sync", "--dry-run", "-o", "yaml").out)
    assert (printed["apiVersion"], printed["kind"]) == ("v1", "List")
    assert [(one["kind"], one["metadata"]["labels"]) for one in printed["items"]] == [
        ("PolicyDefinition", OURS), ("PolicyExemption", OURS), ("PolicyAssignment", OURS), ("PolicyAssignment", OURS),
    ]  # fmt: skip
    assert len(workspace.done("sync", "-o", "json").json["items"]) == 4
    names = workspace.done("sync", "-o", "name").out.splitlines()
    assert names[0] == "policydefinition.policy.aksp.io/ours" and len(names) == 4


def test_what_does_nothing_is_noted(workspace: Aksp, server: Objects) -> None:
    exempt(workspace, "lost", "gone")
    run = workspace.done("sync")
    assert "exemption lost: there is no assignment 'gone', so it does nothing" in run.err
    assert "policyexemptions/lost" not in server.names


def test_an_exemption_with_selectors_is_written_where_it_is_known_to_hold_and_without_them(
    workspace: Aksp, server: Objects
) -> None:
    for name, location in (("in-prod", "westeurope"), ("in-east", "eastus")):
        selectors = [{"selectors": [{"kind": "resourceLocation", "in": [location]}]}]
        spec = {"policyAssignmentId": "a", "exemptionCategory": "Waiver", "resourceSelectors": selectors}
        workspace.put(f"ws/exemptions/{name}.json", document("PolicyExemption", name, **spec))
    run = workspace.done("sync")
    # Nobody knows where the cluster lies.
    assert server.names == sorted(ALL)
    assert run.err.count("waives nothing here: it cannot be told whether its resourceSelectors select") == 2

    workspace.done("scope", "add", "/clusters/prod", "--parent", "/subscriptions/1", "--location", "westeurope")
    workspace.done("sync")
    assert server.names == sorted([*ALL, "policyexemptions/in-prod"])
    assert "resourceSelectors" not in server.document("policyexemptions/in-prod")["spec"]
