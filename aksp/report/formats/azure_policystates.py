"""The answer of Azure's policyStates: a record for each assignment, or member of an initiative, and the cluster."""

from __future__ import annotations

from typing import TextIO

from aksp import runners
from aksp.model.compliance import Report
from aksp.report.interface import Format, Style
from aksp.report.policy_insights import clusters, record, write
from aksp.report.text import safe


def render_azure_policystates(report: Report, out: TextIO, style: Style) -> None:
    """Write the records, with the reason where nothing could be judged."""
    found = [
        {
            **record(each, line, line.state, location),
            "isCompliant": line.state.complies,
            "effectiveParameters": None,
            "managementGroupIds": None,
            "resourceTags": None,
            "policyEvaluationDetails": {"reason": safe(line.message)} if line.message else None,
        }
        for each, location in clusters(report)
        for line in each.judged
    ]
    write(report, out, "policyStates/$metadata#latest", found, len(found))


FORMAT = Format(
    name="azure-policystates",
    description="records as Azure's policyStates has them, one per assignment or member of an initiative",
    render=render_azure_policystates,
    suffixes=(".json",),
    every_line=False,
    in_log=runners.in_json,
)
