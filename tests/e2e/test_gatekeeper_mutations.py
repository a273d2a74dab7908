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

from aksp.azure.mutating import MutationInForce
from aksp.azure.mutators import exported_mutators
from aksp.catalog.mutating import applied
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


@pytest.mark.parametrize("mutation", OF_PODS, ids=[one.name for one in OF_PODS])
def test_the_preview_is_what_gatekeeper_makes(mutation: Mutation, tmp_path: Path) -> None:
    chance = random.Random(mutation.name)
    deployments = [deployment(at, chance) for at in range(20)]
    mine = Assignment(name="mine", definition_id=mutation.id)
    files, lost = exported_mutators([(mutation, mine)], None)
    assert not lost and len(files) == 1
    spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in ("shop", "kube-system")]
    given = [EXPANSION, *spaces, *files.values(), *deployments]
    (tmp_path / "in.yaml").write_text("---\n".join(yaml.safe_dump(one) for one in given))
    command = [GATOR, "expand", "--filename", str(tmp_path / "in.yaml"), "--format", "yaml"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    made = {
        one["metadata"]["labels"]["app"]: one["spec"]
        for one in yaml.safe_load_all(ran.stdout)
        if one and one["kind"] == "Pod"
    }

    preview = MutationInForce.of(mutation, mine)
    assert preview is not None
    changed = 0
    for one in deployments:
        patch = preview.patch(one)
        changed += bool(patch)
        assert applied(one, patch)["spec"]["template"]["spec"] == made[one["metadata"]["name"]], one
    assert 0 < changed < 20
