"""Nobody takes the webhook configuration, the kinds or the certificate away from the add-on without a trace."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.addon.custom import defined
from tests.e2e.addon import GROUP, WEBHOOK, AddOn, own_addon, refusal, rehearsed
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, Object, pod
from tests.testbed.client import ApiError, Client
from tests.testbed.controlplane import ControlPlane
from tests.waiting import until

pytestmark = pytest.mark.e2e

PLACE = "addon-guarded"
Change = Callable[[Object], object]


@pytest.fixture(scope="module")
def addon() -> Iterator[AddOn]:
    """As its service account, on a control plane of its own."""
    with own_addon(PLACE) as made:
        made.enable("--exclude-namespace", "vault")
        start(made)
        made.assign("allowed-images", parameters=OUR_REGISTRY)
        made.enforced("allowed-images", pod("web", PLACE))
        yield made


def start(addon: AddOn) -> None:
    """A replica with the rights of the generated RBAC and no others.

    No check-in comes by itself while anything is waited for: what happens is what a change that is heard of brings about.
    """
    token = addon.plane.service_account_token("kube-system", "aksp")
    addon.start(kubeconfig=addon.plane.kubeconfig_for(token=token), interval="1h")
    until(lambda: addon.leader)


def hook(one: Object) -> Any:
    return one["webhooks"][0]


CHANGES: dict[str, Change] = {
    "rules": lambda one: hook(one).update(rules=[]),
    "caBundle": lambda one: hook(one)["clientConfig"].pop("caBundle"),
    "namespaceSelector": lambda one: hook(one).update(namespaceSelector={"matchLabels": {"no": "such"}}),
    "objectSelector": lambda one: hook(one).update(objectSelector={"matchLabels": {"no": "such"}}),
    "matchConditions": lambda one: hook(one).update(matchConditions=[{"name": "never", "expression": "false"}]),
    "failurePolicy": lambda one: hook(one).update(failurePolicy="Fail"),
    "timeoutSeconds": lambda one: hook(one).update(timeoutSeconds=1),
    "sideEffects": lambda one: hook(one).update(sideEffects="None"),
    "admissionReviewVersions": lambda one: hook(one).update(admissionReviewVersions=["v1", "v1beta1"]),
    "matchPolicy": lambda one: hook(one).update(matchPolicy="Exact"),
    "clientConfig": lambda one: hook(one)["clientConfig"].update(url="https://127.0.0.1:9/v1/admit"),
    "webhooks": lambda one: one["webhooks"].append({**hook(one), "name": "extra.example.io", "rules": []}),
    "labels": lambda one: one["metadata"].pop("labels"),
    "annotations": lambda one: one["metadata"]["annotations"].update({"cert-manager.io/inject-ca-from": "a/b"}),
}


def change(plane: ControlPlane, how: Change) -> None:
    """Change the configuration as an administrator with kubectl edit."""
    while True:
        one = plane.request("GET", WEBHOOK)
        how(one)
        try:
            plane.request("PUT", WEBHOOK, one)
            return
        except ApiError as error:
            if error.status != 409:
                raise


def comparable(plane: ControlPlane) -> Any:
    """The configuration without what tells its versions; None when it is not there."""
    status, text = plane.client.raw("GET", WEBHOOK)
    if status == 404:
        return None
    one = json.loads(text)
    metadata = {key: one["metadata"].get(key) for key in ("name", "labels", "annotations")}
    return metadata, one["webhooks"]


def repairs(addon: AddOn, part: str) -> float:
    """The metric."""
    lines = addon.replicas[-1].get("/metrics").splitlines()
    (line,) = [each for each in lines if each.startswith(f'aksp_webhook_repairs_total{{part="{part}"}}')]
    return float(line.split()[-1])


def told(plane: ControlPlane) -> int:
    """How often Events have told of a repair."""
    events = plane.request("GET", "/api/v1/namespaces/default/events")["items"]
    return sum(each["count"] for each in events if each["reason"] == "WebhookRepaired")


@pytest.mark.parametrize("part", [*CHANGES, "object"])
def test_what_is_changed_is_put_back_once_it_is_heard_of_with_an_event_and_a_metric(addon: AddOn, part: str) -> None:
    plane = addon.plane
    before, counted, events = comparable(plane), repairs(addon, part), told(plane)
    if part == "object":
        plane.request("DELETE", WEBHOOK)
    else:
        change(plane, CHANGES[part])
    until(lambda: repairs(addon, part) == counted + 1, what=f"{part} is not counted")
    assert comparable(plane) == before
    until(lambda: told(plane) == events + 1, what=f"no Event about {part}")


def test_it_may_make_the_configuration_of_its_name_and_no_other(addon: AddOn) -> None:
    """`create` with a name counts for server-side apply, which says the name, and not for a POST."""
    plane = addon.plane
    client = Client(plane.server, plane.ca, plane.service_account_token("kube-system", "aksp"))
    path = WEBHOOK.rpartition("/")[0]
    document = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    try:
        for method, at, name in (("POST", path, "aksp"), ("POST", path, "other"), ("PATCH", f"{path}/other", "other")):
            query = "?fieldManager=test&force=true" if method == "PATCH" else ""
            body = json.dumps({**document, "metadata": {"name": name}}).encode()
            kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
            assert client.raw(method, at + query, body, kind)[0] == 403
        assert client.raw("DELETE", f"{path}/aksp")[0] == 403
        assert client.raw("GET", f"{path}?fieldSelector=metadata.name%3Daksp")[0] == 200
    finally:
        client.close()


def test_other_rules_are_no_repair(addon: AddOn) -> None:
    plane = addon.plane
    before = told(plane)
    addon.assign("unique-ingress-hosts")
    addon.applied("unique-ingress-hosts")
    addon.unassign("unique-ingress-hosts")
    until(lambda: all("ingresses" not in rule["resources"] for rule in hook(plane.request("GET", WEBHOOK))["rules"]))
    assert told(plane) == before


def test_a_kind_that_the_cluster_does_not_serve_is_not_started_and_not_said_to_be_enforced(addon: AddOn) -> None:
    widgets = defined("widgets", 'violation contains {"msg": "no"} if false')
    details = widgets["spec"]["policyRule"]["then"]["details"]
    details["kinds"], details["apiGroups"] = ["Widget"], ["example.org"]
    addon.plane.apply([{**widgets, "metadata": {"name": "widgets"}}])
    name = addon.assign("widgets", parameters={})
    status = addon.applied(name)
    conditions = {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}
    assert conditions["Enforced"] == ("False", "KindNotServed")
    assert conditions["Evaluated"][1] == "NothingJudged" and status["state"] == "NotStarted"
    assert "Widget" in status["message"], status
    addon.unassign(name)
    addon.plane.request("DELETE", f"{GROUP}/policydefinitions/widgets")


def test_enabling_with_other_settings_is_followed_and_no_repair(addon: AddOn) -> None:
    plane = addon.plane
    before, counted = told(plane), repairs(addon, "timeoutSeconds")
    addon.enable("--exclude-namespace", "argocd")
    # It hears of changes in order: what is a repair comes after the settings.
    change(plane, CHANGES["timeoutSeconds"])
    until(lambda: repairs(addon, "timeoutSeconds") == counted + 1)
    until(lambda: told(plane) > before)
    values = hook(plane.request("GET", WEBHOOK))["namespaceSelector"]["matchExpressions"][0]["values"]
    assert "argocd" in values and "vault" not in values
    assert told(plane) == before + 1
    assert addon.aksp.run("addon", "status").code == 0


def test_kinds_and_secret_deleted_by_hand_leave_in_force_what_is_and_are_named(addon: AddOn) -> None:
    plane = addon.plane
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    plane.request("DELETE", f"{crds}/policyassignments.policy.aksp.io")
    plane.request("DELETE", "/api/v1/namespaces/kube-system/secrets/aksp-webhook-cert")
    until(lambda: plane.client.raw("GET", f"{GROUP}/policyassignments")[0] == 404)
    until(lambda: "check-ins fail since" in addon.aksp.run("addon", "status").stderr)
    ended = addon.aksp.run("addon", "status")
    assert ended.code == 4
    assert "this cluster has no policyassignments" in ended.stderr and "Check-in:  failed" in ended.stdout
    assert "customresourcedefinition/policyassignments.policy.aksp.io" in ended.stderr
    assert "secret/aksp-webhook-cert" in ended.stderr
    message = refusal(lambda: plane.request("POST", f"/api/v1/namespaces/{PLACE}/pods", pod("still", PLACE)))
    assert FOREIGN in message
    # What is served again is followed again: nothing is assigned in it.
    addon.enable()
    until(lambda: rehearsed(plane, pod("web", PLACE)) == "")
    addon.assign("allowed-images", parameters=OUR_REGISTRY)
    addon.enforced("allowed-images", pod("web", PLACE))
    assert addon.aksp.run("addon", "status").code == 0


def test_status_sees_each_deviation_without_a_leader(addon: AddOn) -> None:
    plane = addon.plane
    addon.replicas[-1].terminate()
    before = plane.request("GET", WEBHOOK)

    def as_before(one: Object) -> None:
        metadata = {key: before["metadata"].get(key) for key in ("labels", "annotations")}
        one.update(webhooks=before["webhooks"], metadata={**one["metadata"], **metadata})

    for part, how in CHANGES.items():
        change(plane, how)
        ended = addon.aksp.run("addon", "status", "-o", "json")
        assert ended.code == 4
        found = {each["part"] for each in json.loads(ended.stdout)["addon"]["webhookDeviations"]}
        assert ("rules" if part == "caBundle" else part) in found
        change(plane, as_before)
    plane.request("DELETE", WEBHOOK)
    ended = addon.aksp.run("addon", "status", "-o", "json")
    assert ended.code == 4 and json.loads(ended.stdout)["addon"]["missing"] == ["validatingwebhookconfiguration/aksp"]
    start(addon)
    until(lambda: comparable(plane) is not None)
