"""What changed since the scan before, for the table and Markdown."""

from __future__ import annotations

from aksp.model.compliance import Changes, ComplianceState, FindingChange, Report
from aksp.model.times import rfc3339
from aksp.report.figures import compliance_words, one_decimal, plural
from aksp.report.table.blocks import Block, Cell, Column, Grid, Paragraph, Row, Span, Tone, cell, span

_FOUND = {
    ComplianceState.NON_COMPLIANT: ("new", Tone.BAD),
    ComplianceState.ERROR: ("new error", Tone.WARNING),
    ComplianceState.EXEMPT: ("new, exempt", Tone.WAIVED),
}
_GONE = {
    ComplianceState.NON_COMPLIANT: ("resolved", Tone.GOOD),
    ComplianceState.ERROR: ("no error any more", Tone.GOOD),
    ComplianceState.EXEMPT: ("gone, was exempt", Tone.MUTED),
}


def changes(changes: Changes, percent_now: float | None, *, of_many: bool) -> Block:
    """A row per finding that came, went or changed its state; a sentence when there is none.

    Several clusters have no percentage together to compare with: other clusters may have been judged together before.
    """
    since = rfc3339(changes.since)
    before = changes.percent_before
    percent = f"{'nothing judged' if before is None else f'{one_decimal(before)}%'} → {compliance_words(percent_now)}"
    if not changes.findings:
        return Paragraph(lines=((Span(f"No finding has changed since {since}."),),))
    return Grid(
        title=(Span(f"Changes since {since}", Tone.STRONG), *([] if of_many else [Span(f"  {percent}", Tone.MUTED)])),
        columns=tuple(Column(header=header) for header in ("CHANGE", "RESOURCE", "CONTAINER", "POLICY", "REASON")),
        rows=tuple(Row(cells=_cells(each)) for each in changes.findings),
    )


def of_report(report: Report) -> Block | None:
    """What changed since the scan before of a report; None where it is not compared with one."""
    if report.changes is None:
        return None
    return changes(report.changes, report.compliance_percent, of_many=bool(report.clusters))


def gist(changes: Changes) -> str:
    """As in ``2 new violations, 1 resolved, 1 other change``; ``no change`` for none."""
    bad = ComplianceState.NON_COMPLIANT
    new = sum(1 for one in changes.findings if one.after is bad)
    resolved = sum(1 for one in changes.findings if one.before is bad and one.after is None and one.judged)
    other = len(changes.findings) - new - resolved
    parts = [
        *([f"{plural(new, 'new violation')}"] if new else []),
        *([f"{resolved} resolved"] if resolved else []),
        *([plural(other, "other change")] if other else []),
    ]
    return ", ".join(parts) or "no change"


def _cells(change: FindingChange) -> tuple[Cell, ...]:
    finding = change.finding
    place = f"{finding.cluster}: " if finding.cluster else ""
    place += f"{finding.namespace} " if finding.namespace else ""
    return (
        _word(change),
        cell(f"{place}{finding.kind}/{finding.name}"),
        cell(finding.container) or cell("-", Tone.MUTED),
        cell(finding.assignment),
        cell(finding.message),
    )


def _word(change: FindingChange) -> Cell:
    if change.before is None:
        assert change.after is not None  # a change has at least one side
        word, tone = _FOUND.get(change.after, (f"new: {change.after}", Tone.ODD))
    elif change.after is None and not change.judged:
        word, tone = f"not judged any more, was {change.before.words}", Tone.WARNING
    elif change.after is None:
        word, tone = _GONE.get(change.before, (f"gone: {change.before}", Tone.MUTED))
    elif change.before is change.after:
        word, tone = "new value", Tone.BAD
    elif change.before is ComplianceState.EXEMPT and change.after is ComplianceState.NON_COMPLIANT:
        word, tone = "no longer exempt", Tone.BAD
    elif change.after is ComplianceState.EXEMPT:
        word, tone = "now exempt", Tone.WAIVED
    else:
        word, tone = f"{change.before} → {change.after}", Tone.WARNING
    return ((span(word, tone),),)
