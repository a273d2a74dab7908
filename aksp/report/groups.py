"""Results put together: replicas with the same finding are one row with a count."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field

from aksp.model.compliance import AssignmentKey, ComplianceState, Finding, Result, SharedResult, SourceLocation
from aksp.model.json_text import encode
from aksp.model.resource import Resource
from aksp.report.interface import GroupBy
from aksp.report.worst import Badness, badness, severity_rank


@dataclass(kw_only=True, slots=True)
class Group:
    """Results that make one row: how many, the first, of how many resources, by which assignments, and where written."""

    first: Result
    last: Resource
    count: int = 1
    results: int = 0
    assignments: dict[str, AssignmentKey] = field(default_factory=dict)
    sources: dict[SourceLocation, None] = field(default_factory=dict)

    def add(self, resource: Resource) -> None:
        """Count one more result. A resource's results follow one another."""
        if resource is not self.last and resource != self.last:
            self.last = resource
            self.count += 1

    @property
    def badness(self) -> Badness:
        """That of the worst of its assignments."""
        return min(badness(self.first.state, one) for one in self.assignments.values())

    @property
    def severity(self) -> str:
        """The worst of its assignments' severities; empty where none is known."""
        return min((one.severity.lower() for one in self.assignments.values()), key=severity_rank)


@dataclass(kw_only=True, slots=True)
class GroupedSubject(Group):
    """All that was found of one workload, or of one resource that no workload made."""

    groups: dict[int, Group] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """Subjects under one title, which is empty where there is only one section."""

    title: str
    subjects: tuple[GroupedSubject, ...]


def sections(results: Iterable[Result], group_by: GroupBy) -> Iterator[Section]:
    """Group results: sections by title, in them each subject and finding as it first appears."""
    found: dict[str, dict[Hashable, GroupedSubject]] = {}
    # Rows by number: to hash the findings of thousands of replicas would take longer than all else.
    rows: dict[Hashable, int] = {}
    numbers: dict[SharedResult, int] = {}
    merge = group_by != GroupBy.NONE
    for at, result in enumerate(results):
        subjects = found.setdefault(_title(result, group_by), {})
        about = _subject(result) if merge else result.resource
        if subject := subjects.get(about):
            subject.add(result.resource)
        else:
            subject = subjects[about] = GroupedSubject(first=result, last=result.resource)
        key = numbers.get(result.shared) if merge else at
        if key is None:
            key = numbers[result.shared] = rows.setdefault(_row(result), len(rows))
        if group := subject.groups.get(key):
            group.add(result.resource)
        else:
            group = subject.groups[key] = Group(first=result, last=result.resource)
        group.results += 1
        group.assignments[result.assignment.name] = result.assignment
        # The same resource, too, may stand in several places.
        if result.source is not None:
            group.sources[result.source] = None
    for title, subjects in sorted(found.items()):
        yield Section(title=title, subjects=tuple(subjects.values()))


def _title(result: Result, group_by: GroupBy) -> str:
    match group_by:
        case GroupBy.ASSIGNMENT:
            return result.assignment.name
        case GroupBy.NAMESPACE:
            return result.resource.namespace or "(cluster-scoped)"
        case _:
            return ""


def _subject(result: Result) -> Hashable:
    """What a row is about: the workload, or the resource where no workload made it."""
    resource, owner = result.resource, result.owner
    if owner is None:
        return resource
    return resource.cluster, resource.namespace, owner, resource.kind


def _row(result: Result) -> Hashable:
    """What makes two results of one subject the same row.

    An exemption waives whatever was found, so it needs one row, not one for each finding. What keeps an object from
    being judged is the same for all assignments that would judge it, and needs one row for all.
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
