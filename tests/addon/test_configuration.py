"""The webhook configuration is kept as it was enabled."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from aksp.addon import names
from aksp.addon.in_force.configuration import MISSING_SECONDS, PATH, Configuration, intention_path
from aksp.addon.in_force.deviations import deviations, written
from aksp.addon.install.manifests import manifests
from aksp.addon.record.metrics import PARTS
from aksp.addon.settings import Settings
from aksp.errors import ClusterError
from aksp.kube import errors
from aksp.kube.connection import Connection, Response

INTENDED: dict[str, Any]
(INTENDED,) = [one for one in manifests(Settings()) if one["kind"] == "ValidatingWebhookConfiguration"]
RULES = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "*"}]
MORE = [*RULES, {**RULES[0], "apiGroups": ["apps"]}]


class Cluster:
    """Keeps the configuration and the ConfigMap. ``before_write`` runs once, in the middle of a write."""

    server = "https://cluster"

    def __init__(self, settings: Settings | None = None) -> None:
        documents = {one["kind"]: copy.deepcopy(one) for one in manifests(settings or Settings())}
        self.objects = {PATH: documents["ValidatingWebhookConfiguration"]}
        self.objects[intention_path(names.NAMESPACE)] = documents["ConfigMap"]
        self.version = 1
        self.before_write: Callable[[], None] | None = None
        self.writes: list[str] = []

    @property
    def current(self) -> dict[str, Any]:
        return self.objects[PATH]

    @property
    def hook(self) -> dict[str, Any]:
        return next(one for one in self.current["webhooks"] if one["name"] == names.WEBHOOK)

    def meddle(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Somebody changes the object."""
        change(self.current)
        self.version += 1

    def get(self, path: str, **more: Any) -> Response:
        if path not in self.objects:
            raise errors.NotServed("not found", where=path)
        found = copy.deepcopy(self.objects[path])
        found["metadata"]["resourceVersion"] = str(self.version)
        return Response(status=200, headers={}, body=json.dumps(found).encode())

    def send(self, method: str, path: str, *, body: bytes | None = None, **more: Any) -> Response:
        assert path == PATH and body is not None
        if self.before_write is not None:
            change, self.before_write = self.before_write, None
            change()
        document = json.loads(body)
        if method == "PUT":
            if path not in self.objects:
                raise errors.NotServed("not found", where=path)
            if document["metadata"].pop("resourceVersion") != str(self.version):
                raise errors.Conflict("changed", where=path)
        else:
            assert method == "PATCH" and path not in self.objects
        self.writes.append(method)
        self.objects[path] = document
        self.version += 1
        return Response(status=200, headers={}, body=body)

    def keeper(self, clock: Callable[[], float] = lambda: 0.0) -> Configuration:
        return Configuration(cast(Connection, self), names.NAMESPACE, clock=clock)


def hook_of(document: dict[str, Any]) -> dict[str, Any]:
    hook = document["webhooks"][0]
    assert isinstance(hook, dict)
    return hook


#: What somebody may do to the configuration, and the part that it counts as.
CHANGES: Mapping[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "no rules": ("rules", lambda one: hook_of(one).update(rules=[])),
    "rules for less": ("rules", lambda one: hook_of(one)["rules"][0].update(operations=["DELETE"])),
    "another CA": ("caBundle", lambda one: hook_of(one)["clientConfig"].update(caBundle="b3RoZXI=")),
    "no CA": ("caBundle", lambda one: hook_of(one)["clientConfig"].pop("caBundle")),
    "all namespaces left out": (
        "namespaceSelector",
        lambda one: hook_of(one).update(namespaceSelector={"matchLabels": {"no": "such"}}),
    ),
    "no namespaces left out": ("namespaceSelector", lambda one: hook_of(one).update(namespaceSelector={})),
    "objects left out": ("objectSelector", lambda one: hook_of(one).update(objectSelector={"matchLabels": {"a": "b"}})),
    "a condition": (
        "matchConditions",
        lambda one: hook_of(one).update(matchConditions=[{"name": "never", "expression": "false"}]),
    ),
    "failure policy": ("failurePolicy", lambda one: hook_of(one).update(failurePolicy="Fail")),
    "time-out": ("timeoutSeconds", lambda one: hook_of(one).update(timeoutSeconds=1)),
    "side effects": ("sideEffects", lambda one: hook_of(one).update(sideEffects="None")),
    "versions": ("admissionReviewVersions", lambda one: hook_of(one).update(admissionReviewVersions=["v1beta1"])),
    "match policy": ("matchPolicy", lambda one: hook_of(one).update(matchPolicy="Exact")),
    "another server": ("clientConfig", lambda one: hook_of(one)["clientConfig"]["service"].update(name="other")),
    "a URL": ("clientConfig", lambda one: hook_of(one).update(clientConfig={"url": "https://192.0.2.1/v1/admit"})),
    "an extra webhook": (
        "webhooks",
        lambda one: one["webhooks"].append({**hook_of(INTENDED), "name": "extra.test.io"}),
    ),
    "no webhook": ("webhooks", lambda one: one.update(webhooks=[])),
    "a field to come": ("newField", lambda one: hook_of(one).update(newField="x")),
    "no labels": ("labels", lambda one: one["metadata"].pop("labels")),
    "an injector": (
        "annotations",
        lambda one: one["metadata"]["annotations"].update({"cert-manager.io/inject-ca-from-secret": "a/b"}),
    ),
}


def comparable(document: dict[str, Any]) -> dict[str, Any]:
    """As it was written, without what only tells versions."""
    return {**document, "metadata": {k: v for k, v in document["metadata"].items() if k != "resourceVersion"}}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("new_leader", [False, True], ids=["same leader", "new leader"])
def test_each_change_is_put_back_told_and_then_all_is_as_before(change: str, new_leader: bool) -> None:
    part, meddle = CHANGES[change]
    cluster = Cluster()
    keeper = cluster.keeper()
    first = keeper.publish(RULES, b"CA")
    assert first.changed and not first.repaired
    before = copy.deepcopy(cluster.current)
    assert not keeper.publish(RULES, b"CA").changed and cluster.writes == ["PUT"]

    cluster.meddle(meddle)
    kept = (cluster.keeper() if new_leader else keeper).publish(RULES, b"CA")
    assert part in kept.repaired and kept.there
    assert comparable(cluster.current) == comparable(before)
    assert part in PARTS or change == "a field to come"


@pytest.mark.parametrize("change", [name for name, (part, _) in CHANGES.items() if part not in ("rules", "caBundle")])
def test_each_change_of_what_was_enabled_is_seen_from_outside(change: str) -> None:
    part, meddle = CHANGES[change]
    cluster = Cluster()
    cluster.keeper().publish(RULES, b"CA")
    assert deviations(INTENDED, cluster.current) == {}
    meddle(cluster.current)
    assert part in deviations(INTENDED, cluster.current)


def test_defaults_that_the_api_server_adds_are_no_deviation() -> None:
    stored = copy.deepcopy(INTENDED)
    hook_of(stored).update(objectSelector={}, matchConditions=[])
    assert deviations(INTENDED, stored) == {}


def test_other_rules_and_another_authority_are_news_and_no_repair() -> None:
    cluster = Cluster()
    keeper = cluster.keeper()
    keeper.publish(RULES, b"CA")
    for rules, bundle in ((MORE, b"CA"), (MORE, b"new CA")):
        kept = keeper.publish(rules, bundle)
        assert kept.changed and not kept.repaired
    # Who leads next, and wants something else, knows by the mark that nobody has meddled.
    kept = cluster.keeper().publish(RULES, b"CA")
    assert kept.changed and not kept.repaired


def test_what_is_enabled_anew_is_followed_and_no_repair() -> None:
    cluster = Cluster()
    keeper = cluster.keeper()
    keeper.publish(RULES, b"CA")
    cluster.objects[intention_path(names.NAMESPACE)] = Cluster(Settings(failure_policy="Fail")).objects[
        intention_path(names.NAMESPACE)
    ]
    assert keeper.publish(RULES, b"CA").repaired == {}
    assert cluster.hook["failurePolicy"] == "Fail"


def test_a_deleted_configuration_is_made_again_but_not_while_somebody_installs() -> None:
    cluster, time = Cluster(), [0.0]
    keeper = cluster.keeper(lambda: time[0])
    keeper.publish(RULES, b"CA")
    before = comparable(copy.deepcopy(cluster.current))
    del cluster.objects[PATH]
    kept = keeper.publish(RULES, b"CA")
    assert not kept.there and kept.again == MISSING_SECONDS
    time[0] = MISSING_SECONDS
    kept = keeper.publish(RULES, b"CA")
    assert kept.repaired == {"object": "it is not there"} and cluster.writes[-1] == "PATCH"
    assert comparable(cluster.current) == before


def test_without_the_config_map_nothing_is_put_back_but_rules_and_bundle() -> None:
    cluster, time = Cluster(), [0.0]
    del cluster.objects[intention_path(names.NAMESPACE)]
    keeper = cluster.keeper(lambda: time[0])
    keeper.publish(RULES, b"CA")
    cluster.meddle(lambda one: hook_of(one).update(failurePolicy="Fail", rules=[]))
    assert keeper.publish(RULES, b"CA").repaired.keys() == {"rules"}
    assert (cluster.hook["failurePolicy"], cluster.hook["rules"]) == ("Fail", RULES)
    # `aksp addon disable` has deleted both.
    del cluster.objects[PATH]
    time[0] = 60.0
    assert not keeper.publish(RULES, b"CA").there
    time[0] = 120.0
    assert not keeper.publish(RULES, b"CA").there and PATH not in cluster.objects


def test_a_write_in_between_is_put_back_too() -> None:
    cluster = Cluster()
    cluster.before_write = lambda: cluster.meddle(lambda one: hook_of(one).update(failurePolicy="Fail"))
    cluster.keeper().publish(RULES, b"CA")
    assert cluster.hook["failurePolicy"] == "Ignore" and cluster.hook["rules"] == RULES


def test_what_cert_manager_injects_is_left_alone() -> None:
    cluster = Cluster(Settings(inject_ca_from="a/b"))
    keeper = cluster.keeper()
    keeper.publish(RULES, b"CA")
    assert "caBundle" not in cluster.hook["clientConfig"]
    cluster.meddle(lambda one: hook_of(one)["clientConfig"].update(caBundle="aW5qZWN0ZWQ="))
    mark = written(cluster.current)
    assert not keeper.publish(RULES, b"CA").repaired and written(cluster.current) == mark
    cluster.meddle(lambda one: hook_of(one).update(failurePolicy="Fail"))
    keeper.publish(RULES, b"CA")
    assert cluster.hook["clientConfig"]["caBundle"] == "aW5qZWN0ZWQ="


def test_a_config_map_that_says_nothing_is_an_error_and_nothing_is_written() -> None:
    cluster = Cluster()
    cluster.objects[intention_path(names.NAMESPACE)]["data"][names.WEBHOOK_KEY] = "[]"
    with pytest.raises(ClusterError, match="is not a webhook configuration"):
        cluster.keeper().publish(RULES, b"CA")
    assert cluster.writes == []
