"""aksp assign and aksp assignments with --store cluster, on an API server's objects in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.errors import Forbidden
from tests.catalog.documents import write
from tests.cli.conftest import Aksp, kubeconfig
from tests.store.objects import Objects

ASSIGN = ("assign", "no-privileged", "--store", "cluster")
LABEL = "policyassignment.policy.aksp.io/no-privileged"


def own(aksp: Aksp, slug: str = "ours", **files: str) -> Path:
    return write(aksp.workspace / "definitions", slug, **files)


# aksp assign


def test_an_assignment_becomes_a_custom_resource_and_no_file(aksp: Aksp, server: Objects) -> None:
    assert aksp.done(*ASSIGN, "--effect", "Audit").out == f"{LABEL} created (cluster prod)\n"
    assert server.document("policyassignments/no-privileged")["spec"] == {
        "policyDefinitionId": "no-privileged",
        "scope": "/",
        "enforcementMode": "Default",
        "parameters": {"effect": {"value": "Audit"}},
    }
    assert server.connected == [(None, None)]
    assert not aksp.workspace.exists()


def test_again_is_unchanged_and_other_content_needs_replace(aksp: Aksp, server: Objects) -> None:
    aksp.done(*ASSIGN)
    assert aksp.done(*ASSIGN).out == f"{LABEL} unchanged (cluster prod)\n"
    assert server.writes == ["create policyassignments/no-privileged"]

    refused = aksp(*ASSIGN, "--effect", "Audit")
    assert refused.code == 2
    assert "is in cluster prod with other content" in refused.err and "--replace" in refused.err
    assert aksp.done(*ASSIGN, "--effect", "Audit", "--replace").out == f"{LABEL} configured (cluster prod)\n"


def test_the_cluster_that_is_the_scope_is_also_the_one_to_connect_with(aksp: Aksp, server: Objects) -> None:
    aksp.done(*ASSIGN, "--cluster", "staging")
    assert server.connected == [("staging", None)]
    assert server.document("policyassignments/no-privileged")["spec"]["scope"] == "/clusters/staging"


def test_another_context_may_lead_to_the_cluster_that_is_the_scope(aksp: Aksp, server: Objects) -> None:
    aksp.done(*ASSIGN, "--cluster", "staging", "--context", "via-proxy", "--kubeconfig", "k")
    assert server.connected == [("via-proxy", "k")]
    assert server.document("policyassignments/no-privileged")["spec"]["scope"] == "/clusters/staging"


def test_cluster_without_a_name_is_the_current_one_of_the_kubeconfig_given(aksp: Aksp, server: Objects) -> None:
    aksp.put("k", kubeconfig("one", "two", current="two"))
    aksp.done(*ASSIGN, "--kubeconfig", "k", "--cluster")
    assert server.connected == [(None, "k")]
    assert server.document("policyassignments/no-privileged")["spec"]["scope"] == "/clusters/two"

    aksp.done(*ASSIGN, "--name", "b", "--context", "one", "--cluster")
    assert server.connected[-1] == ("one", None)
    assert server.document("policyassignments/b")["spec"]["scope"] == "/clusters/one"


def test_a_scope_that_does_not_reach_the_cluster_is_noted(aksp: Aksp, server: Objects) -> None:
    run = aksp.done(*ASSIGN, "--scope", "/clusters/staging")
    assert "scope /clusters/staging does not reach cluster prod" in run.err
    assert aksp.done(*ASSIGN, "--replace", "--scope", "/clusters/prod/namespaces/shop").err == ""


def test_a_definition_of_the_workspace_goes_with_its_assignment(aksp: Aksp, server: Objects) -> None:
    folder = own(aksp)
    run = aksp.done("assign", "ours", "--store", "cluster")
    assert run.out == (
        "policydefinition.policy.aksp.io/ours created (cluster prod)\n"
        "policyassignment.policy.aksp.io/ours created (cluster prod)\n"
    )
    details = server.document("policydefinitions/ours")["spec"]["policyRule"]["then"]["details"]
    assert details["templateInfo"]["sourceType"] == "Base64Encoded"
    assert aksp.done("assign", "ours", "--store", "cluster").out.count("unchanged") == 2

    rule = folder / "policy.rego"
    rule.write_text(rule.read_text(encoding="utf-8").replace("bad", "worse"), encoding="utf-8")
    server.writes.clear()
    refused = aksp("assign", "ours", "--name", "second", "--store", "cluster")
    assert refused.code == 2 and "definition 'ours' is in cluster prod with other content" in refused.err
    assert server.writes == []


def test_a_dry_run_prints_all_that_would_be_written_and_asks_no_cluster(aksp: Aksp, server: Objects) -> None:
    own(aksp)
    document = yaml.safe_load(aksp.done("assign", "ours", "--store", "cluster", "--dry-run", "-o", "yaml").out)
    assert (document["kind"], document["apiVersion"]) == ("List", "v1")
    assert [item["kind"] for item in document["items"]] == ["PolicyDefinition", "PolicyAssignment"]

    names = aksp.done("assign", "ours", "--store", "cluster", "--dry-run", "-o", "name").out.splitlines()
    assert names == ["policydefinition.policy.aksp.io/ours", "policyassignment.policy.aksp.io/ours"]
    assert yaml.safe_load(aksp.done(*ASSIGN, "--dry-run").out)["kind"] == "PolicyAssignment"
    assert server.connected == []


def test_what_is_wrong_is_found_before_the_cluster_is_asked(aksp: Aksp, server: Objects) -> None:
    own(aksp, policy_rego="package rule\n\nviolation contains x if {")
    assert aksp("assign", "ours", "--store", "cluster").code == 2
    assert aksp("assign", "allowed-images", "--regex", "(", "--store", "cluster").code == 2
    assert server.connected == []


@pytest.mark.parametrize("option", ["--context", "--kubeconfig"])
def test_an_option_that_names_a_cluster_wants_its_store(option: str, aksp: Aksp, server: Objects) -> None:
    for command in (("assign", "no-privileged"), ("assignments",), ("assignments", "show", "x"),
                    ("assignments", "delete", "x")):  # fmt: skip
        run = aksp(*command, option, "x")
        assert run.code == 2
        assert f"{option} names a cluster, and the store is the workspace's files" in run.err
        assert "add --store cluster" in run.err
    assert server.connected == []


def test_a_refusal_and_a_cluster_without_the_add_on_are_told_with_3(aksp: Aksp, server: Objects) -> None:
    server.refuse["create", "policyassignments"] = Forbidden('User "ann" cannot create')
    run = aksp(*ASSIGN)
    assert run.code == 3 and "the right to create policyassignments.policy.aksp.io" in run.err
    server.served.clear()
    run = aksp(*ASSIGN)
    assert run.code == 3 and "the add-on's resources are not in this cluster" in run.err
    assert "aksp addon enable" in run.err


# aksp assignments


@pytest.fixture
def assigned(aksp: Aksp, server: Objects) -> Objects:
    aksp.done(*ASSIGN, "--display-name", "Nothing privileged")
    aksp.done("assign", "https-ingress", "--store", "cluster", "--effect", "Warn", "--cluster", "prod")
    server.document("policyassignments/https-ingress")["status"] = {
        "state": "NonCompliant", "lastCheckIn": "2026-11-24T04:00:00Z", "effect": "Warn", "conditions": [],
    }  # fmt: skip
    return server


def cells(line: str) -> list[str]:
    return [cell for cell in line.split("  ") if cell.strip()]


def test_the_assignments_of_a_cluster_are_listed_with_their_states(aksp: Aksp, assigned: Objects) -> None:
    table = aksp.done("assignments", "--store", "cluster").out.splitlines()
    assert table[0].split() == ["NAME", "DEFINITION", "EFFECT", "SCOPE", "MODE", "SELECTS"]
    assert [line.split() for line in table[1:]] == [
        ["https-ingress", "https-ingress", "Warn", "/clusters/prod", "Default", "-"],
        ["no-privileged", "no-privileged", "EnforceRegoPolicy", "/", "Default", "-"],
    ]
    wide = aksp.done("assignments", "list", "--store", "cluster", "-o", "wide", "--context", "prod").out.splitlines()
    assert wide[0].split("  ")[-1].strip() == "LAST CHECK-IN"
    assert wide[1].split()[-2:] == ["NonCompliant", "2026-11-24T04:00:00Z"]
    assert wide[2].split()[-4:] == ["Nothing", "privileged", "NotStarted", "never"]
    assert assigned.connected[-1] == ("prod", None)


def test_documents_of_a_cluster_have_their_status_and_no_bookkeeping(aksp: Aksp, assigned: Objects) -> None:
    one, other = aksp.done("assignments", "--store", "cluster", "-o", "json").json
    assert one["status"]["state"] == "NonCompliant"
    assert "status" not in other and other["metadata"] == {"name": "no-privileged"}
    shown = yaml.safe_load(aksp.done("assignments", "show", "https-ingress", "--store", "cluster").out)
    assert shown == one
    assert aksp.done("assignments", "--store", "cluster", "-o", "name").out.splitlines()[1] == LABEL


def test_one_that_is_wrong_is_listed_too(aksp: Aksp, assigned: Objects) -> None:
    assigned.put({"apiVersion": "policy.aksp.io/v1alpha1", "kind": "PolicyAssignment", "metadata": {"name": "odd"},
                  "spec": {"scope": "here"}})  # fmt: skip
    run = aksp.done("assignments", "--store", "cluster")
    assert run.out.splitlines()[-1].split() == ["odd", "?", "?", "?", "?", "?"]
    assert "policyassignment.policy.aksp.io/odd: spec." in run.err


def test_the_cluster_s_own_are_deleted_and_missing_ones_named(aksp: Aksp, assigned: Objects) -> None:
    run = aksp.done("assignments", "delete", "no-privileged", "--store", "cluster")
    assert run.out == 'policyassignment.policy.aksp.io "no-privileged" deleted (cluster prod)\n'
    for command in ("delete", "show"):
        run = aksp("assignments", command, "https-ingres", "--store", "cluster")
        assert run.code == 2
        assert "there is no assignment 'https-ingres' in cluster prod" in run.err
        assert "https-ingress" in run.err


def test_an_empty_cluster_says_what_to_do(aksp: Aksp, server: Objects) -> None:
    run = aksp.done("assignments", "--store", "cluster")
    assert (run.out, run.err) == (
        "", "Nothing is assigned in cluster prod. `aksp sync` writes what the workspace assigns to it.\n"
    )  # fmt: skip


def test_warnings_of_the_kubeconfig_are_heard(aksp: Aksp, server: Objects) -> None:
    server.warnings = ("certificates are not checked",)
    assert "certificates are not checked" in aksp.done("assignments", "--store", "cluster").err


def test_a_definition_s_own_option_may_be_called_store(aksp: Aksp, server: Objects) -> None:
    from tests.catalog.documents import document

    parameters: dict[str, Any] = {"store": {"type": "String", "defaultValue": "x"}}
    write(aksp.workspace / "definitions", made=document(**{"properties.parameters": {
        **document()["properties"]["parameters"], **parameters}}))  # fmt: skip
    made = yaml.safe_load(aksp.done("assign", "ours", "--parameter-store", "y", "--dry-run").out)
    assert made["spec"]["parameters"] == {"store": {"value": "y"}}
