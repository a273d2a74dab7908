"""Annotations: the findings as lines of a pipeline's log, the most serious first."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from aksp.model.compliance import ComplianceState, Report, SourceLocation
from aksp.report.interface import Style
from aksp.report.pipeline.repository import Place, PlaceKind, in_file
from aksp.report.pipeline.unique_findings import (
    UniqueFinding,
    advice_on,
    also_at,
    gap_text,
    is_known,
    other_gaps,
    unique_findings,
)
from aksp.report.table import summary
from aksp.report.table.layout import text_of
from aksp.report.text import safe
from aksp.report.worst import badness


class Annotation(Struct, frozen=True, kw_only=True):
    """One of them. Its texts are one line each and safe to print; ``code`` is the definition, or a gap's reason.

    ``source``: where it is written; None if it is in no file. ``place`` looks its line up.
    """

    title: str
    code: str
    message: str
    source: SourceLocation | None
    finding: UniqueFinding | None = None

    def place(self, style: Style) -> Place | None:
        """Where it is written; None when it is in no file."""
        return in_file(self.source, style) if self.source else None

    def told(self, style: Style) -> str:
        """The message, and the other places where it is written. Looks their lines up."""
        return self.message + (also_at(self.finding, style) if self.finding else "")

    def told_at(self, place: Place, style: Style) -> str:
        """The message with its place, for where no reader could open the file."""
        file = "standard input" if place.origin is PlaceKind.STDIN else safe(place.path)
        return f"{file}, line {place.line}: {self.told(style)}"


def annotate(report: Report) -> dict[str, list[Annotation]]:
    """Everything in a report that no baseline knows, by level, the worst first, then in the report's order.

    An ``error`` is what would be refused at admission; a ``warning`` is a gap, or what is audited or warned of. Gaps are the
    first warnings: nothing hides them.
    """
    found = [
        one
        for one in unique_findings(report.results)
        if one.first.state is not ComplianceState.EXEMPT and not is_known(report, one.first, one.fingerprint)
    ]
    found.sort(key=lambda one: badness(one.first.state, one.first.assignment))
    gaps = (
        Annotation(title=safe(gap.reason), code=safe(gap.reason), message=gap_text(gap), source=gap.source)
        for gap in other_gaps(report)
    )
    enforced = report.enforced
    errors: list[Annotation] = []
    warnings: list[Annotation] = []
    for one in found:
        line = one.first.resource.cluster, one.first.assignment.name
        (errors if line in enforced else warnings).append(_described(report, one))
    return {"error": _once(errors), "warning": [*gaps, *_once(warnings)]}


def _once(annotations: Iterable[Annotation]) -> list[Annotation]:
    """One annotation for an object that cannot be judged, with the names of all its assignments: the reason is the same."""
    told: dict[Hashable, Annotation] = {}
    for at, one in enumerate(annotations):
        assert one.finding is not None
        error = one.finding.first.state is ComplianceState.ERROR
        key: Hashable = (one.message, tuple(one.finding.sources)) if error else at
        told[key] = replace(told[key], title=f"{told[key].title}, {one.title}") if key in told else one
    return list(told.values())


def gist(report: Report) -> str:
    """The report in a sentence or two."""
    return text_of(summary.closing(report).lines[0])


def _described(report: Report, finding: UniqueFinding) -> Annotation:
    first = finding.first
    field = safe(f"Field: {first.finding.path}") if first.finding.path else ""
    return Annotation(
        title=safe(first.assignment.name),
        code=safe(first.assignment.definition),
        message=_sentences(finding.text, field, advice_on(report, first)),
        source=first.source,
        finding=finding,
    )


def _sentences(*texts: str) -> str:
    return " ".join(text if text.endswith((".", "!", "?")) else f"{text}." for text in texts if text)
