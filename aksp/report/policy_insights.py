"""Compliance in the records of Azure's Microsoft.PolicyInsights: names and ids that its three formats share.

What Azure has no field for is in annotations of OData, ``@aksp.…``: what was not judged must not look as if it complied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final, TextIO

from aksp.model.compliance import PRECEDENCE, AssignmentSummary, ComplianceState, Report, Result, TargetKind
from aksp.model.json_text import encode
from aksp.model.times import rfc3339
from aksp.report import wire
from aksp.report.text import safe

#: What the API calls otherwise than Azure's documentation.
_AT_AZURE: Final = {ComplianceState.CONFLICTING: "Conflict"}
_AUTHORIZATION: Final = "providers/Microsoft.Authorization"
_ARM: Final = re.compile(r"/subscriptions/(?P<subscription>[^/]+)(?:/resourceGroups/(?P<group>[^/]+))?", re.IGNORECASE)
#: Azure writes this where it has nothing.
_TO_BE_DETERMINED: Final = "tbd"


def state_at_azure(state: ComplianceState) -> str:
    """A state as the API writes it."""
    return _AT_AZURE.get(state, state.value)


def resource_id(report: Report) -> str:
    """What was judged: to Azure the cluster is the resource, and objects are its components."""
    return report.target.scope


def head(report: Report, records: str) -> dict[str, Any]:
    """What stands before the records."""
    return {"@odata.context": f"{resource_id(report).rstrip('/')}/providers/Microsoft.PolicyInsights/{records}"}


def ids(line: AssignmentSummary) -> dict[str, Any]:
    """Which assignment and which definition a record is of."""
    scope = line.scope.rstrip("/")
    named = line.definition_id.rpartition("/")[2] or line.definition
    initiative = f"/{_AUTHORIZATION}/policySetDefinitions/{line.initiative}" if line.initiative else None
    return {
        "policyAssignmentId": f"{scope}/{_AUTHORIZATION}/policyAssignments/{line.assignment}",
        "policyAssignmentName": line.assignment,
        "policyAssignmentScope": line.scope,
        "policyDefinitionId": f"/{_AUTHORIZATION}/policyDefinitions/{named}",
        "policyDefinitionName": named,
        "policyDefinitionReferenceId": line.reference or None,
        "policyDefinitionAction": line.effect.lower(),
        "policyDefinitionGroupNames": list(line.group_names),
        "policySetDefinitionId": initiative,
        "policySetDefinitionName": line.initiative or None,
    }


def record(report: Report, line: AssignmentSummary, state: ComplianceState) -> dict[str, Any]:
    """The fields that all records have."""
    arm = _ARM.match(resource_id(report))
    rule = report.rules.get(line.definition)
    return {
        "@odata.id": None,
        "timestamp": rfc3339(report.evaluated_at),
        "resourceId": resource_id(report),
        "resourceType": "Microsoft.ContainerService/managedClusters" if report.target.kind is TargetKind.CLUSTER else None,
        "resourceLocation": None,
        "resourceGroup": arm["group"] if arm else None,
        "subscriptionId": arm["subscription"] if arm else None,
        **ids(line),
        "policyAssignmentOwner": _TO_BE_DETERMINED,
        "policyAssignmentParameters": None,
        "policyAssignmentVersion": None,
        "policyDefinitionCategory": rule.category if rule else None,
        "policyDefinitionVersion": rule.version if rule else None,
        "policySetDefinitionCategory": None,
        "policySetDefinitionOwner": None,
        "policySetDefinitionParameters": None,
        "policySetDefinitionVersion": None,
        "complianceState": state_at_azure(state),
        "complianceReasonCode": None,
    }  # fmt: skip


def components(results: Iterable[Result]) -> Iterator[list[Result]]:
    """The results of one object by one definition together; they follow one another in a report."""
    for _, found in groupby(results, lambda one: (one.assignment.name, one.resource)):
        yield list(found)


def worst(found: Iterable[Result]) -> ComplianceState:
    """The state of an object by the states of its containers."""
    states = {one.state for one in found}
    return next((state for state in PRECEDENCE if state in states), ComplianceState.NOT_STARTED)


def write(
    report: Report, out: TextIO, records: str, found: Iterable[Mapping[str, Any]], count: int | None = None
) -> None:
    """Write a list as the API answers it, record by record, and what was not judged behind it."""
    out.write(f"{_text(head(report, records)).removesuffix('}')}, ")
    if count is not None:
        out.write(f'"@odata.count": {count}, ')
    out.write('"value": [')
    before = "\n"
    for one in found:
        out.write(f"{before}{_text(one)}")
        before = ",\n"
    unjudged = [
        {"policyAssignmentName": line.name, "complianceState": state_at_azure(line.state), "reason": safe(line.message)}
        for line in report.judged
        if line.message
    ]
    gaps = [{**gap, "message": safe(gap["message"])} for gap in wire.gaps(report)]
    out.write(f'\n], "@aksp.unjudged": {_text(unjudged)}, "@aksp.gaps": {_text(gaps)}}}\n')


def _text(value: Any) -> str:
    return encode(value, ascii_only=True)
