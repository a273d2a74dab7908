"""Every definition about Pods, as a ConstraintTemplate, finds the same in gator as aksp does, with the same messages."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

from aksp.compliance.kinds import judges_pods
from aksp.model.compliance import ComplianceState
from bench.peers.gatekeeper import constraint, constraint_template
from tests.definitions.samples import SAMPLES, Sample, errors, judged
from tests.e2e.test_gatekeeper import gator

__all__ = ["gator"]

#: gator judges manifests as they are written: the API server makes host ports of the ports of a Pod in the network of its node.
OTHERWISE = {"host-network-ports/noncompliant-network-of-the-node"}


def _place(sample: Sample) -> str:
    return f"{sample.definition.slug}.{sample.path.stem}".replace(".", "-x-")


def _pods(sample: Sample) -> list[dict[str, Any]]:
    pods = [one for one in sample.objects if one["kind"] == "Pod" and "name" in one["metadata"]]
    return [{**one, "metadata": {**one["metadata"], "namespace": _place(sample)}} for one in pods]


def _given(sample: Sample) -> dict[str, Any]:
    """Its constraint, which judges the namespace with its objects alone."""
    made = constraint(sample.definition.slug, sample.parameters)
    match = {**made["spec"]["match"], "namespaces": [_place(sample)]}
    match.pop("excludedNamespaces", None)
    return {**made, "metadata": {"name": _place(sample)}, "spec": {**made["spec"], "match": match}}


def test_gator_finds_in_the_samples_what_aksp_finds(gator: Path, tmp_path: Path) -> None:
    samples = [
        one
        for one in SAMPLES
        if judges_pods(one.definition.kinds)
        and _pods(one)
        and str(one) not in OTHERWISE
        and not errors(judged(one.path).report)
    ]
    objects = [constraint_template(slug) for slug in sorted({one.definition.slug for one in samples})]
    objects += [each for one in samples for each in (_given(one), *_pods(one))]
    path = tmp_path / "all.yaml"
    path.write_text("\n---\n".join(map(json.dumps, objects)), encoding="utf-8")
    run = subprocess.run([gator, "test", "-f", path, "-o", "json"], capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1) and not run.stderr, run.stderr
    found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for one in json.loads(run.stdout):
        metadata = one["violatingObject"]["metadata"]
        found[metadata["namespace"]].add((metadata["name"], one["msg"]))

    expected = {
        _place(one): {
            (result.resource.name, result.finding.message)
            for result in judged(one.path).report.results
            if result.state is ComplianceState.NON_COMPLIANT and result.resource.kind == "Pod"
        }
        for one in samples
    }
    assert len(samples) > 100 and sum(map(len, expected.values())) > 150
    assert {place: found[place] for place in expected} == expected
