"""Tally: verdicts and their counts, against a slow and obvious count of the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.compliance.assess import Tally
from aksp.compliance.evaluation import choose
from aksp.compliance.judgement import Fault, Task
from aksp.compliance.plan import Plan, Ready
from aksp.model.assignment import EnforcementMode, ExemptedResource, Exemption, ExemptionCategory
from aksp.model.compliance import ComplianceState, Counts, Finding
from aksp.model.resource import Container, Document, Problem
from tests.compliance.builders import (
    DEPLOYMENT,
    POD,
    SERVICE,
    container,
    definition,
    deployment,
    plan,
    pod,
    ready,
    thing,
)  # fmt: skip
from tests.compliance.reference import Expected, count
from tests.replacing import replace

S = ComplianceState


# A little world of documents, assignments and findings


@dataclass(frozen=True)
class World:
    plan: Plan
    documents: Sequence[Document]
    found: Mapping[tuple[int, int], Sequence[Finding]]
    faults: Sequence[Fault]

    @property
    def errors(self) -> dict[tuple[int, int], list[str]]:
        by_pair: dict[tuple[int, int], list[str]] = {}
        for fault in self.faults:
            by_pair.setdefault((fault.task, fault.document), []).append(fault.message)
        return by_pair


CONTAINERS = st.lists(
    st.builds(
        container,
        name=st.sampled_from(["web", "db", "proxy", "setup"]),
        image=st.sampled_from(["a.io/x:1", "b.io/y"]),
        type=st.sampled_from(["containers", "initContainers"]),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda c: c.name,
)
NAMESPACES = st.sampled_from(["shop", "other"])


@st.composite
def documents(draw: st.DrawFn) -> list[Document]:
    made: list[Document] = []
    for number in range(draw(st.integers(0, 6))):
        namespace = draw(NAMESPACES)
        sort = draw(st.sampled_from(["pod", "pod", "workload", "service"]))
        if sort == "workload":
            made += deployment(f"web-{number}", *draw(CONTAINERS), namespace=namespace)
        elif sort == "service":
            made.append(thing("v1", "Service", f"svc-{number}", namespace))
        else:
            problems = draw(st.sampled_from([(), (), (), ("labels are no map",)]))
            made.append(pod(f"pod-{number}", *draw(CONTAINERS), namespace=namespace, problems=problems))
    return made


EXEMPTIONS = st.lists(
    st.builds(
        lambda **entry: Exemption(
            name="waived",
            assignment="a",
            category=ExemptionCategory.WAIVER,
            resources=(ExemptedResource(**entry),) if any(entry.values()) else (),
        ),
        namespace=st.sampled_from([None, None, "shop"]),
        name=st.sampled_from([None, "pod-*", "web-0"]),
        container=st.sampled_from([None, None, "web"]),
    ),
    max_size=1,
)


@st.composite
def assignments(draw: st.DrawFn) -> list[Ready]:
    made = []
    for name in ("a", "b", "c")[: draw(st.integers(1, 3))]:
        parameters: dict[str, Any] = {}
        if draw(st.booleans()):
            parameters["excludedContainers"] = draw(st.sampled_from([["proxy"], ["proxy", "web"]]))
        if draw(st.booleans()):
            parameters["excludedImages"] = ["b.io/*"]
        if draw(st.booleans()):
            parameters["excludedNamespaces"] = ["other"]
        kinds = draw(st.sampled_from([[POD], [POD, SERVICE], [POD, DEPLOYMENT], [DEPLOYMENT], [SERVICE]]))
        exemptions = draw(EXEMPTIONS) if name == "a" else []
        made.append(ready(name, parameters=parameters, of=definition(name, kinds=kinds), exemptions=exemptions))
    return made


@st.composite
def worlds(draw: st.DrawFn) -> World:
    judged, page = plan(*draw(assignments())), draw(documents())
    found: dict[tuple[int, int], list[Finding]] = {}
    faults: list[Fault] = []
    for number, one in enumerate(judged.ready):
        for at in one.selection.choose(page):
            for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
                places: list[Container | None] = [None, *page[at].containers, container("gone")]
                finding = Finding(
                    message=draw(st.sampled_from(["bad", "worse"])), container=draw(st.sampled_from(places))
                )
                found.setdefault((number, at), []).append(finding)
            if draw(st.sampled_from([False, False, False, True])):
                faults.append(Fault(task=number, document=at, message="division by zero"))
    return World(judged, page, found, faults)


def tally_of(world: World, *, collect_compliant: bool = False) -> Tally:
    tally = Tally(world.plan, collect_compliant=collect_compliant)
    add(tally, world, 0, len(world.documents))
    return tally


def add(tally: Tally, world: World, start: int, end: int) -> None:
    """Count the documents from start to end as one page."""
    page = world.documents[start:end]
    found = {(n, at - start): f for (n, at), f in world.found.items() if start <= at < end}
    faults = [
        Fault(task=f.task, document=f.document - start, message=f.message)
        for f in world.faults
        if start <= f.document < end
    ]
    tally.add(page, choose(tally.plan, page), found, faults)


def nonzero(counts: Mapping[S, int]) -> dict[S, int]:
    return {state: number for state, number in counts.items() if number}


def numbers(tally: Tally) -> Expected:
    counts = tally.counts()
    each: list[Counts] = [line.counts for line in tally.summaries()]
    return Expected(
        resources=Counter(nonzero(counts.resources)),
        containers=Counter(nonzero(counts.containers)),
        each_resources=[Counter(nonzero(one.resources)) for one in each],
        each_containers=[Counter(nonzero(one.containers)) for one in each],
        matched=tally.matched,
        rows=Counter(
            (
                r.assignment.name,
                r.state,
                r.resource.name,
                r.finding.message,
                r.finding.container.name if r.finding.container else None,
            )
            for r in tally.results
        ),
    )


@given(worlds())
def test_the_counts_are_those_of_a_slow_and_obvious_count(world: World) -> None:
    assert numbers(tally_of(world)) == count(world.plan, world.documents, world.found, world.errors)


@given(worlds())
def test_show_all_adds_compliant_rows_and_changes_no_count(world: World) -> None:
    plain, full = tally_of(world), tally_of(world, collect_compliant=True)
    compliant = Counter((r.assignment.name, r.state) for r in full.results if r.state is S.COMPLIANT)

    assert full.counts() == plain.counts() and full.summaries() == plain.summaries()
    assert Counter(r for r in numbers(full).rows.elements() if r[1] is not S.COMPLIANT) == numbers(plain).rows
    # A container that complies is listed once for each assignment that judges it, and so is what has none to judge.
    for number, (one, counts) in enumerate(zip(full.plan.ready, numbers(full).each_containers, strict=True)):
        spoken_of = {at for task, at in [*world.found, *world.errors] if task == number}
        bare = [
            at
            for at, document in enumerate(world.documents)
            if one.selection.selects(document)
            and all(map(one.excludes, document.containers))
            and at not in spoken_of
            and not document.problems
        ]
        assert compliant[one.key.name, S.COMPLIANT] == counts[S.COMPLIANT] + len(bare)


@given(worlds(), st.data())
def test_pages_counted_apart_and_merged_are_as_one(world: World, data: st.DataObject) -> None:
    cuts = [at for at in range(1, len(world.documents)) if not world.documents[at].template]
    chosen = sorted(data.draw(st.sets(st.sampled_from(cuts)) if cuts else st.just(set[int]())))
    merged = Tally(world.plan)
    for start, end in zip([0, *chosen], [*chosen, len(world.documents)], strict=True):
        fork = merged.fork()
        add(fork, world, start, end)
        merged.merge(fork)
    whole = tally_of(world)

    assert numbers(merged) == numbers(whole)
    assert merged.documents == whole.documents == len(world.documents)
    assert merged.summaries() == whole.summaries()
    assert merged.error_gaps() == whole.error_gaps()
    assert merged.results == whole.results


@given(worlds(), EXEMPTIONS)
def test_an_exemption_never_worsens_a_state(world: World, more: list[Exemption]) -> None:
    def with_exemptions(exemptions: Sequence[Exemption]) -> World:
        first, *others = world.plan.ready
        waiving = replace(first, exemptions=exemptions)
        return replace(world, plan=replace(world.plan, ready=[waiving, *others]))

    before, after = tally_of(with_exemptions(())), tally_of(with_exemptions(more))

    for was, now in zip(
        [before.counts(), *(one.counts for one in before.summaries())],
        [after.counts(), *(one.counts for one in after.summaries())],
        strict=True,
    ):
        for old, new in ((was.resources, now.resources), (was.containers, now.containers)):
            assert sum(old.values()) == sum(new.values())
            assert all(new[state] >= old[state] for state in S if state is not S.NON_COMPLIANT)
    assert after.state().attention >= before.state().attention
    assert (after.percent() or 0) >= (before.percent() or 0)
    changed = Counter(numbers(after).rows)
    changed.subtract(numbers(before).rows)
    assert {row[1] for row, count in changed.items() if count > 0} <= {S.EXEMPT}
    assert {row[1] for row, count in changed.items() if count < 0} <= {S.NON_COMPLIANT}


@given(worlds(), st.randoms())
def test_the_roll_up_does_not_depend_on_the_order(world: World, random: Random) -> None:
    order = list(range(len(world.plan.ready)))
    # A workload and the Pod of its template stay together.
    units = [
        [at, at + 1] if at + 1 < len(world.documents) and world.documents[at + 1].parent else [at]
        for at, document in enumerate(world.documents)
        if not document.parent
    ]
    random.shuffle(order)
    random.shuffle(units)
    places = [at for unit in units for at in unit]
    shuffled = World(
        replace(world.plan, ready=[world.plan.ready[at] for at in order]),
        [world.documents[at] for at in places],
        {(order.index(task), places.index(at)): found for (task, at), found in world.found.items()},
        [replace(one, task=order.index(one.task), document=places.index(one.document)) for one in world.faults],
    )
    one, other = tally_of(world), tally_of(shuffled)

    assert (one.counts(), one.state(), one.percent()) == (other.counts(), other.state(), other.percent())
    assert one.summaries() == other.summaries()
    assert numbers(one).rows == numbers(other).rows


@given(worlds())
def test_a_fork_that_is_dropped_leaves_no_trace(world: World) -> None:
    tally = tally_of(world)
    before = numbers(tally)
    add(tally.fork(), world, 0, len(world.documents))

    assert numbers(tally) == before


@given(worlds())
def test_an_error_is_never_silent(world: World) -> None:
    tally = tally_of(world)
    errors = {(r.assignment.name, r.finding.message) for r in tally.results if r.state is S.ERROR}

    assert len(tally.error_gaps()) == len(errors)
    assert all(gap.reason == "EvaluationError" for gap in tally.error_gaps())


@given(worlds())
def test_results_come_in_a_stable_order(world: World) -> None:
    keys = [
        (r.resource.namespace, r.resource.kind, r.resource.name, r.assignment.name) for r in tally_of(world).results
    ]

    assert keys == sorted(keys)


# Single cases, to be read


def judge(one: Ready, document: Document, *findings: Finding, faults: Sequence[str] = ()) -> Tally:
    tally = Tally(plan(one))
    task = Task(policy="rule", parameters={}, documents=[0])
    tally.add(
        [document],
        [task],
        {(0, 0): findings} if findings else {},
        [Fault(task=0, document=0, message=f) for f in faults],
    )
    return tally


def states(tally: Tally) -> tuple[dict[S, int], dict[S, int]]:
    return nonzero(tally.counts().resources), nonzero(tally.counts().containers)


def test_a_finding_in_one_container_leaves_the_other_compliant() -> None:
    web, db = container("web"), container("db")
    tally = judge(ready(), pod("pod", web, db), Finding(message="bad", container=web))

    assert states(tally) == ({S.NON_COMPLIANT: 1}, {S.NON_COMPLIANT: 1, S.COMPLIANT: 1})
    assert (tally.state(), tally.percent()) == (S.NON_COMPLIANT, 0.0)


def test_a_finding_on_the_pod_is_one_of_all_its_containers() -> None:
    tally = judge(ready(), pod("pod", container("a"), container("b")), Finding(message="host network"))

    assert states(tally) == ({S.NON_COMPLIANT: 1}, {S.NON_COMPLIANT: 2})


def test_two_findings_in_one_container_count_it_once() -> None:
    web = container()
    tally = judge(ready(), pod("pod", web), Finding(message="a", container=web), Finding(message="b", container=web))

    assert states(tally) == ({S.NON_COMPLIANT: 1}, {S.NON_COMPLIANT: 1})
    assert len(tally.results) == 2


def test_an_error_is_an_error_of_the_pod_and_of_its_containers() -> None:
    tally = judge(ready(), pod(), faults=["division by zero"])

    assert states(tally) == ({S.ERROR: 1}, {S.ERROR: 1})
    (gap,) = tally.error_gaps()
    assert gap.message == "assignment rule: division by zero"
    assert gap.resource is not None and gap.resource.name == "pod"


def test_many_errors_of_one_kind_are_one_gap_that_says_how_many() -> None:
    tally = Tally(plan(ready()))
    page = [pod("one"), pod("two"), pod("three")]
    tally.add(page, choose(tally.plan, page), {}, [Fault(task=0, document=at, message="too slow") for at in range(3)])
    (gap,) = tally.error_gaps()

    assert gap.message == "assignment rule: too slow (3 resources, the first Pod shop/one)"


def test_what_is_wrong_with_documents_counts_each_once_whichever_assignments_select_them() -> None:
    wrong = (Problem(message="it is no text", path="metadata.labels.a"),)
    page = [replace(pod(name), problems=wrong) for name in ("one", "two", "")]
    tally = Tally(plan(ready("a"), ready("b"), ready("c")))
    tally.add(page, choose(tally.plan, page), {}, [])
    (gap,) = tally.error_gaps()

    assert gap.message == "it is no text (3 resources, the first Pod shop/)"


def test_everything_exempt_is_exempt_and_complies() -> None:
    web = container()
    waived = Exemption(name="w", assignment="rule", category=ExemptionCategory.MITIGATED)
    tally = judge(ready(exemptions=[waived]), pod("pod", web), Finding(message="bad", container=web))

    assert states(tally) == ({S.EXEMPT: 1}, {S.EXEMPT: 1})
    assert tally.percent() == 100.0
    assert tally.results[0].exemption == waived


def test_an_exempt_container_does_not_hide_the_other_one() -> None:
    web, db = container("web"), container("db")
    waived = Exemption(
        name="w", assignment="rule", category=ExemptionCategory.WAIVER, resources=(ExemptedResource(container="web"),)
    )
    tally = judge(
        ready(exemptions=[waived]),
        pod("pod", web, db),
        Finding(message="bad", container=web),
        Finding(message="bad", container=db),
    )

    assert states(tally) == ({S.NON_COMPLIANT: 1}, {S.EXEMPT: 1, S.NON_COMPLIANT: 1})


def test_an_excluded_container_has_no_state() -> None:
    one = ready(parameters={"excludedContainers": ["proxy"]})

    assert states(judge(one, pod("pod", container("web"), container("proxy")))) == ({S.COMPLIANT: 1}, {S.COMPLIANT: 1})


def test_a_workload_s_findings_are_told_of_the_workload() -> None:
    _, made = deployment("web", container())
    tally = judge(ready(), made, Finding(message="bad", container=container()))

    assert [(r.resource.kind, r.resource.name, r.owner) for r in tally.results] == [("Deployment", "web", None)]


def test_do_not_enforce_is_judged_alike_and_not_enforced() -> None:
    tally = judge(
        ready(parameters={"effect": "Deny"}, enforcement_mode=EnforcementMode.DO_NOT_ENFORCE),
        pod(),
        Finding(message="bad"),
    )
    (line,) = tally.summaries()

    assert (line.state, line.effect, line.enforcement_mode, line.enforced) == (
        S.NON_COMPLIANT,
        "Deny",
        "DoNotEnforce",
        False,
    )


@pytest.mark.parametrize(
    ("effect", "enforced"), [("Deny", True), ("EnforceRegoPolicy", True), ("Audit", False), ("Warn", False)]
)
def test_an_effect_that_refuses_is_enforced(effect: str, enforced: bool) -> None:
    (line,) = judge(ready(parameters={"effect": effect}), pod()).summaries()

    assert line.enforced is enforced


def test_a_disabled_assignment_is_listed_as_not_started_without_percentage() -> None:
    tally = Tally(plan(ready("b"), disabled=[ready("a", parameters={"effect": "Disabled"})]))
    page = [pod()]
    tally.add(page, choose(tally.plan, page), {}, [])

    assert [(line.name, line.state, line.compliance_percent, line.message) for line in tally.summaries()] == [
        ("a", S.NOT_STARTED, None, "its effect is Disabled"),
        ("b", S.COMPLIANT, 100.0, ""),
    ]
    assert set(tally.summaries()[0].counts.resources.values()) == {0}
    assert tally.state() is S.COMPLIANT


def test_an_assignment_that_no_scan_can_judge_judges_nothing_and_says_why() -> None:
    asked = replace(ready("a"), not_started="judged at admission only")
    tally = Tally(plan(asked, ready("b")))
    page = [pod()]
    tasks = choose(tally.plan, page)
    tally.add(page, tasks, {}, [])

    assert [list(task.documents) for task in tasks] == [[], [0]]
    assert [(line.state, line.compliance_percent, line.message) for line in tally.summaries()] == [
        (S.NOT_STARTED, None, "judged at admission only"),
        (S.COMPLIANT, 100.0, ""),
    ]


def test_an_assignment_that_nothing_was_there_for_judged_nothing() -> None:
    tally = Tally(plan(ready()))

    assert (tally.state(), tally.percent()) == (S.NOT_STARTED, None)
    assert [(line.state, line.message) for line in tally.summaries()] == [
        (S.NOT_STARTED, "matched nothing: no Pod that it reaches")
    ]
    assert [line.message for line in tally.summaries({"rule": "Pod could not be listed"})] == [
        "Pod could not be listed"
    ]


def test_counts_name_every_state() -> None:
    counts = Tally(plan(ready())).counts()

    assert set(counts.resources) == set(counts.containers) == set(S)
