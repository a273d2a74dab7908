"""The preview of Azure's mutations says what Gatekeeper's own mutators make of Pods.

Needs ``gator`` (v3.23), on the PATH or where AKSP_GATOR says; skipped without.
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.azure.mutating import MutationInForce, exported_mutators
from aksp.catalog.mutations import Mutation, mutations
from aksp.model.assignment import Assignment
from tests.e2e.test_gatekeeper_match import GATOR

pytestmark = pytest.mark.skipif(not GATOR, reason="needs gator")

OF_PODS = [one for one in mutations() if one.kind == "Pod"]
EXPANSION = {
    "apiVersion": "expansion.gatekeeper.sh/v1beta1", "kind": "ExpansionTemplate", "metadata": {"name": "pods"},
    "spec": {
        "applyTo": [{"groups": ["apps"], "versions": ["v1"], "kinds": ["Deployment"]}],
        "templateSource": "spec.template", "generatedGVK": {"group": "", "version": "v1", "kind": "Pod"},
    },
}  # fmt: skip


def container(name: str, chance: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "image": "i"}
    context: dict[str, Any] = {}
    choices: dict[str, list[Any]] = {
        "readOnlyRootFilesystem": [True, False], "allowPrivilegeEscalation": [True, False], "runAsUser": [0, 1000],
        "runAsNonRoot": [True, False], "capabilities": [{}, {"drop": ["NET_RAW"]}, {"drop": ["ALL"]}, {"add": ["CHOWN"]}],
        "seccompProfile": [{}, {"type": "Unconfined"}],
    }  # fmt: skip
    for key, values in choices.items():
        if chance.random() < 0.5:
            context[key] = chance.choice(values)
    if chance.random() < 0.7:
        made["securityContext"] = context
    if chance.random() < 0.5:
        made["resources"] = chance.choice([{}, {"limits": {}}, {"limits": {"cpu": "1"}}, {"limits": {"memory": "1Gi"}}])
    return made


def deployment(at: int, chance: random.Random) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [container(f"c{number}", chance) for number in range(chance.randint(1, 3))]}
    if chance.random() < 0.5:
        spec["initContainers"] = [container("i", chance)]
    if chance.random() < 0.5:
        spec["securityContext"] = chance.choice([{}, {"runAsUser": 0}])
    if chance.random() < 0.5:
        spec["automountServiceAccountToken"] = chance.choice([True, False])
    return {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": f"d{at}", "namespace": chance.choice(["shop", "kube-system"])},
        "spec": {"selector": {}, "template": {"metadata": {"labels": {"app": f"d{at}"}}, "spec": spec}},
    }  # fmt: skip


def expanded(given: list[Any], tmp_path: Path) -> dict[str, Any]:
    """The Pods that Gatekeeper makes of Deployments, by these."""
    spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in ("shop", "kube-system")]
    spaces[0]["metadata"]["labels"] = {"env": "prod"}  # type: ignore[index]
    (tmp_path / "in.yaml").write_text("---\n".join(yaml.safe_dump(one) for one in [EXPANSION, *spaces, *given]))
    command = [GATOR, "expand", "--filename", str(tmp_path / "in.yaml"), "--format", "yaml"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = (one for one in yaml.safe_load_all(ran.stdout) if one and one["kind"] == "Pod")
    return {one["metadata"]["labels"]["app"]: one for one in found}


@pytest.mark.parametrize("mutation", OF_PODS, ids=[one.name for one in OF_PODS])
def test_the_preview_is_what_gatekeeper_makes(mutation: Mutation, tmp_path: Path) -> None:
    chance = random.Random(mutation.name)
    deployments = [deployment(at, chance) for at in range(20)]
    mine = Assignment(name="mine", definition_id=mutation.id)
    files, lost = exported_mutators([(mutation, mine)], None)
    assert not lost and len(files) == 1
    pods = expanded([*files.values(), *deployments], tmp_path)
    made = {name: one["spec"] for name, one in pods.items()}

    preview = MutationInForce.of(mutation, mine)
    assert preview is not None
    changed = 0
    for one in deployments:
        shown = preview.changed(one)
        changed += shown != one
        assert shown["spec"]["template"]["spec"] == made[one["metadata"]["name"]], one
    assert 0 < changed < 20


def own(kind: str, location: str, parameters: Any, **match: Any) -> Any:
    spec: dict[str, Any] = {"match": match, "location": location, "parameters": parameters}
    if kind != "AssignMetadata":
        spec["applyTo"] = [{"groups": [""], "versions": ["v1"], "kinds": ["Pod"]}]
    head = {"apiVersion": "mutations.gatekeeper.sh/v1", "kind": kind, "metadata": {"name": "mine"}}
    if kind == "AssignImage":
        head["apiVersion"] = "mutations.gatekeeper.sh/v1alpha1"
    return {**head, "spec": spec}


def when(path: str, condition: str) -> Any:
    return [{"subPath": path, "condition": condition}]


FIRST = "spec.containers[name: c1]"
OWN = {
    "value": own("Assign", f"{FIRST}.imagePullPolicy", {"assign": {"value": "Always"}}),
    "entry is added": own("Assign", f"{FIRST}.tty", {"assign": {"value": True}}),
    "where it is": own("Assign", f"{FIRST}.tty", {"assign": {"value": True}, "pathTests": when(FIRST, "MustExist")}),
    "where it is not": own("Assign", "spec.securityContext.runAsUser",
                           {"assign": {"value": 7}, "pathTests": when("spec.securityContext", "MustNotExist")}),
    "whole entry": own("Assign", 'spec.containers[name: "c1"]', {"assign": {"value": {"name": "c1", "image": "other"}}}),
    "new list": own("Assign", 'spec.tolerations[key: "a/b"].operator', {"assign": {"value": "Exists"}}),
    "an object": own("Assign", "spec.containers[name: *].resources", {"assign": {"value": {"limits": {"cpu": "9"}}}}),
    "by name": own("Assign", "spec.nodeName", {"assign": {"value": "node"}}, name="d1*"),
    "by labels": own("Assign", "spec.nodeName", {"assign": {"value": "node"}}, labelSelector={"matchLabels": {"app": "d3"}}),
    "by Namespace": own("Assign", "spec.nodeName", {"assign": {"value": "node"}}, namespaceSelector={"matchLabels": {"env": "prod"}}),
    "by namespace": own("Assign", "spec.nodeName", {"assign": {"value": "node"}}, namespaces=["sh*"], scope="Namespaced"),
    "excluded": own("Assign", "spec.nodeName", {"assign": {"value": "node"}}, excludedNamespaces=["*-system"]),
    "prune": own("ModifySet", "spec.containers[name: *].securityContext.capabilities.drop",
                 {"operation": "prune", "values": {"fromList": ["ALL"]}}),
    "merge": own("ModifySet", "spec.containers[name: *].securityContext.capabilities.drop",
                 {"operation": "merge", "values": {"fromList": ["ALL", "CHOWN"]}}),
    "domain": own("AssignImage", "spec.containers[name: *].image", {"assignDomain": "contoso.azurecr.io", "assignTag": ":1"}),
    "digest": own("AssignImage", f"{FIRST}.image", {"assignPath": "a/b", "assignTag": f"@sha256:{'0' * 64}"}),
    "annotation": own("AssignMetadata", 'metadata.annotations."example.com/a"', {"assign": {"value": "x"}}),
    "label that is": own("AssignMetadata", "metadata.labels.app", {"assign": {"value": "x"}}),
    "of metadata": own("AssignMetadata", "metadata.labels.space", {"assign": {"fromMetadata": {"field": "namespace"}}}),
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_the_preview_of_a_mutator_is_what_gatekeeper_makes(name: str, tmp_path: Path) -> None:
    chance = random.Random(name)
    deployments = [deployment(at, chance) for at in range(20)]
    for one in deployments:
        for each in one["spec"]["template"]["spec"]["containers"]:
            each["image"] = chance.choice(["i", "a/i:2", "localhost/i", "x.io/a/i@sha256:" + "1" * 64, "x.io:80/i:3"])
    made = expanded([OWN[name], *deployments], tmp_path)
    preview = MutationInForce(by=name, documents=[OWN[name]])
    spaces = {"shop": {"env": "prod"}, "kube-system": {}}
    for one in deployments:
        shown, pod = preview.changed(one, spaces)["spec"]["template"], made[one["metadata"]["name"]]
        assert shown["spec"] == pod["spec"], one
        for key in ("labels", "annotations"):
            assert shown["metadata"].get(key) == pod["metadata"].get(key), one
