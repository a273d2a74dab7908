"""What one assignment says of one document: findings with their state, and whom they are about.

A scan adds these up (assess), admission answers by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aksp.compliance.plan import Ready
from aksp.model.assignment import Exemption
from aksp.model.compliance import ComplianceState, Finding, Result, SourceLocation
from aksp.model.resource import Document, Owner, Problem


def results_of(
    ready: Ready,
    document: Document,
    findings: Sequence[Finding],
    problems: Sequence[Problem] = (),
    source: SourceLocation | None = None,
    owners: Mapping[Owner, Owner] | None = None,
) -> list[Result]:
    """The results: one for each finding, NonCompliant or Exempt, then an Error for each problem.

    ``owners`` has owners that are shared by the results that name them.
    """
    made = []
    for finding in findings:
        exemption = None
        if ready.exemptions:
            exemption = ready.waivers.of(document, finding.container)
        state = ComplianceState.EXEMPT if exemption else ComplianceState.NON_COMPLIANT
        made.append(result(ready, document, state, finding, exemption, source, owners))
    return made + [
        result(ready, document, ComplianceState.ERROR, _error(problem), None, source, owners) for problem in problems
    ]


def _error(problem: Problem) -> Finding:
    return Finding(message=problem.message, path=problem.path or None)


def result(
    ready: Ready,
    document: Document,
    state: ComplianceState,
    finding: Finding,
    exemption: Exemption | None = None,
    source: SourceLocation | None = None,
    owners: Mapping[Owner, Owner] | None = None,
) -> Result:
    """One result. What is found in the Pod of a template is about its workload."""
    owner = None if document.parent else document.owner
    if owner is not None and owners is not None:
        owner = owners.get(owner, owner)
    return Result(
        assignment=ready.key,
        state=state,
        resource=document.parent or document.resource,
        finding=finding,
        owner=owner,
        exemption=exemption,
        source=source.at(finding.path) if source is not None else None,
    )


def order(result: Result) -> tuple[str, str, str, str, str, str, str]:
    """By namespace, kind, name, assignment, container and path."""
    resource, finding = result.resource, result.finding
    container = finding.container
    return (
        resource.namespace, resource.kind, resource.name, result.assignment.name,
        container.name if container else "", finding.path or "", finding.message,
    )  # fmt: skip
