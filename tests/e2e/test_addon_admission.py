"""The add-on on a real cluster: what it refuses, what it warns of, and what it reports."""

from __future__ import annotations

import http.client
import json
import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.addon.custom import defined
from tests.e2e.addon import GROUP, AddOn, created, refusal, rehearsed
from tests.e2e.objects import (
    FOREIGN,
    OUR_REGISTRY,
    OURS,
    OWN_MESSAGE,
    Object,
    container,
    ingress,
    made,
    namespace,
    pod,
    service,
    workload,
)
from tests.testbed.client import ApiError
from tests.testbed.controlplane import ControlPlane
from tests.waiting import until

PLACE = "addon-shop"
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module", autouse=True)
def blog(plane: ControlPlane) -> None:
    """A second namespace."""
    plane.apply([namespace("addon-blog")])


def create(plane: ControlPlane, one: Object) -> Object:
    made = plane.request(
        "POST", plane.client.collection(one["apiVersion"], one["kind"], one["metadata"]["namespace"]), one
    )
    assert isinstance(made, dict)
    return made


def refused(plane: ControlPlane, one: Object) -> str:
    return refusal(lambda: create(plane, one))


def asked_with_warnings(plane: ControlPlane, one: Object) -> list[str]:
    """The warnings of the API server's answer to a dry run, as kubectl prints them."""
    collection = plane.client.collection(one["apiVersion"], one["kind"], one["metadata"]["namespace"])
    address = urlsplit(plane.server)
    context = ssl.create_default_context(cadata=plane.ca.decode())
    connection = http.client.HTTPSConnection(str(address.hostname), address.port, context=context, timeout=20)
    try:
        headers = {"Authorization": f"Bearer {plane.admin_token}", "Content-Type": "application/json"}
        connection.request("POST", f"{collection}?dryRun=All", json.dumps(one), headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 201, body
        return [value for name, value in answer.getheaders() if name.lower() == "warning"]
    finally:
        connection.close()


def delete(plane: ControlPlane, collection: str, name: str) -> None:
    """Delete what may be there, and what it has made."""
    plane.client.raw("DELETE", f"{collection}/{name}?propagationPolicy=Background")


def events(plane: ControlPlane, kind: str, reason: str) -> list[Object]:
    found = plane.request("GET", f"/api/v1/namespaces/{PLACE}/events")["items"]
    return [one for one in found if one["involvedObject"]["kind"] == kind and one["reason"] == reason]


def test_an_assignment_is_not_started_then_applied_and_reported(addon: AddOn, plane: ControlPlane) -> None:
    addon.unassign()
    created(plane, pod("before", PLACE))
    try:
        name = addon.assign("allowed-images", effect="Audit", parameters=OUR_REGISTRY)
        first = until(lambda: addon.status(name).get("state"))
        assert first in ("NotStarted", "NonCompliant")
        status = addon.applied(name)
        assert status["state"] == "NonCompliant"
        assert status["counts"]["resources"]["NonCompliant"] >= 1
        assert {one["type"]: one["status"] for one in status["conditions"]} == {
            "Applied": "True", "Evaluated": "True", "Enforced": "False",
        }  # fmt: skip
        shown = addon.aksp.run("addon", "status")
        assert "NonCompliant" in shown.stdout and name in shown.stdout, shown

        def reported() -> list[str]:
            ended = addon.aksp.run("compliance", "--cluster", "--from", "addon", "-o", "json")
            results = ended.report["results"] if ended.code == 1 else []
            return [each["resource"]["name"] for each in results if each["resource"]["namespace"] == PLACE]

        # The report is written after the states.
        until(lambda: "before" in reported())
    finally:
        plane.request("DELETE", f"/api/v1/namespaces/{PLACE}/pods/before")
        addon.unassign()


def test_a_pod_is_refused_with_everything_that_its_author_needs(images: str, plane: ControlPlane) -> None:
    message = refused(plane, pod("wrong", PLACE))
    for part in (
        'admission webhook "validation.policy.aksp.io" denied the request', "[allowed-images]", "container main",
        "spec.containers[0].image", FOREIGN, r"^contoso\.azurecr\.io/.+$", OWN_MESSAGE,
    ):  # fmt: skip
        assert part in message, message
    create(plane, pod("right", PLACE, OURS))
    plane.request("DELETE", f"/api/v1/namespaces/{PLACE}/pods/right")


@pytest.mark.parametrize(
    ("api_version", "kind", "maker", "more"),
    [
        ("apps/v1", "Deployment", "ReplicaSet", {}),
        ("apps/v1", "DaemonSet", "DaemonSet", {"pods": {"tolerations": [{"operator": "Exists"}]}}),
        ("batch/v1", "Job", "Job", {"pods": {"restartPolicy": "Never"}}),
    ],
)
def test_a_workload_is_made_but_no_pods_and_its_events_say_why(
    images: str,
    plane: ControlPlane,
    request: pytest.FixtureRequest,
    api_version: str,
    kind: str,
    maker: str,
    more: Any,
) -> None:
    name = f"wrong-{kind.lower()}"
    request.addfinalizer(lambda: delete(plane, plane.client.collection(api_version, kind, PLACE), name))
    if kind == "DaemonSet":
        plane.apply([{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "addon-node"}}])
        # DaemonSets of other tests would make a Pod for it.
        request.addfinalizer(lambda: delete(plane, "/api/v1/nodes", "addon-node"))
    create(plane, workload(api_version, kind, name, PLACE, **more))
    (failed,) = until(
        lambda: [one for one in events(plane, maker, "FailedCreate") if one["involvedObject"]["name"].startswith(name)][
            :1
        ],
        what=f"no FailedCreate on {maker}",
    )
    assert "[allowed-images]" in failed["message"] and FOREIGN in failed["message"]
    assert OWN_MESSAGE in failed["message"]
    told = until(
        lambda: [one for one in events(plane, maker, "PolicyDenied") if one["involvedObject"]["name"].startswith(name)]
    )
    assert told[0]["involvedObject"]["uid"] == failed["involvedObject"]["uid"]
    pods = plane.request("GET", f"/api/v1/namespaces/{PLACE}/pods?labelSelector=app%3D{name}")["items"]
    assert pods == []
    if kind == "Deployment":
        patch = {"spec": {"template": {"spec": {"containers": [container(name, OURS)]}}}}
        plane.request(
            "PATCH",
            f"/apis/apps/v1/namespaces/{PLACE}/deployments/{name}",
            patch,
            "application/strategic-merge-patch+json",
        )
        until(lambda: plane.request("GET", f"/api/v1/namespaces/{PLACE}/pods?labelSelector=app%3D{name}")["items"])


def test_a_cron_jobs_pods_are_refused_at_their_job(images: str, plane: ControlPlane) -> None:
    cron = workload("batch/v1", "CronJob", "nightly", PLACE, pods={"restartPolicy": "Never"}, schedule="0 0 * * *")
    made_one = create(plane, cron)
    reference = {
        "apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": made_one["metadata"]["uid"],
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip
    # What the controller does at midnight, and `kubectl create job --from=cronjob/nightly` at any time.
    job = made("batch/v1", "Job", "nightly-29000000", PLACE, spec=made_one["spec"]["jobTemplate"]["spec"])
    job["metadata"]["ownerReferences"] = [reference]
    create(plane, job)
    failed = until(
        lambda: [
            one for one in events(plane, "Job", "FailedCreate") if one["involvedObject"]["name"].startswith("nightly")
        ]
    )
    assert "[allowed-images]" in failed[0]["message"]
    plane.request("DELETE", f"/apis/batch/v1/namespaces/{PLACE}/cronjobs/nightly?propagationPolicy=Background")


def test_a_workload_is_admitted_with_a_warning_that_its_pods_will_be_refused(images: str, plane: ControlPlane) -> None:
    (warning,) = asked_with_warnings(plane, workload("apps/v1", "Deployment", "warned", PLACE))
    assert "this Deployment's Pods will be refused: [allowed-images] container warned" in warning


def test_pods_that_were_there_before_keep_running_and_can_be_changed_and_are_reported(
    addon: AddOn, plane: ControlPlane
) -> None:
    addon.unassign()
    created(plane, pod("older", PLACE))
    try:
        addon.enforced(addon.assign("allowed-images", parameters=OUR_REGISTRY), pod("probe", PLACE))
        path = f"/api/v1/namespaces/{PLACE}/pods/older"
        labelled = {"metadata": {"labels": {"touched": "yes"}, "finalizers": ["example.com/held"]}}
        plane.request("PATCH", path, labelled, "application/merge-patch+json")
        plane.request("PATCH", f"{path}/status", {"status": {"phase": "Running"}}, "application/merge-patch+json")
        assert addon.status("allowed-images")["state"] == "NonCompliant"
        # Another forbidden image is a new violation.
        changed = [{"op": "replace", "path": "/spec/containers/0/image", "value": "docker.io/library/redis:7"}]
        message = refusal(lambda: plane.request("PATCH", path, changed, "application/json-patch+json"))
        assert "docker.io/library/redis:7" in message
        plane.request("DELETE", f"{path}?gracePeriodSeconds=0")
        plane.request("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
        until(lambda: plane.client.raw("GET", path)[0] == 404)
    finally:
        addon.unassign()


@pytest.mark.parametrize(
    ("spec", "state"),
    [
        ({"effect": "Disabled"}, "NotStarted"),
        ({"enforcementMode": "DoNotEnforce"}, "NonCompliant"),
    ],
)
def test_disabled_stops_both_and_do_not_enforce_only_reports(
    addon: AddOn, plane: ControlPlane, spec: Any, state: str
) -> None:
    addon.unassign()
    name = addon.assign("allowed-images", parameters=OUR_REGISTRY)
    addon.enforced(name, pod("free", PLACE))
    addon.assign("allowed-images", parameters=OUR_REGISTRY, **spec)
    created(plane, pod("free", PLACE))
    try:
        until(lambda: addon.status(name).get("state") == state, what=f"the state is not {state}")
    finally:
        plane.request("DELETE", f"/api/v1/namespaces/{PLACE}/pods/free")
        addon.unassign()


def test_a_warning_of_effect_warn_comes_with_the_answer_and_kubectl_prints_it(
    addon: AddOn, plane: ControlPlane
) -> None:
    addon.unassign()
    addon.applied(addon.assign("allowed-images", effect="Warn", parameters=OUR_REGISTRY))
    (warning,) = until(lambda: asked_with_warnings(plane, pod("loud", PLACE)))
    assert "[allowed-images] container main" in warning
    # The header is what kubectl prints; where there is a kubectl, it is asked, too.
    if kubectl := shutil.which("kubectl"):
        argv = [kubectl, "--kubeconfig", str(plane.kubeconfig), "-n", PLACE, "run", "loud", f"--image={FOREIGN}"]
        ran = subprocess.run([*argv, "--dry-run=server"], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert "Warning: [allowed-images] container loud" in ran.stderr
    addon.unassign()


def test_an_ephemeral_container_with_a_forbidden_image_is_refused(images: str, plane: ControlPlane) -> None:
    create(plane, pod("debugged", PLACE, OURS))
    path = f"/api/v1/namespaces/{PLACE}/pods/debugged/ephemeralcontainers"
    debugger = {"spec": {"ephemeralContainers": [container("debugger", FOREIGN)]}}
    message = refusal(lambda: plane.request("PATCH", path, debugger, "application/strategic-merge-patch+json"))
    assert "ephemeral container debugger" in message
    debugger["spec"]["ephemeralContainers"][0]["image"] = OURS
    plane.request("PATCH", path, debugger, "application/strategic-merge-patch+json")
    plane.request("DELETE", f"/api/v1/namespaces/{PLACE}/pods/debugged")


def test_services_and_ingresses_are_judged_and_a_host_belongs_to_one_namespace(
    addon: AddOn, plane: ControlPlane
) -> None:
    addon.unassign()
    addon.assign("allowed-service-ports", parameters={"allowedServicePortsRegex": "^(80|443)$"})
    addon.assign("unique-ingress-hosts")
    for name in ("allowed-service-ports", "unique-ingress-hosts"):
        addon.applied(name)
    addon.enforced("allowed-service-ports", service("odd", PLACE, 9999))
    assert "9999" in refused(plane, service("odd", PLACE, 9999))
    create(plane, ingress("front", PLACE, "one.example.com"))
    message = ""
    try:
        # The cache of what is there follows a moment later; two requests at once can both pass.
        def second() -> bool:
            nonlocal message
            try:
                create(plane, ingress("front", "addon-blog", "one.example.com"))
            except ApiError as error:
                message = str(error)
                return True
            plane.request("DELETE", "/apis/networking.k8s.io/v1/namespaces/addon-blog/ingresses/front")
            return False

        until(second)
        assert f"{PLACE}/front" in message
        plane.request("DELETE", f"/apis/networking.k8s.io/v1/namespaces/{PLACE}/ingresses/front")
        created(plane, ingress("front", "addon-blog", "one.example.com"))
    finally:
        plane.client.raw("DELETE", f"/apis/networking.k8s.io/v1/namespaces/{PLACE}/ingresses/front")
        plane.client.raw("DELETE", "/apis/networking.k8s.io/v1/namespaces/addon-blog/ingresses/front")
        addon.unassign()


def test_an_exemption_counts_at_admission_as_in_the_scan_until_its_end(
    images: str, addon: AddOn, plane: ControlPlane
) -> None:
    def exempt(end: datetime) -> None:
        resources = [{"namespace": PLACE, "kind": "Pod", "name": "waived-*"}]
        addon.exempt("waiver", images, expiresOn=f"{end:%Y-%m-%dT%H:%M:%SZ}", resources=resources)

    def waived() -> int:
        found = addon.status(images)["counts"]["resources"]["Exempt"]
        assert isinstance(found, int)
        return found

    refused(plane, pod("waived-1", PLACE))
    exempt(datetime.now(UTC) + timedelta(hours=1))
    try:
        created(plane, pod("waived-1", PLACE))
        refused(plane, pod("other", PLACE))
        until(lambda: waived() >= 1, what="not exempt in the scan")
        end = (datetime.now(UTC) + timedelta(seconds=4)).replace(microsecond=0)
        exempt(end)
        until(lambda: rehearsed(plane, pod("waived-2", PLACE)), what="still exempt at admission")
        assert datetime.now(UTC) >= end, "no longer exempt before its end"
        until(lambda: waived() == 0, what="still exempt in the scan")
    finally:
        plane.request("DELETE", f"/api/v1/namespaces/{PLACE}/pods/waived-1")


def test_a_wrong_new_version_shows_in_the_status_and_the_last_good_one_stays_in_force(
    images: str, addon: AddOn, plane: ControlPlane
) -> None:
    generation = addon.status(images)["appliedGeneration"]
    addon.assign("allowed-images", parameters={"allowedContainerImagesRegex": "("})
    status = until(lambda: (s := addon.status(images)).get("observedGeneration") != generation and s)
    applied = next(one for one in status["conditions"] if one["type"] == "Applied")
    assert applied["status"] == "False" and "RE2" in status["message"], status
    assert status["appliedGeneration"] == generation
    assert "[allowed-images]" in refused(plane, pod("wrong", PLACE))
    shown = addon.aksp.run("addon", "status")
    assert shown.code == 4 and "RE2" in shown.stdout, shown


def test_denials_are_remembered(images: str, addon: AddOn, plane: ControlPlane) -> None:
    create(plane, workload("apps/v1", "Deployment", "remembered", PLACE))
    try:

        def found() -> list[Object]:
            listed = addon.aksp.run("denials", "--since", "1h", "-o", "json")
            assert listed.code == 0, listed.stderr
            document = json.loads(listed.stdout)
            items = document["items"] if isinstance(document, dict) else document
            return [one for one in items if one["spec"].get("workload", {}).get("name") == "remembered"]

        (denial,) = until(found)
        assert denial["spec"]["assignment"] == images
        assert denial["spec"]["user"].startswith("system:serviceaccount:") or "admin" in denial["spec"]["user"]
        assert denial["metadata"]["namespace"] == PLACE
        shown = addon.aksp.run("denials")
        assert "Deployment/remembered" in shown.stdout
    finally:
        plane.request("DELETE", f"/apis/apps/v1/namespaces/{PLACE}/deployments/remembered?propagationPolicy=Background")


def test_a_dry_run_is_refused_and_leaves_no_trace(images: str, addon: AddOn, plane: ControlPlane) -> None:
    assert rehearsed(plane, pod("rehearsed", PLACE))
    refused(plane, pod("performed", PLACE))

    def denied() -> set[str]:
        return {one["spec"]["resource"]["name"] for one in plane.request("GET", f"{GROUP}/policydenials")["items"]}

    # Denials are written in the order of the refusals.
    until(lambda: "performed" in denied())
    assert "rehearsed" not in denied()


def test_the_log_has_one_line_of_json_for_a_refusal_and_the_metrics_count_it(
    images: str, addon: AddOn, plane: ControlPlane
) -> None:
    refused(plane, pod("logged", PLACE))
    lines = until(lambda: [one for one in addon.replicas[0].log if "logged" in json.dumps(one)])
    assert len(lines) == 1
    text = json.dumps(lines[0])
    for part in ("admin", images, PLACE, "main"):
        assert part in text
    metrics = addon.replicas[0].get("/metrics")
    assert 'decision="denied"' in metrics and "aksp_admission_duration_seconds_bucket" in metrics
    assert PLACE not in metrics
    # A check-in is counted when its process has ended, after its states have been written.
    until(lambda: f'aksp_violations{{assignment="{images}"' in addon.replicas[0].get("/metrics"))
    assert "aksp_scan_last_success_timestamp_seconds" in addon.replicas[0].get("/metrics")


def test_kube_system_is_never_asked_about(images: str, plane: ControlPlane) -> None:
    create(plane, pod("system", "kube-system"))
    plane.request("DELETE", "/api/v1/namespaces/kube-system/pods/system")


def test_the_labels_of_a_namespace_decide_what_is_refused_as_they_are_now(addon: AddOn, plane: ControlPlane) -> None:
    addon.unassign()
    rule = defined("by-namespace", 'violation contains {"msg": "never", "details": {"path": "spec"}}')
    details = rule["spec"]["policyRule"]["then"]["details"]
    details["namespaceSelector"] = {"matchLabels": {"env": "prod"}}
    definitions, space = f"{GROUP}/policydefinitions", f"/api/v1/namespaces/{PLACE}"
    rule["metadata"] = {"name": "by-namespace"}
    plane.apply([rule])
    addon.enable()
    try:
        addon.applied(addon.assign("by-namespace"))
        for env in ("test", "prod", "test"):
            plane.request("PATCH", space, {"metadata": {"labels": {"env": env}}}, MERGE)
            refused = env == "prod"
            until(lambda expected=refused: (rehearsed(plane, pod("one", PLACE)) != "") is expected)  # type: ignore[misc]
        assert rehearsed(plane, pod("one", "addon-blog")) == ""
    finally:
        addon.unassign()
        plane.request("DELETE", f"{definitions}/by-namespace")
        plane.request("PATCH", space, {"metadata": {"labels": {"env": None}}}, MERGE)
