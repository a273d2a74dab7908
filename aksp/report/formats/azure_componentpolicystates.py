"""The answer of Azure's componentPolicyStates: a record for each object and definition, with the containers within it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from aksp import runners
from aksp.model.compliance import Report, Result
from aksp.model.resource import Container
from aksp.report import wire
from aksp.report.interface import Format, Style
from aksp.report.policy_insights import clusters, components, record, state_at_azure, worst, write
from aksp.report.text import safe


def render_azure_componentpolicystates(report: Report, out: TextIO, style: Style) -> None:
    """Write a record for each object that is listed. Azure stops at 500 of them, and this does not."""
    found = (one for each, location in clusters(report) for one in _of_cluster(each, location, style))
    write(report, out, "componentPolicyStates/$metadata#latest", found)


def _of_cluster(report: Report, location: str | None, style: Style) -> Iterator[dict[str, Any]]:
    lines = {line.name: line for line in report.judged}
    for found in components(wire.shown(report, style.show)):
        resource, key = found[0].resource, found[0].assignment
        name = safe(resource.name)
        yield {
            **record(report, lines[key.name], worst(found), location),
            "componentId": f"{safe(resource.namespace)}/{name}" if resource.namespace else name,
            "componentType": safe(resource.kind).lower(),
            "componentName": name,
            "policyEvaluationDetails": {
                "reason": "; ".join(dict.fromkeys(safe(one.finding.message) for one in found if one.finding.message)),
                "containers": [_container(each, one) for one in found if (each := one.finding.container)],
            },
        }


def _container(container: Container, one: Result) -> dict[str, Any]:
    """One container, which Azure does not tell apart."""
    return {
        "name": safe(container.name), "type": container.type, "image": safe(container.image),
        "complianceState": state_at_azure(one.state), "reason": safe(one.finding.message),
        "path": one.finding.path and safe(one.finding.path), "exemption": one.exemption and safe(one.exemption.name),
    }  # fmt: skip


FORMAT = Format(
    name="azure-componentpolicystates",
    description="records as Azure's componentPolicyStates has them, one per object, with its containers",
    render=render_azure_componentpolicystates,
    suffixes=(".json",),
    every_line=False,
    in_log=runners.in_json,
)
