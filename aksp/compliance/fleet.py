"""Reports of several clusters as one: a line for each cluster, and what the clusters below each scope come to together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from aksp.compliance.assess import Tally
from aksp.compliance.fingerprints import fingerprints
from aksp.compliance.nothing import NOTHING_ASSIGNED, idle
from aksp.compliance.plan import Plan
from aksp.compliance.rollup import together
from aksp.compliance.summaries import StateCount
from aksp.model.compliance import (
    AssignmentSummary,
    Changes,
    ClusterSummary,
    ComplianceState,
    Counts,
    Gap,
    GroupSummary,
    KnownViolations,
    Report,
    Result,
    ScopeSummary,
    Target,
    TargetKind,
)
from aksp.model.effect import MIXED_EFFECT
from aksp.model.resource import Resource
from aksp.model.scope_tree import ClusterPlace, ScopeTree, kind_of

_NON_COMPLIANT, _ERROR, _NOT_STARTED = (
    ComplianceState.NON_COMPLIANT, ComplianceState.ERROR, ComplianceState.NOT_STARTED,
)  # fmt: skip


class ClusterOutcome(Struct, frozen=True, kw_only=True):
    """What came of one cluster: its report, or, without one, why there is none. ``plan`` is what was to be judged."""

    name: str
    place: ClusterPlace
    plan: Plan
    report: Report | None = None
    problem: Gap | None = None


def fleet_report(
    outcomes: Sequence[ClusterOutcome], tree: ScopeTree, target: Target, now: datetime, version: str
) -> Report:
    """One report of several clusters, whatever their order.

    Like an initiative of which a member was not judged, what holds a cluster that was not is not Compliant, and has no
    percentage.
    """
    parts = sorted(outcomes, key=lambda one: one.name)
    clusters = [_cluster(one) for one in parts]
    reports = [one.report for one in parts if one.report is not None]
    counts = added(one.counts for one in clusters)
    state, percent = _together(counts, clusters)
    return Report(
        version=version,
        evaluated_at=now,
        target=target,
        state=state,
        compliance_percent=percent,
        counts=counts,
        assignments=_by_name([line for one in parts for line in _lines(one)], _merged),
        results=[result for one in parts for result in _results(one)],
        gaps=[gap for one in parts for gap in _gaps(one)],
        rules={slug: rule for report in reports for slug, rule in sorted(report.rules.items())},
        changes=_changes(parts),
        clusters=clusters,
        scopes=_scopes(parts, clusters, tree),
    )


def _cluster(one: ClusterOutcome) -> ClusterSummary:
    report, entry = one.report, one.place.entry
    gaps = _gaps(one)
    # A cluster in which nothing is assigned was not to be judged; any other gap kept it from being judged.
    lost = [gap for gap in gaps if gap.reason != NOTHING_ASSIGNED]
    judged = report is not None and report.state is not _NOT_STARTED
    state = report.state if report is not None and (judged or not lost) else _ERROR
    return ClusterSummary(
        name=one.name,
        scope=str(one.place.scope),
        id=str(entry.scope) if entry else "",
        location=entry.location if entry else "",
        labels=dict(entry.labels) if entry else {},
        server=report.target.server if report else None,
        state=state,
        compliance_percent=report.compliance_percent if report and judged else None,
        counts=report.counts if report else StateCount().counts(),
        gaps=len(gaps),
        message="" if judged else (lost or gaps or [Gap(reason="", message="nothing was judged")])[0].message,
        assignments=report.assignments if report else _lines(one),
    )


def _lines(one: ClusterOutcome) -> list[AssignmentSummary]:
    """What each assignment came to in a cluster; what was to be judged there and was not is in Error, and not left out."""
    reasons = {ready.key.name: idle(ready) for ready in one.plan.ready}
    if one.report is not None:
        return [_in_error(line, reasons) for line in one.report.assignments]
    why = one.problem.message if one.problem is not None else "it was not judged"
    lost = {ready.key.name: why for ready in one.plan.ready if not ready.not_started}
    return [_in_error(line, reasons) for line in Tally(one.plan).summaries(lost)]


def _in_error(line: AssignmentSummary, reasons: Mapping[str, str]) -> AssignmentSummary:
    """A line in Error where it judged nothing for another reason than that nothing was there for it, by its name."""
    lost = line.state is _NOT_STARTED and line.message != reasons.get(line.name, line.message)
    state = _ERROR if lost else line.state
    return replace(line, state=state, members=[_in_error(each, reasons) for each in line.members])


def _gaps(one: ClusterOutcome) -> list[Gap]:
    gaps = one.report.gaps if one.report is not None else [one.problem] if one.problem is not None else []
    return [_gap_in(one.name, gap) for gap in gaps]


def _gap_in(cluster: str, gap: Gap) -> Gap:
    return replace(gap, cluster=cluster, resource=replace(gap.resource, cluster=cluster) if gap.resource else None)


def _results(one: ClusterOutcome) -> Iterator[Result]:
    """The results with the cluster's name in their resources. Results of one resource follow one another."""
    last: Resource | None = None
    named: Resource | None = None
    for result in one.report.results if one.report is not None else ():
        if named is None or result.resource is not last:
            last = result.resource
            named = replace(last, cluster=one.name)
        yield Result(shared=result.shared, resource=named, source=result.source)


def separate(report: Report) -> list[Report]:
    """A report of several clusters as one for each, as they were; any other as it is."""
    if not report.clusters:
        return [report]
    results: dict[str, list[Result]] = {one.name: [] for one in report.clusters}
    named: dict[str, list[Result]] = {one.name: [] for one in report.clusters}
    last: Resource | None = None
    own: Resource | None = None
    for result in report.results:
        if own is None or result.resource is not last:
            last = result.resource
            own = replace(last, cluster="")
        results[last.cluster if last else ""].append(replace(result, resource=own))
        named[last.cluster if last else ""].append(result)
    return [
        replace(
            report,
            target=Target(
                kind=TargetKind.CLUSTER,
                name=one.name,
                scope=one.scope,
                server=one.server,
                filters=report.target.filters,
            ),
            state=one.state,
            compliance_percent=one.compliance_percent,
            counts=one.counts,
            assignments=one.assignments,
            results=results[one.name],
            gaps=[_gap_in("", gap) for gap in report.gaps if gap.cluster == one.name],
            changes=None,
            known=_known(report.known, results[one.name], named[one.name]),
            clusters=(),
            scopes=(),
        )
        for one in report.clusters
    ]


def _known(known: KnownViolations | None, results: Sequence[Result], named: Sequence[Result]) -> KnownViolations | None:
    """What is known of one cluster; ``named`` are its results with its name, by which a baseline of several knows them."""
    if known is None:
        return None
    bad = {
        own: fingerprint in known.fingerprints
        for (result, own), (_, fingerprint) in zip(fingerprints(results), fingerprints(named), strict=True)
        if result.state is _NON_COMPLIANT
    }
    old = [own for own, is_known in bad.items() if is_known]
    return KnownViolations(fingerprints=frozenset(old), new=len(bad) - len(old), known=len(old), fails=known.fails)


def _changes(parts: Sequence[ClusterOutcome]) -> Changes | None:
    """What has changed in each cluster since the scan before of it; None where no cluster is compared with one."""
    known = {one.name: one.report.changes for one in parts if one.report is not None and one.report.changes}
    return changes_together(known) if known else None


def changes_together(parts: Mapping[str, Changes]) -> Changes:
    """The changes of clusters, by their names, as one. Their percentage together before is not known."""
    return Changes(
        since=min(changes.since for changes in parts.values()),
        percent_before=None,
        findings=[
            replace(each, finding=replace(each.finding, cluster=name))
            for name, changes in parts.items()
            for each in changes.findings
        ],
    )


def added(counts: Iterable[Counts]) -> Counts:
    """Counts of clusters added up: no resource lies in two."""
    every = StateCount()
    for one in counts:
        every.add(one)
    return every.counts()


#: What has a state and a percentage.
_Line = ClusterSummary | AssignmentSummary | GroupSummary


def _together(counts: Counts, lines: Iterable[_Line]) -> tuple[ComplianceState, float | None]:
    """State and percentage of lines of which the counts are added up."""
    # What has a state and no percentage was not judged, in whole or in part.
    lost = any(one.compliance_percent is None and one.state is not _NOT_STARTED for one in lines)
    return together(counts.resources, whole=not lost)


_Named = TypeVar("_Named", AssignmentSummary, GroupSummary)


def _by_name(lines: Iterable[_Named], merge: Callable[[Sequence[_Named]], _Named]) -> list[_Named]:
    found: dict[str, list[_Named]] = {}
    for one in lines:
        found.setdefault(one.name, []).append(one)
    return [merge(alike) for _, alike in sorted(found.items())]


def _merged(lines: Sequence[AssignmentSummary]) -> AssignmentSummary:
    """One line of those that an assignment, or a member of one, has in several clusters."""
    counts = added(one.counts for one in lines)
    state, percent = _together(counts, lines)
    effects = {one.effect for one in lines}
    members = [member for one in lines for member in one.members]
    order = {name: at for at, name in enumerate(dict.fromkeys(member.name for member in members))}
    untold = state in (_NOT_STARTED, _ERROR) or percent is None
    return replace(
        lines[0],
        effect=effects.pop() if len(effects) == 1 else MIXED_EFFECT,
        state=state,
        compliance_percent=percent,
        counts=counts,
        message="; ".join(dict.fromkeys(one.message for one in lines if one.message)) if untold else "",
        members=sorted(_by_name(members, _merged), key=lambda one: order[one.name]),
        groups=_by_name([group for one in lines for group in one.groups], _merged_group),
    )


def _merged_group(groups: Sequence[GroupSummary]) -> GroupSummary:
    counts = added(one.counts for one in groups)
    state, percent = _together(counts, groups)
    return replace(groups[0], state=state, compliance_percent=percent, counts=counts)


def _scopes(parts: Sequence[ClusterOutcome], clusters: Sequence[ClusterSummary], tree: ScopeTree) -> list[ScopeSummary]:
    """Each scope that a cluster lies in, what lies in another behind it."""
    below: dict[tuple[str, ...], list[ClusterSummary]] = {}
    paths: dict[tuple[str, ...], list[str]] = {}
    for part, cluster in zip(parts, clusters, strict=True):
        for at, scope in enumerate(part.place.above):
            below.setdefault(scope.key, []).append(cluster)
            # Of two spellings of one scope the smaller: which comes first would depend on the order.
            way = [str(one) for one in part.place.above[: at + 1]]
            paths[scope.key] = min(paths.get(scope.key, way), way)
    entries: Mapping[tuple[str, ...], str] = {one.scope.key: one.display_name or one.name for one in tree.entries}
    found = []
    for key, way in sorted(paths.items(), key=lambda one: one[1]):
        counts = added(one.counts for one in below[key])
        state, percent = _together(counts, below[key])
        scope = next(one for part in parts for one in part.place.above if one.key == key)
        found.append(
            ScopeSummary(
                scope=way[-1],
                name=entries.get(key) or way[-1].rpartition("/")[2],
                kind=str(kind_of(scope) or "scope"),
                parent=way[-2] if len(way) > 1 else None,
                clusters=tuple(one.name for one in below[key]),
                state=state,
                compliance_percent=percent,
                counts=counts,
                gaps=sum(one.gaps for one in below[key]),
            )
        )
    return found
