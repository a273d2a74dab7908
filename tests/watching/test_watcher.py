"""A watched cluster's report is a scan's, at any time; and what has changed is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aksp.compliance.containers import Findings
from aksp.compliance.judgement import Fault, Judgement, Task
from aksp.compliance.plan import Plan, Ready, make_ready
from aksp.compliance.results import order
from aksp.engine import Batch, Engine
from aksp.live.updates import KindNotServed, Lost, ObjectsChanged, Settled
from aksp.model.assignment import ExemptedResource, Exemption, ExemptionCategory
from aksp.model.compliance import ComplianceState, Gap, Report, Result, Target, TargetKind
from aksp.model.definition import ResourceKind
from aksp.model.event import Event, EventType
from aksp.scan import Scan
from aksp.sources.listings import WantedList
from aksp.watching.watcher import RETRY_SECONDS, Watcher
from aksp.workspace import prepare
from tests.catalog.documents import V0_RULE
from tests.compliance.builders import NOW, POD, SERVICE, assignment, definition, module, plan
from tests.definitions.samples import DEFINITIONS
from tests.engine.hostile import HONEST
from tests.engine.test_process import kill
from tests.reachable import reachable
from tests.replacing import replace
from tests.watching.sources import Cluster, Thing

S = ComplianceState
TARGET = Target(kind=TargetKind.CLUSTER, name="test", scope="/clusters/test", server="https://127.0.0.1")
INGRESS = ResourceKind(group="networking.k8s.io", kind="Ingress")
TOMORROW = NOW + timedelta(days=1)

#: Fails for Pods that say so.
FAILS = """
violation contains {"msg": "never"} if {
    input.review.object.metadata.labels.fails
    1 / count([x | some x in input.review.object.spec.nothing]) == 1
}
"""
#: Judges Pods by the Services that there are: what it compares with is not what it judges.
ALONE = """
violation contains {"msg": "no Service of its name", "details": {"path": "metadata.name"}} if {
    not data.inventory.namespace[input.review.namespace]["v1"].Service[input.review.name]
}
"""

#: Says something else of every Pod.
NAMED = """
violation contains {"msg": sprintf("a Pod called %s", [input.review.name])}
"""


def ready(name: str, rego: str, *, version: str = "v1", exemptions: tuple[Exemption, ...] = (), **more: Any) -> Ready:
    rule = definition(name, modules=(module(rego.removeprefix("package rule\n"), version=version),), **more)
    return make_ready(assignment(name), rule, exemptions, None, NOW)


def built_in(slug: str, **parameters: Any) -> Ready:
    return make_ready(assignment(slug, parameters=parameters), DEFINITIONS[slug], (), None, NOW)


WAIVED = Exemption(
    name="for-now",
    assignment="honest",
    category=ExemptionCategory.WAIVER,
    expires_on=TOMORROW,
    resources=(ExemptedResource(kind="Pod", name="waived"),),
)


def honest(*exemptions: Exemption) -> Plan:
    return plan(ready("honest", HONEST, exemptions=exemptions))


def everything() -> Plan:
    """Rules of every sort: that name containers and that do not, that fail, that compare."""
    return plan(
        ready("honest", HONEST, exemptions=(WAIVED,)),
        ready("old", V0_RULE, version="v0"),
        ready("fails", FAILS),
        ready("alone", ALONE, requires_inventory=(SERVICE,)),
        built_in("allowed-images", allowedContainerImagesRegex=r"^contoso\.azurecr\.io/.+$", effect="Audit"),
        built_in("unique-ingress-hosts", effect="Audit"),
    )


def pod(
    name: str = "web", namespace: str = "shop", *, privileged: bool = False, image: str = "docker.io/web", **labels: str
) -> Thing:
    containers = [
        {"name": "web", "image": "contoso.azurecr.io/web:1", "securityContext": {"privileged": privileged}},
        {"name": "side", "image": image},
    ]
    metadata = {"name": name, "namespace": namespace, "labels": labels, "uid": f"{namespace}/{name}"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}}


def good(name: str = "web", *, image: str = "contoso.azurecr.io/side:1") -> Thing:
    return pod(name, image=image)


def service(name: str, namespace: str = "shop") -> Thing:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": {}}


def ingress(name: str, namespace: str, host: str) -> Thing:
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata,
        "spec": {"rules": [{"host": host}]},
    }


@dataclass
class LiveSource:
    """A watcher, the cluster before it, and clocks that stand still unless they are set."""

    watcher: Watcher
    cluster: Cluster
    plan: Plan
    engine: Engine
    now: datetime = NOW
    seconds: float = 0.0

    def step(self) -> list[Event]:
        self.seconds += 1000.0
        return self.watcher.step(0)

    def begin(self) -> list[Event]:
        self.cluster.relist()
        return self.step()

    def scanned(self) -> Report:
        """What a scan of the same objects says, in an engine that has seen nothing else."""
        with Engine() as engine:
            prepare(engine, self.plan)
            ready = [
                replace(one, exemptions=tuple(each for each in one.exemptions if not each.expired(self.now)))
                for one in self.plan.ready
            ]
            there = Cluster(engine, self.plan)
            there.objects = self.cluster.objects
            return Scan(replace(self.plan, ready=ready), engine).run(there, TARGET, self.now).report


@contextmanager
def watching(judged: Plan, *, besides: Sequence[WantedList] = (), **more: Any) -> Iterator[LiveSource]:
    """``besides`` are lists that are followed besides those of the whole cluster."""
    with Engine() as engine:
        prepare(engine, judged)
        cluster = Cluster(engine, judged, besides)
        watcher = Watcher(
            judged, engine, cast(Any, cluster), TARGET, now=lambda: one.now, clock=lambda: one.seconds, **more
        )
        one = LiveSource(watcher, cluster, judged, engine)
        yield one


def told(events: list[Event]) -> list[tuple[str, str, str, str]]:
    return [
        (event.type.value, event.result.resource.name, event.result.state.value, event.result.finding.message)
        for event in events
        if event.result is not None
    ]


Step = Callable[[LiveSource], None]
NAMES, NAMESPACES = st.sampled_from(["web", "db", "waived"]), st.sampled_from(["shop", "blog"])
PODS = st.builds(
    pod,
    NAMES,
    NAMESPACES,
    privileged=st.booleans(),
    image=st.sampled_from(["docker.io/web", "contoso.azurecr.io/x"]),
    fails=st.sampled_from(["yes"]),
) | st.builds(pod, NAMES, NAMESPACES, privileged=st.booleans(), image=st.just("contoso.azurecr.io/x"))
THINGS = (
    PODS
    | st.builds(service, NAMES, NAMESPACES)
    | st.builds(ingress, NAMES, NAMESPACES, st.sampled_from(["a.example.com", "b.example.com", "*.example.com"]))
)


def put(thing: Thing) -> Step:
    return lambda one: one.cluster.put(thing)


def delete(thing: Thing) -> Step:
    return lambda one: one.cluster.delete(thing)


def missed(thing: Thing) -> Step:
    """Something that happens while the watch is away, and that only the next list tells."""

    def step(one: LiveSource) -> None:
        waiting = list(one.cluster.waiting)
        one.cluster.put(thing)
        one.cluster.waiting = waiting
        one.cluster.relist(pages=2)

    return step


def look(one: LiveSource) -> None:
    """The watcher takes up what has come until now; else several changes come at once."""


def later(one: LiveSource) -> None:
    one.now = TOMORROW


STEPS = st.lists(
    st.builds(put, THINGS) | st.builds(delete, THINGS) | st.builds(missed, THINGS) | st.just(look) | st.just(later),
    max_size=25,
)


def place(result: Result) -> tuple[object, ...]:
    container = result.finding.container
    return result.assignment.name, str(result.resource), container and container.name, result.finding.path


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(THINGS, max_size=8), STEPS)
def test_after_whatever_has_happened_the_report_is_that_of_a_scan_and_the_events_lead_to_it(
    first: list[Thing], steps: list[Step]
) -> None:
    with watching(everything()) as one:
        for thing in first:
            one.cluster.put(thing)
        one.cluster.waiting.clear()
        heard = one.begin()
        for step in steps:
            step(one)
            if step is look:
                heard += one.step()
        heard += one.step()
        report = one.watcher.report()
        assert report == one.scanned()
        known: list[Result] = []
        for event in heard:
            assert event.result is not None
            if event.type is EventType.CHANGED:
                assert event.before is not None and place(event.before) == place(event.result)
                known.remove(event.before)
            if event.type is EventType.RESOLVED:
                known.remove(event.result)
            else:
                known.append(event.result)
        assert sorted(known, key=order) == report.results


def test_nothing_counts_as_changed_until_each_list_has_come_or_failed() -> None:
    judged = plan(ready("honest", HONEST, kinds=(POD, SERVICE)))
    with watching(judged) as one:
        one.cluster.put(pod(privileged=True))
        one.cluster.relist(POD)
        assert one.step() == [] and not one.watcher.synced
        # What is known can be looked at all the same.
        assert one.watcher.overview(10).counts.resources[S.NON_COMPLIANT] == 1
        gap = Gap(reason="Forbidden", message="Service could not be listed: no")
        one.cluster.tell(Lost(listing=one.cluster.listing(SERVICE), gap=gap))
        events = one.step()

        assert one.watcher.synced
        assert told(events) == [("ADDED", "web", "NonCompliant", "privileged")]
        assert [event.gap for event in events if event.gap] == [gap]
        assert one.watcher.changed_at is None and one.watcher.kinds == [POD]


def test_an_assignment_whose_only_list_failed_was_not_started() -> None:
    with watching(honest()) as one:
        one.cluster.tell(Lost(listing=one.cluster.listing(POD), gap=Gap(reason="ListFailed", message="no")))
        one.step()
        (line,) = one.watcher.report().assignments

        assert (line.state, one.watcher.report().state) == (S.NOT_STARTED, S.NOT_STARTED)
        assert one.watcher.lost


def test_what_is_known_stays_while_a_kind_cannot_be_watched_and_the_gap_goes_with_its_end() -> None:
    with watching(honest()) as one:
        one.cluster.put(pod(privileged=True))
        one.begin()
        gap = Gap(reason="ListFailed", message="Pod cannot be watched now")
        one.cluster.tell(Lost(listing=one.cluster.listing(POD), gap=gap))
        (lost,) = one.step()
        report = one.watcher.report()
        assert (lost.type, lost.gap, report.gaps) == (EventType.ADDED, gap, [gap])
        assert report.counts.resources[S.NON_COMPLIANT] == 1
        # The same trouble again is nothing new.
        one.cluster.tell(Lost(listing=one.cluster.listing(POD), gap=gap))
        assert one.step() == []
        one.cluster.tell(Settled(listing=one.cluster.listing(POD)))
        (over,) = one.step()

        assert (over.type, over.gap, one.watcher.report().gaps) == (EventType.RESOLVED, gap, [])


def test_a_kind_that_is_no_longer_served_has_no_objects() -> None:
    with watching(honest()) as one:
        one.cluster.put(pod(privileged=True))
        one.begin()
        one.cluster.tell(KindNotServed(listing=one.cluster.listing(POD)))
        (event,) = one.step()

        assert (event.type, event.gone, one.watcher.objects) == (EventType.RESOLVED, True, 0)
        assert one.watcher.report().gaps == []


def test_a_list_that_begins_anew_takes_nothing_away_before_its_end() -> None:
    with watching(honest()) as one:
        one.cluster.put(pod("a", privileged=True), pod("b", privileged=True))
        one.begin()
        one.cluster.delete(pod("a"))
        one.cluster.waiting.clear()
        first, second = (
            one.cluster.told(one.cluster.listing(POD), [pod("c")], begins=True),
            pod("b", privileged=True),
        )
        one.cluster.tell(first)
        assert told(one.step()) == [] and one.watcher.objects == 3
        # It broke off; the next one is whole, and does not have c.
        one.cluster.tell(one.cluster.told(one.cluster.listing(POD), [second], begins=True, ends=True))
        events = one.step()

        assert told(events) == [("RESOLVED", "a", "NonCompliant", "privileged")] and events[0].gone
        assert one.watcher.objects == 1


def test_what_cannot_be_read_is_a_gap_until_the_next_list() -> None:
    gap = Gap(reason="UnreadableDocument", message="Pod: nonsense")
    with watching(honest()) as one:
        one.cluster.relist(gaps=[gap])
        assert [event.gap for event in one.step()] == [gap]
        one.cluster.relist()
        (over,) = one.step()
        assert (over.type, over.gap) == (EventType.RESOLVED, gap)


def test_an_exemption_that_ends_while_one_watches_stops_counting() -> None:
    with watching(honest(WAIVED)) as one:
        one.cluster.put(pod("waived", privileged=True))
        one.begin()
        assert one.watcher.report().state is S.EXEMPT
        assert (one.watcher.found, one.watcher.overview(9).results) == (0, [])
        one.now = TOMORROW - timedelta(seconds=1)
        assert one.step() == []
        one.now = TOMORROW
        (event,) = one.step()

        assert event.type is EventType.CHANGED and event.at == TOMORROW
        assert event.before is not None and event.before.state is S.EXEMPT
        assert event.result is not None and event.result.state is S.NON_COMPLIANT
        assert (one.watcher.found, one.watcher.changed_at) == (1, TOMORROW)
        assert one.watcher.report() == one.scanned()


def test_the_newest_findings_come_first_then_the_others_in_a_report_s_order() -> None:
    with watching(honest()) as one:
        one.cluster.put(*(pod(name, privileged=True) for name in "bca"))
        one.begin()
        one.cluster.put(pod("z", privileged=True))
        one.step()
        one.cluster.put(pod("y", privileged=True))
        one.step()
        one.cluster.delete(pod("z"))
        one.step()

        assert [each.resource.name for each in one.watcher.overview(9).results] == ["y", "a", "b", "c"]
        assert [each.resource.name for each in one.watcher.overview(2).results] == ["y", "a"]
        assert one.watcher.found == 4


def test_compliant_results_are_listed_when_they_are_wanted() -> None:
    with watching(honest(), collect_compliant=True) as one:
        one.cluster.put(good())
        assert {event[:3] for event in told(one.begin())} == {("ADDED", "web", "Compliant")}


def test_an_object_that_nobody_is_about_any_more_is_watched_but_not_judged() -> None:
    only = replace(honest().ready[0], selection=replace(honest().ready[0].selection, namespaces=("shop",)))
    with watching(plan(only)) as one:
        one.cluster.put(pod(privileged=True), pod("other", "elsewhere", privileged=True))
        one.begin()

        assert one.watcher.objects == 2
        assert sum(one.watcher.report().counts.resources.values()) == 1


def selecting() -> Plan:
    return plan(ready("honest", HONEST, namespace_selector={"matchLabels": {"env": "prod"}}))


def shop(env: str) -> Thing:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"env": env}}}


@pytest.mark.parametrize("env", ["prod", "test"])
def test_the_labels_of_a_namespace_decide_what_is_judged_as_they_are_now(env: str) -> None:
    with watching(selecting()) as one:
        one.cluster.put(pod(privileged=True), shop(env))
        one.begin()
        assert sum(one.watcher.report().counts.resources.values()) == (env == "prod")
        one.cluster.put(shop("prod"))
        one.step()
        assert one.watcher.report().counts.resources[S.NON_COMPLIANT] == 1
        one.cluster.put(shop("test"))
        one.step()
        assert sum(one.watcher.report().counts.resources.values()) == 0


def test_what_lies_in_a_namespace_that_has_gone_is_in_error() -> None:
    with watching(selecting()) as one:
        one.cluster.put(pod(privileged=True), shop("prod"))
        one.begin()
        one.cluster.delete(shop("prod"))
        one.step()

        assert one.watcher.report().counts.resources[S.ERROR] == 1


def comparing() -> Plan:
    return plan(ready("alone", ALONE, requires_inventory=(SERVICE,)))


def test_what_is_compared_is_not_judged_before_everything_to_compare_with_has_come() -> None:
    with watching(comparing()) as one:
        one.cluster.put(good(), service("web"))
        one.cluster.waiting.clear()
        one.cluster.relist(POD)
        assert one.step() == []
        assert sum(one.watcher.report().counts.resources.values()) == 0
        one.cluster.relist(SERVICE)
        assert one.step() == []
        assert one.watcher.report().counts.resources[S.COMPLIANT] == 1


def states(one: LiveSource) -> dict[str, int]:
    counts = one.watcher.report().counts.resources
    return {state.value: number for state, number in counts.items() if number}


@pytest.mark.parametrize("served", [True, False])
def test_nothing_complies_as_long_as_what_to_compare_with_cannot_be_had(served: bool) -> None:
    with watching(comparing()) as one:
        one.cluster.put(good(), service("web"))
        one.cluster.waiting.clear()
        one.cluster.relist(POD)
        listing = one.cluster.listing(SERVICE)
        gap = Gap(reason="Forbidden", message="Service could not be listed")
        one.cluster.tell(Lost(listing=listing, gap=gap) if served else KindNotServed(listing=listing))
        one.step()
        assert states(one) == {"Error": 1}

        one.cluster.tell(Settled(listing=listing))
        one.cluster.relist(SERVICE)
        one.step()
        assert states(one) == {"Compliant": 1}

        one.cluster.tell(Lost(listing=listing, gap=gap))
        one.step()
        # What was there when it was last heard of is still compared with.
        assert states(one) == {"Compliant": 1}


def test_after_much_comparing_other_changes_come_first_and_none_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    with watching(comparing()) as one:
        judge, takes = Engine.judge, 5.0

        def slow(*given: Any) -> Any:
            one.seconds += takes
            return judge(*given)

        monkeypatch.setattr(Engine, "judge", slow)
        one.cluster.put(good(), service("web"))
        one.begin()
        takes = 0.0
        one.cluster.delete(service("web"))
        assert one.watcher.step(0) == []
        one.seconds += 4.9
        assert one.watcher.step(0) == []
        one.seconds += 0.1
        assert told(one.watcher.step(0)) == [("ADDED", "web", "NonCompliant", "no Service of its name")]
        # Meanwhile what was said last of an object that changes holds.
        takes = 5.0
        one.cluster.put(service("other"))
        one.step()
        takes = 0.0
        one.cluster.put(good(image="contoso.azurecr.io/side:2"))
        assert one.watcher.step(0) == []
        assert one.watcher.report().counts.resources[S.NON_COMPLIANT] == 1


def test_a_finding_that_says_something_else_of_the_same_place_has_changed() -> None:
    with watching(plan(built_in("allowed-images", allowedContainerImagesRegex="^contoso", effect="Audit"))) as one:
        one.cluster.put(pod(image="docker.io/a"))
        one.begin()
        one.cluster.put(pod(image="docker.io/b"))
        (event,) = one.step()

        assert event.type is EventType.CHANGED
        assert event.before is not None and "docker.io/a" in event.before.finding.message
        assert event.result is not None and "docker.io/b" in event.result.finding.message


def test_an_object_is_there_to_compare_with_as_long_as_some_list_has_it() -> None:
    other = WantedList(kind=SERVICE, namespace="shop", compared=True)
    with watching(comparing(), besides=[other]) as one:
        one.cluster.put(good(), service("web"))
        one.cluster.tell(one.cluster.told(other, [service("web")], begins=True, ends=True))
        one.begin()
        assert one.watcher.objects == 2
        # With -l an object leaves its list when its labels change, and is still there.
        one.cluster.tell(ObjectsChanged(listing=other, gone=[("shop", "web")]))
        assert one.step() == []
        one.cluster.delete(service("web"))
        assert told(one.step()) == [("ADDED", "web", "NonCompliant", "no Service of its name")]


def test_an_engine_that_dies_loses_nothing() -> None:
    with watching(everything()) as one:
        one.cluster.put(pod(privileged=True), ingress("a", "shop", "a.example.com"), service("db"))
        one.begin()
        kill(one.engine)
        one.cluster.put(pod("db", fails="yes"), ingress("b", "blog", "a.example.com"))
        one.step()

        assert one.watcher.report() == one.scanned()


def test_a_rule_that_failed_on_an_object_is_asked_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = plan(ready("honest", HONEST), ready("alone", ALONE, requires_inventory=(SERVICE,)))
    with watching(judged) as one:
        judge = one.engine.judge

        def slow(batch: Batch, tasks: Sequence[Task]) -> Judgement:
            """As if the machine had been too busy for every evaluation."""
            faults = [
                Fault(task=number, document=at, message="took too long")
                for number, task in enumerate(tasks)
                for at in task.documents
            ]
            return replace(judge(batch, tasks), hits=[], faults=faults)

        monkeypatch.setattr(one.engine, "judge", slow)
        one.cluster.put(pod(privileged=True))
        one.begin()
        assert {result.state for result in one.watcher.report().results} == {S.ERROR}
        monkeypatch.undo()
        one.seconds -= 1000.0 - RETRY_SECONDS / 2
        assert one.step() == []
        one.seconds += RETRY_SECONDS
        one.step()

        assert one.watcher.report() == one.scanned()
        assert one.watcher.report().counts.resources[S.NON_COMPLIANT] == 1
        # All has been judged: nobody is asked again.
        monkeypatch.setattr(one.engine, "judge", slow)
        one.step()
        assert one.watcher.report().counts.resources[S.NON_COMPLIANT] == 1


def test_a_rule_that_fails_again_and_again_is_an_error_all_the_time() -> None:
    with watching(plan(ready("fails", FAILS))) as one:
        one.cluster.put(pod(fails="yes"))
        one.begin()
        kept = len(reachable(one.watcher, bytes))
        assert one.step() == one.step() == []
        assert one.watcher.report().state is S.ERROR
        one.cluster.put(pod())
        assert told(one.step())[0][0] == "RESOLVED"
        # Its text is kept no longer than it may be judged again.
        assert len(reachable(one.watcher, bytes)) == kept - 1


def test_a_long_watch_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aksp.compliance.containers.MOST_FINDINGS", 10)
    judged = plan(*everything().ready[:4], ready("named", NAMED))
    with watching(judged) as one:
        one.begin()

        def busy(first: int, last: int) -> Counter[type]:
            """So many objects come and go; what is kept of them then, by type."""
            for number in range(first, last):
                things = [pod(f"pod-{number}", privileged=True, fails="yes"), service(f"pod-{number}")]
                one.cluster.put(*things)
                one.step()
                one.cluster.delete(*things)
                one.step()
            return Counter(map(type, reachable(one.watcher, object)))

        before, after = busy(0, 10), busy(10, 60)
        # Up to ten findings are remembered; of most objects nothing is left.
        assert (after - before).total() < 50


def test_findings_that_nobody_has_any_more_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aksp.compliance.containers.MOST_FINDINGS", 10)
    with watching(plan(ready("named", NAMED))) as one:
        one.begin()
        for number in range(50):
            one.cluster.put(pod(f"pod-{number}"))
            one.step()

        (known,) = reachable(one.watcher, Findings)
        assert 0 < len(known) <= 12
        assert one.watcher.report() == one.scanned()
