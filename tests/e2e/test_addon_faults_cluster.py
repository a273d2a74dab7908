"""The add-on while the API server is away, and while etcd takes nothing any more."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.e2e.addon import GROUP, AddOn, refusal, until
from tests.e2e.command import Aksp
from tests.e2e.load import Caller, review
from tests.e2e.objects import OUR_REGISTRY, OURS, made, namespace, pod, service
from tests.testbed.client import ApiError
from tests.testbed.controlplane import ControlPlane

pytestmark = pytest.mark.e2e

PLACE = "addon-cluster"
#: etcd's own default is 2 GiB.
QUOTA = 12 << 20


@pytest.fixture(scope="module")
def own(plane: ControlPlane) -> Iterator[ControlPlane]:
    """A control plane that may be hurt. That the session's is there says that it can be had."""
    with ControlPlane(controllers=None, etcd_flags=(f"--quota-backend-bytes={QUOTA}",)) as running:
        yield running


@pytest.fixture(scope="module")
def addon(own: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AddOn]:
    folder = tmp_path_factory.mktemp("addon")
    enabled = AddOn(plane=own, aksp=Aksp(folder=folder, kubeconfig=own.kubeconfig), folder=folder)
    own.apply([namespace(PLACE)])
    enabled.enable()
    enabled.start()
    enabled.assign("allowed-images", parameters=OUR_REGISTRY)
    enabled.applied("allowed-images")
    yield enabled
    for replica in enabled.replicas:
        replica.process.stop()


def refused(plane: ControlPlane, image: str) -> str:
    """The message with which the Pod is refused; "" when it is not."""
    try:
        rehearse(plane, image)
    except ApiError as error:
        return str(error)
    return ""


def rehearse(plane: ControlPlane, image: str) -> None:
    """Asks the API server to create a Pod, and not to keep it."""
    plane.request("POST", f"/api/v1/namespaces/{PLACE}/pods?dryRun=All", pod("rehearsed", PLACE, image))


def test_an_api_server_that_was_away_is_followed_again_and_nothing_is_forgotten(
    addon: AddOn, own: ControlPlane
) -> None:
    (replica,) = addon.replicas
    caller = Caller(addon.port, addon.trust)
    before = addon.status("allowed-images")
    transitions = addon.lease["leaseTransitions"]

    own.stop_api_server()
    remembered = review(pod("meanwhile", PLACE), dryRun=False)
    assert "[allowed-images]" in (caller.post(remembered).refused or "")
    # Longer than a watch takes to find out, shorter than the leader's patience.
    time.sleep(2.5)
    assert "[allowed-images]" in (caller.post(review()).refused or "")
    assert caller.post(review(pod("good", PLACE, OURS))).refused is None
    assert replica.ready and replica.process.running
    own.start_api_server()

    assert "[allowed-images]" in refusal(lambda: rehearse(own, "docker.io/library/nginx:1"))
    rehearse(own, OURS)
    # The watches of what was there go on: a change and a new assignment come into force, and with it another rule.
    addon.assign("allowed-images", parameters={"allowedContainerImagesRegex": "^docker"})
    addon.assign("allowed-service-ports", parameters={"allowedServicePortsRegex": "^80$"})
    addon.applied("allowed-service-ports", 40)
    addon.applied("allowed-images", 40)
    t = time.monotonic()
    until(lambda: "[allowed-images]" in refused(own, OURS), 60)
    print("TOOK", time.monotonic() - t)
    services = f"/api/v1/namespaces/{PLACE}/services"
    assert "[allowed-service-ports]" in refusal(lambda: own.request("POST", services, service("odd", PLACE, 9999)))

    after = addon.status("allowed-images")
    assert after["appliedGeneration"] == before["appliedGeneration"] + 1
    assert after["lastCheckIn"] > before["lastCheckIn"]
    # It was away for less than the leader may be silent.
    assert (addon.leader, addon.lease["leaseTransitions"]) == ("aksp-0", transitions)
    denials = until(lambda: own.request("GET", f"{GROUP}/policydenials")["items"], what="no denial written later")
    assert "meanwhile" in [one["spec"]["resource"]["name"] for one in denials]
    caller.close()
    addon.unassign("allowed-service-ports")
    addon.assign("allowed-images", parameters=OUR_REGISTRY)
    addon.applied("allowed-images")


def fill(plane: ControlPlane) -> str:
    """Creates ConfigMaps until etcd takes no more; what it says."""
    path = f"/api/v1/namespaces/{PLACE}/configmaps"
    for number in range(3 * QUOTA >> 20):
        try:
            plane.request("POST", path, made("v1", "ConfigMap", f"filler-{number}", PLACE, data={"x": "x" * 1_000_000}))
        except ApiError as error:
            return str(error)
    raise AssertionError("etcd takes more than its quota")


def test_a_full_etcd_leaves_the_last_good_policies_in_force_also_for_a_new_process(
    addon: AddOn, own: ControlPlane
) -> None:
    assert "database space exceeded" in fill(own)
    with pytest.raises(ApiError):
        addon.assign("allowed-images", parameters={"allowedContainerImagesRegex": ".*"})

    def in_force() -> None:
        assert "[allowed-images]" in refusal(lambda: rehearse(own, "docker.io/library/nginx:1"))
        rehearse(own, OURS)

    in_force()
    (replica,) = addon.replicas
    # A refusal that cannot be remembered is one all the same.
    assert "[allowed-images]" in refusal(
        lambda: own.request("POST", f"/api/v1/namespaces/{PLACE}/pods", pod("wrong", PLACE))
    )
    print(replica.log[-20:])
    until(lambda: "database space exceeded" in json.dumps(replica.log), 20, "nobody says what is wrong")
    # The lease cannot be renewed: it leads no more, and answers on.
    until(lambda: "leading no more" in json.dumps(replica.log), 20, "it leads without a lease")
    in_force()
    assert replica.ready and replica.process.running
    assert replica.terminate() == 0

    addon.start()
    in_force()
