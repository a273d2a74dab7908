"""aksp assign: options made from definitions, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.catalog.folder import bundled
from tests.catalog.documents import DETAILS, document, write
from tests.cli.conftest import Aksp, kubeconfig, pod

IMAGES = ("assign", "allowed-images", "--regex", r"^contoso\.azurecr\.io/.+$")


def made(aksp: Aksp, *arguments: str) -> dict[str, Any]:
    """The spec that a command line makes, by --dry-run."""
    run = aksp.done(*arguments, "--dry-run", "-o", "yaml")
    assert not aksp.workspace.exists()
    return dict(yaml.safe_load(run.out)["spec"])


def values(spec: dict[str, Any]) -> dict[str, Any]:
    return {name: entry["value"] for name, entry in spec.get("parameters", {}).items()}


# What is kept


def test_the_issue_s_own_example_is_kept_as_written(aksp: Aksp) -> None:
    run = aksp.done(*IMAGES, "--effect", "EnforceRegoPolicy", "--cluster", "prod")
    path = aksp.workspace / "assignments" / "allowed-images.yaml"

    assert run.out == f"policyassignment.policy.aksp.io/allowed-images created ({path})\n"
    # There is no kubeconfig here.
    assert run.err.startswith("aksp: warning: no kubeconfig context is called prod") and run.err.count("\n") == 1
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == {
        "apiVersion": "policy.aksp.io/v1alpha1",
        "kind": "PolicyAssignment",
        "metadata": {"name": "allowed-images"},
        "spec": {
            "policyDefinitionId": "allowed-images",
            "scope": "/clusters/prod",
            "enforcementMode": "Default",
            "parameters": {
                "allowedContainerImagesRegex": {"value": r"^contoso\.azurecr\.io/.+$"},
                "effect": {"value": "EnforceRegoPolicy"},
            },
        },
    }


def test_a_dry_run_prints_the_document_and_writes_nothing(aksp: Aksp) -> None:
    run = aksp.done(*IMAGES, "--dry-run")

    assert yaml.safe_load(run.out)["kind"] == "PolicyAssignment"
    assert aksp.done(*IMAGES, "--dry-run", "-o", "json").json["spec"]["policyDefinitionId"] == "allowed-images"
    assert aksp.done(*IMAGES, "--dry-run", "-o", "name").out == "policyassignment.policy.aksp.io/allowed-images\n"
    assert not aksp.workspace.exists()


def test_what_a_dry_run_prints_can_be_kept_by_hand(aksp: Aksp) -> None:
    text = aksp.done(*IMAGES, "--dry-run", "-o", "yaml").out
    aksp.put("ws/assignments/by-hand.yaml", text)

    assert aksp.done("assignments", "-o", "name").out == "policyassignment.policy.aksp.io/allowed-images\n"
    assert "unchanged" in aksp.done(*IMAGES).out
    assert (aksp.workspace / "assignments" / "by-hand.yaml").read_text(encoding="utf-8") == text


def test_every_option_finds_its_field(aksp: Aksp) -> None:
    spec = made(
        aksp, *IMAGES, "--name", "x", "--display-name", "Ours only", "--description", "Why", "--message", "Push it",
        "--effect", "deny", "--enforcement-mode", "donotenforce", "--scope", "/clusters/prod",
        "--not-scope", "/clusters/prod/namespaces/a", "--not-scope", "/clusters/prod/namespaces/b",
        "--registry", "contoso.azurecr.io", "--registry", "docker.io/library", "-n", "shop", "--namespace", "web-*",
        "--exclude-namespace", "test", "-l", "app in (a,b),!canary", "--exclude-container", "istio-proxy",
        "--exclude-image", "quay.io/*",
    )  # fmt: skip

    assert (spec["displayName"], spec["description"]) == ("Ours only", "Why")
    assert spec["nonComplianceMessages"] == [{"message": "Push it"}]
    assert (spec["scope"], spec["enforcementMode"]) == ("/clusters/prod", "DoNotEnforce")
    assert spec["notScopes"] == ["/clusters/prod/namespaces/a", "/clusters/prod/namespaces/b"]
    assert values(spec) == {
        "allowedContainerImagesRegex": r"^contoso\.azurecr\.io/.+$",
        "allowedRegistries": ["contoso.azurecr.io", "docker.io/library"],
        "effect": "Deny",
        "namespaces": ["shop", "web-*"],
        "excludedNamespaces": [
            "kube-system",
            "gatekeeper-system",
            "azure-arc",
            "azure-extensions-usage-system",
            "aksp-system",
            "test",
        ],
        "excludedContainers": ["istio-proxy"],
        "excludedImages": ["quay.io/*"],
        "labelSelector": {
            "matchExpressions": [
                {"key": "app", "operator": "In", "values": ["a", "b"]},
                {"key": "canary", "operator": "DoesNotExist"},
            ]
        },
    }


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        (["no-privileged", "--no-default-exclusions"], {"excludedNamespaces": []}),
        (["no-privileged", "--no-default-exclusions", "--exclude-namespace", "x"], {"excludedNamespaces": ["x"]}),
        (["no-privileged"], {}),
        (["resource-limits", "--cpu", "2", "--memory", "512Mi", "--no-require-cpu"],
         {"cpuLimit": "2", "memoryLimit": "512Mi", "requireCpu": False}),
        (["resource-limits", "--require-memory"], {"requireMemory": True}),
        (["allowed-container-ports", "--port", "80", "--port", "8000-8999"], {"allowedPorts": ["80", "8000-8999"]}),
        (["allowed-service-ports", "--port", "53/UDP", "--include-node-ports"],
         {"allowedPorts": ["53/UDP"], "includeNodePorts": True}),
        (["required-labels", "--label", "team", "--label", "app=web.*"], {"labels": ["team", "app=web.*"]}),
        (["https-ingress", "--require-redirect"], {"requireRedirect": True}),
        (["unique-ingress-hosts", "--forbid-same-namespace"], {"allowSameNamespace": False}),
        (["unique-ingress-hosts", "--allow-same-namespace"], {"allowSameNamespace": True}),
        (["internal-load-balancers", "--no-allow-node-port"], {"allowNodePort": False}),
    ],
)  # fmt: skip
def test_a_definition_s_own_options_become_typed_parameters(
    arguments: list[str], parameters: dict[str, Any], aksp: Aksp
) -> None:
    found = values(made(aksp, "assign", *arguments))

    assert list(found.values()) == list(parameters.values())
    assert set(found) <= {p for d in bundled() if d.slug == arguments[0] for p in d.parameters}


@pytest.mark.parametrize(
    "identifier", ["5f86cb6e-c4da-441b-807c-44bd0cc14e66", "ContainerAllowedImages", "Allowed-Images"]
)
def test_a_definition_has_its_azure_names_too(identifier: str, aksp: Aksp) -> None:
    spec = made(aksp, "assign", identifier, "--registry", "contoso.azurecr.io")

    assert spec["policyDefinitionId"] == "allowed-images"


def test_the_current_context_is_what_cluster_without_a_name_means(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    aksp.put("config", kubeconfig("dev", "prod", current="dev"))
    monkeypatch.setenv("KUBECONFIG", "config")

    assert made(aksp, "assign", "no-privileged", "--cluster")["scope"] == "/clusters/dev"
    assert made(aksp, "assign", "no-privileged", "--cluster", "-l", "a=b")["scope"] == "/clusters/dev"
    assert made(aksp, "assign", "no-privileged", "--cluster=prod")["scope"] == "/clusters/prod"


def test_the_workspace_may_be_given_before_or_after_the_definition(aksp: Aksp) -> None:
    aksp.done("assign", "--workspace", "one", "no-privileged")
    aksp.done("assign", "no-privileged", "--workspace", "two")

    assert Path("one/assignments/no-privileged.yaml").is_file()
    assert Path("two/assignments/no-privileged.yaml").is_file()
    assert not aksp.workspace.exists()


# Once more


def test_the_same_again_changes_nothing_and_other_content_needs_replace(aksp: Aksp) -> None:
    aksp.done(*IMAGES)
    path = aksp.workspace / "assignments" / "allowed-images.yaml"
    before = path.read_bytes()
    assert "unchanged" in aksp.done(*IMAGES).out
    other = aksp(*IMAGES, "--effect", "Audit")

    assert (other.code, path.read_bytes()) == (2, before)
    assert f"{path}: assignment 'allowed-images' exists with other content" in other.err
    assert "--replace" in other.err
    assert "configured" in aksp.done(*IMAGES, "--effect", "Audit", "--replace").out
    assert b"Audit" in path.read_bytes()


# Refused


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["alowed-images"], ["no definition or initiative 'alowed-images'", "did you mean 'allowed-images'?"]),
        (["allowed-images"], ["needs at least one of", "--regex or --registry"]),
        (["allowed-images", "--regx", "x"], ["--regx"]),
        (["allowed-images", "--regex", "^(?!evil)/"], ["'allowedContainerImagesRegex'", "RE2", "look-around"]),
        (["required-labels", "--label", "a=("], ["'labels'", "'('", "RE2"]),
        (["required-labels"], ["labels"]),
        (["required-labels", "--label", "-bad-"], ["'-bad-' does not start with a label key"]),
        (["allowed-container-ports", "--port", "http"], ["'http' is not a port"]),
        (["allowed-container-ports", "--port", "99999"], ["'99999' is not a port or a range within 1-65535"]),
        (["resource-limits", "--memory", "1GB"], ["'1GB' is not a quantity"]),
        (["no-privileged", "--effect", "Denny"], ["'Denny' is not allowed", "EnforceRegoPolicy, Deny, Audit", "'Deny'?"]),
        (["no-privileged", "--enforcement-mode", "Off"], ["'Off' is not Default or DoNotEnforce"]),
        (["no-privileged", "--name", "Not A Name"], ["--name 'Not A Name'"]),
        (["no-privileged", "--scope", "prod"], ["scope 'prod' does not start with /"]),
        (["no-privileged", "--not-scope", "prod"], ["scope 'prod' does not start with /"]),
        (["no-privileged", "--scope", "/", "--cluster", "prod"], ["--scope and --cluster are two ways"]),
        (["no-privileged", "-l", "a=b=c"], ["--selector", "'a=b=c'"]),
        (["no-privileged", "unexpected"], ["unexpected"]),
    ],
)  # fmt: skip
def test_what_cannot_be_assigned_is_refused_with_what_and_why(
    arguments: list[str], parts: list[str], aksp: Aksp
) -> None:
    run = aksp("assign", *arguments)

    assert (run.code, run.out) == (2, "")
    assert [part for part in parts if part not in run.err] == [], run.err
    assert not aksp.workspace.exists()


def test_the_current_cluster_is_refused_when_there_is_none(aksp: Aksp) -> None:
    run = aksp("assign", "no-privileged", "--cluster")

    assert (run.code, run.out) == (2, "")
    assert "no kubeconfig found" in run.err and "--kubeconfig" in run.err
    assert not aksp.workspace.exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["allowed-images", "--regex", "contoso.azurecr.io"], "not anchored"),
        (["allowed-images", "--regex", "^contoso.azurecr.io/"], "unescaped ."),
        (["allowed-images", "--regex", r"^contoso\.azurecr\.io"], "no slash"),
        (["resource-limits", "--memory", "512"], "did you mean 512Mi?"),
    ],
)
def test_what_is_hardly_meant_is_assigned_with_a_warning(arguments: list[str], part: str, aksp: Aksp) -> None:
    run = aksp.done("assign", *arguments)

    assert "warning: " in run.err and part in run.err
    assert "created" in run.out


def test_a_workspace_that_cannot_be_written_is_told(aksp: Aksp) -> None:
    aksp.put("ws", "a file is in the way")
    run = aksp(*IMAGES)

    assert run.code == 2
    assert str(aksp.workspace) in run.err


# Help


def test_help_lists_every_definition(aksp: Aksp) -> None:
    out = aksp.done("assign", "--help").out

    assert [d.slug for d in bundled() if d.slug not in out] == []


def test_a_definition_s_help_lists_its_options_with_their_defaults(aksp: Aksp) -> None:
    out = " ".join(aksp.done("assign", "allowed-service-ports", "--help").out.split())

    for part in ("--port PORT", "--regex PATTERN", "--include-node-ports / --no-include-node-ports", "repeatable",
                 "--effect EFFECT", "--exclude-namespace", "--dry-run", "-l, --selector"):  # fmt: skip
        assert part in out


# Definitions of one's own


def test_a_definition_of_the_workspace_gets_a_command_too(aksp: Aksp) -> None:
    parameters = {
        "effect": {"type": "String", "defaultValue": "Audit"},
        "maxReplicas": {"type": "Integer"},
        "ratio": {"type": "Float", "defaultValue": 0.5},
        "strictMode": {"type": "Boolean", "defaultValue": False},
        "limits": {"type": "Object", "defaultValue": {}},
        "people": {"type": "Array", "defaultValue": []},
        "until": {"type": "DateTime", "defaultValue": "2026-01-01T00:00:00Z"},
    }
    write(aksp.workspace / "definitions", made=document(**{"properties.parameters": parameters}))
    run = aksp.done(
        "assign", "ours", "--max-replicas", "3", "--ratio", "0.25", "--strict-mode", "--limits", '{"cpu": 1}',
        "--people", "ann", "--people", "bob", "--until", "2027-01-01T00:00:00Z", "-o", "json",
    )  # fmt: skip

    assert values(run.json["spec"]) == {
        "maxReplicas": 3, "ratio": 0.25, "strictMode": True, "limits": {"cpu": 1}, "people": ["ann", "bob"],
        "until": "2027-01-01T00:00:00Z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "'maxReplicas': ours needs a value of type Integer"),
        (["--max-replicas", "many"], "--max-replicas"),
        (["--max-replicas", "1", "--limits", "{"], "not JSON"),
        (["--max-replicas", "1", "--limits", "[]"], "is not of type object"),
        (["--max-replicas", "1", "--until", "soon"], "not an ISO 8601 date"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(arguments: list[str], part: str, aksp: Aksp) -> None:
    parameters = {
        "effect": {"type": "String", "defaultValue": "Audit"},
        "maxReplicas": {"type": "Integer"},
        "limits": {"type": "Object", "defaultValue": {}},
        "until": {"type": "DateTime", "defaultValue": "2026-01-01T00:00:00Z"},
    }
    write(aksp.workspace / "definitions", made=document(**{"properties.parameters": parameters}))
    run = aksp("assign", "ours", *arguments)

    assert run.code == 2
    assert part in run.err


def test_a_parameter_named_like_an_option_of_every_definition_keeps_apart_from_it(aksp: Aksp) -> None:
    parameters = {name: {"type": "String", "defaultValue": ""} for name in ("name", "scope", "message")}
    made_of = document(**{"properties.parameters": parameters, "properties.policyRule.then.effect": "Audit"})
    write(aksp.workspace / "definitions", made=made_of)
    run = aksp.done("assign", "ours", "--name", "mine", "--parameter-name", "theirs", "-o", "json")

    assert run.json["metadata"]["name"] == "mine"
    assert values(run.json["spec"]) == {"name": "theirs"}
    assert "--parameter-scope" in aksp.done("definitions", "show", "ours").out


def test_an_expression_that_names_no_parameter_is_refused_when_it_is_assigned(aksp: Aksp) -> None:
    write(aksp.workspace / "definitions", made=document(**{f"{DETAILS}.values": {"x": "[parameters('gone')]"}}))
    run = aksp("assign", "ours")

    assert run.code == 2
    assert "there is no parameter 'gone'" in run.err and "ours/definition.json" in run.err
    assert not (aksp.workspace / "assignments").exists()


def test_rego_that_does_not_parse_is_refused_when_it_is_assigned(aksp: Aksp) -> None:
    write(aksp.workspace / "definitions", policy_rego="package rule\n\nviolation contains {\n")
    run = aksp("assign", "ours")

    assert run.code == 2
    assert "ours/policy.rego:4:1: definition 'ours' does not compile" in run.err


def test_an_assignment_of_azure_s_built_in_keeps_its_id_and_its_parameters(aksp: Aksp) -> None:
    """By the full id, with Azure's names and effects, as `az policy assignment create` was given them."""
    given = {"cpuLimit": "200m", "memoryLimit": "1Gi", "effect": "audit"}
    document = {
        "apiVersion": "policy.aksp.io/v1alpha1",
        "kind": "PolicyAssignment",
        "metadata": {"name": "limits"},
        "spec": {
            "policyDefinitionId": "/providers/Microsoft.Authorization/policyDefinitions/e345eecc-fa47-480f-9e88-67dcc122b164",
            "parameters": {name: {"value": value} for name, value in given.items()},
        },
    }
    (aksp.workspace / "assignments").mkdir(parents=True)
    (aksp.workspace / "assignments" / "limits.json").write_text(json.dumps(document))
    aksp.put("pod.json", pod())
    by_azure = aksp.judge("pod.json").json
    (aksp.workspace / "assignments" / "limits.json").unlink()
    aksp.done("assign", "resource-limits", "--name", "limits", "--cpu", "200m", "--memory", "1Gi", "--effect", "Audit")
    by_us = aksp.judge("pod.json").json
    assert by_azure["results"] == by_us["results"] != []
    assert by_azure["assignments"][0]["effect"] == by_us["assignments"][0]["effect"] == "Audit"
