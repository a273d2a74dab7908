"""Which requests the API server is asked to send."""

from __future__ import annotations

from typing import Any, cast

import pytest

from aksp.addon.in_force.webhook_rules import covered, kinds_in_force, webhook_rules
from aksp.compliance.plan import Plan, Ready
from aksp.errors import ClusterError
from aksp.kube.errors import NotServed, ServerError, Unreachable
from aksp.kube.kinds import KINDS, Discovery, Kind
from aksp.model.definition import ResourceKind
from tests.compliance.builders import POD, SERVICE, definition, plan, ready

WIDGET = Kind(group="shop.example", version="v1beta2", kind="Widget", plural="widgetry", namespaced=False)
EVERY_WORKLOAD = [
    ("", "v1", "Namespaced", ["pods", "pods/ephemeralcontainers", "pods/resize", "podtemplates", "replicationcontrollers"]),
    ("apps", "v1", "Namespaced", ["daemonsets", "deployments", "replicasets", "statefulsets"]),
    ("batch", "v1", "Namespaced", ["cronjobs", "jobs"]),
]  # fmt: skip


class Served:
    """A discovery of the built-in kinds and one more; ``fault`` is what every other question meets."""

    def __init__(self, fault: ClusterError | None = None) -> None:
        self._fault = fault or NotServed("no such kind")

    def find(self, group: str, kind: str) -> Kind:
        if known := KINDS.get((group, kind)):
            return known
        if (group, kind) == (WIDGET.group, WIDGET.kind):
            return WIDGET
        raise self._fault


def about(name: str, *kinds: ResourceKind) -> Ready:
    return ready(name, of=definition(name, kinds=kinds))


def rules(made: Plan, fault: ClusterError | None = None) -> list[tuple[str, str, str, list[str]]]:
    found: list[dict[str, Any]] = webhook_rules(made.ready, cast(Discovery, Served(fault)))
    assert all(rule["operations"] == ["CREATE", "UPDATE"] for rule in found)
    return [(*rule["apiGroups"], *rule["apiVersions"], rule["scope"], rule["resources"]) for rule in found]


def test_nothing_in_force_asks_for_nothing() -> None:
    assert rules(plan()) == []
    assert rules(plan(disabled=[about("off", POD)])) == []


def test_a_rule_about_pods_asks_for_all_that_makes_or_changes_them() -> None:
    assert rules(plan(about("pods", POD), about("more", POD))) == EVERY_WORKLOAD


def test_other_kinds_come_as_the_cluster_serves_them_and_not_their_workloads() -> None:
    widget = ResourceKind(group="shop.example", kind="Widget")
    made = plan(about("b", widget, ResourceKind(group="networking.k8s.io", kind="Ingress")), about("a", SERVICE))

    assert rules(made) == [
        ("", "v1", "Namespaced", ["services"]),
        ("networking.k8s.io", "v1", "Namespaced", ["ingresses"]),
        ("shop.example", "v1beta2", "Cluster", ["widgetry"]),
    ]


def test_kinds_of_one_group_with_and_without_namespaces_have_rules_of_their_own() -> None:
    made = plan(about("a", ResourceKind(group="", kind="Namespace"), SERVICE))

    assert rules(made) == [("", "v1", "Cluster", ["namespaces"]), ("", "v1", "Namespaced", ["services"])]


def test_a_kind_that_is_not_served_has_no_rule() -> None:
    assert rules(plan(about("a", ResourceKind(group="gone.example", kind="Thing")))) == []


def test_a_group_that_does_not_answer_is_asked_for_as_a_whole() -> None:
    made = plan(about("a", ResourceKind(group="down.example", kind="Thing")))

    assert rules(made, ServerError("503")) == [("down.example", "*", "*", ["*"])]


def test_a_cluster_that_cannot_be_reached_is_told() -> None:
    with pytest.raises(Unreachable):
        rules(plan(about("a", ResourceKind(group="down.example", kind="Thing"))), Unreachable("refused"))


def test_every_kind_means_every_resource_and_the_pods_sub_resources() -> None:
    made = rules(plan(about("a", ResourceKind(group="*", kind="*"))))

    assert made == [*EVERY_WORKLOAD[:1], ("*", "*", "*", ["*"]), *EVERY_WORKLOAD[1:]]


def test_every_kind_of_a_group_means_its_resources() -> None:
    assert rules(plan(about("a", ResourceKind(group="apps", kind="*")))) == [("apps", "*", "*", ["*"])]


def test_a_kind_of_any_group_goes_by_its_plural() -> None:
    made = plan(about("a", *(ResourceKind(group="*", kind=kind) for kind in ("Ingress", "Endpoints", "Policy", "Box"))))

    assert rules(made) == [("*", "*", "*", ["boxes", "endpoints", "ingresses", "policies"])]


def test_the_kinds_in_force_are_those_of_the_rules_and_the_workloads_behind_pods() -> None:
    assert kinds_in_force([about("a", SERVICE)]) == (SERVICE,)
    names = [kind.kind for kind in kinds_in_force([about("a", SERVICE, POD)])]
    assert names == [
        "Pod", "PodTemplate", "ReplicationController", "Service",
        "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet", "CronJob", "Job",
    ]  # fmt: skip


def test_what_one_assignment_needs_is_covered_by_the_rules_for_all_and_by_no_less() -> None:
    served = cast(Discovery, Served())
    pods, services = about("pods", POD), about("services", SERVICE)
    both, first, second = (webhook_rules(those, served) for those in ((pods, services), (pods,), (services,)))

    assert covered(first, both) and covered(second, both) and covered([], [])
    assert not covered(both, first) and not covered(first, second) and not covered(first, [])
    assert not covered(first, [{**rule, "operations": ["CREATE"]} for rule in first])
