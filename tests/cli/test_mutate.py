"""Azure's definitions that change objects: recognised, previewed, carried to Gatekeeper and back to Azure."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from aksp.azure.mutating import MutationInForce
from aksp.catalog.mutations import mutations
from aksp.model.assignment import Assignment
from tests.azure.builders import CLUSTER, assignment, text
from tests.cli.conftest import Aksp

MAPPED = ("--scope-map", f"{CLUSTER}=/clusters/prod")
READ_ONLY = "8e875f96-2c56-40ca-86db-b9f6a0be7347"
DROP = "c873b3ba-c605-42e4-a64b-a142a93826fc"
OF_AZURE = "/providers/Microsoft.Authorization/policyDefinitions"


def pod(name: str = "p", namespace: str | None = "shop", **container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "spec": {"containers": [{"name": "c", "image": "i", **container}]},
    }  # fmt: skip


def patches(aksp: Aksp, document: Any, *options: str) -> list[Any]:
    aksp.put("m.json", document)
    run = aksp.done("mutate", "-f", "m.json", "-o", "patch", *options)
    return [operation for line in run.out.splitlines() for operation in json.loads(line)["patch"]]


EXAMPLES: dict[str, dict[str, Any]] = {
    "Pod": {
        **pod(),
        "spec": {"containers": [{"name": "a"}, {"name": "b", "securityContext": {}}], "initContainers": [{"name": "i"}]},
    },
    "PodDisruptionBudget": {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": {}},
    "Node": {
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"},
        "spec": {"taints": [{"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"}, {"key": "x"}]},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", [one.name for one in mutations()])
def test_each_of_them_changes_what_it_is_about_once(aksp: Aksp, name: str) -> None:
    (one,) = (each for each in mutations() if each.name == name)
    example = EXAMPLES[one.kind]
    found = patches(aksp, example, "--mutation", one.id)
    assert found
    made = MutationInForce.of(one, Assignment(name="mine", definition_id=one.id))
    assert made is not None
    after = made.changed(example)
    assert after != example and made.changed(after) == after
    aksp.put("m.json", example)
    run = aksp.done("mutate", "-f", "m.json", "--mutation", name.lower())
    assert yaml.safe_load(run.out) == after


def test_all_nineteen_are_there() -> None:
    assert len({one.id for one in mutations()}) == len({one.name for one in mutations()}) == 19


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (pod(), [{"op": "add", "path": "/spec/containers/0/securityContext", "value": {"readOnlyRootFilesystem": True}}]),
        (pod(securityContext={}), [{"op": "add", "path": "/spec/containers/0/securityContext/readOnlyRootFilesystem", "value": True}]),
        (pod(securityContext={"readOnlyRootFilesystem": False}), []),  # what is there stays
        (pod(namespace="kube-system"), []),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {}}, []),
        ({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": pod()}},
         [{"op": "add", "path": "/spec/template/spec/containers/0/securityContext", "value": {"readOnlyRootFilesystem": True}}]),
        ({"apiVersion": "v1", "kind": "List", "items": [pod("a"), pod("b", securityContext={"readOnlyRootFilesystem": True})]},
         [{"op": "add", "path": "/spec/containers/0/securityContext", "value": {"readOnlyRootFilesystem": True}}]),
    ],
)  # fmt: skip
def test_a_patch_says_what_would_be_set(aksp: Aksp, document: Any, expected: list[Any]) -> None:
    assert patches(aksp, document, "--mutation", READ_ONLY) == expected


def test_a_list_keeps_what_it_has(aksp: Aksp) -> None:
    found = pod(securityContext={"capabilities": {"drop": ["NET_RAW"], "add": ["CHOWN"]}})
    assert patches(aksp, found, "--mutation", DROP) == [
        {"op": "replace", "path": "/spec/containers/0/securityContext/capabilities/drop", "value": ["NET_RAW", "ALL"]}
    ]


def test_a_node_of_the_system_pool_keeps_its_taint(aksp: Aksp) -> None:
    node = {**EXAMPLES["Node"], "metadata": {"name": "n", "labels": {"kubernetes.azure.com/mode": "system"}}}
    assert patches(aksp, node, "--mutation", "MutateReservedSystemPoolTaints") == []


def estate() -> list[Any]:
    of = {"definitionVersion": "1.*.*", "enforcementMode": "Default"}
    return [
        assignment("Read-Only", policyDefinitionId=f"{OF_AZURE}/{READ_ONLY}", **of,
                   parameters={"effect": {"value": "Mutate"}, "excludedNamespaces": {"value": ["legacy"]}}),
        assignment("Drop", policyDefinitionId=f"{OF_AZURE}/{DROP}", **of, parameters={"effect": {"value": "Disabled"}}),
    ]  # fmt: skip


def test_those_of_azure_are_imported_previewed_and_exported(aksp: Aksp) -> None:
    aksp.put("azure.json", text(estate()))
    run = aksp.done("import", "azure", "azure.json", *MAPPED)
    assert "MutateReadOnlyRootFilesystem changes objects, and nothing is judged by it" in run.err
    assert aksp.done("import", "azure", "azure.json", *MAPPED).out.count("unchanged") == 2
    assert len(patches(aksp, pod())) == 1  # the other one is switched off
    assert patches(aksp, pod(namespace="legacy")) == []
    assert patches(aksp, pod(namespace="kube-system")) == []  # left out unasked
    # Nothing is judged by them.
    assert aksp.judge("m.json").code == 4

    back = {one["name"]: one["properties"] for one in aksp.done("export", "azure").json["value"]}
    assert set(back) == {"Read-Only", "Drop"}
    assert back["Read-Only"]["policyDefinitionId"] == f"{OF_AZURE}/{READ_ONLY}"
    assert back["Read-Only"]["parameters"] == estate()[0]["properties"]["parameters"]

    run = aksp.done("export", "gatekeeper", "--cluster", "prod")
    (mutator,) = yaml.safe_load_all(run.out)
    assert (mutator["kind"], mutator["spec"]["location"]) == (
        "Assign",
        "spec.containers[name:*].securityContext.readOnlyRootFilesystem",
    )
    assert mutator["spec"]["match"]["excludedNamespaces"] == ["legacy", "kube-system", "gatekeeper-system", "azure-arc"]
    assert mutator["spec"]["parameters"]["pathTests"][0]["condition"] == "MustNotExist"
    run = aksp("export", "gatekeeper")
    assert run.code == 4 and "name the cluster with --cluster" in run.err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"definitionVersion": "2.*.*"}, "asks for version 2.*.*"), ({"parameters": {"x": {"value": 1}}}, "has no parameter x"),
        ({"parameters": {"effect": {"value": "deny"}}}, "has no effect deny"),
        ({"parameters": {"namespaces": {"value": "x"}}}, "the parameter namespaces is 'x'"),
    ],
)  # fmt: skip
def test_what_a_mutation_has_not_is_named(aksp: Aksp, more: dict[str, Any], said: str) -> None:
    one = estate()[0]
    one["properties"] |= more
    aksp.put("azure.json", text([one]))
    run = aksp("import", "azure", "azure.json", *MAPPED)
    assert run.code == 4 and said in run.err


def test_to_assign_one_says_how_it_is_looked_at(aksp: Aksp) -> None:
    for name in ("MutateRunAsNonRoot", READ_ONLY):
        run = aksp("assign", name)
        assert run.code == 2 and "aksp mutate --mutation" in run.err


def test_a_folder_is_read_as_every_command_reads_one(aksp: Aksp) -> None:
    aksp.put("deploy/below/pod.json", pod("seen"))
    aksp.put("deploy/.hidden/pod.json", pod("hidden"))
    run = aksp.done("mutate", "-f", "deploy", "--mutation", READ_ONLY, "-o", "patch")

    assert [json.loads(line)["object"]["name"] for line in run.out.splitlines()] == ["seen"]
    assert "1 document would be changed by 1 mutation\n" in run.err


def test_what_is_not_there_is_told(aksp: Aksp) -> None:
    aksp.put("m.json", pod())
    assert aksp("mutate", "-f", "m.json").code == 4
    run = aksp("mutate", "-f", "m.json", "--mutation", "MutateRunAsNonRoots")
    assert run.code == 2 and "did you mean 'MutateRunAsNonRoot'" in run.err
    assert aksp("mutate", "-f", "none.yaml", "--mutation", READ_ONLY).code == 2
    aksp.put("broken.yaml", "a: [")
    run = aksp("mutate", "-f", "broken.yaml", "--mutation", READ_ONLY)
    assert run.code == 2 and "broken.yaml" in run.err
    aksp.put(
        "ws/mutations/assignments/x.yaml",
        "apiVersion: policy.aksp.io/v1alpha1\nkind: PolicyAssignment\nmetadata: {name: x}\nspec: {policyDefinitionId: no-privileged}\n",
    )
    run = aksp("mutate", "-f", "m.json")
    assert run.code == 2 and "is none of Azure's mutations" in run.err
