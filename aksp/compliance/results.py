"""What one assignment says of one document: findings with their state, and whom they are about.

A scan adds these up (assess), admission answers by them.
"""

from __future__ import annotations

from collections.abc import Sequence

from aksp.compliance.plan import Ready
from aksp.model.assignment import Exemption
from aksp.model.compliance import ComplianceState, Finding, Result, SharedResult, SourceLocation
from aksp.model.resource import Document, Owner, Problem

#: How many are known at most: replicas follow one another.
_REMEMBERED = 20_000
_NON_COMPLIANT = ComplianceState.NON_COMPLIANT


class SharedResults:
    """What results have in common, made once for all replicas."""

    def __init__(self) -> None:
        # By identity, which the values keep: equal findings may differ in 1 and true.
        self._known: dict[tuple[int, int, ComplianceState, Owner | None, int], SharedResult] = {}

    def of(
        self,
        ready: Ready,
        owner: Owner | None,
        state: ComplianceState,
        finding: Finding,
        exemption: Exemption | None = None,
    ) -> SharedResult:
        """For one finding."""
        key = id(ready.key), id(finding), state, owner, id(exemption)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[key] = SharedResult(
                assignment=ready.key, state=state, finding=finding, owner=owner, exemption=exemption
            )
        return known


def owner_of(document: Document) -> Owner | None:
    """The workload behind a document; none for the Pod of a template, since what is found in it is about its workload."""
    return None if document.parent else document.owner


def results_of(
    ready: Ready,
    document: Document,
    findings: Sequence[Finding],
    problems: Sequence[Problem],
    source: SourceLocation | None,
    shared: SharedResults,
) -> list[Result]:
    """The results: one for each finding, NonCompliant or Exempt, then an Error for each problem."""
    resource = document.parent or document.resource
    return [
        one.of(resource, source.at(one.finding.path) if source is not None else None)
        for one in shared_of(ready, document, findings, problems, shared)
    ]


def shared_of(
    ready: Ready,
    document: Document,
    findings: Sequence[Finding],
    problems: Sequence[Problem],
    shared: SharedResults,
) -> list[SharedResult]:
    """The same without the resource."""
    of, owner = shared.of, owner_of(document)
    made = []
    for finding in findings:
        exemption, state = None, _NON_COMPLIANT
        if ready.exemptions and (exemption := ready.waivers.of(document, finding.container)):
            state = ComplianceState.EXEMPT
        made.append(of(ready, owner, state, finding, exemption))
    for problem in problems:
        error = Finding(message=problem.message, path=problem.path or None)
        made.append(of(ready, owner, ComplianceState.ERROR, error))
    return made


def order(result: Result) -> tuple[str, str, str, str, str, str, str]:
    """By namespace, kind, name, assignment, container and path."""
    resource = result.resource
    return (resource.namespace, resource.kind, resource.name, *order_within(result.shared))


def order_within(shared: SharedResult) -> tuple[str, str, str, str]:
    """The order of one object's results."""
    finding = shared.finding
    container = finding.container
    return shared.assignment.name, container.name if container else "", finding.path or "", finding.message
