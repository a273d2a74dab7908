"""What RBAC lets a scan see: only the kinds that are needed are asked for, and a refusal is a gap."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Aksp, judged, reasons, state_of, violations
from tests.e2e.meddler import Meddled
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, OURS, Place, ingress, may, pod, service
from tests.replacing import replace
from tests.testbed.controlplane import ControlPlane

pytestmark = pytest.mark.e2e

OPEN, CLOSED = "rights-open", "rights-closed"
USERS = ("lists-pods", "lists-nothing", "lists-open")


@pytest.fixture(scope="module")
def users(plane: ControlPlane, place: Place) -> dict[str, Path]:
    """Kubeconfigs of users by name: Pods everywhere, nothing, everything in one namespace."""
    place(OPEN, [pod("bad", OPEN), service("web", OPEN, 8080), ingress("web", OPEN, "rights.example.com")])
    place(CLOSED, [pod("worse", CLOSED)])
    everything = ("pods", "services", "networking.k8s.io/ingresses")
    accounts = {name: plane.service_account_token(OPEN, name) for name in USERS}
    plane.apply([
        *may(f"system:serviceaccount:{OPEN}:lists-pods", None, "pods"),
        *may(f"system:serviceaccount:{OPEN}:lists-open", OPEN, *everything),
    ])  # fmt: skip
    return {name: plane.kubeconfig_for(token=token) for name, token in accounts.items()}


@pytest.fixture
def aksp(aksp: Aksp) -> Aksp:
    return replace(aksp, within=True)


def test_who_may_list_only_pods_can_judge_pods(aksp: Aksp, users: dict[str, Path]) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY)
    ended = aksp.judge(kubeconfig=users["lists-pods"])
    assert ended.code == 1 and ended.report["gaps"] == []
    assert ("bad", "main") in violations(ended.report, namespace=OPEN)


def test_only_the_kinds_that_assignments_need_are_listed(aksp: Aksp, meddled: Meddled) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY)
    aksp.assign("no-privileged")
    aksp.assign("allowed-service-ports", parameters={"allowedPorts": ["80"]})
    aksp.assign("https-ingress", scope="/clusters/other")
    aksp.assign("unique-ingress-hosts", parameters={"effect": "Disabled"})
    with meddled() as proxy:
        ended = aksp.judge("--chunk-size", "100000", kubeconfig=proxy.kubeconfig)
    assert ended.code == 1
    # One request each: no discovery, no kind that is assigned elsewhere or disabled, none twice.
    assert sorted(proxy.asked) == ["/api/v1/pods", "/api/v1/services"]


def test_a_kind_that_is_refused_is_a_gap_beside_the_violations_of_others(aksp: Aksp, users: dict[str, Path]) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY)
    aksp.assign("allowed-service-ports", parameters={"allowedPorts": ["80"]})
    ended = aksp.judge(kubeconfig=users["lists-pods"])
    assert ended.code == 1
    (gap,) = ended.report["gaps"]
    assert gap["reason"] == "Forbidden" and "Service" in gap["message"]
    assert f'User "system:serviceaccount:{OPEN}:lists-pods" cannot list resource "services"' in gap["message"]
    assert violations(ended.report, namespace=OPEN) == [("bad", "main")]
    table = aksp.table(kubeconfig=users["lists-pods"])
    assert table.code == 1
    assert "Forbidden" in table.stdout.partition("Could not be judged")[2] and "Pod/bad" in table.stdout


def test_a_kind_that_is_refused_makes_a_clean_scan_inconclusive(aksp: Aksp, users: dict[str, Path]) -> None:
    aksp.assign("allowed-images", parameters={"allowedContainerImagesRegex": f"{FOREIGN}|{OURS}"}, scope="/")
    aksp.assign("allowed-service-ports", parameters={"allowedPorts": ["80"]})
    ended = aksp.judge("-l", "app=none", kubeconfig=users["lists-pods"])
    assert ended.code == 4
    assert reasons(ended.report) == ["Forbidden"]
    assert violations(ended.report) == []
    # That no Pod has the label is said; that no Service could be seen is not said to be that there is none.
    assert "allowed-images matched nothing" in ended.stderr and "allowed-service-ports" not in ended.stderr


def test_a_kind_that_is_refused_whole_and_by_label_is_one_gap(aksp: Aksp, users: dict[str, Path]) -> None:
    aksp.assign("unique-ingress-hosts")
    aksp.assign("allowed-images", parameters=OUR_REGISTRY)
    ended = aksp.judge("-l", "app=none", kubeconfig=users["lists-pods"])
    assert ended.code == 4 and reasons(ended.report) == ["Forbidden"]
    assert ended.report["gaps"][0]["message"].startswith("Ingress.networking.k8s.io could not be listed")


def test_a_cluster_that_refuses_every_kind_is_the_end(aksp: Aksp, users: dict[str, Path]) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY)
    aksp.assign("allowed-service-ports", parameters={"allowedPorts": ["80"]})
    ended = aksp.judge(kubeconfig=users["lists-nothing"])
    assert ended.code == 3 and ended.stdout == ""
    assert 'cannot list resource "pods"' in ended.stderr and "hint:" in ended.stderr
    assert "kubectl auth can-i --list" in ended.stderr


def test_who_has_rights_in_one_namespace_can_judge_that(aksp: Aksp, users: dict[str, Path]) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY)
    aksp.assign("allowed-service-ports", parameters={"allowedPorts": ["80"]})
    ended = aksp.judge("-n", OPEN, kubeconfig=users["lists-open"])
    assert ended.code == 1 and ended.report["gaps"] == []
    assert violations(ended.report) == [("bad", "main"), ("web", "-")]
    assert aksp.judge(kubeconfig=users["lists-open"]).code == 3


@pytest.mark.parametrize("order", [(OPEN, CLOSED), (CLOSED, OPEN)])
def test_a_namespace_that_is_refused_does_not_hide_the_others(
    aksp: Aksp, users: dict[str, Path], order: tuple[str, str]
) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY)
    ended = aksp.judge("-n", order[0], "-n", order[1], kubeconfig=users["lists-open"])
    assert ended.code == 1 and violations(ended.report) == [("bad", "main")]
    (gap,) = ended.report["gaps"]
    assert gap["reason"] == "Forbidden" and f'in the namespace "{CLOSED}"' in gap["message"]


def test_hosts_that_cannot_be_compared_with_other_namespaces_are_a_gap(aksp: Aksp, users: dict[str, Path]) -> None:
    aksp.assign("unique-ingress-hosts")
    ended = aksp.judge("-n", OPEN, kubeconfig=users["lists-open"])
    assert ended.code == 4
    assert state_of(ended.report, "unique-ingress-hosts") == ("Compliant", 1) and judged(ended.report) == 1
    (gap,) = ended.report["gaps"]
    assert gap["reason"] == "Forbidden" and "Ingress.networking.k8s.io" in gap["message"]
    assert "compare" in gap["message"] and "at the cluster scope" in gap["message"]
