"""What the API server asks about and gives to the add-on: CONNECT, and objects that name no namespace."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import Any

import pytest

from tests.addon.custom import defined
from tests.e2e.addon import WEBHOOK, AddOn, created, refusal, rehearsed
from tests.e2e.objects import Object, ingress, namespace, pod
from tests.testbed.controlplane import ControlPlane
from tests.waiting import until

pytestmark = pytest.mark.e2e

PLACE, OTHER = "addon-asked", "addon-asked-other"
PODS = f"/api/v1/namespaces/{PLACE}/pods"
OWN = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/own-connect"
HOST = "asked.example.com"
CONNECTING = ("exec?command=id&stdout=true", "attach?stdout=true", "portforward?ports=80")


def connect(plane: ControlPlane) -> None:
    """What `kubectl exec`, `attach` and `port-forward` ask for: each gets as far as the Pod's node, which there is not."""
    for what in CONNECTING:
        status, answer = plane.client.raw("POST", f"{PODS}/there/{what}")
        assert status != 403 and "does not have a host assigned" in json.loads(answer)["message"], (what, answer)


def connects(addon: AddOn) -> dict[str, float]:
    """How many reviews of CONNECT were answered, by decision."""
    lines = addon.replicas[0].get("/metrics").splitlines()
    found = [
        line for line in lines if line.startswith("aksp_admission_requests_total") and 'operation="CONNECT"' in line
    ]
    return {re.sub(r'.*decision="(\w+)".*', r"\1", line): float(line.rpartition(" ")[2]) for line in found}


def test_nobody_is_asked_about_connect_and_who_asks_nevertheless_is_told_that_it_is_allowed(
    addon: AddOn, plane: ControlPlane
) -> None:
    addon.unassign()
    created(plane, pod("there", PLACE))
    everything = defined("nothing", 'violation contains {"msg": "nothing may be here"}')
    details = everything["spec"]["policyRule"]["then"]["details"]
    details["apiGroups"], details["kinds"] = ["*"], ["*"]
    everything["metadata"] = {"name": "nothing"}
    plane.apply([everything])
    addon.assign("nothing", scope=f"/clusters/testbed/namespaces/{PLACE}")
    try:
        until(lambda: "[nothing]" in rehearsed(plane, pod("web", PLACE)))
        connect(plane)
        assert connects(addon) == {}

        # A configuration of somebody else's that sends CONNECT to the add-on, and fails when it does not answer.
        (ours,) = plane.request("GET", WEBHOOK)["webhooks"]
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CONNECT"], "resources": ["pods/*"]}
        hook = {
            "name": "connect.example.com",
            "clientConfig": ours["clientConfig"],
            "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": PLACE}},
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
        plane.apply([{**kind, "metadata": {"name": "own-connect"}, "webhooks": [hook]}])

        def asked() -> dict[str, float]:
            connect(plane)
            return connects(addon)

        before = until(asked)["allowed"]
        connect(plane)
        # They are counted after the answer, in another thread.
        until(lambda: connects(addon).get("allowed", 0) >= before + len(CONNECTING))
        assert set(connects(addon)) == {"allowed"}
    finally:
        plane.client.raw("DELETE", OWN)
        addon.unassign()
        plane.request("DELETE", "/apis/policy.aksp.io/v1alpha1/policydefinitions/nothing")
        plane.client.raw("DELETE", f"{PODS}/there?gracePeriodSeconds=0")


def nameless(name: str) -> Object:
    """An Ingress as clients send it that leave the namespace to the URL."""
    one = deepcopy(ingress(name, PLACE, HOST))
    del one["metadata"]["namespace"]
    return one


def test_an_ingress_that_names_no_namespace_is_judged_in_that_of_its_url_as_in_a_scan(
    addon: AddOn, plane: ControlPlane
) -> None:
    here, there = (f"/apis/networking.k8s.io/v1/namespaces/{place}/ingresses" for place in (PLACE, OTHER))
    # Other tests leave Ingresses of one host in the same cluster.
    ours = {"namespaces": [PLACE, OTHER]}
    addon.unassign()
    plane.apply([namespace(OTHER)])
    addon.assign("unique-ingress-hosts", parameters=ours)
    try:
        addon.applied("unique-ingress-hosts")
        plane.request("POST", here, nameless("front"))

        def refused() -> str:
            status, answer = plane.client.raw("POST", f"{there}?dryRun=All", json.dumps(nameless("front")).encode())
            return str(json.loads(answer)["message"]) if status == 403 else ""

        # The copy of what is there follows a moment later.
        message = until(refused)
        assert f"{PLACE}/front" in message
        applied = f"{there}/front?fieldManager=test&dryRun=All"
        kind = "application/apply-patch+yaml"
        assert refusal(lambda: plane.request("PATCH", applied, nameless("front"), kind)) == message
        # In its own namespace nobody else has the host: neither another Ingress there nor the same one, changed.
        plane.request("POST", f"{here}?dryRun=All", nameless("back"))
        changed = nameless("front")
        changed["metadata"]["labels"] = {"changed": "yes"}
        plane.request("PUT", f"{here}/front", changed)

        addon.unassign()
        until(lambda: not refused())
        plane.request("POST", there, nameless("front"))
        addon.assign("unique-ingress-hosts", parameters=ours)
        # The older one of the two has the host.
        assert addon.applied("unique-ingress-hosts")["counts"]["resources"]["NonCompliant"] == 1
        (found,) = until(lambda: _scanned(addon))
        assert found[0] == OTHER
        assert found[1] in message, "admission and the scan say the same"
        # What violates already can be changed, whoever names its namespace.
        plane.request("PUT", f"{there}/front", changed)
    finally:
        for path in (here, there):
            plane.client.raw("DELETE", f"{path}/front")
        addon.unassign()


def _scanned(addon: AddOn) -> list[tuple[str, Any]]:
    """Namespace and message of what the last report found."""
    ended = addon.aksp.run("compliance", "--cluster", "--from", "addon", "-o", "json")
    if ended.code != 1:
        return []
    return [(one["resource"]["namespace"], one["message"]) for one in ended.report["results"]]
