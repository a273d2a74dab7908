"""The report as JSON values: the contract with scripts, apart from the classes of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypedDict

from aksp.model.compliance import AssignmentSummary, ComplianceState, Counts, Gap, Report, Result, SourceLocation
from aksp.model.resource import Resource
from aksp.model.times import rfc3339
from aksp.report.figures import one_decimal
from aksp.report.interface import Show

API_VERSION: Final = "policy.aksp.io/v1"


class TargetWire(TypedDict):
    kind: str
    name: str
    scope: str
    server: str | None


class CountsWire(TypedDict):
    """Counts by state; every state is present."""

    resources: dict[str, int]
    containers: dict[str, int]


class AssignmentWire(TypedDict):
    name: str
    displayName: str
    definition: str
    definitionId: str
    effect: str
    enforcementMode: str
    scope: str
    state: str
    compliancePercent: float | None
    message: str
    counts: CountsWire


class ResourceWire(TypedDict):
    apiVersion: str
    kind: str
    namespace: str
    name: str
    uid: str


class OwnerWire(TypedDict):
    kind: str
    name: str


class ContainerWire(TypedDict):
    name: str
    type: str
    image: str


class SourceWire(TypedDict):
    file: str
    line: int


class ResultWire(TypedDict):
    assignment: str
    definition: str
    effect: str
    state: str
    message: str
    severity: str
    resource: ResourceWire
    owner: OwnerWire | None
    container: ContainerWire | None
    path: str | None
    observed: Any
    expected: Any
    exemption: str | None
    source: SourceWire | None


class GapWire(TypedDict):
    reason: str
    message: str
    resource: ResourceWire | None


class HeadWire(TypedDict):
    """The report but for its two long lists, results and gaps, which follow it in this order."""

    apiVersion: Literal["policy.aksp.io/v1"]
    kind: Literal["ComplianceReport"]
    aksp: str
    evaluatedAt: str
    target: TargetWire
    state: str
    compliancePercent: float | None
    counts: CountsWire
    assignments: list[AssignmentWire]


def head(report: Report) -> HeadWire:
    """Everything before the results."""
    target = report.target
    return {
        "apiVersion": API_VERSION,
        "kind": "ComplianceReport",
        "aksp": report.version,
        "evaluatedAt": rfc3339(report.evaluated_at),
        "target": {
            "kind": target.kind.value,
            "name": target.name,
            "scope": target.scope,
            "server": target.server,
        },
        "state": report.state.value,
        "compliancePercent": one_decimal(report.compliance_percent),
        "counts": counts(report.counts),
        "assignments": [_assignment(summary) for summary in report.assignments],
    }


def results(report: Report, show: Show) -> Iterator[ResultWire]:
    """The results one at a time: a large cluster has more than fit in memory twice."""
    return (result(each) for each in shown(report, show))


def gaps(report: Report) -> Iterator[GapWire]:
    """The gaps one at a time."""
    return (gap(each) for each in report.gaps)


def shown(report: Report, show: Show) -> Iterator[Result]:
    """The results that are asked for, in the report's order."""
    everything = show == Show.ALL
    return (each for each in report.results if everything or each.state is not ComplianceState.COMPLIANT)


def result(result: Result) -> ResultWire:
    """One result."""
    key, finding, owner, container = result.assignment, result.finding, result.owner, result.finding.container
    return {
        "assignment": key.name,
        "definition": key.definition,
        "effect": key.effect,
        "state": result.state.value,
        "message": finding.message,
        "severity": key.severity,
        "resource": resource(result.resource),
        "owner": {"kind": owner.kind, "name": owner.name} if owner else None,
        "container": (
            {"name": container.name, "type": container.type, "image": container.image} if container else None
        ),
        "path": finding.path,
        "observed": finding.observed,
        "expected": finding.expected,
        "exemption": result.exemption.name if result.exemption else None,
        "source": source(result.source),
    }


def _assignment(summary: AssignmentSummary) -> AssignmentWire:
    return {
        "name": summary.name,
        "displayName": summary.display_name,
        "definition": summary.definition,
        "definitionId": summary.definition_id,
        "effect": summary.effect,
        "enforcementMode": summary.enforcement_mode,
        "scope": summary.scope,
        "state": summary.state.value,
        "compliancePercent": one_decimal(summary.compliance_percent),
        "message": summary.message,
        "counts": counts(summary.counts),
    }


def gap(gap: Gap) -> GapWire:
    """One gap."""
    return {
        "reason": gap.reason,
        "message": gap.message,
        "resource": resource(gap.resource) if gap.resource else None,
    }


def resource(of: Resource) -> ResourceWire:
    """A resource's identity."""
    return {
        "apiVersion": of.api_version,
        "kind": of.kind,
        "namespace": of.namespace,
        "name": of.name,
        "uid": of.uid,
    }


def source(of: SourceLocation | None) -> SourceWire | None:
    """A place in a file."""
    return {"file": of.file, "line": of.line} if of else None


def counts(counts: Counts) -> CountsWire:
    return {"resources": _by_state(counts.resources), "containers": _by_state(counts.containers)}


def _by_state(counts: Mapping[ComplianceState, int]) -> dict[str, int]:
    return {state.value: counts.get(state, 0) for state in ComplianceState}
