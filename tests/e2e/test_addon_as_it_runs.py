"""The add-on as its Deployment runs it: two replicas, user nobody, nothing writable, the rights of its ServiceAccount."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from aksp.addon.webhook import certificates
from aksp.addon.webhook.certificates import Pair
from tests.e2e.addon import WEBHOOK, AddOn, refusal
from tests.e2e.command import Aksp
from tests.e2e.confined import NOBODY, Confined, standing
from tests.e2e.conftest import REQUIRED
from tests.e2e.load import Caller, review
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, namespace, pod, workload
from tests.testbed.controlplane import ControlPlane
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.e2e

PLACE = "addon-as-it-runs"
PODS = f"/api/v1/namespaces/{PLACE}/pods"
SECRET = "/api/v1/namespaces/kube-system/secrets/aksp-webhook-cert"
PROTOBUF = "application/vnd.kubernetes.protobuf"
CERTIFICATE = "kube-system/aksp-serving"


@pytest.fixture
def addon() -> Iterator[AddOn]:
    """Replicas are confined; enabled by the test."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        confined = Confined(folder=folder)
        if obstacle := confined.obstacle(Path(__file__).parents[2]):
            if os.environ.get(REQUIRED) not in (None, "", "0"):
                pytest.fail(f"{obstacle} ({REQUIRED} is set)")
            pytest.skip(obstacle)
        with ControlPlane() as plane:
            plane.apply([namespace(PLACE)])
            aksp = Aksp(folder=folder, kubeconfig=plane.kubeconfig)
            made = AddOn(plane=plane, aksp=aksp, folder=folder, within=confined.within)
            yield made
            made.stop()


def rights(addon: AddOn) -> Path:
    """A kubeconfig of the ServiceAccount, which the user nobody can read."""
    token = addon.plane.service_account_token("kube-system", "aksp")
    path = addon.folder / "serviceaccount.kubeconfig"
    shutil.copyfile(addon.plane.kubeconfig_for(token=token), path)
    path.chmod(0o644)
    return path


def test_two_confined_replicas_judge_what_comes_as_yaml_and_protobuf_and_renew_by_age(addon: AddOn) -> None:
    plane = addon.plane
    plane.client.request("POST", PODS, pod("older", PLACE))
    # What a client of Go sends, as the API server writes it: nobody refuses it yet.
    encoded = _encoded(plane, pod("typed", PLACE))
    addon.enable()
    kubeconfig = rights(addon)
    replicas = [addon.begin(kubeconfig=kubeconfig), addon.begin(kubeconfig=kubeconfig, port=addon.port + 1)]
    until(lambda: all(each.ready for each in replicas))
    until(lambda: addon.leader)
    for each in replicas:
        for pid in (each.pid, *each.engines):
            found = standing(pid)
            assert found["Uid"].split() == found["Gid"].split() == [str(NOBODY)] * 4
            assert (found["CapEff"], found["CapBnd"], found["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")
            assert "ro" in found["/"].split(",")
    addon.assign("allowed-images", parameters=OUR_REGISTRY)
    addon.enforced("allowed-images", pod("web", PLACE))
    assert addon.status("allowed-images")["state"] == "NonCompliant"

    message = refusal(lambda: plane.request("POST", PODS, pod("typed", PLACE)))
    assert FOREIGN in message
    for content_type, body in (
        ("application/yaml", yaml.safe_dump(pod("typed", PLACE)).encode()),
        (PROTOBUF, encoded),
    ):
        status, answer = plane.client.raw("POST", PODS, body, content_type)
        assert (status, json.loads(answer)["message"]) == (403, message), content_type
    applied = f"{PODS}/typed?fieldManager=test"
    status, answer = plane.client.raw(
        "PATCH", applied, yaml.safe_dump(pod("typed", PLACE)).encode(), "application/apply-patch+yaml"
    )
    assert (status, json.loads(answer)["message"]) == (403, message)
    # The controllers talk protobuf.
    plane.apply([workload("apps/v1", "Deployment", "web", PLACE)])
    events = f"/api/v1/namespaces/{PLACE}/events"
    until(lambda: "FailedCreate" in {one["reason"] for one in plane.request("GET", events)["items"]})

    # Nobody asks about CONNECT, so exec into a Pod gets as far as its kubelet.
    rules = plane.request("GET", WEBHOOK)["webhooks"][0]["rules"]
    assert {name for rule in rules for name in rule["operations"]} <= {"CREATE", "UPDATE"}
    status, answer = plane.client.raw("POST", f"{PODS}/older/exec?command=id&container=web&stdout=true")
    assert status != 403, answer

    callers = [Caller(port, addon.trust) for port in (addon.port, addon.port + 1)]
    messages = {caller.post(review(pod("web", PLACE))).refused for caller in callers}
    assert len(messages) == 1 and FOREIGN in str(messages)
    for caller in callers:
        caller.close()

    _renewed_by_age(addon)
    for each in replicas:
        log = each.process.log.read_text()
        assert "Read-only file system" not in log and "Permission denied" not in log and "Traceback" not in log, log
        assert "orbidden" not in log, log


def _encoded(plane: ControlPlane, one: object) -> bytes:
    """The object as protobuf: the API server's own answer to a dry run."""
    import http.client
    import ssl
    from urllib.parse import urlsplit

    address = urlsplit(plane.server)
    trust = ssl.create_default_context(cadata=plane.ca.decode())
    connection = http.client.HTTPSConnection(str(address.hostname), address.port, context=trust, timeout=20)
    headers = {"Authorization": f"Bearer {plane.admin_token}", "Content-Type": "application/json", "Accept": PROTOBUF}
    try:
        connection.request("POST", f"{PODS}?dryRun=All", json.dumps(one), headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 201, body
        assert body.startswith(b"k8s\x00")
        return body
    finally:
        connection.close()


def _renewed_by_age(addon: AddOn) -> None:
    """Put a serving certificate of 61 days into the Secret: another is made, and no request fails meanwhile."""
    plane = addon.plane
    data = {name: base64.b64decode(text) for name, text in plane.request("GET", SECRET)["data"].items()}
    authority = Pair(certificate=certificates.split(data["ca.crt"])[0], key=data["ca.key"])
    old = certificates.issue(authority, ["127.0.0.1"], datetime.now(UTC) - timedelta(days=61))
    put = {"tls.crt": old.certificate, "tls.key": old.key}
    patch = {"data": {name: base64.b64encode(value).decode() for name, value in put.items()}}
    caller = Caller(addon.port, addon.trust, keep=False)
    assert caller.post(review(pod("web", PLACE))).refused is not None
    before = caller.serials[-1]
    plane.request("PATCH", SECRET, patch, "application/merge-patch+json")

    def renewed() -> bool:
        assert caller.post(review(pod("web", PLACE))).refused is not None
        return caller.serials[-1] != before

    until(renewed, 1.5 * PATIENCE, "the old certificate is served still")
    now = base64.b64decode(plane.request("GET", SECRET)["data"]["tls.crt"])
    assert not certificates.needs_renewal(now, datetime.now(UTC), names=["127.0.0.1"])
    assert now not in (old.certificate, data["tls.crt"])
    assert FOREIGN in refusal(lambda: plane.request("POST", PODS, pod("web", PLACE)))


class CertManager:
    """What cert-manager does here: it writes a Secret, which a kubelet mounts, and injects its CA where it is told to."""

    def __init__(self, plane: ControlPlane, mount: Path) -> None:
        self._plane, self._mount = plane, mount
        self._ca = b""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._inject, daemon=True)
        self.injected = 0
        mount.mkdir()

    def issue(self) -> Pair:
        """A new authority and a certificate of it: the Secret, and the swap of the mounted files."""
        now = datetime.now(UTC)
        authority = certificates.make_authority(now)
        pair = certificates.issue(authority, ["127.0.0.1"], now)
        files = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.certificate}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": "aksp-serving", "namespace": "kube-system"},
            "data": {name: base64.b64encode(value).decode() for name, value in files.items()},
        }
        self._plane.apply([secret])
        version = Path(tempfile.mkdtemp(prefix="..", dir=self._mount))
        version.chmod(0o755)
        for name, value in files.items():
            (version / name).write_bytes(value)
            os.chown(version / name, 0, NOBODY)
            (version / name).chmod(0o440)
            if not (self._mount / name).is_symlink():
                (self._mount / name).symlink_to(f"..data/{name}")
        (self._mount / "..next").symlink_to(version.name)
        (self._mount / "..next").replace(self._mount / "..data")
        self._ca = authority.certificate
        return pair

    def start(self) -> None:
        self._client = self._plane.client_for(self._plane.admin_token)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(10)

    def _inject(self) -> None:
        while not self._stopping.wait(0.1):
            status, text = self._client.raw("GET", WEBHOOK)
            if status != 200:
                continue
            one = json.loads(text)
            (hook,) = one["webhooks"]
            wanted = base64.b64encode(self._ca).decode()
            told = one["metadata"]["annotations"].get("cert-manager.io/inject-ca-from") == CERTIFICATE
            if told and hook["clientConfig"].get("caBundle") != wanted:
                hook["clientConfig"]["caBundle"] = wanted
                if self._client.raw("PUT", WEBHOOK, json.dumps(one).encode())[0] == 200:
                    self.injected += 1
        self._client.close()


def test_cert_manager_writes_the_secret_and_the_ca_and_nobody_undoes_it(addon: AddOn) -> None:
    plane = addon.plane
    mount = addon.folder / "certificates"
    manager = CertManager(plane, mount)
    manager.issue()
    addon.enable("--inject-ca-from", CERTIFICATE)
    manager.start()
    try:
        replica = addon.start("--cert-dir", str(mount), kubeconfig=rights(addon))
        until(lambda: addon.leader)
        addon.assign("allowed-images", parameters=OUR_REGISTRY)
        addon.enforced("allowed-images", pod("web", PLACE))
        assert manager.injected == 1
        # Another authority, renewed by cert-manager: injected once, served soon, and left alone.
        manager.issue()
        until(lambda: manager.injected == 2)
        addon.enforced("allowed-images", pod("web", PLACE))
        version = plane.request("GET", WEBHOOK)["metadata"]["resourceVersion"]
        # What somebody else changes is put back around the CA.
        patch = [{"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 1}]
        plane.request("PATCH", WEBHOOK, patch, "application/json-patch+json")
        until(lambda: plane.request("GET", WEBHOOK)["webhooks"][0]["timeoutSeconds"] == 3)
        assert plane.request("GET", WEBHOOK)["metadata"]["resourceVersion"] != version
        plane.request("DELETE", WEBHOOK)
        until(lambda: plane.client.serves(WEBHOOK))
        addon.enforced("allowed-images", pod("web", PLACE))
        version = plane.request("GET", WEBHOOK)["metadata"]["resourceVersion"]
        checked_in = addon.status("allowed-images")["lastCheckIn"]
        until(lambda: addon.status("allowed-images")["lastCheckIn"] > checked_in)
        assert plane.request("GET", WEBHOOK)["metadata"]["resourceVersion"] == version, "they write in turns"
        assert manager.injected == 2, "the CA was taken away"
        repaired = re.findall(r'^aksp_webhook_repairs_total\{part="(\w+)"\} ([1-9]\S*)$', replica.get("/metrics"), re.M)
        assert {part for part, _ in repaired} == {"timeoutSeconds", "object"}
    finally:
        manager.stop()
