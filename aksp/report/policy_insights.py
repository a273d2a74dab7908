"""Compliance in the records of Azure's Microsoft.PolicyInsights: names and ids that its three formats share.

What Azure has no field for is in annotations of OData, ``@aksp.…``: what was not judged must not look as if it complied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final, TextIO

from msgspec.structs import replace

from aksp.compliance.fleet import separate
from aksp.compliance.rollup import roll_up
from aksp.model.azure_ids import NOWHERE
from aksp.model.compliance import AssignmentSummary, ComplianceState, Report, Result, TargetKind
from aksp.model.json_text import encode
from aksp.model.times import rfc3339
from aksp.report import wire
from aksp.report.text import safe

#: States whose names in the API differ from those in Azure's documentation.
_AT_AZURE: Final = {ComplianceState.CONFLICTING: "Conflict"}
_ARM: Final = re.compile(r"/subscriptions/(?P<subscription>[^/]+)(?:/resourceGroups/(?P<group>[^/]+))?", re.IGNORECASE)
_AKS: Final = "Microsoft.ContainerService/managedClusters"
_ARC: Final = "Microsoft.Kubernetes/connectedClusters"
#: Azure writes this where it has nothing.
_TO_BE_DETERMINED: Final = "tbd"


def state_at_azure(state: ComplianceState) -> str:
    """A state as the API writes it."""
    return _AT_AZURE.get(state, state.value)


def resource_id(report: Report) -> str:
    """The id of the resource. To Azure the cluster is the resource, and objects are its components."""
    return report.target.scope


def clusters(report: Report) -> Iterator[tuple[Report, str | None]]:
    """The report of each cluster and the cluster's location; of several with its id in the scope tree, where it has one."""
    if not report.clusters:
        yield report, None
    for each, cluster in zip(separate(report), report.clusters, strict=False):
        yield (
            replace(each, target=replace(each.target, scope=cluster.id or cluster.scope)),
            cluster.location or None,
        )


def ids(line: AssignmentSummary) -> dict[str, Any]:
    """The assignment and the definition of a record, by their ids at Azure if they have them."""
    named = line.definition_id.rpartition("/")[2] or line.definition
    definition = line.azure_definition_id or f"{NOWHERE}/policyDefinitions/{named}"
    initiative = line.azure_initiative_id or (
        f"{NOWHERE}/policySetDefinitions/{line.initiative}" if line.initiative else None
    )
    return {
        **_assignment_ids(line),
        "policyDefinitionId": definition,
        "policyDefinitionName": definition.rpartition("/")[2] if line.azure_definition_id else named,
        "policyDefinitionReferenceId": line.reference or line.azure_reference or None,
        "policyDefinitionAction": line.effect.lower(),
        "policyDefinitionGroupNames": list(line.group_names),
        "policySetDefinitionId": initiative,
        "policySetDefinitionName": line.azure_initiative_id.rpartition("/")[2] or line.initiative or None,
    }


def _assignment_ids(line: AssignmentSummary) -> dict[str, str]:
    found, name, scope = line.azure_id, line.assignment, line.scope
    if found:
        name, scope = found.rpartition("/")[2], found[: max(found.lower().rfind(NOWHERE.lower()), 0)] or "/"
    return {
        "policyAssignmentId": found or f"{scope.rstrip('/')}{NOWHERE}/policyAssignments/{name}",
        "policyAssignmentName": name,
        "policyAssignmentScope": scope,
    }


def record(
    report: Report, line: AssignmentSummary, state: ComplianceState, location: str | None = None
) -> dict[str, Any]:
    """The fields that all records have."""
    arm = _ARM.match(resource_id(report))
    rule = report.rules.get(line.definition)
    # The version of a rule here is not a version of the built-in that it stands for.
    built_in = line.azure_definition_id.lower().startswith(NOWHERE.lower())
    return {
        "@odata.id": None,
        "timestamp": rfc3339(report.evaluated_at),
        "resourceId": resource_id(report),
        "resourceType": _type(report),
        "resourceLocation": location,
        "resourceGroup": arm["group"] if arm else None,
        "subscriptionId": arm["subscription"] if arm else None,
        **ids(line),
        "policyAssignmentOwner": _TO_BE_DETERMINED,
        "policyAssignmentParameters": None,
        "policyAssignmentVersion": None,
        "policyDefinitionCategory": rule.category if rule else None,
        "policyDefinitionVersion": rule.version if rule and not built_in else None,
        "policySetDefinitionCategory": None,
        "policySetDefinitionOwner": None,
        "policySetDefinitionParameters": None,
        "policySetDefinitionVersion": None,
        "complianceState": state_at_azure(state),
        "complianceReasonCode": None,
    }  # fmt: skip


def _type(report: Report) -> str | None:
    if report.target.kind is not TargetKind.CLUSTER:
        return None
    return _ARC if f"/{_ARC}/".lower() in resource_id(report).lower() else _AKS


def components(results: Iterable[Result]) -> Iterator[list[Result]]:
    """The results of one object by one definition together; they follow one another in a report."""
    for _, found in groupby(results, lambda one: (one.assignment.name, one.resource)):
        yield list(found)


def worst(found: Iterable[Result]) -> ComplianceState:
    """The state of an object by the states of its containers."""
    return roll_up(one.state for one in found) or ComplianceState.NOT_STARTED


def write(
    report: Report, out: TextIO, records: str, found: Iterable[Mapping[str, Any]], count: int | None = None
) -> None:
    """Write a list as the API answers it, record by record, then what was not judged."""
    context = f"{resource_id(report).rstrip('/')}/providers/Microsoft.PolicyInsights/{records}"
    out.write(f'{{"@odata.context": {_text(context)}, ')
    if count is not None:
        out.write(f'"@odata.count": {count}, ')
    out.write('"value": [')
    before = "\n"
    for one in found:
        out.write(f"{before}{_text(one)}")
        before = ",\n"
    gaps = [{**gap, "message": safe(gap["message"])} for gap in wire.gaps(report)]
    out.write(f'\n], "@aksp.unjudged": {_text(list(_unjudged(report)))}, "@aksp.gaps": {_text(gaps)}}}\n')


def _unjudged(report: Report) -> Iterator[dict[str, Any]]:
    """Clusters and assignments that were not judged, with the reason, for which no record has a field."""
    for one in report.clusters:
        if one.message:
            yield {"resourceId": one.id or one.scope, **_reason(one.state, one.message)}
    for each, _ in clusters(report):
        where = {"resourceId": resource_id(each)} if report.clusters else {}
        for line in each.judged:
            if line.message:
                yield {**where, "policyAssignmentName": line.name, **_reason(line.state, line.message)}


def _reason(state: ComplianceState, message: str) -> dict[str, Any]:
    return {"complianceState": state_at_azure(state), "reason": safe(message)}


def _text(value: Any) -> str:
    return encode(value, ascii_only=True)
