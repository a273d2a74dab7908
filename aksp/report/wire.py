"""The report as JSON values: the contract with scripts, apart from the classes of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any, Final, Literal, TypedDict

from aksp.model.compliance import AssignmentSummary, ComplianceState, Counts, Gap, Report, Result, SourceLocation
from aksp.model.resource import Resource
from aksp.model.times import rfc3339
from aksp.report.fields import NAMED, OBJECTS
from aksp.report.figures import one_decimal
from aksp.report.interface import Show

API_VERSION: Final = "policy.aksp.io/v1"

#: A JSON object.
Wire = dict[str, Any]


class TargetWire(TypedDict):
    kind: str
    name: str
    scope: str
    server: str | None
    filters: list[str]


class CountsWire(TypedDict):
    """Counts by state; every state is present."""

    resources: dict[str, int]
    containers: dict[str, int]


class AssignmentWire(TypedDict):
    name: str
    displayName: str
    definition: str
    definitionId: str
    azureId: str | None
    azureDefinitionId: str | None
    effect: str
    enforcementMode: str
    scope: str
    state: str
    compliancePercent: float | None
    message: str
    counts: CountsWire
    members: list[MemberWire]
    groups: list[GroupWire]


class MemberWire(TypedDict):
    """One member of an assigned initiative; the mode and the scope are the assignment's."""

    referenceId: str
    displayName: str
    definition: str
    definitionId: str
    azureDefinitionId: str | None
    groupNames: list[str]
    effect: str
    state: str
    compliancePercent: float | None
    message: str
    counts: CountsWire


class GroupWire(TypedDict):
    """The members of one group together."""

    name: str
    displayName: str
    state: str
    compliancePercent: float | None
    counts: CountsWire


class ClusterWire(TypedDict):
    """One of several clusters, with its own lines of the assignments."""

    name: str
    scope: str
    id: str
    location: str
    labels: dict[str, str]
    server: str | None
    state: str
    compliancePercent: float | None
    message: str
    gaps: int
    counts: CountsWire
    assignments: list[AssignmentWire]


class ScopeWire(TypedDict):
    """The clusters below a scope together."""

    scope: str
    name: str
    kind: str
    parent: str | None
    clusters: list[str]
    state: str
    compliancePercent: float | None
    gaps: int
    counts: CountsWire


class GapWire(TypedDict):
    reason: str
    message: str
    resource: Wire | None
    cluster: str


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
    clusters: list[ClusterWire]
    scopes: list[ScopeWire]


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
            "filters": list(target.filters),
        },
        "state": report.state.value,
        "compliancePercent": one_decimal(report.compliance_percent),
        "counts": counts(report.counts),
        "assignments": [_assignment(summary) for summary in report.assignments],
        "clusters": [
            {
                "name": one.name,
                "scope": one.scope,
                "id": one.id,
                "location": one.location,
                "labels": dict(one.labels),
                "server": one.server,
                "state": one.state.value,
                "compliancePercent": one_decimal(one.compliance_percent),
                "message": one.message,
                "gaps": one.gaps,
                "counts": counts(one.counts),
                "assignments": [_assignment(summary) for summary in one.assignments],
            }
            for one in report.clusters
        ],
        "scopes": [
            {
                "scope": one.scope,
                "name": one.name,
                "kind": one.kind,
                "parent": one.parent,
                "clusters": list(one.clusters),
                "state": one.state.value,
                "compliancePercent": one_decimal(one.compliance_percent),
                "gaps": one.gaps,
                "counts": counts(one.counts),
            }
            for one in report.scopes
        ],
    }


def results(report: Report, show: Show) -> Iterator[Wire]:
    """The results one at a time: a large cluster has more than fit in memory twice."""
    return (result(each) for each in shown(report, show))


def gaps(report: Report) -> Iterator[GapWire]:
    """The gaps one at a time."""
    return (gap(each) for each in report.gaps)


def shown(report: Report, show: Show) -> Iterator[Result]:
    """The results that are asked for, in the report's order."""
    everything = show == Show.ALL
    return (each for each in report.results if everything or each.state is not ComplianceState.COMPLIANT)


def result(result: Result) -> Wire:
    """One result."""
    return {name: read(result) for name, read in _SHAPE}


def _assignment(summary: AssignmentSummary) -> AssignmentWire:
    return {
        "name": summary.name,
        "displayName": summary.display_name,
        "definition": summary.definition,
        "definitionId": summary.definition_id,
        "azureId": summary.azure_id or None,
        "azureDefinitionId": summary.azure_definition_id or None,
        "effect": summary.effect,
        "enforcementMode": summary.enforcement_mode,
        "scope": summary.scope,
        "state": summary.state.value,
        "compliancePercent": one_decimal(summary.compliance_percent),
        "message": summary.message,
        "counts": counts(summary.counts),
        "members": [_member(member) for member in summary.members],
        "groups": [
            {
                "name": group.name,
                "displayName": group.display_name,
                "state": group.state.value,
                "compliancePercent": one_decimal(group.compliance_percent),
                "counts": counts(group.counts),
            }
            for group in summary.groups
        ],
    }


def _member(summary: AssignmentSummary) -> MemberWire:
    return {
        "referenceId": summary.reference,
        "displayName": summary.display_name,
        "definition": summary.definition,
        "definitionId": summary.definition_id,
        "azureDefinitionId": summary.azure_definition_id or None,
        "groupNames": list(summary.group_names),
        "effect": summary.effect,
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
        "cluster": gap.cluster,
    }


def resource(of: Resource) -> Wire:
    """A resource's identity."""
    return _RESOURCE(of)


def source(of: SourceLocation | None) -> Wire | None:
    """A place in a file."""
    return _SOURCE(of) if of else None


def _object(name: str) -> Callable[[Any], Wire]:
    """A function that makes a JSON object of an object with its fields."""
    fields = OBJECTS[name]
    keys, values = [one.key for one in fields], attrgetter(*(one.attribute for one in fields))
    return lambda of: dict(zip(keys, values(of), strict=True))


def _reader(name: str) -> Callable[[Result], Any]:
    """A function that reads an object within a result."""
    holder, made = attrgetter(OBJECTS[name][0].holder), _object(name)
    return lambda result: None if (of := holder(result)) is None else made(of)


_RESOURCE: Final = _object("resource")
_SOURCE: Final = _object("source")
#: The keys of a result in their order, each with the function that reads its value.
_SHAPE: Final = tuple(
    {one.within or one.name: _reader(one.within) if one.within else one.read for one in NAMED}.items()
)


def counts(counts: Counts) -> CountsWire:
    return {"resources": _by_state(counts.resources), "containers": _by_state(counts.containers)}


def _by_state(counts: Mapping[ComplianceState, int]) -> dict[str, int]:
    return {state.value: counts.get(state, 0) for state in ComplianceState}
