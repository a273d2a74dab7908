"""Every definition judges a real cluster: all kinds can be listed, and what Kubernetes itself makes complies."""

from __future__ import annotations

from typing import Any

import pytest

from tests.definitions.samples import DEFINITIONS, samples_of
from tests.e2e.command import Aksp, Report
from tests.e2e.objects import FOREIGN, container, made, namespace, service, workload
from tests.testbed.controlplane import ControlPlane

pytestmark = pytest.mark.e2e

OPEN, GUARDED = "catalogue-open", "catalogue-guarded"


def _given(slug: str) -> dict[str, Any]:
    """Values for the parameters that must have one, as a sample gives them."""
    definition = DEFINITIONS[slug]
    needed = {name for name, one in definition.parameters.items() if one.required}
    needed |= {name for group in definition.require_any_of for name in group}
    given = next(one.parameters for one in samples_of(definition) if one.expect)
    return {"effect": "Audit", **{name: value for name, value in given.items() if name in needed}}


@pytest.fixture(scope="module")
def report(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Report:
    aksp = Aksp(folder=tmp_path_factory.mktemp("catalogue"), kubeconfig=plane.kubeconfig)
    policy = {"podSelector": {}, "policyTypes": ["Ingress"]}
    plane.apply([
        namespace(OPEN),
        namespace(GUARDED),
        made("networking.k8s.io/v1", "NetworkPolicy", "deny", GUARDED, spec=policy),
        *(workload("apps/v1", "Deployment", "web", one, replicas=2, pods={"containers": [container("web", FOREIGN)]}) for one in (OPEN, GUARDED)),
        made("policy/v1", "PodDisruptionBudget", "web", GUARDED, spec={"maxUnavailable": 1, "selector": {}}),
        service("a", OPEN, 80),
        service("b", OPEN, 81),
    ])  # fmt: skip
    for one in (OPEN, GUARDED):
        plane.wait_for(f"/api/v1/namespaces/{one}/pods", lambda answer: len(answer["items"]) == 2)
    for slug in DEFINITIONS:
        aksp.assign(slug, parameters=_given(slug))
    return aksp.judge().report


def found(report: Report, slug: str) -> set[tuple[str, str]]:
    """The kinds and names of what violates, in the two namespaces and in none."""
    return {
        (one["resource"]["kind"], one["resource"]["name"] if one["resource"]["kind"] != "Pod" else "*")
        for one in report["results"]
        if one["assignment"] == slug and one["resource"]["namespace"] in (OPEN, GUARDED, None, "")
    }


def test_all_kinds_of_all_definitions_can_be_judged(report: Report) -> None:
    assert report["gaps"] == []
    states = {one["name"]: one["state"] for one in report["assignments"]}
    assert set(states) == set(DEFINITIONS)
    assert {name for name, state in states.items() if state not in ("Compliant", "NonCompliant", "NotStarted")} == set()
    assert states["no-node-edits"] == "NotStarted"


def test_roles_and_bindings_of_kubernetes_itself_comply(report: Report) -> None:
    own = ("admin", "cluster-admin", "edit", "view")
    for slug in (
        "no-cluster-admin",
        "no-escalating-roles",
        "no-secret-reading-roles",
        "no-wildcard-roles",
        "no-endpoint-edits",
    ):
        names = {name for _, name in found(report, slug)}
        assert not [name for name in names if name in own or name.startswith("system:")], slug
    assert not {name for _, name in found(report, "forbidden-subjects")} & {
        "cluster-admin",
        "system:public-info-viewer",
    }


@pytest.mark.parametrize(
    ("slug", "kind", "namespaces"),
    [
        ("required-network-policies", "Pod", {OPEN}),
        ("required-disruption-budgets", "Deployment", {OPEN}),
        ("required-autoscalers", "Deployment", {OPEN, GUARDED}),
        ("required-spreading", "Deployment", {OPEN, GUARDED}),
        ("required-probes", "Pod", {OPEN, GUARDED}),
        ("no-automounted-tokens", "Pod", {OPEN, GUARDED}),
    ],
)
def test_what_is_missing_is_found_where_it_is_missing(
    slug: str, kind: str, namespaces: set[str], report: Report
) -> None:
    results = [one["resource"] for one in report["results"] if one["assignment"] == slug]
    assert {one["namespace"] for one in results if one["kind"] == kind} & {OPEN, GUARDED} == namespaces


def test_a_replicaset_of_a_deployment_is_not_judged_beside_it(report: Report) -> None:
    assert "ReplicaSet" not in {kind for kind, _ in found(report, "required-spreading")}


def test_the_pods_of_workloads_are_not_naked(report: Report) -> None:
    assert found(report, "no-naked-pods") == set()
