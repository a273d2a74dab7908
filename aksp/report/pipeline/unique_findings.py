"""Findings for readers that track them over time: one per fingerprint, however many replicas have it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from msgspec import Struct, structs

from aksp.compliance.fingerprints import fingerprints
from aksp.model.assignment import Exemption
from aksp.model.compliance import ComplianceState, Gap, Report, Result, SourceLocation
from aksp.model.json_text import encode
from aksp.model.resource import Resource
from aksp.model.times import day
from aksp.report.figures import plural
from aksp.report.interface import Style
from aksp.report.parse import NamedExemption
from aksp.report.pipeline.repository import Place, in_file
from aksp.report.text import safe

#: How many resources of one finding are listed; the rest is counted. GitHub takes 1,000 locations of a result.
MOST_LISTED: Final = 1_000
#: How many further places of one finding a sentence names.
MOST_NAMED: Final = 3

_CONTAINERS: Final = {"initContainers": "init container", "ephemeralContainers": "ephemeral container"}


class UniqueFinding(Struct, kw_only=True):
    """One finding of a workload or a resource.

    ``first`` stands for all of them. ``resources``: those that have it; ``count``: how many, also of those that are not
    listed; ``sources``: where they are written. ``exempt`` counts others that are exempt from it.
    """

    fingerprint: str
    first: Result
    resources: list[Resource] = []
    sources: dict[SourceLocation, None] = {}
    count: int = 0
    exempt: int = 0

    def add(self, result: Result) -> None:
        """Count a result with this fingerprint. A more serious one than before becomes ``first``."""
        if result.state is not self.first.state:
            if result.state.attention > self.first.state.attention:
                self.exempt += result.state is ComplianceState.EXEMPT
                return
            self.exempt += self.count if self.first.state is ComplianceState.EXEMPT else 0
            self.first, self.resources, self.sources, self.count = result, [], {}, 0
        self.count += 1
        if len(self.resources) < MOST_LISTED:
            self.resources.append(result.resource)
            if result.source is not None:
                self.sources[result.source] = None

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


def is_known(report: Report, result: Result, fingerprint: str) -> bool:
    """Whether a baseline knows a violation, so that it does not fail."""
    known = report.known
    return known is not None and result.state is ComplianceState.NON_COMPLIANT and fingerprint in known.fingerprints


def unique_findings(results: Iterable[Result]) -> Sequence[UniqueFinding]:
    """Everything that does not comply, could not be judged, conflicts or is exempt, as it first appears.

    ``results`` are a report's, in its order.
    """
    found: dict[str, UniqueFinding] = {}
    counted = (one for one in results if one.state is not ComplianceState.COMPLIANT)
    for result, fingerprint in fingerprints(counted):
        if not result.state.is_finding:
            continue
        known = found.get(fingerprint)
        if known is None:
            known = found[fingerprint] = UniqueFinding(fingerprint=fingerprint, first=result)
        known.add(result)
    return list(found.values())


def subject(result: Result) -> str:
    """The workload or the resource, and the container: ``Deployment shop/web, init container setup``. Not yet safe.

    Of several clusters its cluster comes first.
    """
    made_by, container = result.workload, result.finding.container
    where = str(structs.replace(result.resource, kind=made_by.kind, name=made_by.name))
    return f"{where}, {_CONTAINERS.get(container.type, 'container')} {container.name}" if container else where


def other_places(one: UniqueFinding, style: Style) -> list[Place]:
    """The places where it is written, without the first. Looks their lines up."""
    return list(dict.fromkeys(in_file(source, style) for source in one.sources))[1:]


def also_at(one: UniqueFinding, style: Style) -> str:
    """The other places for readers that show one place of a finding: a sentence, safe to print; empty for none."""
    listed = islice(one.sources, 1, 1 + MOST_NAMED)
    texts = list(dict.fromkeys(f"{place.path}:{place.line}" for place in (in_file(each, style) for each in listed)))
    more = len(one.sources) - 1 - MOST_NAMED
    rest = f" and {more:,} more places" if more > 0 else ""
    return safe(f" Also at {', '.join(texts)}{rest}.") if texts else ""


def advice_on(report: Report, result: Result) -> str:
    """What to do about a violation, on one line, safe to print; empty if it is none, or if there is no advice."""
    rule = report.rules.get(result.assignment.definition)
    return safe(rule.remediation.strip()) if rule and result.state is ComplianceState.NON_COMPLIANT else ""


def remedy_of(report: Report, result: Result) -> str:
    """What removes this finding: the change that the rule knows, else the advice; empty if there is neither."""
    if result.state is not ComplianceState.NON_COMPLIANT:
        return ""
    changes = [
        f"remove {safe(path)}" if value is None else f"set {safe(path)} to {safe(encode(value))}"
        for path, value in (result.finding.fix or {}).items()
    ]
    told = " and ".join(changes) or advice_on(report, result)
    return f"To comply: {told}" if told else ""


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
    about = f"{gap.cluster}: " if gap.cluster else ""
    if gap.resource is not None:
        named = structs.replace(gap.resource, cluster="")
        about += "" if str(named) in gap.message else f"{named}: "
    return safe(f"could not be judged: {about}{gap.message}")
