"""An explanation: one resource by all assignments, or one assignment by all resources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from aksp.compliance.explanation import AssignmentEvaluation, LeftOut, Setting, Waiver
from aksp.compliance.plan import Ready
from aksp.compliance.rollup import roll_up
from aksp.model.assignment import Assignment
from aksp.model.compliance import AssignmentSummary, ComplianceState, Gap, Result, SourceLocation, Target
from aksp.model.json_text import encode
from aksp.model.resource import Owner, Resource
from aksp.report.explain.excerpt import Excerpt
from aksp.report.groups import Grouping, grouped, subject_of


class DistinctFinding(Struct, frozen=True, kw_only=True):
    """A distinct finding: its first result, the resources that have it, where it is written, and the first's lines."""

    result: Result
    resources: tuple[Resource, ...]
    sources: tuple[SourceLocation, ...] = ()
    excerpt: Excerpt | None = None


class Case(Struct, frozen=True, kw_only=True):
    """One assignment's part in a resource's explanation."""

    standing: AssignmentEvaluation
    found: tuple[DistinctFinding, ...] = ()


class ResourceExplanation(Struct, frozen=True, kw_only=True):
    """Why a resource is in its state.

    ``pods`` are those of a workload in a cluster; ``from_template`` says that it has none, and that the Pod of its
    template was judged. ``elsewhere`` are the assignments that do not reach the target. ``context`` is the kubeconfig context
    by which the cluster is known, None for manifests and within a cluster.
    """

    version: str
    evaluated_at: datetime
    target: Target
    resource: Resource
    owner: Owner | None
    cases: Sequence[Case]
    elsewhere: Sequence[tuple[Assignment, LeftOut]] = ()
    gaps: Sequence[Gap] = ()
    context: str | None = None
    container: str | None = None
    pods: int = 0
    from_template: bool = False

    @property
    def state(self) -> ComplianceState | None:
        """The roll-up over its assignments; None when none judges it."""
        return roll_up(one.state for case in self.cases for one in case.standing.results)


class AssignmentExplanation(Struct, frozen=True, kw_only=True):
    """What an assignment is, and how it stands on a target; ``target`` and ``summary`` are None when nothing was judged.

    ``left_out`` says why the target is not reached at all.
    """

    version: str
    evaluated_at: datetime
    ready: Ready
    settings: Sequence[Setting]
    waivers: Sequence[Waiver]
    target: Target | None = None
    left_out: LeftOut | None = None
    summary: AssignmentSummary | None = None
    results: Sequence[Result] = ()
    gaps: Sequence[Gap] = ()


Explanation = ResourceExplanation | AssignmentExplanation


def distinct(results: Iterable[Result]) -> list[DistinctFinding]:
    """Results that say the same of replicas, or of one resource in several places, once; Compliant ones are left out."""
    counted = (one for one in results if one.state is not ComplianceState.COMPLIANT)
    return [
        DistinctFinding(result=group.first, resources=tuple(group.resources), sources=tuple(group.sources))
        for section in grouped(counted, _EACH_FINDING)
        for subject in section.subjects
        for group in subject.groups.values()
    ]


def _row(result: Result) -> tuple[str, ...]:
    """Equal for results that say the same. Observed and expected may hold lists, which have no hash."""
    finding, container = result.finding, result.finding.container
    return (
        result.assignment.name,
        result.state,
        result.exemption.name if result.exemption else "",
        f"{container.type}/{container.name}" if container else "",
        finding.message,
        finding.path or "",
        encode([finding.observed, finding.expected], sort_keys=True),
    )


_EACH_FINDING: Final = Grouping(title=lambda result: "", subject=subject_of, row=_row)
