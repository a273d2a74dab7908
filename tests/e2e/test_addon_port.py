"""Who reaches the port of the webhook without being the API server gets no answer, or changes nothing by it."""

from __future__ import annotations

import http.client
import socket
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aksp.addon.record.denials import OTHERS, PER_NAMESPACE
from tests.docs.pages import ROOT, blocks
from tests.e2e.addon import GROUP, AddOn, refusal
from tests.e2e.command import Aksp
from tests.e2e.load import Caller, review
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, namespace, pod
from tests.kube.apiserver import Authority
from tests.testbed.controlplane import ControlPlane
from tests.testbed.ports import free_port
from tests.waiting import until

pytestmark = pytest.mark.e2e

ADDON = ROOT / "docs" / "addon.md"
PLACE, OTHER_PLACE = "addon-port", "addon-port-other"


@dataclass(frozen=True, kw_only=True)
class Known:
    """The add-on on an API server that has a client certificate of ``authority``, and somebody with another one."""

    addon: AddOn
    authority: Authority
    stranger: Authority
    folder: Path

    def caller(self, authority: Authority | None) -> Caller:
        """A client with a certificate of this authority, or without one."""
        trust = ssl.create_default_context(cadata=self.addon.bundle)
        if authority is not None:
            trust.load_cert_chain(authority.chain)
        return Caller(self.addon.port, trust, keep=False)


def configured(folder: Path, credentials: Path, port: int) -> Path:
    """The AdmissionConfiguration that docs/addon.md shows, by which the API server shows a certificate to webhooks."""
    shown = {
        block.head[1].split()[1].strip(":"): block.text for block in blocks(ADDON) if block.head[1].startswith("# ")
    }
    places = {
        "/etc/kubernetes/aksp/client.crt": str(credentials),
        "/etc/kubernetes/aksp/client.key": str(credentials),
        "/etc/kubernetes/aksp": str(folder),
        "aksp.kube-system.svc": f"127.0.0.1:{port}",
    }
    for name in ("webhooks.kubeconfig", "admission.yaml"):
        text = shown[name]
        for place, ours in places.items():
            text = text.replace(place, ours)
        (folder / name).write_text(text)
    return folder / "admission.yaml"


@pytest.fixture(scope="module")
def known() -> Iterator[Known]:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        ours, stranger = Authority(folder, "api-server"), Authority(folder, "stranger")
        port = free_port()
        path = configured(folder, ours.chain, port)
        with ControlPlane(api_server_flags=[f"--admission-control-config-file={path}"]) as plane:
            plane.apply([namespace(PLACE), namespace(OTHER_PLACE)])
            addon = AddOn(plane=plane, aksp=Aksp(folder=folder, kubeconfig=plane.kubeconfig), folder=folder, port=port)
            # What is not answered shows.
            addon.enable("--failure-policy", "Fail")
            yield Known(addon=addon, authority=ours, stranger=stranger, folder=folder)
            addon.stop()


def test_only_the_api_server_is_answered_when_it_has_a_certificate(known: Known) -> None:
    addon, plane = known.addon, known.addon.plane
    authority = known.folder / "client-ca.crt"
    authority.write_bytes(known.authority.pem)
    given = ("--unjudged", "refuse", "--client-ca", str(authority))
    replica = addon.start(*given, "--client-name", "other", "--client-name", "kube-apiserver")
    addon.assign("allowed-images", parameters=OUR_REGISTRY)
    addon.enforced("allowed-images", pod("web", PLACE))
    message = refusal(lambda: plane.request("POST", f"/api/v1/namespaces/{PLACE}/pods", pod("web", PLACE)))
    assert FOREIGN in message
    assert known.caller(known.authority).post(review()).status == 200
    for other in (None, known.stranger):
        outcome = known.caller(other).post(review())
        assert outcome.status is None and isinstance(outcome.error, ssl.SSLError | ConnectionError)
    replica.process.stop()
    addon.replicas.remove(replica)
    # The right authority, and another name than the certificate's.
    replica = addon.start(*given, "--client-name", "kubelet")
    outcome = known.caller(known.authority).post(review())
    assert outcome.status is None and isinstance(outcome.error, OSError | http.client.HTTPException)
    until(lambda: any(line.get("names") == ["kube-apiserver"] for line in replica.log))
    replica.process.stop()
    addon.replicas.remove(replica)


def test_a_client_ca_that_is_none_ends_the_process_and_lets_nobody_in(known: Known) -> None:
    empty = known.folder / "empty.crt"
    empty.write_text("")
    for path, said in ((empty, "is empty"), (known.folder / "missing.crt", "cannot read the CA")):
        replica = known.addon.begin("--client-ca", str(path), port=free_port())
        until(lambda replica=replica: not replica.process.running)  # type: ignore[misc]
        assert said in replica.process.log.read_text()
        known.addon.replicas.remove(replica)


def test_forged_reviews_push_out_no_denial_and_stay_within_their_namespace(known: Known) -> None:
    """Without a client CA, as on AKS: whoever reaches the port can invent refusals, and no more of them than count."""
    addon, plane = known.addon, known.addon.plane
    addon.start("--unjudged", "refuse")
    addon.assign("allowed-images", parameters=OUR_REGISTRY)
    addon.enforced("allowed-images", pod("web", PLACE))

    def denied(place: str) -> dict[str, int]:
        found = plane.request("GET", f"{GROUP}/namespaces/{place}/policydenials")["items"]
        return {each["spec"]["resource"]["name"]: each["spec"]["count"] for each in found}

    refusal(lambda: plane.request("POST", f"/api/v1/namespaces/{PLACE}/pods", pod("genuine", PLACE)))
    until(lambda: "genuine" in denied(PLACE))
    trust = ssl.create_default_context(cadata=addon.bundle)
    caller = Caller(addon.port, trust)
    forged = 600
    for at in range(forged):
        assert caller.post(review(pod(f"forged-{at}", PLACE), dryRun=False)).status == 200
    # Somebody else is refused meanwhile.
    refusal(lambda: plane.request("POST", f"/api/v1/namespaces/{OTHER_PLACE}/pods", pod("other", OTHER_PLACE)))
    until(lambda: sum(denied(PLACE).values()) >= forged + 1)
    found = denied(PLACE)
    assert found["genuine"] >= 1 and len(found) <= PER_NAMESPACE + 1 and found[OTHERS] > forged - PER_NAMESPACE
    until(lambda: "other" in denied(OTHER_PLACE))
    caller.close()


def test_metrics_are_for_the_replica_s_own_host_unless_they_are_opened(known: Known) -> None:
    address = own_address()
    for opened, status in ((False, 403), (True, 200)):
        port = free_port()
        given = ("--metrics-listen", f"0.0.0.0:{port}", *(["--open-metrics"] if opened else []))
        replica = known.addon.begin(*given, port=free_port())
        for host, expected in (("127.0.0.1", 200), (address, status)):
            until(lambda host=host, port=port: answered(host, port, "/healthz") == 200)  # type: ignore[misc]
            assert answered(host, port, "/metrics") == expected
        replica.process.stop()
        known.addon.replicas.remove(replica)


def answered(host: str, port: int, path: str) -> int | None:
    """The status of the answer; None for no answer."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def own_address() -> str:
    """An address of this machine by which others reach it. Nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but its loopback")
        return str(one.getsockname()[0])
