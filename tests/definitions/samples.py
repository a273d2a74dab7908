"""Samples of definitions, judged as the command would."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from aksp.assigned import check_parameters
from aksp.catalog.folder import bundled
from aksp.compliance.plan import Plan, make_ready
from aksp.engine import Engine
from aksp.inventory.interface import documents_of
from aksp.inventory.manifests import Manifests
from aksp.model.assignment import Assignment
from aksp.model.compliance import ComplianceState, Report, Target, TargetKind
from aksp.model.definition import Definition
from aksp.model.scope import Scope
from aksp.scan import Scan, ScanResult
from aksp.workspace import prepare

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DEFINITIONS = {definition.slug: definition for definition in bundled()}

#: What a sample expects and what is found: (kind or None, resource, container or None, path).
Row = tuple[str | None, str, str | None, str | None]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One file of samples/."""

    definition: Definition
    path: Path
    title: str
    parameters: Mapping[str, Any]
    expect: tuple[Row, ...]
    objects: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.definition.slug}/{self.path.stem}"


def _read(definition: Definition, path: Path) -> Sample:
    head, *objects = [d for d in yaml.safe_load_all(path.read_text(encoding="utf-8")) if d is not None]
    assert head["apiVersion"] == "policy.aksp.io/v1alpha1", path
    assert head["kind"] == "PolicySample", path
    assert set(head["spec"]) == {"title", "parameters", "expect"}, path
    rows = []
    for entry in head["spec"]["expect"]:
        assert set(entry) <= {"kind", "name", "container", "path"} and "path" in entry, path
        rows.append((entry.get("kind"), entry["name"], entry.get("container"), entry["path"]))
    return Sample(
        definition=definition,
        path=path,
        title=head["spec"]["title"],
        parameters=head["spec"]["parameters"],
        expect=tuple(rows),
        objects=tuple(objects),
    )


def samples_of(definition: Definition) -> list[Sample]:
    folder = Path(definition.origin).parent / "samples"
    return [_read(definition, path) for path in sorted(folder.iterdir())]


SAMPLES = [sample for definition in DEFINITIONS.values() for sample in samples_of(definition)]


def plan_of(definition: Definition, parameters: Mapping[str, Any]) -> Plan:
    assignment = Assignment(
        name=definition.slug, definition_id=definition.slug, parameters={"effect": "Audit", **parameters}
    )
    check_parameters(assignment, definition)
    return Plan(target=Scope("/"), ready=[make_ready(assignment, definition, (), None, NOW)])


def judge(definition: Definition, parameters: Mapping[str, Any], path: Path) -> ScanResult:
    """Through the real stack, in an engine of its own: an inventory lasts as long as its engine."""
    plan = plan_of(definition, parameters)
    target = Target(kind=TargetKind.MANIFESTS, name=path.name, scope="/")
    with Engine() as engine:
        prepare(engine, plan)
        return Scan(plan, engine).run(Manifests(engine, [str(path)]), target, NOW)


@cache
def judged(path: Path) -> ScanResult:
    """A sample's own judgement, made once for all tests of it."""
    (sample,) = [one for one in SAMPLES if one.path == path]
    return judge(sample.definition, sample.parameters, path)


def found(report: Report, expect: tuple[Row, ...]) -> Counter[Row]:
    """The findings as rows; kinds are kept where the expectation names them.

    A Pod that has no name yet is named by its generateName, as in the sample's own text.
    """
    with_kind = {(name, container, path) for kind, name, container, path in expect if kind}
    rows: Counter[Row] = Counter()
    for result in report.results:
        if result.state is ComplianceState.ERROR:
            continue
        container = result.finding.container.name if result.finding.container else None
        key = (result.resource.name.removesuffix("*"), container, result.finding.path)
        rows[(result.resource.kind if key in with_kind else None, *key)] += 1
    return rows


def errors(report: Report) -> list[tuple[str, str]]:
    """What could not be judged: resource and why."""
    return sorted((r.resource.name, r.finding.message) for r in report.results if r.state is ComplianceState.ERROR)


def problems(sample: Sample) -> list[tuple[str, str]]:
    """What is wrong with a sample's documents themselves, as far as its rule reads them."""
    with Engine() as engine:
        prepare(engine, plan_of(sample.definition, sample.parameters))
        text = sample.path.read_bytes()
        batch = engine.loaded(engine.load_files([{"length": len(text)}], text))
    documents = documents_of(batch.documents)
    objects = [d for d in documents if d.resource.kind != "PolicySample"]
    return sorted(((d.parent or d.resource).name, problem.message) for d in objects for problem in d.problems)


def stream(documents: list[Any]) -> str:
    """Documents as one YAML text."""
    out = io.StringIO()
    yaml.safe_dump_all(documents, out)
    return out.getvalue()
