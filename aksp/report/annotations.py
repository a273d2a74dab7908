"""Annotations: what the log of a pipeline tells line by line, the most serious first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aksp.model.compliance import ComplianceState, Report, Result, Source
from aksp.report import summary
from aksp.report.interface import Style
from aksp.report.layout import text_of
from aksp.report.occurrences import (
    Occurrence,
    advice_on,
    gap_text,
    occurrences,
    other_gaps,
    severity_rank,
)
from aksp.report.repository import Origin, Place, in_file
from aksp.report.text import safe


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotation:
    """One of them. Its texts are one line each and safe to print; ``code`` is the definition, or a gap's reason.

    ``source`` is where it is written, None for what is in no file. Its line is looked up by ``place``.
    """

    title: str
    code: str
    message: str
    source: Source | None

    def place(self, style: Style) -> Place | None:
        """Where it is written; None when it is in no file."""
        return in_file(self.source, style) if self.source else None

    def message_at(self, place: Place) -> str:
        """The message with its place, for where no reader could open the file."""
        file = "standard input" if place.origin is Origin.STDIN else safe(place.path)
        return f"{file}, line {place.line}: {self.message}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotations:
    """Errors are what would be refused at admission; warnings are the gaps, and what is audited or warned of."""

    errors: Sequence[Annotation]
    warnings: Sequence[Annotation]


def annotate(report: Report) -> Annotations:
    """All of a report: by severity, then in the report's order. Gaps are the first warnings: nothing hides them."""
    enforced = {line.name for line in report.assignments if line.enforced}
    found = [one for one in occurrences(report.results) if one.first.state is not ComplianceState.EXEMPT]
    found.sort(key=lambda one: severity_rank(one.first.assignment.severity))
    gaps = (
        Annotation(title=safe(gap.reason), code=safe(gap.reason), message=gap_text(gap), source=gap.source)
        for gap in other_gaps(report)
    )
    describe = _describer(report)
    return Annotations(
        errors=[describe(one) for one in found if one.first.assignment.name in enforced],
        warnings=[*gaps, *(describe(one) for one in found if one.first.assignment.name not in enforced)],
    )


def gist(report: Report) -> str:
    """The report in a sentence or two."""
    return text_of(summary.closing(report).lines[0])


def _describer(report: Report) -> Callable[[Occurrence], Annotation]:
    def describe(occurrence: Occurrence) -> Annotation:
        first = occurrence.first
        return Annotation(
            title=safe(first.assignment.name),
            code=safe(first.assignment.definition),
            message=_sentences(occurrence.text, _field(first), advice_on(report, first)),
            source=first.source,
        )

    return describe


def escape(text: str, escapes: Sequence[tuple[str, str]]) -> str:
    """Write some characters otherwise, one after the other in the order given."""
    for char, escaped in escapes:
        text = text.replace(char, escaped)
    return text


def _field(result: Result) -> str:
    path = result.finding.path
    return safe(f"Field: {path}") if path else ""


def _sentences(*texts: str) -> str:
    return " ".join(text if text.endswith((".", "!", "?")) else f"{text}." for text in texts if text)
