"""Reports of several clusters as one: a sum, whatever the order, in which nothing that was not judged looks compliant."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from aksp.compliance.fleet import ClusterOutcome, fleet_report
from aksp.compliance.nothing import idle
from aksp.compliance.rollup import percentage, state_of
from aksp.model.compliance import (
    AssignmentKey,
    AssignmentSummary,
    ComplianceState,
    Counts,
    Finding,
    Gap,
    Report,
    SharedResult,
    Target,
    TargetKind,
)
from aksp.model.resource import Resource
from aksp.model.scope import Scope
from aksp.model.scope_tree import PlacedScope, ScopeTree
from tests.compliance.builders import NOW, plan, ready
from tests.replacing import replace

GROUPS = "/providers/Microsoft.Management/managementGroups/"
NAMES = ("a", "b", "c", "d")
TREE = ScopeTree(
    entries=(
        PlacedScope(name="top", scope=Scope(GROUPS + "top")),
        PlacedScope(name="low", scope=Scope(GROUPS + "low"), parent=Scope(GROUPS + "top")),
        PlacedScope(name="a", scope=Scope("/clusters/a"), parent=Scope(GROUPS + "low")),
        PlacedScope(name="b", scope=Scope("/clusters/b"), parent=Scope(GROUPS + "low")),
        PlacedScope(name="c", scope=Scope("/clusters/c"), parent=Scope(GROUPS + "top")),
    )
)
#: What is assigned in all of them.
PLAN = plan(ready("x"), ready("y"))
MANY = Target(kind=TargetKind.CLUSTERS, name="all", scope="/")
BAD, GOOD, ERROR = ComplianceState.NON_COMPLIANT, ComplianceState.COMPLIANT, ComplianceState.ERROR


def counts(**numbers: int) -> Counts:
    found = {state: numbers.get(state.name.lower(), 0) for state in ComplianceState}
    return Counts(resources=found, containers=found)


def line(name: str, of: Counts, *, broken: bool = False) -> AssignmentSummary:
    state = ERROR if broken else state_of(of.resources)
    return AssignmentSummary(
        name=name, display_name=name, definition="rule", definition_id="rule", effect="Audit",
        enforcement_mode="Default", scope="/", severity="high", state=state,
        compliance_percent=None if broken else percentage(of.resources), counts=of,
        message="broken" if broken else "",
    )  # fmt: skip


def report(name: str, of: Counts, gaps: Sequence[Gap] = (), lines: Sequence[AssignmentSummary] | None = None) -> Report:
    key = AssignmentKey(assignment="rule", definition="rule", effect="Audit", severity="high")
    shared = SharedResult(assignment=key, state=BAD, finding=Finding(message="bad"))
    bad = [
        shared.of(Resource(api_version="v1", kind="Pod", namespace="shop", name=f"p{at}"))
        for at in range(of.resources[BAD])
    ]
    return Report(
        version="1", evaluated_at=NOW, target=Target(kind=TargetKind.CLUSTER, name=name, scope=f"/clusters/{name}"),
        state=state_of(of.resources), compliance_percent=percentage(of.resources), counts=of,
        assignments=[line("rule", of)] if lines is None else lines, results=bad, gaps=gaps,
    )  # fmt: skip


def outcome(name: str, of: Report | None, problem: str = "dead") -> ClusterOutcome:
    return ClusterOutcome(
        name=name,
        place=TREE.place(Scope.cluster(name)),
        plan=PLAN,
        report=of,
        problem=None if of else Gap(reason="ClusterUnreachable", message=problem),
    )


def together(*outcomes: ClusterOutcome) -> Report:
    return fleet_report(outcomes, TREE, MANY, NOW, "1")


NUMBERS = st.integers(0, 3)
COUNTS = st.builds(counts, compliant=NUMBERS, non_compliant=NUMBERS, exempt=NUMBERS, error=NUMBERS)


@st.composite
def fleets(draw: st.DrawFn) -> list[ClusterOutcome]:
    found = []
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)):
        of = draw(COUNTS)
        gaps = [Gap(reason="ListFailed", message="x")] * draw(st.integers(0, 1))
        lines = [line(each, of, broken=draw(st.booleans())) for each in draw(st.sets(st.sampled_from(["x", "y"])))]
        found.append(outcome(name, None if draw(st.booleans()) else report(name, of, gaps, lines)))
    return found


@given(fleets(), st.integers())
def test_a_report_of_clusters_does_not_depend_on_their_order(fleet: list[ClusterOutcome], seed: int) -> None:
    shuffled = list(fleet)
    Random(seed).shuffle(shuffled)

    assert together(*shuffled) == together(*fleet)


@given(fleets())
def test_counts_are_sums_and_every_result_and_gap_has_its_cluster(fleet: list[ClusterOutcome]) -> None:
    made = together(*fleet)
    reports = {one.name: one.report for one in fleet if one.report}

    for state in ComplianceState:
        assert made.counts.resources[state] == sum(one.counts.resources[state] for one in reports.values())
    assert {one.resource.cluster for one in made.results} == {name for name, one in reports.items() if one.results}
    assert len({one.resource for one in made.results}) == sum(len(one.results) for one in reports.values())
    assert {one.cluster for one in made.gaps} <= {one.name for one in fleet}
    assert len(made.gaps) == sum(one.gaps for one in made.clusters)


@given(fleets())
def test_nothing_that_holds_a_cluster_that_was_not_judged_is_compliant(fleet: list[ClusterOutcome]) -> None:
    made = together(*fleet)
    lost = {one.name for one in fleet if one.report is None}

    for one in made.clusters:
        assert (one.name in lost) <= (one.state is ERROR and one.compliance_percent is None)
    for scope in made.scopes:
        if lost & set(scope.clusters):
            assert scope.state in (BAD, ERROR)
            assert scope.compliance_percent is None
    if lost:
        assert made.state in (BAD, ERROR)
        assert made.gaps
        by_name = {one.name: one for one in made.assignments}
        for name in ("x", "y"):
            assert (by_name[name].state in (BAD, ERROR), by_name[name].compliance_percent) == (True, None)


@given(fleets())
def test_a_longer_scope_holds_no_more_clusters_and_counts_no_more(fleet: list[ClusterOutcome]) -> None:
    made = together(*fleet)
    by_scope = {one.scope: one for one in made.scopes}

    for one in made.scopes:
        if one.parent is not None:
            above = by_scope[one.parent]
            assert set(one.clusters) <= set(above.clusters)
            assert all(one.counts.resources[state] <= above.counts.resources[state] for state in ComplianceState)


def test_an_assignment_that_one_cluster_cannot_judge_is_not_compliant_in_all() -> None:
    good = counts(compliant=2)
    made = together(
        outcome("a", report("a", good)), outcome("b", report("b", good, lines=[line("rule", good, broken=True)]))
    )

    assert (made.assignments[0].state, made.assignments[0].compliance_percent) == (ERROR, None)
    assert [one.assignments[0].state for one in made.clusters] == [GOOD, ERROR]


def test_an_assignment_whose_objects_one_cluster_does_not_list_is_not_compliant_in_all() -> None:
    good, none = counts(compliant=2), counts()
    reasons = ("Pod could not be listed", idle(PLAN.ready[0]))
    for reason, state in zip(reasons, (ERROR, GOOD), strict=True):
        idler = replace(line("x", none), message=reason)
        made = together(
            outcome("a", report("a", good, lines=[line("x", good)])), outcome("b", report("b", none, lines=[idler]))
        )
        assert made.assignments[0].state is state
        assert made.clusters[1].assignments == [idler]


def test_a_cluster_in_which_nothing_is_assigned_is_not_started_and_weighs_nothing() -> None:
    empty = report("b", counts(), [Gap(reason="NothingAssigned", message="nothing")], [])
    made = together(outcome("a", report("a", counts(compliant=1))), outcome("b", empty))

    assert [one.state for one in made.clusters] == [GOOD, ComplianceState.NOT_STARTED]
    assert (made.state, made.compliance_percent) == (GOOD, 100.0)
    assert made.clusters[1].message == "nothing"


def test_of_a_cluster_that_is_in_no_scope_there_is_no_roll_up() -> None:
    made = together(outcome("d", report("d", counts(compliant=1))))

    assert made.scopes == []
    assert made.clusters[0].id == ""
