"""Two points in time: what is new, what is resolved, and what changed its state, as JSON values and for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aksp.model.compliance import Changes, ComplianceState, FindingChange
from aksp.model.times import rfc3339
from aksp.report.figures import compliance_words, one_decimal
from aksp.report.table.blocks import STATE_TONES, Block, Line, Paragraph, Span, Tone, span
from aksp.report.table.changes import changes, gist
from aksp.report.wire import API_VERSION


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """One of the two: which target, when, and what it came to. ``target`` is as `aksp history` names it."""

    target: str
    evaluated_at: datetime
    state: ComplianceState
    compliance_percent: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """Two moments, and every finding that is another in the second."""

    before: Moment
    after: Moment
    changes: Changes

    @property
    def new_violations(self) -> int:
        """How many findings are violations now and were none."""
        return sum(one.after is ComplianceState.NON_COMPLIANT for one in self.changes.findings)


def document(difference: Difference) -> dict[str, Any]:
    """The difference as JSON has it."""
    kinds = [_change(one) for one in difference.changes.findings]
    return {
        "apiVersion": API_VERSION,
        "kind": "ComplianceDifference",
        "before": _moment(difference.before),
        "after": _moment(difference.after),
        "counts": {kind: kinds.count(kind) for kind in ("new", "resolved", "changed", "notJudged")},
        "changes": [
            {
                "change": kind,
                "before": one.before.value if one.before else None,
                "after": one.after.value if one.after else None,
                "assignment": one.finding.assignment,
                "namespace": one.finding.namespace,
                "kind": one.finding.kind,
                "name": one.finding.name,
                "container": one.finding.container or None,
                "path": one.finding.path or None,
                "message": one.finding.message,
                "fingerprint": one.finding.fingerprint,
                "cluster": one.finding.cluster or None,
            }
            for one, kind in zip(difference.changes.findings, kinds, strict=True)
        ],
    }


def _change(one: FindingChange) -> str:
    # A violation before and after has another value.
    if one.before is None or one.before is one.after:
        return "new"
    if one.after is None:
        return "resolved" if one.judged else "notJudged"
    return "changed"


def _moment(one: Moment) -> dict[str, Any]:
    return {
        "target": one.target,
        "evaluatedAt": rfc3339(one.evaluated_at),
        "state": one.state.value,
        "compliancePercent": one_decimal(one.compliance_percent),
    }


def blocks(difference: Difference) -> list[Block]:
    """The difference for people: the two moments, a row per change, the gist."""
    before, after = difference.before, difference.after
    same = before.target == after.target
    title = after.target if same else f"{before.target} → {after.target}"
    lines: list[Line] = [(span(title, Tone.STRONG),), _line("before", before), _line("after ", after)]
    found = difference.changes
    return [
        Paragraph(lines=tuple(lines)),
        changes(found, after.compliance_percent),
        *(
            [Paragraph(lines=((Span(f"{gist(found)[0].upper()}{gist(found)[1:]}.", Tone.STRONG),),))]
            if found.findings
            else []
        ),
    ]


def _line(word: str, one: Moment) -> Line:
    return (
        Span(f"{word}  {rfc3339(one.evaluated_at)}  ", Tone.MUTED),
        Span(one.state.value, STATE_TONES[one.state]),
        Span(f"  {compliance_words(one.compliance_percent)}"),
    )
