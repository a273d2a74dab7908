"""Resources, and who made them."""

from __future__ import annotations

import pytest

from aksp.compliance.kinds import judges_pods
from aksp.model.definition import ResourceKind
from aksp.model.effect import Effect
from aksp.model.resource import Owner, Resource, workload_of
from tests.compliance.builders import POD, SERVICE


@pytest.mark.parametrize(
    ("kind", "name", "labels", "owner"),
    [
        ("ReplicaSet", "web-7d4b9", {"pod-template-hash": "7d4b9"}, Owner(kind="Deployment", name="web")),
        ("ReplicaSet", "web-7d4b9", {}, Owner(kind="ReplicaSet", name="web-7d4b9")),
        ("ReplicaSet", "web", {"pod-template-hash": "7d4b9"}, Owner(kind="ReplicaSet", name="web")),
        ("Job", "backup-29381040", {}, Owner(kind="CronJob", name="backup")),
        ("Job", "backup-42", {}, Owner(kind="Job", name="backup-42")),
        ("Job", "29381040", {}, Owner(kind="Job", name="29381040")),
        ("DaemonSet", "node", {}, Owner(kind="DaemonSet", name="node")),
    ],
)
def test_a_pod_belongs_to_the_workload_that_people_wrote(
    kind: str, name: str, labels: dict[str, str], owner: Owner
) -> None:
    assert workload_of(kind, name, labels) == owner


def test_a_resource_knows_its_group_and_says_where_it_is() -> None:
    web = Resource(api_version="apps/v1", kind="Deployment", namespace="shop", name="web")
    node = Resource(api_version="v1", kind="Node", namespace="", name="one")

    assert (web.group, node.group) == ("apps", "")
    assert (str(web), str(node)) == ("Deployment shop/web", "Node one")


def test_only_enforcing_effects_refuse() -> None:
    assert [effect.value for effect in Effect if effect.refuses] == ["EnforceRegoPolicy", "Deny"]


def test_a_definition_is_about_pods_when_its_kinds_say_so() -> None:
    assert judges_pods([POD]) and judges_pods([SERVICE, ResourceKind(group="*", kind="*")])
    assert not judges_pods([SERVICE])
