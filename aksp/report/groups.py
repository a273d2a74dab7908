"""Results put together: replicas with the same finding are one row with a count."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from msgspec import Struct

from aksp.model.compliance import AssignmentKey, ComplianceState, Finding, Result, SharedResult, SourceLocation
from aksp.model.json_text import encode
from aksp.model.resource import Resource
from aksp.report.interface import GroupBy
from aksp.report.worst import Badness, badness, severity_rank


class Group(Struct, kw_only=True):
    """Results that make one row: how many, the first, of which resources, by which assignments, and where written."""

    first: Result
    resources: list[Resource]
    results: int = 0
    assignments: dict[str, AssignmentKey] = {}
    sources: dict[SourceLocation, None] = {}

    @property
    def count(self) -> int:
        """How many resources have it."""
        return len(self.resources)

    def add(self, resource: Resource) -> None:
        """Add one more result's resource. A resource's results follow one another."""
        last = self.resources[-1]
        if resource is not last and resource != last:
            self.resources.append(resource)

    @property
    def badness(self) -> Badness:
        """That of the worst of its assignments."""
        return min(badness(self.first.state, one) for one in self.assignments.values())

    @property
    def severity(self) -> str:
        """The worst of its assignments' severities; empty where none is known."""
        return min((one.severity.lower() for one in self.assignments.values()), key=severity_rank)


class GroupedSubject(Group, kw_only=True):
    """All that was found of one workload, or of one resource that no workload made."""

    groups: dict[int, Group] = {}


class Section(Struct, frozen=True, kw_only=True):
    """Subjects under one title, which is empty where there is only one section."""

    title: str
    subjects: tuple[GroupedSubject, ...]


class Grouping(Struct, frozen=True, kw_only=True):
    """How results are put together: into sections by title, in them by subject, in these by row.

    ``row`` must be equal for results that share all but resource and source. None: each result is a row of its own.
    """

    title: Callable[[Result], str]
    subject: Callable[[Result], Hashable]
    row: Callable[[Result], Hashable] | None


def grouped(results: Iterable[Result], by: Grouping) -> list[Section]:
    """Sections of subjects of groups, each at the place where it first appears."""
    found: dict[str, dict[Hashable, GroupedSubject]] = {}
    # Rows by number: hashing the findings of thousands of replicas would take longer than everything else.
    rows: dict[Hashable, int] = {}
    numbers: dict[SharedResult, int] = {}
    for at, result in enumerate(results):
        subjects = found.setdefault(by.title(result), {})
        about = by.subject(result)
        if subject := subjects.get(about):
            subject.add(result.resource)
        else:
            subject = subjects[about] = GroupedSubject(first=result, resources=[result.resource])
        key = at if by.row is None else numbers.get(result.shared)
        if key is None:
            assert by.row is not None
            key = numbers[result.shared] = rows.setdefault(by.row(result), len(rows))
        if group := subject.groups.get(key):
            group.add(result.resource)
        else:
            group = subject.groups[key] = Group(first=result, resources=[result.resource])
        group.results += 1
        group.assignments[result.assignment.name] = result.assignment
        # The same resource, too, may stand in several places.
        if result.source is not None:
            group.sources[result.source] = None
    return [Section(title=title, subjects=tuple(subjects.values())) for title, subjects in found.items()]


def sections(results: Iterable[Result], group_by: GroupBy) -> Sequence[Section]:
    """The sections of a table, by title."""
    merge = group_by is not GroupBy.NONE
    by = Grouping(
        title=lambda result: _title(result, group_by),
        subject=subject_of if merge else lambda result: result.resource,
        row=_row if merge else None,
    )
    return sorted(grouped(results, by), key=lambda section: section.title)


def _title(result: Result, group_by: GroupBy) -> str:
    match group_by:
        case GroupBy.ASSIGNMENT:
            return result.assignment.name
        case GroupBy.NAMESPACE:
            return result.resource.namespace or "(cluster-scoped)"
        case _:
            return ""


def subject_of(result: Result) -> Hashable:
    """What a row is about: the workload, or the resource where no workload made it."""
    resource, owner = result.resource, result.owner
    if owner is None:
        return resource
    return resource.cluster, resource.namespace, owner, resource.kind


def _row(result: Result) -> Hashable:
    """What makes two results of one subject the same row.

    An exemption waives all findings, so it is one row, not one for each finding. The reason why an object cannot be judged
    is the same for all assignments, so it is one row for all.
    """
    if result.state is ComplianceState.ERROR:
        return result.state, _identity(result.finding)
    if result.state is ComplianceState.EXEMPT and result.exemption is not None:
        container = result.finding.container
        place = (container.name, container.type) if container else None
        return result.assignment.name, result.state, place, result.exemption.name
    return result.assignment.name, result.state, _identity(result.finding)


def _identity(finding: Finding) -> Hashable:
    """Equal for equal findings. Observed and expected may hold lists, which have no hash."""
    try:
        hash(finding)
    except TypeError:
        values = encode([finding.observed, finding.expected], sort_keys=True)
        return finding.message, finding.container, finding.path, values
    return finding
