"""What controllers make of workloads, scanned: every container, and who made its Pod."""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import aksp.report
from tests.e2e.command import Aksp, Report, violations
from tests.e2e.objects import (
    FOREIGN,
    OUR_REGISTRY,
    OURS,
    container,
    ingress,
    made,
    namespace,
    service,
    workload,
)
from tests.replacing import replace
from tests.testbed.client import MERGE
from tests.testbed.controlplane import ControlPlane
from tests.waiting import until

pytestmark = pytest.mark.e2e

SHOP, BLOG = "zz-shop", "aa-blog"
"""The younger Ingress is in the namespace that comes first, so that it is the age that tells."""


@pytest.fixture(scope="module")
def shop(plane: ControlPlane) -> None:
    """Workloads of every kind, and the Pods that the controllers have made of them."""
    first = ingress("front", SHOP, "shop.example.com")
    older = plane.apply([namespace(SHOP), namespace(BLOG), first])[-1]
    inits = [container("migrate", FOREIGN), container("mesh", FOREIGN, restartPolicy="Always")]
    everywhere = {"tolerations": [{"operator": "Exists"}]}
    once = {"restartPolicy": "Never"}
    extra = {"initContainers": inits, "containers": [container("web", FOREIGN), container("ours", OURS)]}
    plane.apply([
        # A DaemonSet makes a Pod for each Node.
        made("v1", "Node", "node-1"),
        workload("apps/v1", "Deployment", "web", SHOP, replicas=3, pods=extra),
        workload("apps/v1", "StatefulSet", "db", SHOP, replicas=2, serviceName="db", podManagementPolicy="Parallel"),
        workload("apps/v1", "DaemonSet", "log", SHOP, pods=everywhere),
        workload("apps/v1", "ReplicaSet", "bare", SHOP, replicas=1),
        workload("v1", "ReplicationController", "old", SHOP, replicas=1),
        workload("batch/v1", "Job", "once", SHOP, pods=once),
        workload("batch/v1", "CronJob", "nightly", SHOP, pods=once, schedule="* * * * *", concurrencyPolicy="Forbid"),
        service("web", SHOP, 8080),
        service("web", BLOG, 80),
        service("mine", "default", 8443),
    ])  # fmt: skip
    # One run is overdue, so the controller does not wait for the minute.
    missed = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=70)
    status = {"status": {"lastScheduleTime": missed.strftime("%Y-%m-%dT%H:%M:%SZ")}}
    plane.request("PATCH", f"/apis/batch/v1/namespaces/{SHOP}/cronjobs/nightly/status", status, MERGE)
    pods = plane.wait_for(f"/api/v1/namespaces/{SHOP}/pods", lambda answer: len(answer["items"]) == 10)["items"]
    victim = next(pod["metadata"]["name"] for pod in pods if pod["metadata"]["labels"]["app"] == "db")
    plane.request(
        "PATCH", f"/api/v1/namespaces/{SHOP}/pods/{victim}/ephemeralcontainers",
        {"spec": {"ephemeralContainers": [container("debug", "busybox:1.36")]}}, MERGE,
    )  # fmt: skip
    # Times of creation have whole seconds.
    until(lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > older["metadata"]["creationTimestamp"])
    plane.apply([ingress("front", BLOG, "shop.example.com"), ingress("own", BLOG, "blog.example.com")])


@pytest.fixture(scope="module")
def assigned(plane: ControlPlane, shop: None, tmp_path_factory: pytest.TempPathFactory) -> Aksp:
    """A workspace in which images, ports and hosts are assigned, by the command."""
    aksp = Aksp(folder=tmp_path_factory.mktemp("shop"), kubeconfig=plane.kubeconfig)
    for arguments in (
        ("allowed-images", "--regex", str(OUR_REGISTRY["allowedContainerImagesRegex"])),
        ("allowed-service-ports", "--port", "80"),
        ("unique-ingress-hosts",),
    ):
        ended = aksp.run("assign", *arguments, "--cluster", "testbed")
        assert ended.code == 0, ended.stderr
    return replace(aksp, within=True)


@pytest.fixture(scope="module")
def report(assigned: Aksp) -> Report:
    ended = replace(assigned, within=False).judge("--cluster")
    assert ended.code == 1, ended.stderr
    return ended.report


def _owners(report: Report, app: str) -> set[tuple[str, str]]:
    return {
        (result["owner"]["kind"], result["owner"]["name"])
        for result in report["results"]
        if result["resource"]["namespace"] == SHOP and result["owner"] and result["owner"]["name"] == app
    }


def test_a_report_of_a_live_cluster_keeps_to_the_schema(report: Report, plane: ControlPlane) -> None:
    schema = json.loads((Path(aksp.report.__file__).parent / "report.schema.json").read_text())
    assert list(Draft202012Validator(schema).iter_errors(report)) == []
    assert report["target"] == {
        "kind": "Cluster", "name": "testbed", "scope": "/clusters/testbed", "server": plane.server,
        "filters": [],
    }  # fmt: skip
    assert report["gaps"] == []


def test_each_container_of_a_deployment_is_a_row_that_names_the_deployment(report: Report) -> None:
    shop = [each for each in report["results"] if each["resource"]["namespace"] == SHOP]
    rows = [each for each in shop if each["owner"] == {"kind": "Deployment", "name": "web"}]
    pods = {each["resource"]["name"] for each in rows}
    assert len(pods) == 3 and all(name.startswith("web-") for name in pods)
    for pod in pods:
        containers = sorted(
            (row["container"]["name"], row["container"]["type"]) for row in rows if row["resource"]["name"] == pod
        )
        # The container from our registry complies, and only what does not is listed.
        assert containers == [("mesh", "initContainers"), ("migrate", "initContainers"), ("web", "containers")]
    web = next(row for row in rows if row["container"]["name"] == "web")
    assert web["state"] == "NonCompliant" and web["observed"] == FOREIGN
    assert web["path"] == "spec.containers[0].image" and web["container"]["image"] == FOREIGN
    assert web["resource"] | {"name": "", "uid": ""} == {
        "apiVersion": "v1", "kind": "Pod", "namespace": SHOP, "name": "", "uid": "",
    }  # fmt: skip
    assert len(web["resource"]["uid"]) == 36


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("StatefulSet", "db"), ("DaemonSet", "log"), ("ReplicaSet", "bare"), ("ReplicationController", "old"),
        ("Job", "once"), ("CronJob", "nightly"),
    ],
)  # fmt: skip
def test_a_pod_names_the_workload_that_a_person_wrote(report: Report, kind: str, name: str) -> None:
    assert _owners(report, name) == {(kind, name)}


def test_an_ephemeral_container_of_a_running_pod_is_judged(report: Report) -> None:
    (row,) = [each for each in report["results"] if each["container"] and each["container"]["name"] == "debug"]
    assert row["container"] == {"name": "debug", "type": "ephemeralContainers", "image": "busybox:1.36"}
    assert row["state"] == "NonCompliant" and row["owner"] == {"kind": "StatefulSet", "name": "db"}


def test_counts_are_of_pods_and_of_all_their_containers(assigned: Aksp) -> None:
    ended = assigned.judge("-n", SHOP, "--show", "all")
    (images,) = [each for each in ended.report["assignments"] if each["name"] == "allowed-images"]
    assert images["counts"]["resources"]["NonCompliant"] == 10 and images["counts"]["resources"]["Compliant"] == 0
    # Three Pods of four containers, seven of one, and the ephemeral one; the three of our registry comply.
    assert images["counts"]["containers"]["NonCompliant"] == 17 and images["counts"]["containers"]["Compliant"] == 3
    compliant = [each for each in ended.report["results"] if each["state"] == "Compliant" and each["container"]]
    assert [each["container"]["image"] for each in compliant] == [OURS] * 3


def test_replicas_are_one_group_of_the_table_with_their_number(assigned: Aksp) -> None:
    ended = assigned.table("-n", SHOP)
    lines = ended.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith(f"{SHOP} Deployment/web"))
    group = lines[at : at + 2]
    # The containers' rows come in their order by name: mesh, migrate, web; the Pods are counted, not listed.
    assert group[0] == f"{SHOP} Deployment/web, 3 pods"
    assert "mesh (init)" in group[1] and "allowed-images" in group[1]
    assert not any("web-" in line for line in lines)
    assert sum("Deployment/web" in line for line in lines) == 1
    assert any("  debug (ephemeral)  " in line and "busybox:1.36" in line for line in lines)
    assert f"{SHOP} CronJob/nightly" in ended.stdout and f"{SHOP} DaemonSet/log" in ended.stdout
    assert max(map(len, lines)) <= 120


def test_services_are_judged_but_not_the_one_of_the_api_server(report: Report) -> None:
    assert set(violations(report, kind="Service", namespace=SHOP)) == {("web", "-")}
    assert violations(report, kind="Service", namespace=BLOG) == []
    # default/kubernetes has port 443, which is not allowed either.
    assert set(violations(report, kind="Service", namespace="default")) == {("mine", "-")}


def test_a_host_in_two_namespaces_is_found_on_the_younger_ingress(report: Report) -> None:
    rows = [each for each in report["results"] if each["resource"]["name"] == "front"]
    assert [(row["resource"]["namespace"], row["resource"]["name"]) for row in rows] == [(BLOG, "front")]
    assert f"{SHOP}/front" in rows[0]["message"] and "shop.example.com" in rows[0]["message"]


def test_a_host_taken_in_another_namespace_is_found_when_only_one_is_judged(assigned: Aksp) -> None:
    ended = assigned.judge("-n", BLOG)
    assert violations(ended.report, kind="Ingress") == [("front", "-")]
    assert {each["resource"]["namespace"] for each in ended.report["results"]} == {BLOG}
    (hosts,) = [each for each in ended.report["assignments"] if each["name"] == "unique-ingress-hosts"]
    assert sum(hosts["counts"]["resources"].values()) == 2


def test_a_host_taken_by_an_ingress_without_the_label_is_found_with_a_selector(
    assigned: Aksp, plane: ControlPlane
) -> None:
    plane.apply([ingress("labelled", "default", "blog.example.com", {"team": "e2e"})])
    try:
        ended = assigned.judge("-l", "team=e2e")
        assert violations(ended.report, kind="Ingress") == [("labelled", "-")]
        assert sum(ended.report["counts"]["resources"].values()) == 1
    finally:
        plane.request("DELETE", "/apis/networking.k8s.io/v1/namespaces/default/ingresses/labelled")
