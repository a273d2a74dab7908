"""A watched cluster's report is a scan's, at any time; and what has changed is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aksp.compliance.plan import Plan, Ready, make_ready
from aksp.compliance.results import order
from aksp.engine import Engine
from aksp.inventory.watched import Lost, Missing, Settled
from aksp.model.assignment import ExemptedResource, Exemption, ExemptionCategory
from aksp.model.compliance import ComplianceState, Gap, Report, Result, Target, TargetKind
from aksp.model.definition import ResourceKind
from aksp.model.event import Event, EventType
from aksp.model.resource import Document
from aksp.scan import Scan
from aksp.watching.watcher import Watcher
from aksp.workspace import prepare
from tests.catalog.documents import V0_RULE
from tests.compliance.builders import NOW, POD, SERVICE, assignment, definition, module, plan
from tests.definitions.samples import DEFINITIONS
from tests.engine.hostile import HONEST
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


def good(name: str = "web", **more: Any) -> Thing:
    return pod(name, image="contoso.azurecr.io/side:1", **more)


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
class Watched:
    """A watcher, the cluster before it, and clocks that stand still unless they are set."""

    watcher: Watcher
    cluster: Cluster
    plan: Plan
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
def watching(judged: Plan, **more: Any) -> Iterator[Watched]:
    with Engine() as engine:
        prepare(engine, judged)
        cluster = Cluster(engine, judged)
        watcher = Watcher(judged, engine, cluster, TARGET, now=lambda: one.now, clock=lambda: one.seconds, **more)
        one = Watched(watcher, cluster, judged)
        yield one


def told(events: list[Event]) -> list[tuple[str, str, str, str]]:
    return [
        (event.type.value, event.result.resource.name, event.result.state.value, event.result.finding.message)
        for event in events
        if event.result is not None
    ]


Step = Callable[[Watched], None]
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

    def step(one: Watched) -> None:
        waiting = list(one.cluster._waiting)
        one.cluster.put(thing)
        one.cluster._waiting = waiting
        one.cluster.relist(pages=2)

    return step


def look(one: Watched) -> None:
    one.step()


def later(one: Watched) -> None:
    one.now = TOMORROW


STEPS = st.lists(
    st.builds(put, THINGS) | st.builds(delete, THINGS) | st.builds(missed, THINGS) | st.just(look) | st.just(later),
    max_size=25,
)


def place(result: Result) -> tuple[object, ...]:
    container = result.finding.container
    return result.assignment.name, str(result.resource), container and container.name, result.finding.path


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(THINGS, max_size=8), STEPS)
def test_after_whatever_has_happened_the_report_is_that_of_a_scan_and_the_events_lead_to_it(
    first: list[Thing], steps: list[Step]
) -> None:
    with watching(everything()) as one:
        for thing in first:
            one.cluster.put(thing)
        one.cluster._waiting.clear()
        heard = one.begin()
        for step in steps:
            step(one)
            heard += one.step() if step is not look else []
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
