"""Findings as readers know them that remember: one per fingerprint, however many replicas have it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from aksp.compliance.fingerprints import fingerprints
from aksp.model.assignment import Exemption
from aksp.model.compliance import ComplianceState, Gap, Report, Result
from aksp.model.resource import Container, Resource
from aksp.report.figures import day, plural
from aksp.report.parse import NamedExemption
from aksp.report.text import safe

#: How many resources of one occurrence are listed; the rest is counted. GitHub takes 1,000 locations of a result.
MOST_LISTED: Final = 1_000

# What of several states of one occurrence is told, the first of these.
_SERIOUSNESS: Final = {
    ComplianceState.NON_COMPLIANT: 0,
    ComplianceState.ERROR: 1,
    ComplianceState.CONFLICTING: 2,
    ComplianceState.EXEMPT: 3,
}
_SEVERITIES: Final = {"critical": 0, "high": 1, "medium": 2, "low": 3, "info": 4}
_CONTAINERS: Final = {"initContainers": "init container", "ephemeralContainers": "ephemeral container"}


@dataclass(kw_only=True, slots=True)
class Occurrence:
    """One finding of a workload or a resource.

    ``first`` stands for all of them; ``resources`` are those that have it, ``count`` their number when they are
    more than are listed. ``exempt`` counts those besides that are exempt from it.
    """

    fingerprint: str
    first: Result
    resources: list[Resource] = field(default_factory=list)
    count: int = 0
    exempt: int = 0

    def add(self, result: Result) -> None:
        """Count a result with this fingerprint. A more serious one than before stands for all from now on."""
        if result.state is not self.first.state:
            if _SERIOUSNESS[result.state] > _SERIOUSNESS[self.first.state]:
                self.exempt += result.state is ComplianceState.EXEMPT
                return
            self.exempt += self.count if self.first.state is ComplianceState.EXEMPT else 0
            self.first, self.resources, self.count = result, [], 0
        self.count += 1
        if len(self.resources) < MOST_LISTED:
            self.resources.append(result.resource)

    @property
    def text(self) -> str:
        """What was found where, on one line, safe to print."""
        first = self.first
        message = first.finding.message or "no reason is given"
        if first.state is ComplianceState.ERROR:
            message = f"could not be judged: {message}"
        elif first.state is ComplianceState.CONFLICTING:
            message = f"in conflict: {message}"
        kind = first.resource.kind.lower() or "resource"
        notes = [plural(self.count, kind)] if self.count > 1 else []
        if self.exempt:
            notes.append(f"{self.exempt} more {'is' if self.exempt == 1 else 'are'} exempt")
        note = f" ({', '.join(notes)})" if notes else ""
        return safe(f"{subject(first)}: {message}{note}")


def occurrences(results: Iterable[Result]) -> Sequence[Occurrence]:
    """Everything that does not comply, could not be judged, conflicts or is exempt, as it first appears.

    ``results`` are a report's, in its order.
    """
    found: dict[str, Occurrence] = {}
    counted = (one for one in results if one.state is not ComplianceState.COMPLIANT)
    for result, fingerprint in fingerprints(counted):
        if result.state not in _SERIOUSNESS:
            continue
        known = found.get(fingerprint)
        if known is None:
            known = found[fingerprint] = Occurrence(fingerprint=fingerprint, first=result)
        known.add(result)
    return list(found.values())


def subject(result: Result) -> str:
    """The workload or the resource, and the container: ``Deployment shop/web, init container setup``. Not yet safe."""
    resource, owner = result.resource, result.owner
    kind, name = (owner.kind, owner.name) if owner else (resource.kind, resource.name)
    where = f"{kind} {resource.namespace}/{name}" if resource.namespace else f"{kind} {name}"
    container = result.finding.container
    return f"{where}, {container_words(container)}" if container else where


def container_words(container: Container) -> str:
    """``container web``, or what kind of container it is."""
    return f"{_CONTAINERS.get(container.type, 'container')} {container.name}"


def severity_rank(severity: str) -> int:
    """0 for critical, and so on; what is none of the five comes last."""
    return _SEVERITIES.get(severity.lower(), len(_SEVERITIES))


def advice_on(report: Report, result: Result) -> str:
    """What to do about a violation, on one line, safe to print; empty for what is none, or where nobody says."""
    rule = report.rules.get(result.assignment.definition)
    return safe(rule.remediation.strip()) if rule and result.state is ComplianceState.NON_COMPLIANT else ""


def waiver(exemption: Exemption) -> str:
    """An exemption on one line, safe to print: its name, category, end and reason, as far as they are known."""
    if isinstance(exemption, NamedExemption):
        return safe(exemption.name)
    until = f"until {day(exemption.expires_on)}" if exemption.expires_on else "no end date"
    why = ": ".join(dict.fromkeys(text for text in (exemption.display_name, exemption.description) if text))
    by = f", requested by {exemption.requested_by}" if exemption.requested_by else ""
    reason = f" ({why})" if why else ""
    return safe(f"{exemption.name}: {exemption.category.value}, {until}{by}{reason}")


def other_gaps(report: Report) -> Sequence[Gap]:
    """The gaps that are not told by a result in state Error already."""
    if not report.gaps:
        return ()
    failed = {result.resource for result in report.results if result.state is ComplianceState.ERROR}
    return [gap for gap in report.gaps if gap.resource is None or gap.resource not in failed]


def gap_text(gap: Gap) -> str:
    """A gap on one line, safe to print."""
    about = f"{gap.resource}: " if gap.resource is not None and str(gap.resource) not in gap.message else ""
    return safe(f"could not be judged: {about}{gap.message}")
