"""Every definition, as a ConstraintTemplate, finds the same in gator as aksp does, with the same messages."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aksp.model.compliance import ComplianceState
from aksp.model.definition import ResourceKind
from bench.peers.gatekeeper import constraint, constraint_template
from tests.definitions.samples import SAMPLES, Sample, errors, judged, plan_of
from tests.e2e.test_gatekeeper import gator

__all__ = ["gator"]

#: gator judges manifests as they are written: the API server makes host ports of the ports of a Pod in the network of its
#: node. The others are about what lies in namespaces of certain names.
OTHERWISE = {
    "host-network-ports/noncompliant-network-of-the-node",
    "allowed-service-ports/compliant-not-applicable",
    "forbidden-kinds/compliant-others",
    "no-default-namespace/noncompliant-default",
}
#: Kinds whose objects lie in no namespace: a label tells of which sample they are.
CLUSTERED = {"ClusterRole", "ClusterRoleBinding", "Namespace", "Node", "StorageClass"}
LABEL = "sample"


def _place(sample: Sample) -> str:
    return f"{sample.definition.slug}.{sample.path.stem}".replace(".", "-x-")


def _objects(sample: Sample) -> list[dict[str, Any]]:
    """The sample's objects of the kinds that are judged, or compared with, in a place of their own."""
    definition = sample.definition
    kinds = {kind.kind for kind in (*_kinds(sample), *definition.requires_inventory)}
    objects = [one for one in sample.objects if {one["kind"], "*"} & kinds and "name" in one["metadata"]]
    return [{**one, "metadata": _placed(sample, one)} for one in objects]


def _kinds(sample: Sample) -> Sequence[ResourceKind]:
    (ready,) = plan_of(sample.definition, sample.parameters).ready
    return ready.selection.kinds


def _placed(sample: Sample, one: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = one["metadata"]
    placed = metadata if one["kind"] in CLUSTERED else {**metadata, "namespace": _place(sample)}
    if {each["kind"] for each in sample.objects} & CLUSTERED:
        return {**placed, "labels": {**metadata.get("labels", {}), LABEL: _place(sample)}}
    return placed


def _in_one_place(sample: Sample) -> bool:
    """Whether nothing that is compared would come together only in the sample's place."""
    if sample.definition.slug == "unique-ingress-hosts":  # It compares with all namespaces.
        return False
    namespaces = {one["metadata"].get("namespace") for one in sample.objects if "metadata" in one}
    return not sample.definition.requires_inventory or len(namespaces) == 1


def _given(sample: Sample) -> dict[str, Any]:
    """Its constraint, which judges the namespace with its objects alone."""
    made = constraint(sample.definition.slug, sample.parameters)
    match = {**made["spec"]["match"]}
    match.pop("excludedNamespaces", None)
    if {one["kind"] for one in _objects(sample)} & CLUSTERED:
        match["labelSelector"] = {"matchLabels": {LABEL: _place(sample)}}
    else:
        match["namespaces"] = [_place(sample)]
    return {**made, "metadata": {"name": _place(sample)}, "spec": {**made["spec"], "match": match}}


def test_gator_finds_in_the_samples_what_aksp_finds(gator: Path, tmp_path: Path) -> None:
    samples = [
        one
        for one in SAMPLES
        if _objects(one) and _in_one_place(one) and str(one) not in OTHERWISE and not errors(judged(one.path).report)
    ]
    objects = [constraint_template(slug) for slug in sorted({one.definition.slug for one in samples})]
    objects += [each for one in samples for each in (_given(one), *_objects(one))]
    path = tmp_path / "all.yaml"
    path.write_text("\n---\n".join(map(json.dumps, objects)), encoding="utf-8")
    run = subprocess.run([gator, "test", "-f", path, "-o", "json"], capture_output=True, text=True, check=False)
    # Nodes of two samples may have one name.
    said = [line for line in run.stderr.splitlines() if "is already defined" not in line]
    assert run.returncode in (0, 1) and not said, said
    found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for one in json.loads(run.stdout):
        metadata = one["violatingObject"]["metadata"]
        found[metadata.get("namespace") or metadata["labels"][LABEL]].add((metadata["name"], one["msg"]))

    expected = {
        _place(one): {
            (result.resource.name, result.finding.message.replace(" shop/", f" {_place(one)}/"))
            for result in judged(one.path).report.results
            if result.state is ComplianceState.NON_COMPLIANT
            and (result.resource.kind, result.resource.name)
            in {(o["kind"], o["metadata"]["name"]) for o in _objects(one)}
        }
        for one in samples
    }
    assert len(samples) > 100 and sum(map(len, expected.values())) > 150
    assert {p: found[p] for p in expected if found[p] != expected[p]} == {
        p: e for p, e in expected.items() if found[p] != e
    }
