"""A report with earlier evaluations of the same target."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from aksp.model.compliance import Report, Snapshot

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
