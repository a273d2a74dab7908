"""Compliance: states, findings, and the report that every format is made from.

Longer than other modules: it is a list of small classes, each made of those above it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, Self

from msgspec import Struct
from msgspec.structs import force_setattr

from aksp.model.assignment import EnforcementMode, Exemption, full_name
from aksp.model.effect import Effect
from aksp.model.resource import Container, Owner, Resource


class PolicyResult(StrEnum):
    """What a result is to readers of tests and of policy reports (wgpolicyk8s.io: PolicyResult)."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    ERROR = "error"
    SKIP = "skip"


class ComplianceState(StrEnum):
    """Azure's compliance states, in the documented order of precedence.

    ``attention`` orders them for people: what needs them most is 0. ``outcome`` is the result in test and policy
    reports, ``tone`` the name of the tone in which it is shown, ``words`` the state within a sentence. Those with
    ``complies`` count as compliant in the percentage.
    """

    attention: int
    outcome: PolicyResult
    tone: str
    words: str
    complies: bool

    def __new__(
        cls,
        value: str,
        attention: int = 0,
        outcome: PolicyResult = PolicyResult.SKIP,
        tone: str = "",
        words: str = "",
        complies: bool = False,
    ) -> Self:
        """A member and its attributes. The defaults are for type checkers alone, which read ComplianceState(text) as a call."""
        one = str.__new__(cls, value)
        one._value_ = value
        one.attention, one.outcome, one.tone, one.words, one.complies = attention, outcome, tone, words, complies
        return one

    NON_COMPLIANT = "NonCompliant", 0, PolicyResult.FAIL, "bad", "not compliant"
    COMPLIANT = "Compliant", 6, PolicyResult.PASS, "good", "compliant", True
    ERROR = "Error", 1, PolicyResult.ERROR, "warning", "in error"
    CONFLICTING = "Conflicting", 2, PolicyResult.ERROR, "odd", "in conflict"
    EXEMPT = "Exempt", 3, PolicyResult.SKIP, "waived", "exempt", True
    UNKNOWN = "Unknown", 4, PolicyResult.SKIP, "muted", "unknown", True
    NOT_STARTED = "NotStarted", 5, PolicyResult.SKIP, "muted", "not started"

    @property
    def is_finding(self) -> bool:
        """Whether it says that something was found in a resource: a violation, exempt or not, or what prevents a verdict."""
        return self.attention <= ComplianceState.EXEMPT.attention


#: What rolls up, highest first (Azure: "Azure Policy compliance states"). NotStarted never does.
PRECEDENCE = tuple(state for state in ComplianceState if state is not ComplianceState.NOT_STARTED)


class TargetKind(StrEnum):
    """What was evaluated."""

    CLUSTER = "Cluster"
    CLUSTERS = "Clusters"
    MANIFESTS = "Manifests"


class Target(Struct, frozen=True, kw_only=True):
    """What was evaluated; server is the API server's URL, None for files.

    ``filters`` are the options that left a part of it, or of what is assigned, out; empty for all.
    """

    kind: TargetKind
    name: str
    scope: str
    server: str | None = None
    filters: tuple[str, ...] = ()


class Counts(Struct, frozen=True, kw_only=True):
    """How many distinct resources, and containers, are in which state. States with 0 are present."""

    resources: Mapping[ComplianceState, int]
    containers: Mapping[ComplianceState, int]


class Finding(Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """What a rule found, without where: replicas of one workload share one Finding.

    ``path`` leads from the object's root to the field; ``observed`` and ``expected`` are JSON
    values. ``container`` is None for a finding about the whole resource. ``fix`` is the change that
    would comply, where the rule can say it: values by path, null for a field to remove.
    """

    message: str
    container: Container | None = None
    path: str | None = None
    observed: Any = None
    expected: Any = None
    fix: Mapping[str, Any] | None = None

    # The fix is not compared: it follows from the rest, and a mapping has no hash.

    def _compared(self) -> tuple[Any, ...]:
        return self.message, self.container, self.path, self.observed, self.expected

    def __eq__(self, other: object) -> bool:
        return self._compared() == other._compared() if isinstance(other, Finding) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other  # a struct's own tells by identity, whatever __eq__ says

    def __hash__(self) -> int:
        return hash(self._compared())


class SourceLocation(Protocol):
    """Where a resource was written: a file, and the line of the field that a result is about."""

    @property
    def file(self) -> str:
        """Path of the file as given or found; ``-`` for standard input."""

    @property
    def line(self) -> int:
        """Counted from 1. Looked up when first asked for."""

    @property
    def columns(self) -> tuple[int, int] | None:
        """Where on the line it begins, counted from 1, and the column after the line's end; None when unknown."""

    def at(self, path: str | None) -> SourceLocation:
        """The place of a field in the same document."""


class KnownLocation(Struct, frozen=True, kw_only=True):
    """A place in a file that needs no looking up."""

    file: str
    line: int
    columns: None = None

    def at(self, path: str | None) -> KnownLocation:
        """The same place: where other fields are is not known."""
        return self


class GroupSummary(Struct, frozen=True, kw_only=True):
    """What the members of one group of an initiative came to together."""

    name: str
    display_name: str
    state: ComplianceState
    compliance_percent: float | None
    counts: Counts


class AssignmentSummary(Struct, frozen=True, kw_only=True):
    """One assignment's part of a report.

    It is NotStarted when it judged nothing, or in Error when it is broken; then ``message`` says why, and
    compliance_percent is None.

    That of an initiative has ``members``, each with its ``initiative``, ``reference`` and ``group_names``, and ``groups``.
    While a member is not judged it has no percentage and is not Compliant. A member's ``name`` has its reference id behind
    a slash.
    """

    name: str
    display_name: str
    definition: str
    definition_id: str
    effect: str
    enforcement_mode: str
    scope: str
    severity: str
    state: ComplianceState
    compliance_percent: float | None
    counts: Counts
    message: str = ""
    initiative: str = ""
    reference: str = ""
    group_names: tuple[str, ...] = ()
    members: Sequence[AssignmentSummary] = ()
    groups: Sequence[GroupSummary] = ()
    #: What tells two selections apart; empty where it is not known.
    reach: str = ""
    #: The ids at Azure of the assignment, of what it assigns or of the member, and of its initiative; empty where not known.
    azure_id: str = ""
    azure_definition_id: str = ""
    azure_initiative_id: str = ""
    #: The reference id of the member that a constraint of Azure's add-on is of.
    azure_reference: str = ""

    @property
    def judged(self) -> Sequence[AssignmentSummary]:
        """The lines of what is judged by one definition each: its members, or itself."""
        return self.members or (self,)

    @property
    def assignment(self) -> str:
        """The name of the assignment itself, or of the one that it is a member in."""
        return self.name.removesuffix(f"/{self.reference}") if self.reference else self.name

    @property
    def enforced(self) -> bool:
        """Whether a violation would be refused at admission; of an initiative, that of any member."""
        if self.members:
            return any(member.enforced for member in self.members)
        return (
            (effect := Effect.named(self.effect)) is not None
            and effect.refuses
            and self.enforcement_mode == EnforcementMode.DEFAULT
        )


class AssignmentKey(Struct, frozen=True, kw_only=True):
    """What every result of an assignment says of it; shared by its results.

    Of an initiative's assignment there is one for each member, with the initiative's slug and the member's reference id.
    ``name`` is the assignment's, with the reference id behind a slash.
    """

    assignment: str
    definition: str
    effect: str
    severity: str
    initiative: str | None = None
    reference: str | None = None
    name: str = ""

    def __post_init__(self) -> None:
        force_setattr(self, "name", full_name(self.assignment, self.reference or ""))


class SharedResult(Struct, frozen=True, kw_only=True, gc=False):
    """What results of replicas have in common: all but the resource, and where it is written.

    One in a mapping is found by its identity: two that are equal may both be there, and 1 is not taken for true.
    """

    assignment: AssignmentKey
    state: ComplianceState
    finding: Finding
    owner: Owner | None = None
    exemption: Exemption | None = None

    __hash__ = object.__hash__

    def of(self, resource: Resource, source: SourceLocation | None = None) -> Result:
        """The same of one resource, written there."""
        return Result(shared=self, resource=resource, source=source)


class Result(Struct, frozen=True, kw_only=True, gc=False):
    """One assignment × one resource × one container (or the resource as a whole) and its state."""

    shared: SharedResult
    resource: Resource
    source: SourceLocation | None = None

    @property
    def assignment(self) -> AssignmentKey:
        """Whose result it is."""
        return self.shared.assignment

    @property
    def state(self) -> ComplianceState:
        """The state by this assignment."""
        return self.shared.state

    @property
    def finding(self) -> Finding:
        """What was found."""
        return self.shared.finding

    @property
    def owner(self) -> Owner | None:
        """The workload that made the resource."""
        return self.shared.owner

    @property
    def workload(self) -> Owner:
        """The workload that made the resource, else the resource itself: names of replicas change."""
        return self.owner or Owner(kind=self.resource.kind, name=self.resource.name)

    @property
    def exemption(self) -> Exemption | None:
        """What waives it."""
        return self.shared.exemption


class Gap(Struct, frozen=True, kw_only=True, eq=False):
    """Something that could not be judged. reason is a word in CamelCase, message a sentence, which names the source.

    ``cluster`` is where, in a report of several.
    """

    reason: str
    message: str
    resource: Resource | None = None
    source: SourceLocation | None = None
    cluster: str = ""

    # The source is not compared: the message tells it.

    def _compared(self) -> tuple[Any, ...]:
        return self.reason, self.message, self.resource, self.cluster

    def __eq__(self, other: object) -> bool:
        return self._compared() == other._compared() if isinstance(other, Gap) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other  # a struct's own tells by identity, whatever __eq__ says

    def __hash__(self) -> int:
        return hash(self._compared())


class ClusterSummary(Struct, frozen=True, kw_only=True):
    """One cluster's part of a report of several.

    ``scope`` is ``/clusters/NAME``; ``id`` is its id in the scope tree, empty where the tree does not have it. One that was
    not judged is in Error, or NotStarted where nothing reaches it; then ``message`` says why, and the percentage is None.
    """

    name: str
    scope: str
    id: str
    location: str
    labels: Mapping[str, str]
    server: str | None
    state: ComplianceState
    compliance_percent: float | None
    counts: Counts
    gaps: int
    message: str
    assignments: Sequence[AssignmentSummary]


class ScopeSummary(Struct, frozen=True, kw_only=True):
    """What the clusters below a scope of the tree came to together; ``parent`` is the scope above it in the report."""

    scope: str
    name: str
    kind: str
    parent: str | None
    clusters: tuple[str, ...]
    state: ComplianceState
    compliance_percent: float | None
    counts: Counts
    gaps: int


#: What has a state, a compliance percentage and counts.
Measured = AssignmentSummary | ClusterSummary | ScopeSummary | GroupSummary


class RuleDescriptor(Struct, frozen=True, kw_only=True):
    """What a definition says of itself, for those who read of its findings."""

    slug: str
    display_name: str
    description: str
    remediation: str
    category: str
    version: str
    severity: str


class Snapshot(Struct, frozen=True, kw_only=True):
    """What is remembered of an earlier evaluation of the same target.

    ``assignments`` has the state and the compliance percentage of each by name, and of each member of an initiative by
    NAME/REFERENCE; a percentage is None where nothing was judged.
    """

    evaluated_at: datetime
    state: ComplianceState
    compliance_percent: float | None
    non_compliant: int
    assignments: Mapping[str, tuple[ComplianceState, float | None]]


class StoredFinding(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A finding as baselines and the history keep it: replicas of one workload as one.

    ``kind`` and ``name`` are the workload's; ``container`` and ``path`` are empty where there is none. ``observed`` are the
    values, each as JSON or its digest, sorted; none where they are not known. ``cluster`` is empty where there is but one.
    """

    fingerprint: str
    state: ComplianceState
    assignment: str
    namespace: str
    kind: str
    name: str
    container: str
    path: str
    message: str
    observed: tuple[str, ...] = ()
    cluster: str = ""

    def known_by(self, before: StoredFinding | None) -> bool:
        """Whether an earlier finding is this one, with no value that it did not have."""
        return before is not None and (not before.observed or set(self.observed) <= set(before.observed))


class FindingChange(Struct, frozen=True, kw_only=True):
    """A finding that came, went or changed its state; None where it was, or is, not found.

    A violation with another value than before is one before and after, and new. One that went is resolved where its assignment has ``judged`` something since; else nobody knows.
    """

    finding: StoredFinding
    before: ComplianceState | None
    after: ComplianceState | None
    judged: bool = True


class Changes(Struct, frozen=True, kw_only=True):
    """What is otherwise than in the scan before, by namespace, kind, name, assignment and container.

    ``percent_before`` is the compliance percentage of that scan.
    """

    since: datetime
    percent_before: float | None
    findings: Sequence[FindingChange]


class KnownViolations(Struct, frozen=True, kw_only=True):
    """What a baseline knows, where only what is new is to fail: fingerprints, and how many violations are new and known.

    ``fails`` says whether every new one makes the exit code 1.
    """

    fingerprints: Collection[str]
    new: int
    known: int
    fails: bool


class Report(Struct, frozen=True, kw_only=True):
    """Everything one evaluation found. results has all but Compliant, unless asked for.

    Order: assignments by name; results by namespace, kind, name, assignment, container, path.
    ``compliance_percent`` is None when nothing was judged; ``state`` is NotStarted then. ``rules`` are by slug, those of
    the assignments that are known; ``past`` is oldest first, and does
    not have this evaluation; ``clusters`` and the ``scopes`` that they lie in are there in a report of several; ``changes`` are there when they were asked for and there is a scan before, ``known`` when only
    new violations are to fail.
    """

    version: str
    evaluated_at: datetime
    target: Target
    state: ComplianceState
    compliance_percent: float | None
    counts: Counts
    assignments: Sequence[AssignmentSummary]
    results: Sequence[Result]
    gaps: Sequence[Gap]
    rules: Mapping[str, RuleDescriptor] = {}
    past: Sequence[Snapshot] = ()
    changes: Changes | None = None
    known: KnownViolations | None = None
    clusters: Sequence[ClusterSummary] = ()
    scopes: Sequence[ScopeSummary] = ()

    @property
    def judged(self) -> Sequence[AssignmentSummary]:
        """The lines of what is judged by one definition each: of initiatives their members."""
        return [line for assignment in self.assignments for line in assignment.judged]

    @property
    def enforced(self) -> Collection[tuple[str, str]]:
        """The lines of which a violation would be refused at admission, by cluster and name.

        The cluster is empty where there is but one. Of several an assignment may have another effect in each.
        """
        parts = [(one.name, one.assignments) for one in self.clusters] or [("", self.assignments)]
        return {
            (cluster, line.name)
            for cluster, assignments in parts
            for assignment in assignments
            for line in assignment.judged
            if line.enforced
        }

    @property
    def lines(self) -> Sequence[AssignmentSummary]:
        """All lines: the assignments, each followed by its members."""
        return [line for assignment in self.assignments for line in (assignment, *assignment.members)]

    @property
    def group_names(self) -> Mapping[str, Sequence[str]]:
        """The groups that members are in, by the names of their lines."""
        return {line.name: line.group_names for line in self.judged if line.group_names}
