"""The samples of a definition: documents, each with what is expected of them, judged as the command would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from aksp.assigned import check_parameters
from aksp.catalog.document import Reader
from aksp.compliance.plan import Plan, make_ready
from aksp.engine import Engine
from aksp.errors import InvalidPolicy
from aksp.model.assignment import API_VERSION, Assignment
from aksp.model.compliance import ComplianceState, Report, Target, TargetKind
from aksp.model.definition import Definition
from aksp.model.effect import Effect
from aksp.model.scope import Scope
from aksp.scan import Scan, ScanResult
from aksp.sources.folders import SUFFIXES
from aksp.sources.interface import documents_of
from aksp.sources.manifests import Manifests
from aksp.workspace import compile_definition, prepare
from aksp.yaml_reader import read_file, read_yaml

#: What a sample expects and what is found: (kind or None, resource, container or None, path).
Row = tuple[str | None, str, str | None, str | None]


class Sample(Struct, frozen=True, kw_only=True):
    """One file of a definition's folder ``samples``: its first document says what is expected of the others."""

    definition: Definition
    path: Path
    title: str
    parameters: Mapping[str, Any]
    expect: tuple[Row, ...]
    objects: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.definition.slug}/{self.path.stem}"


def samples_of(definition: Definition) -> list[Sample]:
    """The samples of a definition, by their names. Raises InvalidInput for one that is wrong."""
    folder = Path(definition.origin).parent / "samples"
    return [_read(definition, path) for path in sorted(folder.glob("*")) if path.suffix in SUFFIXES]


def _read(definition: Definition, path: Path) -> Sample:
    try:
        head, *objects = [document for document, _ in read_yaml(read_file(path), str(path)) if document is not None]
    except ValueError:
        raise InvalidPolicy("a sample has a PolicySample before its objects", where=str(path)) from None
    top = Reader(head, str(path))
    if (top.text("apiVersion", ""), top.text("kind", "")) != (API_VERSION, "PolicySample"):
        raise InvalidPolicy(f"its first document is no PolicySample of {API_VERSION}", where=str(path))
    spec = top.object("spec").only(("title", "parameters", "expect"))
    rows = [
        (one.any("kind"), one.text("name"), one.any("container"), one.text("path"))
        for one in (each.only(("kind", "name", "container", "path")) for each in spec.objects("expect"))
    ]
    return Sample(
        definition=definition,
        path=path,
        title=spec.text("title"),
        parameters=spec.mapping("parameters"),
        expect=tuple(rows),
        objects=tuple(objects),
    )


def plan_of(definition: Definition, parameters: Mapping[str, Any], now: datetime) -> Plan:
    """One assignment of the definition, everywhere. Raises InvalidInput for parameters that are wrong."""
    assignment = Assignment(
        name=definition.slug, definition_id=definition.slug, parameters={"effect": Effect.AUDIT.value, **parameters}
    )
    check_parameters(assignment, definition)
    return Plan(target=Scope("/"), ready=[make_ready(assignment, definition, (), None, now)])


def judge(
    definition: Definition, parameters: Mapping[str, Any], path: Path, now: datetime, engine: Engine | None = None
) -> ScanResult:
    """Through the real stack, in an engine of its own unless one is given: an inventory lasts as long as its engine.

    Raises InvalidInput for a definition that does not compile, and parameters that are wrong.
    """
    plan = plan_of(definition, parameters, now)
    target = Target(kind=TargetKind.MANIFESTS, name=path.name, scope="/")
    with nullcontext(engine) if engine is not None else Engine() as used:
        if broken := prepare(used, plan).broken:
            raise InvalidPolicy(broken[0].problem)
        return Scan(plan, used).run(Manifests(used, [str(path)]), target, now)


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


def problems(sample: Sample, engine: Engine | None = None) -> list[tuple[str, str]]:
    """What is wrong with a sample's documents themselves, as far as its rule reads them: resource and why.

    An engine that is given has no other rule.
    """
    with nullcontext(engine) if engine is not None else Engine() as used:
        compile_definition(used, sample.definition)
        text = sample.path.read_bytes()
        batch = used.loaded(used.load_files([{"length": len(text)}], text))
        used.release(batch)
    documents = documents_of(batch.documents)
    objects = [d for d in documents if d.resource.kind != "PolicySample"]
    return sorted(((d.parent or d.resource).name, problem.message) for d in objects for problem in d.problems)


def failures(sample: Sample, now: datetime) -> list[str]:
    """What is otherwise than the sample says, in sentences. Raises InvalidInput."""
    outcome = judge(sample.definition, sample.parameters, sample.path, now)
    got, wanted = found(outcome.report, sample.expect), Counter(sample.expect)
    told = [f"is expected and not found: {_shown(row)}" for row in (wanted - got).elements()]
    told += [f"is found and not expected: {_shown(row)}" for row in (got - wanted).elements()]
    failed = Counter(errors(outcome.report))
    # What the API server would not decode is a sample's own doing, and in Error as it should be.
    told += [f"could not be judged: {name}: {why}" for name, why in (failed - Counter(problems(sample))).elements()]
    if not told and not outcome.evaluations:
        told.append("nothing in it was judged: none of its objects is of the definition's kinds")
    return told


def _shown(row: Row) -> str:
    kind, name, container, path = row
    return " ".join(filter(None, [kind, name, f"container {container}" if container else None, path]))
