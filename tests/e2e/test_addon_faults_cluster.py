"""The add-on while the API server is away, and while etcd takes nothing any more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.addon import GROUP, AddOn, refusal, rehearsed
from tests.e2e.command import Aksp
from tests.e2e.load import Caller, review
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, OURS, made, namespace, pod, service
from tests.testbed.client import ApiError
from tests.testbed.controlplane import ControlPlane
from tests.waiting import until

pytestmark = pytest.mark.e2e

PLACE = "addon-cluster"
#: etcd's own default is 2 GiB.
QUOTA = 12 << 20
#: Four kinds of documents, and the webhook configuration.
WATCHES = 5


@pytest.fixture
def own(plane: ControlPlane) -> Iterator[ControlPlane]:
    """A control plane that may be hurt, each test its own. That the session's is there says that it can be had."""
    with ControlPlane(controllers=None, etcd_flags=(f"--quota-backend-bytes={QUOTA}",)) as running:
        yield running


@pytest.fixture
def addon(own: ControlPlane, tmp_path: Path) -> Iterator[AddOn]:
    enabled = AddOn(plane=own, aksp=Aksp(folder=tmp_path, kubeconfig=own.kubeconfig), folder=tmp_path)
    own.apply([namespace(PLACE)])
    enabled.enable()
    enabled.start()
    enabled.assign("allowed-images", parameters=OUR_REGISTRY)
    enabled.enforced("allowed-images", pod("probe", PLACE))
    yield enabled
    for replica in enabled.replicas:
        replica.process.stop()


def asked(plane: ControlPlane, image: str) -> str:
    """Asks the API server to create a Pod, and not to keep it: why it is refused; "" when it is not."""
    return rehearsed(plane, pod("rehearsed", PLACE, image))


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
    # All that it watches, and its lease.
    until(lambda: sum("refused" in one["message"] for one in replica.log) > WATCHES)
    assert "[allowed-images]" in (caller.post(review()).refused or "")
    assert caller.post(review(pod("good", PLACE, OURS))).refused is None
    assert replica.ready and replica.process.running
    own.start_api_server()

    assert "[allowed-images]" in asked(own, FOREIGN) and asked(own, OURS) == ""
    # The watches of what was there go on: a change and a new assignment come into force, and with it another rule.
    addon.assign("allowed-images", parameters={"allowedContainerImagesRegex": "^docker"})
    addon.assign("allowed-service-ports", parameters={"allowedServicePortsRegex": "^80$"})
    addon.enforced("allowed-images", pod("probe", PLACE, OURS))
    addon.enforced("allowed-service-ports", service("odd", PLACE, 9999))

    after = addon.status("allowed-images")
    assert after["appliedGeneration"] == before["appliedGeneration"] + 1
    # Times are whole seconds, and all of this may take less than one.
    assert after["lastCheckIn"] >= before["lastCheckIn"]
    # It was away for less than the leader may be silent.
    assert (addon.leader, addon.lease["leaseTransitions"]) == ("aksp-0", transitions)

    def denied() -> set[str]:
        return {one["spec"]["resource"]["name"] for one in own.request("GET", f"{GROUP}/policydenials")["items"]}

    until(lambda: "meanwhile" in denied(), what="no denial written later")
    caller.close()


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
        assert "[allowed-images]" in asked(own, FOREIGN) and asked(own, OURS) == ""

    in_force()
    (replica,) = addon.replicas
    # A refusal that cannot be remembered is one all the same.
    assert "[allowed-images]" in refusal(
        lambda: own.request("POST", f"/api/v1/namespaces/{PLACE}/pods", pod("wrong", PLACE))
    )
    until(lambda: "database space exceeded" in json.dumps(replica.log), what="nobody says what is wrong")
    # The lease cannot be renewed: it leads no more, and answers on.
    until(lambda: "leading no more" in json.dumps(replica.log), what="it leads without a lease")
    in_force()
    assert replica.ready and replica.process.running
    assert replica.terminate() == 0

    addon.start()
    in_force()
