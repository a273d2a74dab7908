"""aksp export azure: what is assigned, under Azure's ids and names, or as custom definitions that judge the same."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.azure.builders import CLUSTER, GROUP, SUBSCRIPTION, assignment, exemption, id_of, text
from tests.catalog.documents import write
from tests.cli.conftest import Aksp

MAPPED = ("--scope-map", f"{CLUSTER}=/clusters/prod")
AT_PROD = ("--scope", "/clusters/prod")


def exported(aksp: Aksp, *options: str, code: int = 0) -> dict[str, Any]:
    run = aksp("export", "azure", *MAPPED, *options)
    assert run.code == code, run.err
    return {one["name"]: one for one in run.json["value"]}


def values(document: Any) -> dict[str, Any]:
    return {name: one["value"] for name, one in document["properties"]["parameters"].items()}


def pod(**container: Any) -> Any:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"},
            "spec": {"containers": [{"name": "c", "image": "docker.io/x", **container}]}}  # fmt: skip


@pytest.mark.parametrize(
    ("assign", "guid", "version", "said"),
    [
        (["no-privileged"], "95edb821-ddaf-4404-9732-666045e056b4", "9.*.*", {"effect": "Deny"}),
        (["no-privileged", "--effect", "Warn"], "95edb821-ddaf-4404-9732-666045e056b4", "9.*.*",
         {"effect": "Audit", "warn": True}),
        (["required-labels", "--label", "team"], "46592696-4c7b-4bf3-9e45-6c2763bdc0a6", "7.*.*", {"labelsList": ["team"]}),
        (["resource-limits", "--cpu", "1", "--memory", "1Gi"], "e345eecc-fa47-480f-9e88-67dcc122b164", "9.*.*",
         {"cpuLimit": "1", "memoryLimit": "1Gi"}),
    ],
)  # fmt: skip
def test_what_stands_for_a_built_in_goes_out_under_its_id_and_with_its_parameters(
    aksp: Aksp, assign: list[str], guid: str, version: str, said: dict[str, Any]
) -> None:
    aksp.done("assign", *assign, *AT_PROD, "--name", "mine")
    (one,) = exported(aksp).values()
    assert one["id"] == id_of("policyAssignments", "mine", CLUSTER)
    assert one["properties"]["policyDefinitionId"].endswith(f"/policyDefinitions/{guid}")
    assert one["properties"]["definitionVersion"] == version
    assert said.items() <= values(one).items()


@pytest.mark.parametrize(
    "assign",
    [
        ["allowed-images", "--registry", "contoso.azurecr.io"],  # a parameter that Azure's has not
        ["required-labels", "--label", "team=^a$"],  # a value that Azure's does not take
        ["no-secrets-in-environment"],  # nothing of Azure's
        ["pod-security-restricted"],  # an initiative of aksp's
    ],
)
def test_a_custom_definition_judges_elsewhere_as_it_does_here(aksp: Aksp, assign: list[str]) -> None:
    aksp.done("assign", *assign, *AT_PROD, "--name", "mine", "--effect", "Audit")
    documents = exported(aksp)
    own = [one for one in documents.values() if one["type"].endswith("policyDefinitions")]
    assert own and all(one["id"].startswith(f"{SUBSCRIPTION}/providers/") for one in own)
    details = own[0]["properties"]["policyRule"]["then"]["details"]
    assert b"kind: ConstraintTemplate" in base64.b64decode(details["templateInfo"]["content"])
    assert own[0]["properties"]["parameters"]["effect"]["allowedValues"] == ["Deny", "Audit", "Disabled"]

    aksp.put("azure.json", text({"value": list(documents.values())}))
    aksp.done("import", "azure", "azure.json", *MAPPED, "--workspace", "other")
    found = pod(env=[{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}])
    aksp.put("pod.json", found)
    here, there = (
        aksp("compliance", "-f", "pod.json", "-o", "json", "--workspace", str(aksp.folder / one)).json
        for one in ("ws", "other")
    )
    assert here["results"] and here["state"] == "NonCompliant"
    assert [(one["state"], one["message"], one["path"]) for one in here["results"]] == [
        (one["state"], one["message"], one["path"]) for one in there["results"]
    ]


def test_what_azure_cannot_have_is_named_and_the_rest_goes_out(aksp: Aksp) -> None:
    for name, slug, scope in (
        ("good", "no-privileged", "/clusters/prod"),
        ("everywhere", "no-privileged", "/"),
        ("namespace", "no-privileged", "/clusters/prod/namespaces/shop"),
        ("compares", "required-autoscalers", "/clusters/prod"),
        ("a" * 65, "no-latest-tag", "/clusters/prod"),
    ):
        aksp("assign", slug, "--name", name, "--scope", scope)
    aksp.put("ws/exemptions/one.yaml", text({
        "apiVersion": "policy.aksp.io/v1alpha1", "kind": "PolicyExemption", "metadata": {"name": "one"},
        "spec": {"policyAssignmentId": "good", "exemptionCategory": "Waiver", "resources": [{"name": "x"}]},
    }))  # fmt: skip
    run = aksp("export", "azure", *MAPPED)

    assert run.code == 4
    assert [one["name"] for one in run.json["value"]] == ["good"]
    for said in (
        "everywhere: not exported: its scope / is none of Azure's: say which with --scope-map ARMID=/",
        "namespace: not exported: its scope /clusters/prod/namespaces/shop is a namespace",
        "compares: not exported: it compares objects",
        "more than 64 characters",
        "exemption one: not exported: it names resources",
    ):
        assert said in run.err
    assert aksp("export", "azure", "--scope-map", f"{GROUP}=/").code == 4


def test_nothing_is_no_export(aksp: Aksp) -> None:
    assert aksp("export", "azure").code == 4


def test_a_folder_has_a_file_for_each_and_loses_what_is_no_longer_assigned(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged", *AT_PROD)
    aksp.done("assign", "no-latest-tag", *AT_PROD)
    aksp.put("out/assignments/mine.json", "{}")
    aksp.done("export", "azure", *MAPPED, "-o", "out")
    aksp.done("assignments", "delete", "no-latest-tag")
    aksp.done("export", "azure", *MAPPED, "-o", "out")

    found = sorted(str(one.relative_to(aksp.folder / "out")) for one in (aksp.folder / "out").rglob("*.json"))
    assert found == ["assignments/mine.json", "assignments/no-privileged.json"]


def test_what_cannot_be_exported_this_time_keeps_its_file_and_says_so(aksp: Aksp) -> None:
    folder = write(aksp.workspace / "definitions", "ours")
    for name in ("ours", "no-latest-tag", "no-privileged"):
        aksp.done("assign", name, *AT_PROD)
    aksp.done("export", "azure", *MAPPED, "-o", "out")
    rule = (folder / "policy.rego").read_text(encoding="utf-8")
    (folder / "policy.rego").write_text("package rule\n\nviolation contains x if { y }\n", encoding="utf-8")
    aksp.done("assignments", "delete", "no-latest-tag")
    run = aksp("export", "azure", *MAPPED, "-o", "out")

    assert run.code == 4 and "assignment ours: not exported" in run.err
    for name in ("definitions/ours", "assignments/ours", "assignments/no-latest-tag"):
        assert f"kept out/{name}.json of an earlier export" in run.err
        assert (aksp.folder / "out" / f"{name}.json").is_file()
    (folder / "policy.rego").write_text(rule, encoding="utf-8")
    run = aksp.done("export", "azure", *MAPPED, "-o", "out")
    assert "removed out/assignments/no-latest-tag.json" in run.err and "kept" not in run.err


def test_no_list_of_an_export_has_files_elsewhere_removed(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged", *AT_PROD)
    outside = aksp.put("outside/kept.json", {})
    aksp.done("export", "azure", *MAPPED, "-o", "out")
    (aksp.folder / "out" / "link").symlink_to(aksp.folder / "outside")
    listed = [str(aksp.folder / outside), "../outside/kept.json", "link/kept.json"]
    (aksp.folder / "out" / ".aksp-export").write_text("\n".join(listed), encoding="utf-8")
    run = aksp.done("export", "azure", *MAPPED, "-o", "out")

    assert (aksp.folder / "outside" / "kept.json").is_file()
    assert "removed" not in run.err


def test_copies_of_one_assignment_are_one_and_a_moved_one_is_where_it_is_now(aksp: Aksp) -> None:
    test = CLUSTER.replace("prod", "test")
    both = (*MAPPED, "--scope-map", f"{test}=/clusters/test")
    aksp.put("azure.json", text([assignment(), exemption(scope=SUBSCRIPTION)]))
    aksp.done("import", "azure", "azure.json", *both)
    assert set(exported(aksp)) == {"Shop-Privileged", "Until Mirror"}

    path = aksp.workspace / "assignments" / "shop-privileged-test.yaml"
    path.write_text(path.read_text().replace("scope: /clusters/test", "scope: /clusters/prod"))
    run = aksp("export", "azure", *MAPPED)
    assert [one["id"] for one in run.json["value"] if one["type"].endswith("Assignments")] == [
        id_of("policyAssignments", "Shop-Privileged"), id_of("policyAssignments", "Shop-Privileged", CLUSTER),
    ]  # fmt: skip


def test_copies_that_differ_now_are_named(aksp: Aksp) -> None:
    both = (*MAPPED, "--scope-map", f"{CLUSTER.replace('prod', 'test')}=/clusters/test")
    aksp.put("azure.json", text([assignment()]))
    aksp.done("import", "azure", "azure.json", *both)
    path = aksp.workspace / "assignments" / "shop-privileged-test.yaml"
    path.write_text(path.read_text().replace("DoNotEnforce", "Default"))
    run = aksp("export", "azure", *MAPPED)

    assert run.code == 4 and "shop-privileged-test: not exported" in run.err
    assert len(json.loads(run.out)["value"]) == 1


def test_the_scope_tree_says_where_clusters_lie_in_both_directions(aksp: Aksp) -> None:
    aksp.done("scope", "add", CLUSTER, "--name", "prod")
    aksp.put("azure.json", text([assignment(notScopes=[]), exemption(scope=GROUP)]))
    run = aksp.done("import", "azure", "azure.json")
    assert f"assignment shop-privileged: {SUBSCRIPTION} reaches /clusters/prod by the scope tree" in run.err
    stored = (aksp.workspace / "assignments" / "shop-privileged.yaml").read_text()
    assert f"scope: {SUBSCRIPTION}\n" in stored
    assert all(
        f"- /clusters/prod/namespaces/{one}" in stored for one in ("kube-system", "gatekeeper-system", "azure-arc")
    )

    aksp("assign", "no-latest-tag", *AT_PROD)
    run = aksp.done("export", "azure")
    found = {one["name"]: one for one in run.json["value"]}
    assert {name: one["id"].partition("/providers/Microsoft.Authorization")[0] for name, one in found.items()} == {
        "Shop-Privileged": SUBSCRIPTION, "Until Mirror": GROUP, "no-latest-tag": CLUSTER,
    }  # fmt: skip
    assert "notScopes" not in found["Shop-Privileged"]["properties"]
