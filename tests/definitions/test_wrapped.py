"""A Pod is judged alike alone and as the Pod of any workload, and its findings stand on the workload, at their lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aksp.model.compliance import ComplianceState, Target, TargetKind
from aksp.scan import Scan
from aksp.sources.manifests import Manifests
from aksp.workspace import prepare
from tests.definitions.samples import NOW, SAMPLES, Sample, engine_for, plan_of, stream

#: apiVersion of each kind, and where its Pod template stands.
WRAPPINGS = {
    "Deployment": ("apps/v1", "spec.template"),
    "StatefulSet": ("apps/v1", "spec.template"),
    "DaemonSet": ("apps/v1", "spec.template"),
    "ReplicaSet": ("apps/v1", "spec.template"),
    "ReplicationController": ("v1", "spec.template"),
    "Job": ("batch/v1", "spec.template"),
    "CronJob": ("batch/v1", "spec.jobTemplate.spec.template"),
    "PodTemplate": ("v1", "template"),
    "Rollout": ("argoproj.io/v1alpha1", "spec.template"),
}
#: Definitions about what the Pod of a workload has otherwise than one alone: its owner or kind, and no namespace in the template.
OTHERWISE = {"allowed-kinds", "no-default-namespace", "no-naked-pods", "required-network-policies"}
Found = Counter[tuple[str, str, str | None, str | None, str, str, str]]
"""Kind, name, container, path, state, message after the path, and the text of the line."""


def _pods(sample: Sample) -> list[dict[str, Any]]:
    pods = [one for one in sample.objects if isinstance(one, dict) and one.get("kind") == "Pod"]
    named = [one for one in pods if isinstance(one.get("metadata"), dict) and one["metadata"].get("name")]
    return [one for one in named if isinstance(one.get("spec"), dict)]


def _wrapped(pod: dict[str, Any], kind: str) -> dict[str, Any]:
    api_version, path = WRAPPINGS[kind]
    own = {key: value for key, value in pod["metadata"].items() if key in ("name", "namespace")}
    inner = {key: value for key, value in pod["metadata"].items() if key in ("labels", "annotations")}
    body: dict[str, Any] = {"metadata": inner, "spec": pod["spec"]}
    for key in reversed(path.split(".")):
        body = {key: body}
    return {"apiVersion": api_version, "kind": kind, "metadata": own, **body}


def _found(sample: Sample, objects: Sequence[dict[str, Any]], path: Path) -> Found:
    text = stream(list(objects))
    path.write_text(text, encoding="utf-8")
    lines = text.splitlines()
    plan = plan_of(sample.definition, sample.parameters)
    rows: Found = Counter()
    # Lines are looked up while the engine runs.
    with engine_for(sample.definition) as engine:
        prepare(engine, plan)
        target = Target(kind=TargetKind.MANIFESTS, name=path.name, scope="/")
        for result in Scan(plan, engine).run(Manifests(engine, [str(path)]), target, NOW).report.results:
            finding, source = result.finding, result.source
            assert source is not None and source.file == str(path) and source.line
            # What holds nothing but a name of its own is `{}` in a template.
            line = lines[source.line - 1].strip().removeprefix("- ").removesuffix(" {}")
            message = finding.message.removeprefix(finding.path or "")
            container = finding.container.name if finding.container else None
            state = str(result.state)
            rows[result.resource.kind, result.resource.name, container, finding.path, state, message, line] += 1
    return rows


@pytest.mark.parametrize(
    "sample", [one for one in SAMPLES if _pods(one) and one.definition.slug not in OTHERWISE], ids=str
)
def test_a_pod_violates_or_complies_as_the_pod_of_any_workload(sample: Sample, tmp_path: Path) -> None:
    pods = _pods(sample)
    alone = _found(sample, pods, tmp_path / "alone.yaml")
    wrapped = _found(sample, [_wrapped(pod, kind) for kind in WRAPPINGS for pod in pods], tmp_path / "wrapped.yaml")

    expected: Found = Counter()
    for kind, (_, prefix) in WRAPPINGS.items():
        for (_, name, container, path, *rest), times in alone.items():
            if kind == "Rollout" and rest[0] == "Error" and rest[1] in (" is missing", " is empty"):
                continue  # What its controller fills in is not known.
            expected[(kind, name, container, f"{prefix}.{path}" if path else path, *rest)] += times  # type: ignore[index]

    assert wrapped == expected
    assert bool(alone) or sample.expect == ()
    assert str(ComplianceState.COMPLIANT) not in {row[4] for row in alone}
