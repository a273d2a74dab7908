"""What is new and what is gone: this evaluation's findings held against those of an earlier one."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from json.encoder import encode_basestring
from typing import Final

from msgspec.structs import replace

from aksp.compliance.fingerprints import fingerprints, identified
from aksp.compliance.rollup import roll_up
from aksp.model import json_text
from aksp.model.compliance import Changes, ComplianceState, Finding, FindingChange, Report, Result, StoredFinding

#: Gaps that leave out no object of assignments that judge: each is about an assignment or an exemption, or has results in
#: Error, or is about what Gatekeeper's audit says.
_ABOUT_RULES: Final = frozenset(
    [
        "InvalidDefinition",
        "InvalidExemption",
        "EvaluationError",
        "NotAudited",
        "StaleAudit",
        "AuditIncomplete",
        "NotConfirmed",
        "NotJudgedAgain",
        "GatekeeperError",
    ]
)
#: Characters of the longest value that is kept as it is.
_LONGEST_VALUE: Final = 200
#: Gaps of which two that read alike may leave out different objects.
_BY_CHANCE: Final = ("Interrupted:", "ListFailed:")


def remembered(results: Iterable[Result]) -> dict[str, StoredFinding]:
    """What to remember of a report's results, by fingerprint; what complies is not.

    Of replicas that differ in state the first in Azure's precedence counts.
    """
    found: dict[str, StoredFinding] = {}
    #: What was found first under each fingerprint, which replicas share, and the values where it is not all.
    first: dict[str, Finding] = {}
    values: dict[str, dict[int, str]] = {}
    for result, fingerprint, who in identified(results):
        state, finding = result.shared.state, result.shared.finding
        if state is ComplianceState.COMPLIANT:
            continue
        known = found.get(fingerprint)
        if known is None:
            first[fingerprint] = finding
            found[fingerprint] = _remembered(result, who, state, fingerprint, (_observed(result),))
            continue
        observed = known.observed
        if finding is not first[fingerprint]:
            several = values.setdefault(fingerprint, {id(first[fingerprint]): observed[0]})
            if id(finding) not in several:
                several[id(finding)] = _observed(result)
                observed = tuple(sorted(set(several.values())))
        if known.state is not state:
            state = roll_up((known.state, state)) or state
            found[fingerprint] = _remembered(result, who, state, fingerprint, observed)
        elif observed is not known.observed:
            found[fingerprint] = replace(known, observed=observed)
    return found


def _observed(result: Result) -> str:
    """The value that was found, as JSON without the name of the replica; a long one's digest."""
    observed, owner = result.shared.finding.observed, result.shared.owner
    if observed is None:
        return "null"
    text = encode_basestring(observed) if type(observed) is str else json_text.encode(observed, sort_keys=True)
    if owner is not None:
        text = text.replace(result.resource.name, owner.name)
    return text if len(text) <= _LONGEST_VALUE else hashlib.sha256(text.encode()).hexdigest()


def _remembered(
    result: Result, who: tuple[str, ...], state: ComplianceState, fingerprint: str, observed: tuple[str, ...]
) -> StoredFinding:
    # Of several clusters the identity also has the cluster, which comes last.
    assignment, namespace, kind, name, container, place, *_ = who
    finding = result.shared.finding
    path = finding.path is not None
    return StoredFinding(
        fingerprint=fingerprint,
        state=state,
        assignment=assignment,
        namespace=namespace,
        kind=kind,
        name=name,
        container=container,
        path=place if path else "",
        message=finding.message,
        cluster=result.resource.cluster,
        observed=observed,
    )


def compare(
    before: Mapping[str, StoredFinding],
    now: Mapping[str, StoredFinding],
    *,
    since: datetime,
    percent_before: float | None,
    judged: Collection[str],
    hidden: bool,
    narrowed: Collection[str] = (),
) -> Changes:
    """Every finding whose state is another than before. ``judged`` are the assignments that have judged something now.

    ``hidden`` says whether objects that were judged before may be left out now: see ``hides``. ``narrowed`` are the
    assignments that select otherwise than before, and may leave out what they judged.
    """
    faulty = {_place(one) for one in now.values() if one.state is ComplianceState.ERROR}
    changes = [
        FindingChange(finding=finding, before=before[key].state if key in before else None, after=finding.state)
        for key, finding in now.items()
        if key not in before
        or before[key].state is not finding.state
        or (finding.state is ComplianceState.NON_COMPLIANT and not finding.known_by(before[key]))
    ]
    changes += [
        FindingChange(
            finding=finding,
            before=finding.state,
            after=None,
            judged=not hidden
            and finding.assignment in judged
            and finding.assignment not in narrowed
            and _place(finding) not in faulty,
        )
        for key, finding in before.items()
        if key not in now
    ]
    return Changes(
        since=since, percent_before=percent_before, findings=sorted(changes, key=lambda one: order(one.finding))
    )


def judged_by(report: Report) -> frozenset[str]:
    """The assignments by which a report has judged something."""
    return frozenset(line.name for line in report.judged if line.compliance_percent is not None)


def clusters_judged(report: Report) -> frozenset[str]:
    """The clusters of which a report has judged something, as its findings name them: empty where there is but one."""
    # A cluster's message says why nothing of it was judged.
    return frozenset(one.name for one in report.clusters if not one.message) if report.clusters else frozenset([""])


def reach_of(report: Report) -> dict[str, str]:
    """What each assignment of a report selects; without those of which it is not known."""
    return {line.name: line.reach for line in report.judged if line.reach}


def narrowed(before: Mapping[str, str], now: Mapping[str, str]) -> frozenset[str]:
    """The assignments that select otherwise now, as far as both are known."""
    return frozenset(name for name, reach in now.items() if before.get(name, reach) != reach)


def left_out(report: Report) -> frozenset[str]:
    """What may keep objects out of a report that are there: the options that choose a part, and gaps."""
    gaps = [
        f"{gap.reason}: {f'{gap.cluster}: ' if gap.cluster else ''}{gap.message}"
        for gap in report.gaps
        if gap.reason not in _ABOUT_RULES
    ]
    return frozenset([*report.target.filters, *gaps])


def unlisted(report: Report) -> int:
    """How many resources do not comply that the results leave out, as ``--show new`` does; each counts for each assignment."""
    bad = ComplianceState.NON_COMPLIANT
    listed = Counter(
        name
        for name, _, _ in {
            (one.assignment.name, one.resource, one.source.file if one.source else "")
            for one in report.results
            if one.state is bad
        }
    )
    return sum(max(0, line.counts.resources[bad] - listed[line.name]) for line in report.judged)


def hides(before: Collection[str], now: Collection[str]) -> bool:
    """Whether objects may be left out now that were not before, by what was ``left_out``."""
    return any(one not in before or one.startswith(_BY_CHANCE) for one in now)


def _place(finding: StoredFinding) -> tuple[str, ...]:
    return finding.assignment, finding.namespace, finding.kind, finding.name


def order(finding: StoredFinding) -> tuple[str, ...]:
    """By cluster, namespace, kind, name, assignment, container and path."""
    return (
        finding.cluster, finding.namespace, finding.kind, finding.name, finding.assignment, finding.container, finding.path,
    )  # fmt: skip


def new_results(results: Iterable[Result], known: Collection[str]) -> list[Result]:
    """The results but for violations that are known; what could not be judged, or is exempt, stays."""
    return [
        result
        for result, fingerprint in fingerprints(results)
        if result.state is not ComplianceState.NON_COMPLIANT or fingerprint not in known
    ]
