"""A report with earlier evaluations of the same target, and with what changed since the last of them."""

from __future__ import annotations

from datetime import timedelta

from aksp.model.compliance import Changes, ComplianceState, FindingChange, Report, Snapshot, StoredFinding
from tests.replacing import replace

PERCENT = (61.0, 62.5, 60.0, 70.0, 71.5, 64.0, 66.0, 58.0, 40.0, 35.0, 30.0, 20.0)


def with_history(report: Report) -> Report:
    """Twelve evaluations before it, two days apart."""
    past = [
        Snapshot(
            evaluated_at=report.evaluated_at - timedelta(days=2 * (len(PERCENT) - at)),
            state=report.state,
            compliance_percent=percent,
            non_compliant=at,
            assignments={
                each.name: (each.state, max(0.0, percent - 10 * number))
                for number, each in enumerate(report.assignments)
            },
        )
        for at, percent in enumerate(PERCENT)
    ]
    return replace(report, past=past)


def with_changes(report: Report) -> Report:
    """One finding that is new, and one that is gone."""
    found = StoredFinding(
        fingerprint="0",
        state=ComplianceState.NON_COMPLIANT,
        assignment="contoso-images",
        namespace="shop",
        kind="Deployment",
        name="<b>web</b>",
        container="web",
        path="spec.containers[0].image",
        message="image nginx is not from an allowed registry",
    )
    bad = ComplianceState.NON_COMPLIANT
    changes = [
        FindingChange(finding=found, before=None, after=bad),
        FindingChange(finding=found, before=bad, after=None),
    ]
    since = report.evaluated_at - timedelta(days=2)
    return replace(report, changes=Changes(since=since, percent_before=20.0, findings=changes))
