"""The add-on with the rights that it is given, and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.addon import GROUP, WEBHOOK, AddOn, refusal
from tests.e2e.command import Aksp
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, Object, namespace, pod, workload
from tests.testbed.client import ApiError, Client
from tests.testbed.controlplane import ControlPlane
from tests.waiting import until

pytestmark = pytest.mark.e2e

PLACE, EMPTIED = "addon-rights", "addon-emptied"
REPORTS = "/apis/wgpolicyk8s.io/v1alpha2/namespaces/{}/policyreports"


@pytest.fixture(scope="module")
def addon() -> Iterator[AddOn]:
    """As its service account, on a control plane of its own that serves PolicyReports."""
    import tempfile

    with ControlPlane() as plane, tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        crds = sorted(Path(__file__).with_name("crds").rglob("*.yaml"))
        documents = [each for path in crds for each in yaml.safe_load_all(path.read_text()) if each]
        plane.apply([each for each in documents if each["spec"]["group"] == "wgpolicyk8s.io"])
        plane.apply([namespace(PLACE), namespace(EMPTIED)])
        made = AddOn(plane=plane, aksp=Aksp(folder=folder, kubeconfig=plane.kubeconfig), folder=folder)
        made.enable()
        for place in (PLACE, EMPTIED):
            plane.request("POST", f"/api/v1/namespaces/{place}/pods", pod("older", place))
        token = plane.service_account_token("kube-system", "aksp")
        made.start(kubeconfig=plane.kubeconfig_for(token=token))
        made.assign("allowed-images", parameters=OUR_REGISTRY)
        made.assign("unique-ingress-hosts")
        yield made
        made.stop()


def items(plane: ControlPlane, path: str) -> list[Object]:
    """What is in a list; nothing while the API server still sets up the storage of a new kind (429)."""
    status, answer = plane.client.raw("GET", path)
    assert status in (200, 429), answer
    found = json.loads(answer).get("items", [])
    assert isinstance(found, list)
    return found


def test_its_rights_suffice_for_all_that_it_does(addon: AddOn) -> None:
    plane = addon.plane
    for name in ("allowed-images", "unique-ingress-hosts"):
        conditions = {each["type"]: each["status"] for each in addon.applied(name)["conditions"]}
        assert conditions == {"Applied": "True", "Evaluated": "True", "Enforced": "True"}
    assert addon.status("allowed-images")["state"] == "NonCompliant"
    # What is said to be enforced has its rules.
    webhook = plane.request("GET", WEBHOOK)["webhooks"][0]
    assert webhook["rules"] and webhook["clientConfig"]["caBundle"]
    addon.enforced("allowed-images", pod("younger", PLACE))
    message = refusal(lambda: plane.request("POST", f"/api/v1/namespaces/{PLACE}/pods", pod("younger", PLACE)))
    assert FOREIGN in message
    plane.apply([workload("apps/v1", "Deployment", "web", PLACE)])
    until(lambda: items(plane, f"/apis/policy.aksp.io/v1alpha1/namespaces/{PLACE}/policydenials"))
    until(
        lambda: [
            one
            for one in plane.request("GET", f"/api/v1/namespaces/{PLACE}/events")["items"]
            if one["reason"] == "PolicyDenied"
        ]
    )
    reports = until(lambda: items(plane, REPORTS.format(PLACE)))
    results = [each for report in reports for each in report.get("results", [])]
    assert ("allowed-images", "fail") in {(each["policy"], each["result"]) for each in results}
    assert until(lambda: items(plane, f"{GROUP}/compliancereports"))[0]["spec"]["parts"] >= 1
    log = addon.replicas[0].process.log.read_text().lower()
    assert "forbidden" not in log and "cannot" not in log, log


def test_a_policy_report_goes_when_what_it_reported_is_gone(addon: AddOn) -> None:
    plane = addon.plane
    until(lambda: items(plane, REPORTS.format(EMPTIED)))
    plane.request("DELETE", f"/api/v1/namespaces/{EMPTIED}/pods/older?gracePeriodSeconds=0")
    until(lambda: items(plane, REPORTS.format(EMPTIED)) == [])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/secrets", None),
        ("GET", "/api/v1/namespaces/kube-system/secrets", None),
        ("GET", "/api/v1/namespaces/kube-system/secrets/another", None),
        ("POST", "/api/v1/namespaces/kube-system/secrets", {"metadata": {"name": "made"}}),
        ("GET", "/api/v1/configmaps", None),
        # Nothing assigned is about them.
        ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", None),
        ("GET", "/apis/coordination.k8s.io/v1/leases", None),
        ("GET", "/api/v1/nodes", None),
        ("POST", f"/api/v1/namespaces/{PLACE}/pods", pod("made", PLACE)),
        ("DELETE", f"/api/v1/namespaces/{PLACE}/pods/older", None),
        ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {"metadata": {"name": "made"}}),
        ("DELETE", WEBHOOK, None),
        ("PATCH", f"{GROUP}/policyassignments/allowed-images", {"spec": {"enforcementMode": "DoNotEnforce"}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_may_do_nothing_else(addon: AddOn, method: str, path: str, body: object) -> None:
    plane = addon.plane
    client = Client(plane.server, plane.ca, plane.service_account_token("kube-system", "aksp"))
    with pytest.raises(ApiError) as raised:
        client.request(method, path, body, "application/merge-patch+json" if method == "PATCH" else "application/json")
    client.close()
    assert raised.value.status == 403


def test_its_own_secret_it_can_read(addon: AddOn) -> None:
    plane = addon.plane
    client = Client(plane.server, plane.ca, plane.service_account_token("kube-system", "aksp"))
    secret = client.request("GET", "/api/v1/namespaces/kube-system/secrets/aksp-webhook-cert")
    client.close()
    assert {"ca.crt", "ca.key", "tls.crt", "tls.key"} <= secret["data"].keys()
