"""The answer of Azure's summarize: counts for all, and by assignment and definition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from aksp import runners
from aksp.model.compliance import AssignmentSummary, ComplianceState, Report
from aksp.report.interface import Format, Style
from aksp.report.policy_insights import ids, record, state_at_azure, write


def render_azure_summary(report: Report, out: TextIO, style: Style) -> None:
    """Write the one record. Its resources are the objects of the clusters, which Azure calls components."""
    summary = {
        "@odata.id": None,
        "results": _results(report.counts.resources, report.judged, policies=True),
        "policyAssignments": [
            {
                "policyAssignmentId": ids(line)["policyAssignmentId"],
                "policySetDefinitionId": record(report, line.judged[0], line.state)["policySetDefinitionId"] or "",
                "results": _results(line.counts.resources, line.judged, policies=True),
                "policyDefinitions": [_definition(one) for one in line.judged],
                "policyGroups": [
                    {"policyGroupName": group.name, "results": _results(group.counts.resources, ())}
                    for group in line.groups
                ],
            }
            for line in report.assignments
        ],
    }
    write(report, out, "policyStates/$metadata#summary", [summary], 1)


def _definition(line: AssignmentSummary) -> dict[str, Any]:
    found = ids(line)
    return {
        "policyDefinitionId": found["policyDefinitionId"],
        "policyDefinitionReferenceId": found["policyDefinitionReferenceId"] or "",
        "policyDefinitionGroupNames": found["policyDefinitionGroupNames"],
        "effect": found["policyDefinitionAction"],
        "results": _results(line.counts.resources, (line,)),
    }


def _results(
    counts: Mapping[ComplianceState, int], lines: Iterable[AssignmentSummary], *, policies: bool = False
) -> dict[str, Any]:
    states = [line.state for line in lines]
    failed = ComplianceState.NON_COMPLIANT
    return {
        "queryResultsUri": None,
        "nonCompliantResources": counts.get(failed, 0),
        **({"nonCompliantPolicies": states.count(failed)} if policies else {}),
        "resourceDetails": _details(counts),
        "policyDetails": _details({state: states.count(state) for state in ComplianceState}),
        "policyGroupDetails": [],
    }


def _details(counts: Mapping[ComplianceState, int]) -> list[dict[str, Any]]:
    """How many are in which state. The API writes states in lower case here."""
    return [
        {"complianceState": state_at_azure(state).lower(), "count": counts[state]}
        for state in ComplianceState
        if counts.get(state)
    ]


FORMAT = Format(
    name="azure-summary",
    description="counts as Azure's summarize has them, by assignment, definition and group",
    render=render_azure_summary,
    suffixes=(".json",),
    every_line=False,
    in_log=runners.in_json,
)
