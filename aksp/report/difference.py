"""Two points in time: what is new, what is resolved, and what changed its state, as JSON values and for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aksp.compliance.fleet import changes_together
from aksp.compliance.rollup import roll_up
from aksp.model.assignment import PRINTED_VERSION
from aksp.model.compliance import Changes, ComplianceState, FindingChange
from aksp.model.times import rfc3339
from aksp.report.figures import compliance_words, one_decimal
from aksp.report.table.blocks import Block, Line, Paragraph, Span, Tone, span, stated
from aksp.report.table.changes import changes, gist


class Moment(Struct, frozen=True, kw_only=True):
    """One of the two: its target, time and result. ``target`` is the name that `aksp history` uses."""

    target: str
    evaluated_at: datetime
    state: ComplianceState
    compliance_percent: float | None


class Difference(Struct, frozen=True, kw_only=True):
    """Two moments, and every finding that differs in the second.

    Of several clusters ``before`` is the earliest and ``after`` the latest moment of any, with the state of all.
    """

    before: Moment
    after: Moment
    changes: Changes
    #: Of several clusters: the difference of each, by its name, with its own two moments.
    clusters: Sequence[tuple[str, Moment, Moment]] = ()
    #: Those that are not compared, each with the reason.
    not_compared: Mapping[str, str] = {}

    @property
    def new_violations(self) -> int:
        """How many findings are violations now and were none before."""
        return sum(one.after is ComplianceState.NON_COMPLIANT for one in self.changes.findings)


def together(parts: Mapping[str, Difference], target: str, not_compared: Mapping[str, str]) -> Difference:
    """The differences of several clusters, by their names, as one; and the clusters that have none, with the reason."""

    def all_of(moments: Sequence[Moment], at: datetime) -> Moment:
        state = roll_up(one.state for one in moments) or moments[0].state
        # Their percentage together is not part of the single differences.
        percent = moments[0].compliance_percent if len(moments) == 1 else None
        return Moment(target=target, evaluated_at=at, state=state, compliance_percent=percent)

    before, after = [one.before for one in parts.values()], [one.after for one in parts.values()]
    return Difference(
        before=all_of(before, min(one.evaluated_at for one in before)),
        after=all_of(after, max(one.evaluated_at for one in after)),
        changes=changes_together({name: one.changes for name, one in parts.items()}),
        clusters=[(name, one.before, one.after) for name, one in parts.items()],
        not_compared=not_compared,
    )


def document(difference: Difference) -> dict[str, Any]:
    """The difference as JSON has it."""
    kinds = [_change(one) for one in difference.changes.findings]
    return {
        "apiVersion": PRINTED_VERSION,
        "kind": "ComplianceDifference",
        "before": _moment(difference.before),
        "after": _moment(difference.after),
        "clusters": [
            {"name": name, "before": _moment(before), "after": _moment(after)}
            for name, before, after in difference.clusters
        ],
        "notCompared": [{"name": name, "message": why} for name, why in difference.not_compared.items()],
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
    # A finding that is a violation before and after has another value.
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


def blocks(difference: Difference, limit: int | None = None) -> list[Block]:
    """The difference for people: the two moments, a row per change, or the ``limit`` that matter most, the gist of all."""
    before, after = difference.before, difference.after
    same = before.target == after.target
    title = after.target if same else f"{before.target} → {after.target}"
    lines: list[Line] = [(span(title, Tone.STRONG),)]
    if not difference.clusters:
        lines += [_line("before", before), _line("after ", after)]
    for name, was, now in difference.clusters:
        lines += [_line(f"{name} before", was), _line(f"{name} after ", now)]
    lines += [(span(f"{name} is not compared: {why}", Tone.BAD),) for name, why in difference.not_compared.items()]
    found = difference.changes
    return [
        Paragraph(lines=tuple(lines)),
        changes(_most(found, limit), after.compliance_percent, of_many=bool(difference.clusters)),
        *(
            [Paragraph(lines=((Span(f"{gist(found)[0].upper()}{gist(found)[1:]}.", Tone.STRONG),),))]
            if found.findings
            else []
        ),
    ]


def _most(found: Changes, limit: int | None) -> Changes:
    """As many changes as are wanted, in their order. Those that are violations now are chosen first."""
    if limit is None or len(found.findings) <= limit:
        return found
    bad = ComplianceState.NON_COMPLIANT
    ranked = sorted(range(len(found.findings)), key=lambda at: found.findings[at].after is not bad)
    return replace(found, findings=[found.findings[at] for at in sorted(ranked[:limit])])


def _line(word: str, one: Moment) -> Line:
    return (
        span(f"{word}  {rfc3339(one.evaluated_at)}  ", Tone.MUTED),
        stated(one.state),
        Span(f"  {compliance_words(one.compliance_percent)}"),
    )
