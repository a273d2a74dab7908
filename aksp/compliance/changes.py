"""What is new and what is gone: this evaluation's findings held against those of an earlier one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from aksp.compliance.fingerprints import fingerprints, identity
from aksp.compliance.rollup import roll_up
from aksp.model.compliance import Changes, ComplianceState, FindingChange, Report, Result, StoredFinding


def remembered(results: Iterable[Result]) -> dict[str, StoredFinding]:
    """What to remember of a report's results, by fingerprint; what complies is not.

    Of replicas that differ in state the first in Azure's precedence counts.
    """
    found: dict[str, StoredFinding] = {}
    for result, fingerprint in fingerprints(results):
        if result.state is ComplianceState.COMPLIANT:
            continue
        known = found.get(fingerprint)
        if known is None:
            found[fingerprint] = _remembered(result, fingerprint, result.state)
        elif known.state is not result.state:
            state = roll_up((known.state, result.state)) or result.state
            found[fingerprint] = _remembered(result, fingerprint, state)
    return found


def _remembered(result: Result, fingerprint: str, state: ComplianceState) -> StoredFinding:
    assignment, namespace, kind, name, container, place = identity(result)
    path = result.finding.path is not None
    return StoredFinding(
        fingerprint=fingerprint,
        state=state,
        assignment=assignment,
        namespace=namespace,
        kind=kind,
        name=name,
        container=container,
        path=place if path else "",
        message=result.finding.message,
    )


def compare(
    before: Mapping[str, StoredFinding],
    now: Mapping[str, StoredFinding],
    *,
    since: datetime,
    percent_before: float | None,
    judged: Collection[str],
) -> Changes:
    """Every finding whose state is another than before. ``judged`` are the assignments that have judged something now."""
    changes = [
        FindingChange(finding=finding, before=before[key].state if key in before else None, after=finding.state)
        for key, finding in now.items()
        if key not in before or before[key].state is not finding.state
    ]
    changes += [
        FindingChange(finding=finding, before=finding.state, after=None, judged=finding.assignment in judged)
        for key, finding in before.items()
        if key not in now
    ]
    return Changes(
        since=since, percent_before=percent_before, findings=sorted(changes, key=lambda one: order(one.finding))
    )


def judged_by(report: Report) -> frozenset[str]:
    """The assignments by which a report has judged something."""
    return frozenset(line.name for line in report.judged if line.compliance_percent is not None)


def order(finding: StoredFinding) -> tuple[str, ...]:
    """By namespace, kind, name, assignment, container and path."""
    return finding.namespace, finding.kind, finding.name, finding.assignment, finding.container, finding.path


def new_results(results: Iterable[Result], known: Collection[str]) -> list[Result]:
    """The results but for violations that are known; what could not be judged, or is exempt, stays."""
    return [
        result
        for result, fingerprint in fingerprints(results)
        if result.state is not ComplianceState.NON_COMPLIANT or fingerprint not in known
    ]
