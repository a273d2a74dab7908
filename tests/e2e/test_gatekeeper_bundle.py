"""What is exported finds the same in gator as `aksp compliance -f`, in the samples about Pods, and gator takes all definitions."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

from aksp.compliance.kinds import judges_pods
from aksp.model.compliance import ComplianceState
from tests.definitions.samples import SAMPLES, Sample, errors, judged
from tests.e2e.command import Aksp
from tests.e2e.test_gatekeeper import gator
from tests.e2e.test_gatekeeper_samples import OTHERWISE

__all__ = ["gator"]


def _place(sample: Sample) -> str:
    return f"{sample.definition.slug}.{sample.path.stem}".replace(".", "-x-")


def _pods(sample: Sample) -> list[dict[str, Any]]:
    pods = [one for one in sample.objects if one["kind"] == "Pod" and "name" in one["metadata"]]
    return [{**one, "metadata": {**one["metadata"], "namespace": _place(sample)}} for one in pods]


def test_gator_finds_by_the_bundle_what_aksp_finds(gator: Path, tmp_path: Path) -> None:
    samples = [
        one
        for one in SAMPLES
        if judges_pods(one.definition.kinds)
        and _pods(one)
        and not one.definition.requires_inventory
        and str(one) not in OTHERWISE
        and not errors(judged(one.path).report)
        # Only Pods are taken here: without its ServiceAccount a Pod would have another token.
        and all(each["kind"] != "ServiceAccount" for each in one.objects)
    ]
    aksp = Aksp(folder=tmp_path)
    for one in samples:
        scope = f"/clusters/c/namespaces/{_place(one)}"
        aksp.assign(one.definition.slug, _place(one), scope=scope, parameters={**one.parameters, "effect": "Deny"})
    exported = aksp.run("export", "gatekeeper", "--cluster", "c", "-o", str(tmp_path / "bundle"))
    # What is about any kind is about the Namespace that it is assigned to, too, which Gatekeeper's match leaves out.
    lost = [line for line in exported.stderr.splitlines() if "does not do it" in line]
    assert exported.code == 4 and lost, exported.stderr
    assert all("assignment allowed-kinds-x-" in line and line.endswith(" itself is not judged") for line in lost)
    path = tmp_path / "pods.yaml"
    path.write_text("\n---\n".join(json.dumps(pod) for one in samples for pod in _pods(one)), encoding="utf-8")
    command = [str(gator), "test", "-f", str(path), "-f", str(tmp_path / "bundle"), "-o", "json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1) and not run.stderr, run.stderr
    found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for one in json.loads(run.stdout):
        metadata = one["violatingObject"]["metadata"]
        assert one["enforcementAction"] == "deny"
        found[metadata["namespace"]].add((metadata["name"], one["msg"]))

    expected: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for result in aksp.judge("-f", str(path), "--cluster", "c").report["results"]:
        if result["state"] == ComplianceState.NON_COMPLIANT:
            resource = result["resource"]
            expected[resource["namespace"]].add((resource["name"], result["message"]))
    assert len(samples) > 100 and sum(map(len, expected.values())) > 150
    assert found == expected


def test_gatekeeper_takes_every_definition_and_each_is_imported_again(gator: Path, tmp_path: Path) -> None:
    aksp = Aksp(folder=tmp_path)
    first = {one.definition.slug: one for one in SAMPLES}
    for slug, one in first.items():
        aksp.assign(slug, parameters={**one.parameters, "effect": "Deny"})
    exported = aksp.run("export", "gatekeeper", "-o", str(tmp_path / "bundle"))
    assert exported.code == 0, exported.stderr
    assert len(list((tmp_path / "bundle" / "constraints").iterdir())) == len(first) > 20
    # gator ends with 1 where objects violate, templates and constraints among them, and tells what it does not take.
    run = subprocess.run(
        [str(gator), "test", "-f", str(tmp_path / "bundle")], capture_output=True, text=True, check=False
    )
    assert run.returncode in (0, 1) and run.stderr == "", run.stderr
    aksp.run("import", "gatekeeper", str(tmp_path / "bundle"), "--workspace", str(tmp_path / "again"))
    assert len(list((tmp_path / "again" / "assignments").iterdir())) == len(first)
