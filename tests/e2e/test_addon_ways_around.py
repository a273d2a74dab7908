"""Ways around the add-on that were open once: being deleted, and being said to be made by an exempted workload."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.addon import GROUP, AddOn, created, refusal, rehearsed
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, OURS, container, pod, service, workload
from tests.testbed.client import ApiError
from tests.testbed.controlplane import ControlPlane
from tests.waiting import until

pytestmark = pytest.mark.e2e

PLACE = "addon-ways"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
HELD = ["example.com/held"]


def test_what_is_being_deleted_can_lose_its_finalizers_but_gets_no_worse(
    images: str, addon: AddOn, plane: ControlPlane
) -> None:
    addon.assign("allowed-service-ports", parameters={"allowedServicePortsRegex": "^(80|443)$"})
    addon.enforced("allowed-service-ports", service("odd", PLACE, 9999))
    held_pod, held_service = pod("held", PLACE, OURS), service("held", PLACE, 80)
    paths: dict[str, tuple[Any, Any]] = {
        f"/api/v1/namespaces/{PLACE}/pods/held": (
            {"spec": {"containers": [container("main", FOREIGN)]}},
            {"spec": {"containers": [container("main", "contoso.azurecr.io/app:2")]}},
        ),
        f"/api/v1/namespaces/{PLACE}/services/held": (
            {"spec": {"ports": [{"port": 9999}]}},
            {"spec": {"ports": [{"port": 443}]}},
        ),
    }
    for one, (path, (worse, as_good)) in zip((held_pod, held_service), paths.items(), strict=True):
        one["metadata"]["finalizers"] = HELD
        created(plane, one)
        going = plane.request("DELETE", f"{path}?gracePeriodSeconds=0")
        assert going["metadata"]["deletionTimestamp"]
        for patch in (worse, {**worse, "metadata": {"finalizers": None}}):
            with_content_type = STRATEGIC if "pods" in path else MERGE
            message = refusal(lambda p=path, w=patch, t=with_content_type: plane.request("PATCH", p, w, t))  # type: ignore[misc]
            assert "9999" in message or FOREIGN in message
        plane.request("PATCH", path, as_good, STRATEGIC if "pods" in path else MERGE)
    debugger = {"spec": {"ephemeralContainers": [container("debugger", FOREIGN)]}}
    ephemeral = f"/api/v1/namespaces/{PLACE}/pods/held/ephemeralcontainers"
    assert "debugger" in refusal(lambda: plane.request("PATCH", ephemeral, debugger, STRATEGIC))
    before = reviewed(addon)
    plane.request("PATCH", f"/api/v1/namespaces/{PLACE}/pods/held/status", {"status": {"phase": "Failed"}}, MERGE)
    assert reviewed(addon) == before > 0, "a status was asked about"
    for path in paths:
        plane.request("PATCH", path, {"metadata": {"finalizers": None}}, MERGE)
        until(lambda p=path: plane.client.raw("GET", p)[0] == 404, what=f"{path} is still there")  # type: ignore[misc]


def test_what_violated_before_it_was_deleted_can_go(addon: AddOn, plane: ControlPlane) -> None:
    addon.unassign()
    older = pod("older", PLACE)
    older["metadata"]["finalizers"] = HELD
    created(plane, older)
    path = f"/api/v1/namespaces/{PLACE}/pods/older"
    addon.enforced(addon.assign("allowed-images", parameters=OUR_REGISTRY), pod("probe", PLACE))
    plane.request("DELETE", f"{path}?gracePeriodSeconds=0")
    other = {"spec": {"containers": [container("main", "docker.io/library/redis:7")]}}
    assert "redis:7" in refusal(lambda: plane.request("PATCH", path, other, STRATEGIC))
    plane.request("PATCH", path, {"metadata": {"finalizers": None}}, MERGE)
    until(lambda: plane.client.raw("GET", path)[0] == 404)
    addon.unassign()


def test_an_exemption_by_workload_is_for_the_pods_that_the_workload_makes(
    images: str, addon: AddOn, plane: ControlPlane
) -> None:
    addon.exempt("web", images, resources=[{"namespace": PLACE, "kind": "Deployment", "name": "web"}])
    made_by_hand = pod("forged", PLACE)
    deployment = plane.request(
        "POST", plane.client.collection("apps/v1", "Deployment", PLACE), workload("apps/v1", "Deployment", "web", PLACE)
    )
    listed = f"/api/v1/namespaces/{PLACE}/pods?labelSelector=app%3Dweb"
    (real,) = until(lambda: plane.request("GET", listed)["items"], what="the exempted Deployment has no Pod")
    (owner,) = real["metadata"]["ownerReferences"]
    labels = real["metadata"]["labels"]

    def forged(labels: Any, **reference: Any) -> str:
        made_by_hand["metadata"] = {
            "name": "forged", "namespace": PLACE, "labels": labels, "ownerReferences": [{**owner, **reference}],
        }  # fmt: skip
        return rehearsed(plane, made_by_hand)

    # Even with the true owner's uid.
    for message in (
        forged(labels),
        forged(labels, uid="00000000-0000-0000-0000-000000000000"),
        forged({}, kind="Deployment", name="web", uid=deployment["metadata"]["uid"]),
    ):
        assert f"[{images}]" in message and "admin is no controller's account" in message
    # A ReplicaSet of such a name, which nobody owns, gets no Pod.
    lone = workload("apps/v1", "ReplicaSet", "web-abc", PLACE)
    for part in (lone["metadata"], lone["spec"]["selector"], lone["spec"]["template"]["metadata"]):
        target = (
            part.setdefault("matchLabels", {}) if part is lone["spec"]["selector"] else part.setdefault("labels", {})
        )
        target |= {"app": "lone", "pod-template-hash": "abc"}
    created(plane, lone)
    events = f"/api/v1/namespaces/{PLACE}/events"
    until(
        lambda: [
            one
            for one in plane.request("GET", events)["items"]
            if one["reason"] == "FailedCreate"
            and one["involvedObject"]["name"] == "web-abc"
            and images in one["message"]
        ],
        what="the ReplicaSet that nobody owns was not refused its Pod",
    )
    denials = plane.request("GET", f"{GROUP}/namespaces/{PLACE}/policydenials")["items"]
    assert not [one for one in denials if one["spec"].get("workload") == {"kind": "Deployment", "name": "web"}]
    for plural, name in (("deployments", "web"), ("replicasets", "web-abc")):
        plane.request("DELETE", f"/apis/apps/v1/namespaces/{PLACE}/{plural}/{name}?propagationPolicy=Background")


def reviewed(addon: AddOn) -> float:
    """How many reviews of Pods were answered."""
    lines = addon.replicas[0].get("/metrics").splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("aksp_admission_requests_total") and 'kind="Pod"' in line
    )


@pytest.mark.parametrize("resources", [[], [{}]])
def test_an_exemption_for_no_resource_is_refused_by_the_api_server(addon: AddOn, resources: list[Any]) -> None:
    """It could be read as one for everything."""
    with pytest.raises(ApiError) as raised:
        addon.exempt("none", "allowed-images", resources=resources)
    assert raised.value.status == 422 and "resources" in str(raised.value.body["message"])
