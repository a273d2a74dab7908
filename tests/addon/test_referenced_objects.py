"""What the add-on watches for rules that compare, and which assignments lack it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aksp.addon.in_force.compiled import Compiled
from aksp.addon.in_force.policies import Standing
from aksp.addon.in_force.referenced_objects import ReferencedObjects
from aksp.compliance.judgement import Task
from aksp.compliance.plan import Ready
from aksp.engine import Engine
from aksp.errors import EngineError
from aksp.kube.config import connect
from aksp.model.definition import RegoModule, ResourceKind
from tests.compliance.builders import SERVICE, definition, plan, ready
from tests.kube.apiserver import ApiServer, Reply, document, kubeconfig, status
from tests.live.test_source import Answer, Server, event, listed, thing
from tests.waiting import until

OLD_INGRESS = ResourceKind(group="extensions", kind="Ingress")
INGRESS = ResourceKind(group="networking.k8s.io", kind="Ingress")


def comparing(name: str, *kinds: ResourceKind) -> Ready:
    return ready(name, of=definition(name, requires_inventory=kinds))


@contextmanager
def compared(
    folder: Path,
    lists: Mapping[str, Answer | Reply],
    *,
    events: dict[str, Sequence[bytes]] | None = None,
    changed: Callable[[], None] = lambda: None,
) -> Iterator[tuple[ReferencedObjects, Engine]]:
    server = Server({"/apis": document({"groups": []}), **lists}, events)
    with (
        ApiServer(server.answer) as api,
        connect(None, kubeconfig(folder, api.url)) as connection,
        Engine() as engine,
    ):
        one = ReferencedObjects(connection, engine, changed=changed)
        try:
            yield one, engine
        finally:
            server.over.set()
            one.stop()


def standing(engine: Engine, *asked: Ready) -> Standing:
    return Standing(
        plan=plan(*asked), assignments=[], definitions=[], exemptions=[], valid_until=None, compiled=Compiled(engine)
    )


def test_an_assignment_whose_objects_are_there_lacks_nothing(tmp_path: Path) -> None:
    lists = {
        "/api/v1/services": listed(thing("s"), kind="Service"),
        "/apis/networking.k8s.io/v1/ingresses": listed(kind="Ingress"),
    }
    with compared(tmp_path, lists) as (one, engine):
        asked = comparing("services", SERVICE), comparing("either", OLD_INGRESS, INGRESS)
        assert one.follow(standing(engine, *asked)) == {}


def test_an_assignment_whose_objects_cannot_be_had_is_told_with_the_reason(tmp_path: Path) -> None:
    widget = ResourceKind(group="test.aksp.io", kind="Widget")
    gadget = ResourceKind(group="*", kind="Gadget")
    with compared(tmp_path, {"/api/v1/services": status(403, "no right")}) as (one, engine):
        asked = [comparing(kind.kind, kind) for kind in (SERVICE, widget, gadget)]
        lacking = one.follow(standing(engine, *asked, comparing("none")))

    assert set(lacking) == {"Service", "Widget", "Gadget"}
    assert "could not be listed: " in lacking["Service"]
    assert "serves no kind Widget in group test.aksp.io" in lacking["Widget"]
    assert "serves no kind Gadget, with" in lacking["Gadget"]


BETA = ResourceKind(group="networking.k8s.io", kind="Ingress", version="v1beta1")
V1 = ResourceKind(group="networking.k8s.io", kind="Ingress", version="v1")
RULE = """package rule
violation contains {"msg": version} if data.inventory.namespace.shop[version].Ingress[_]
"""


def versions(*served: str) -> dict[str, Reply]:
    lists = {
        f"/apis/networking.k8s.io/{one}/ingresses": document(
            {"kind": "IngressList", "apiVersion": f"networking.k8s.io/{one}", "metadata": {"resourceVersion": "5"}}
            | {"items": [thing(f"i-{one}")]}
        )
        for one in served
    }
    kinds = {"resources": [{"name": "ingresses", "kind": "Ingress", "namespaced": True, "verbs": ["list", "watch"]}]}
    groups = {"groups": [{"name": "networking.k8s.io", "versions": [{"version": one} for one in served]}]}
    return {"/apis": document(groups), **{f"/apis/networking.k8s.io/{one}": document(kinds) for one in served}, **lists}


def seen(engine: Engine) -> list[str]:
    """The versions of which there are Ingresses to compare with."""
    engine.compile("rule", [RegoModule(name="rule.rego", source=RULE)])
    body = json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [thing("p")]}).encode()
    batch = engine.load_list(body)
    task = Task(policy="rule", parameters={}, documents=[0])
    judged = engine.finish(batch, [task], engine.begin(batch, [task]))
    assert not judged.faults
    return sorted(one["msg"] for one in judged.findings)


def test_a_version_that_a_rule_looks_up_is_watched_beside_another_and_goes_alone(tmp_path: Path) -> None:
    with compared(tmp_path, versions("v1", "v1beta1")) as (one, engine):
        every = [comparing("beta", BETA), comparing("v1", V1), comparing("either", INGRESS)]
        assert one.follow(standing(engine, *every)) == {}
        assert seen(engine) == ["networking.k8s.io/v1", "networking.k8s.io/v1beta1"]
        # The version of the built-in kind is still wanted by the other.
        assert one.follow(standing(engine, every[0], every[2])) == {}
        assert seen(engine) == ["networking.k8s.io/v1", "networking.k8s.io/v1beta1"]
        assert one.follow(standing(engine, every[0])) == {}
        assert seen(engine) == ["networking.k8s.io/v1beta1"]


def test_an_assignment_that_looks_up_a_version_that_is_not_served_is_told(tmp_path: Path) -> None:
    with compared(tmp_path, versions("v1")) as (one, engine):
        lacking = one.follow(standing(engine, comparing("beta", BETA), comparing("v1", V1)))

    assert list(lacking) == ["beta"]
    assert "serves no kind Ingress in networking.k8s.io/v1beta1" in lacking["beta"]


def test_labels_of_namespaces_are_followed_while_an_assignment_selects_by_them(tmp_path: Path) -> None:
    selecting = ready("honest", of=definition("honest", namespace_selector={"matchLabels": {"env": "prod"}}))
    told: list[int] = []

    def space(env: str) -> dict[str, Any]:
        return {"metadata": {"name": "shop", "labels": {"env": env}, "resourceVersion": "7"}}

    changes: dict[str, Sequence[bytes]] = {"/api/v1/namespaces": [event("MODIFIED", space("test"), "Namespace")]}
    lists = {"/api/v1/namespaces": listed(space("prod"), kind="Namespace")}
    with compared(tmp_path, lists, events=changes, changed=lambda: told.append(1)) as (one, engine):
        assert one.follow(standing(engine, selecting)) == {}
        until(lambda: one.namespace_labels == {"shop": {"env": "test"}})
        assert told
        assert one.follow(standing(engine, comparing("none"))) == {}
        assert one.namespace_labels == {}


def test_what_cannot_be_read_is_not_compared_with_until_it_can(tmp_path: Path) -> None:
    answers = iter([document({"kind": "Pod", "metadata": {}})])
    fine = listed(thing("s"), kind="Service")
    with compared(tmp_path, {"/api/v1/services": lambda request: next(answers, fine)}) as (one, engine):
        asked = standing(engine, comparing("services", SERVICE))
        assert "cannot be read" in one.follow(asked)["services"]
        assert one.follow(asked) == {}


def test_with_an_object_that_can_no_longer_be_read_nothing_is_compared(tmp_path: Path) -> None:
    answers = iter([listed(thing("s"), kind="Service")])
    lists: dict[str, Answer | Reply] = {"/api/v1/services": lambda request: next(answers, status(403, "no"))}
    broken = json.dumps({"type": "MODIFIED", "object": {**thing("s"), "kind": "Service"}}).encode() + b"\n"
    told: list[int] = []
    with compared(tmp_path, lists, events={"/api/v1/services": [broken]}, changed=lambda: told.append(1)) as (
        one,
        engine,
    ):
        asked = standing(engine, comparing("services", SERVICE))
        until(lambda: "could not be listed: Service: " in one.follow(asked).get("services", ""))
        assert told


def test_what_is_lost_on_its_way_to_the_engine_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [EngineError("killed")]
    put = Engine.put_inventory

    def failing(engine: Engine, objects: Sequence[bytes]) -> None:
        if failures:
            raise failures.pop()
        put(engine, objects)

    monkeypatch.setattr(Engine, "put_inventory", failing)
    with compared(tmp_path, versions("v1")) as (one, engine):
        asked = standing(engine, comparing("v1", V1))
        until(lambda: one.follow(asked) == {})
        assert not failures and seen(engine) == ["networking.k8s.io/v1"]
