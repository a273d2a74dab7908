"""aksp explain against a real API server: what it asks for, what it says, and that its changes are taken."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import Aksp, Report
from tests.e2e.meddler import Meddled
from tests.e2e.objects import FOREIGN, Object, container, ingress, made, may, namespace, pod, workload
from tests.replacing import replace
from tests.testbed.controlplane import ControlPlane

pytestmark = pytest.mark.e2e

HERE, OTHER = "explain-shop", "explain-other"
STRATEGIC = "application/strategic-merge-patch+json"
REGISTRY = {"allowedRegistries": ["contoso.azurecr.io"]}
LIMITED = {"limits": {"cpu": "4", "memory": "64Mi"}, "requests": {"cpu": "3"}}
BAD = {
    "initContainers": [container("setup", "contoso.azurecr.io/setup:1", securityContext={"privileged": True})],
    "containers": [
        container(
            "web",
            FOREIGN,
            resources=LIMITED,
            ports=[{"containerPort": 80, "hostPort": 8080}, {"containerPort": 443}],
            securityContext={"privileged": True, "runAsUser": 0},
        ),
        container("side", "contoso.azurecr.io/side:1", resources={"limits": {"cpu": "1", "memory": "64Mi"}}),
    ],
}


def _service(name: str, **spec: Any) -> Object:
    return made("v1", "Service", name, HERE, spec={"ports": [{"port": 80}], **spec})


@pytest.fixture(scope="module")
def shop(plane: ControlPlane) -> Iterator[str]:
    """Workloads and the Pods that the controllers have made of them, until the last test here: others scan everything."""
    front, other = (ingress("explained", where, "explain.example.com") for where in (HERE, OTHER))
    for one in (front, other):
        one["spec"]["ingressClassName"] = "nginx"
    plane.apply([
        namespace(HERE),
        namespace(OTHER),
        pod("lonely", OTHER),
        other,
        workload("apps/v1", "Deployment", "web", HERE, replicas=3, pods=BAD),
        workload("apps/v1", "StatefulSet", "db", HERE, replicas=1, serviceName="db"),
        workload("apps/v1", "Deployment", "idle", HERE, replicas=0),
        pod("bare", HERE),
        _service("entry", type="NodePort", externalTrafficPolicy="Local", externalIPs=["198.51.100.7"]),
        _service("public", type="LoadBalancer"),
        front,
    ])  # fmt: skip
    plane.wait_for(f"/api/v1/namespaces/{HERE}/pods", lambda answer: len(answer["items"]) == 5)
    yield HERE
    for name in (HERE, OTHER):
        plane.request("DELETE", f"/api/v1/namespaces/{name}")
    plane.wait_for(
        "/api/v1/namespaces",
        lambda answer: {HERE, OTHER}.isdisjoint(one["metadata"]["name"] for one in answer["items"]),
        60.0,
    )


@pytest.fixture
def assigned(aksp: Aksp, shop: str) -> Aksp:
    """A workspace that forbids much."""
    aksp.assign("allowed-images", "images", scope="/clusters/testbed", parameters=REGISTRY)
    aksp.assign("no-privileged", "privileged")
    aksp.assign("resource-limits", "limits", parameters={"maxCpu": "2", "maxMemory": "1Gi"})
    aksp.assign("allowed-container-ports", "ports", parameters={"allowedPorts": ["80", "443"]})
    aksp.assign("required-labels", "labels", parameters={"labels": ["env=prod"]})
    aksp.assign("internal-load-balancers", "internal", parameters={"cloud": "azure", "allowNodePort": False})
    aksp.assign("https-ingress", "https", parameters={"requireRedirect": True})
    aksp.assign("unique-ingress-hosts", "hosts")
    aksp.assign("allowed-service-ports", "elsewhere", scope="/clusters/other", parameters={"allowedPorts": ["1"]})
    return replace(aksp, within=True)


def _explained(aksp: Aksp, *arguments: str, **more: Any) -> Report:
    ended = aksp.run("explain", *arguments, "-o", "json", **more)
    assert ended.code == 0, ended.stderr
    return ended.report


def _states(explained: Report) -> dict[str, str]:
    return {one["name"]: one["state"] for one in explained["assignments"]}


def test_a_workload_is_explained_by_its_pods_each_finding_once(assigned: Aksp) -> None:
    explained = _explained(assigned, "deploy/web", "-n", HERE)

    assert (explained["resource"]["kind"], explained["pods"], explained["fromTemplate"]) == ("Deployment", 3, False)
    assert explained["state"] == "NonCompliant"
    assert _states(explained) == dict.fromkeys(["images", "privileged", "limits", "ports", "labels"], "NonCompliant")
    (images,) = [one for one in explained["assignments"] if one["name"] == "images"]
    (finding,) = images["findings"]
    assert finding["container"]["name"] == "web" and len(finding["resources"]) == 3
    assert {one["name"]: one["state"] for one in images["containers"]} == {
        "setup": "Compliant", "web": "NonCompliant", "side": "Compliant",
    }  # fmt: skip
    assert images["lineage"] == ["/", "/clusters/testbed", f"/clusters/testbed/namespaces/{HERE}"]
    assert {one["name"]: one["from"] for one in images["parameters"]}["allowedRegistries"] == "assignment"
    assert {one["assignment"]: one["by"] for one in explained["leftOut"]} == {
        "internal": "kinds", "https": "kinds", "hosts": "kinds", "elsewhere": "scope",
    }  # fmt: skip


def test_an_excerpt_of_a_live_object_shows_the_field_and_nothing_that_the_server_keeps(assigned: Aksp) -> None:
    explained = _explained(assigned, "deploy/web", "-n", HERE)
    (images,) = [one for one in explained["assignments"] if one["name"] == "images"]
    excerpt = images["findings"][0]["excerpt"]

    assert excerpt["file"] is None
    (marked,) = [line["text"].strip() for line in excerpt["lines"] if line["marked"]]
    assert marked == f"image: {FOREIGN}"
    everything = json.dumps(explained)
    assert "managedFields" not in everything and "f:spec" not in everything


def _patched(plane: ControlPlane, change: Mapping[str, Any], *, dry: bool = True) -> Object:
    """The object as the API server makes it of a patch. Raises for a patch that it does not take."""
    plural = {"Ingress": "ingresses"}.get(change["kind"], change["kind"].lower() + "s")
    root = f"/apis/{change['apiVersion']}" if "/" in change["apiVersion"] else "/api/v1"
    metadata = change["metadata"]
    path = f"{root}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"
    answer: Object = plane.request("PATCH", f"{path}?dryRun=All" if dry else path, change, STRATEGIC)
    return answer


@pytest.mark.parametrize("subject", ["deploy/web", "sts/db", "svc/entry", "svc/public", "ing/explained", "deploy/idle"])
def test_the_api_server_takes_every_change_and_each_is_what_the_rule_says(
    assigned: Aksp, plane: ControlPlane, subject: str
) -> None:
    explained = _explained(assigned, subject, "-n", HERE)
    findings = [each for one in explained["assignments"] for each in one["findings"]]
    changes = [each for each in findings if each["patch"] is not None]

    assert changes
    for each in changes:
        stored = _patched(plane, each["patch"])
        assert stored["kind"] == each["patch"]["kind"]
        assert stored["metadata"]["name"] == each["patch"]["metadata"]["name"]
        _check_command(plane, each["command"], each["patch"])


def _check_command(plane: ControlPlane, command: str, patch: Mapping[str, Any]) -> None:
    """The command sends what the patch says, and kubectl, where there is one, understands it."""
    words = shlex.split(command)
    assert words[:2] == ["kubectl", "patch"] and words[words.index("--type") + 1] == "strategic"
    body = json.loads(words[-1])
    assert {**body.get("metadata", {}), **patch["metadata"]} == patch["metadata"]
    assert body.get("spec") == patch.get("spec")
    if kubectl := shutil.which("kubectl"):
        given = [kubectl, "--kubeconfig", str(plane.kubeconfig), *words[1:], "--dry-run=server", "-o", "name"]
        ended = subprocess.run(given, capture_output=True, text=True, check=False, timeout=60)
        assert ended.returncode == 0, ended.stderr


def test_once_its_changes_are_made_a_workload_complies(assigned: Aksp, plane: ControlPlane, shop: str) -> None:
    plane.apply([workload("apps/v1", "Deployment", "mended", HERE, pods=BAD, strategy={"type": "Recreate"})])
    wanted = f"/api/v1/namespaces/{HERE}/pods?labelSelector=app%3Dmended"
    (old,) = plane.wait_for(wanted, lambda answer: len(answer["items"]) == 1)["items"]
    before = _explained(assigned, "deployment/mended", "-n", HERE)
    for one in before["assignments"]:
        for each in one["findings"]:
            if each["patch"] is not None:
                _patched(plane, each["patch"], dry=False)
    plane.wait_for(
        wanted,
        lambda answer: (
            len(answer["items"]) == 1
            and answer["items"][0]["metadata"]["name"] != old["metadata"]["name"]
            and _settled(plane, "mended")
        ),
    )
    after = _explained(assigned, "deployment/mended", "-n", HERE)

    assert _states(before) == dict.fromkeys(["images", "privileged", "limits", "ports", "labels"], "NonCompliant")
    assert _states(after) == dict.fromkeys(["images", "privileged", "limits", "ports", "labels"], "Compliant")


def _settled(plane: ControlPlane, name: str) -> bool:
    one = plane.request("GET", f"/apis/apps/v1/namespaces/{HERE}/deployments/{name}")
    status = one.get("status", {})
    return bool(
        status.get("observedGeneration") == one["metadata"]["generation"] and status.get("updatedReplicas") == 1
    )


def test_a_workload_without_pods_is_judged_by_its_template(assigned: Aksp) -> None:
    explained = _explained(assigned, "deploy/idle", "-n", HERE)

    assert (explained["pods"], explained["fromTemplate"]) == (0, True)
    (images,) = [one for one in explained["assignments"] if one["name"] == "images"]
    assert images["findings"][0]["path"] == "spec.template.spec.containers[0].image"
    assert images["findings"][0]["patch"]["kind"] == "Deployment"


def test_a_bare_pod_gets_the_change_but_no_command_where_it_cannot_be_changed(assigned: Aksp) -> None:
    explained = _explained(assigned, "po/bare", "-n", HERE)
    by_name = {one["name"]: one["findings"] for one in explained["assignments"]}

    assert by_name["images"][0]["command"].startswith("kubectl patch pod bare")
    assert by_name["labels"][0]["command"].startswith("kubectl patch pod bare")
    for each in by_name["limits"]:
        assert each["patch"] and each["command"] is None and "create it" in each["obstacle"]


def test_rules_that_compare_objects_see_the_others(assigned: Aksp) -> None:
    here, there = _explained(assigned, "ing/explained", "-n", HERE), _explained(assigned, "ing/explained", "-n", OTHER)

    # One of the two was first; the other is told of it.
    states = sorted([_states(here)["hosts"], _states(there)["hosts"]])
    assert states == ["Compliant", "NonCompliant"]


def test_only_what_is_needed_is_asked_for(assigned: Aksp, meddled: Meddled) -> None:
    with meddled() as proxy:
        _explained(assigned, "po/bare", "-n", HERE, kubeconfig=proxy.kubeconfig)
    assert proxy.asked == [f"/api/v1/namespaces/{HERE}/pods/bare"]
    with meddled() as proxy:
        _explained(assigned, "deploy/web", "-n", HERE, kubeconfig=proxy.kubeconfig)
    assert proxy.asked == [f"/apis/apps/v1/namespaces/{HERE}/deployments/web", f"/api/v1/namespaces/{HERE}/pods"]


def test_an_ordinary_user_of_one_namespace_gets_an_explanation(assigned: Aksp, plane: ControlPlane, shop: str) -> None:
    token = plane.service_account_token(HERE, "reader")
    kinds = ("pods", "apps/deployments", "networking.k8s.io/ingresses")
    plane.apply(may(f"system:serviceaccount:{HERE}:reader", HERE, *kinds))
    reader = plane.kubeconfig_for(token=token)

    assert _explained(assigned, "deploy/web", "-n", HERE, kubeconfig=reader)["gaps"] == []
    compared = _explained(assigned, "ing/explained", "-n", HERE, kubeconfig=reader)
    # Two rules compare Ingresses of the whole cluster, which this user may not list: neither can be judged.
    assert [gap["reason"] for gap in compared["gaps"]] == ["Forbidden", "EvaluationError", "EvaluationError"]
    refused = assigned.run("explain", "svc/entry", "-n", HERE, kubeconfig=reader)
    assert refused.code == 3 and "cannot get resource" in refused.stderr


def test_who_may_not_list_pods_gets_the_template_and_a_gap(assigned: Aksp, plane: ControlPlane, shop: str) -> None:
    token = plane.service_account_token(HERE, "half")
    plane.apply(may(f"system:serviceaccount:{HERE}:half", HERE, "apps/deployments"))
    explained = _explained(assigned, "deploy/web", "-n", HERE, kubeconfig=plane.kubeconfig_for(token=token))

    assert explained["fromTemplate"] and _states(explained)["images"] == "NonCompliant"
    # What a Pod would get depends on two more kinds.
    assert [gap["reason"] for gap in explained["gaps"]] == ["Forbidden"] * 3
    for gap, kind in zip(explained["gaps"], ("pods", "limitranges", "serviceaccounts"), strict=True):
        assert f'cannot list resource "{kind}"' in gap["message"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("deploy/wep", "-n", HERE), "did you mean web?"),
        (("po/lonely", "-n", HERE), f"there is one in namespace {OTHER}: give it with -n"),
        (("po/nothing-like-it", "-n", HERE), f"see `kubectl get pods -n {HERE}`"),
        (("depl/web", "-n", HERE), "did you mean 'deploy'?"),
        (("deploy/web", "-n", HERE, "-c", "wep"), "did you mean 'web'?"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(assigned: Aksp, arguments: tuple[str, ...], said: str) -> None:
    ended = assigned.run("explain", *arguments)

    assert ended.code == 2 and ended.stdout == ""
    assert said in ended.stderr


def test_exemptions_are_told_with_their_end_whether_they_count_or_not(assigned: Aksp) -> None:
    resources = [{"kind": "Deployment", "name": "web", "container": "web"}]
    assigned.exempt("for-now", "images", expiresOn="2999-01-01T00:00:00Z", resources=resources)
    assigned.exempt("old", "privileged", expiresOn="2020-01-01T00:00:00Z", resources=[{"kind": "Deployment"}])
    assigned.exempt("others", "limits", resources=[{"name": "another"}])
    explained = _explained(assigned, "deploy/web", "-n", HERE)
    by_name = {one["name"]: one for one in explained["assignments"]}

    assert by_name["images"]["findings"][0]["state"] == "Exempt"
    assert by_name["images"]["exemptions"][0] | {"displayName": ""} == {
        "name": "for-now", "category": "Waiver", "expiresOn": "2999-01-01T00:00:00Z", "expired": False, "displayName": "",
        "containers": ["web"], "covers": True,
    }  # fmt: skip
    assert (by_name["privileged"]["exemptions"][0]["expired"], by_name["privileged"]["state"]) == (True, "NonCompliant")
    assert by_name["limits"]["exemptions"][0]["covers"] is False
    table = assigned.run("explain", "deploy/web", "-n", HERE).stdout
    assert "for-now (Waiver, until 2999-01-01, for web)" in table
    assert "old (Waiver, expired on 2020-01-01, so it no longer counts)" in table
    assert "others (Waiver, no end date, does not cover this)" in table


def test_an_assignment_is_explained_on_the_cluster(assigned: Aksp) -> None:
    explained = _explained(assigned, "images", "-n", HERE)
    elsewhere = _explained(assigned, "elsewhere")

    assert (explained["state"], explained["scope"]) == ("NonCompliant", "/clusters/testbed")
    assert {one["resource"]["namespace"] for one in explained["results"]} == {HERE}
    assert elsewhere["state"] is None and elsewhere["leftOut"]["by"] == "scope"


def test_an_unreachable_cluster_is_exit_3(assigned: Aksp, tmp_path: Path) -> None:
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "gone",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "gone", "context": {"cluster": "c", "user": "u"}}],
    }  # fmt: skip
    path = tmp_path / "gone.json"
    path.write_text(json.dumps(config), encoding="utf-8")

    assert assigned.run("explain", "po/x", kubeconfig=path).code == 3


def test_with_all_namespaces_a_resource_is_found_in_the_one_where_it_lies(assigned: Aksp) -> None:
    found = assigned.run("explain", "pod/lonely", "-A", "-o", "json")
    assert (found.code, json.loads(found.stdout)["resource"]["namespace"]) == (0, OTHER)
    several = assigned.run("explain", "ingress/explained", "-A")
    assert several.code == 2
    assert "there are 2 ingresses called 'explained'" in several.stderr
    assert HERE in several.stderr and OTHER in several.stderr
    nowhere = assigned.run("explain", "pod/nowhere", "-A")
    assert (nowhere.code, "there is no Pod 'nowhere' in any namespace" in nowhere.stderr) == (2, True)
