"""Processes of the add-on that die or are ended, alone and in pairs, while the cluster works on."""

from __future__ import annotations

import itertools
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.addon.custom import defined
from tests.e2e.addon import GROUP, AddOn, refusal
from tests.e2e.load import Caller, Load, Outcome, review
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, OURS, Object, pod
from tests.testbed.client import ApiError
from tests.testbed.controlplane import ControlPlane
from tests.testbed.ports import free_port
from tests.waiting import until

pytestmark = pytest.mark.e2e

PLACE = "addon-faults"
#: A client-go lease: how long a dead leader is believed in, and how long a candidate waits at most between two looks.
LEASE_SECONDS, LOOK_SECONDS = 15.0, 2.0 * 2.2


@pytest.fixture
def addon(enabled: AddOn) -> Iterator[AddOn]:
    """Enabled, with nothing assigned and no replica."""
    enabled.enable()
    yield enabled
    enabled.unassign()
    enabled.plane.request("DELETE", f"/api/v1/namespaces/{PLACE}/pods?gracePeriodSeconds=0")
    enabled.stop()


def creating(plane: ControlPlane) -> tuple[Callable[[], Outcome], dict[str, Outcome]]:
    """Creates a Pod at each call, every other one with a forbidden image; the outcomes by name, as they come."""
    numbers = itertools.count()
    found: dict[str, Outcome] = {}
    path = f"/api/v1/namespaces/{PLACE}/pods"

    def create() -> Outcome:
        number = next(numbers)
        name = f"{'bad' if number % 2 else 'good'}-{number}"
        began = time.monotonic()
        status, body = plane.client.raw(
            "POST", path, json.dumps(pod(name, PLACE, FOREIGN if number % 2 else OURS)).encode()
        )
        found[name] = Outcome(began=began, ended=time.monotonic(), status=status, body=body)
        return found[name]

    return create, found


def test_with_ignore_creates_go_on_without_the_webhook_and_what_slipped_in_is_reported(
    addon: AddOn, plane: ControlPlane
) -> None:
    replica = addon.start()
    addon.enforced(addon.assign("allowed-images", parameters=OUR_REGISTRY), pod("probe", PLACE))
    create, found = creating(plane)
    with Load([create, create], pause=0.02):
        # Lists: the threads of the load add to it meanwhile.
        until(lambda: sum(one.status == 403 for one in list(found.values())) > 5)
        replica.kill()
        killed = time.monotonic()
        until(lambda: sum(one.began > killed for one in list(found.values())) > 20)
        assert all(one.status == 201 for one in list(found.values()) if one.began > killed)
        again = addon.start()
        # Requests that the API server holds back or has sent elsewhere are none of ours.
        until(lambda: [one for one in list(found.values())[-10:] if one.status == 403])
    assert {one.status for name, one in found.items() if name.startswith("good")} == {201}
    # The API server waits 3 s for a webhook: nobody waited for a dead one again and again.
    assert max(one.seconds for one in found.values()) < 6
    slipped = {name for name, one in found.items() if name.startswith("bad") and one.status == 201}
    assert len(slipped) >= 10

    def reported() -> set[str]:
        ended = addon.aksp.run("compliance", "--cluster", "--from", "addon", "-o", "json")
        results = ended.report["results"] if ended.code in (0, 1) else []
        return {each["resource"]["name"] for each in results if each["resource"]["namespace"] == PLACE}

    until(lambda: reported() == slipped)
    assert addon.status("allowed-images")["state"] == "NonCompliant"
    assert again.ready


def test_with_fail_creates_are_refused_without_the_webhook_and_kube_system_still_works(
    addon: AddOn, plane: ControlPlane
) -> None:
    addon.enable("--failure-policy", "Fail")
    replica = addon.start("--unjudged", "refuse")
    addon.enforced(addon.assign("allowed-images", parameters=OUR_REGISTRY), pod("probe", PLACE))
    path = f"/api/v1/namespaces/{PLACE}/pods"
    plane.request("POST", path, pod("good", PLACE, OURS))
    replica.kill()
    with pytest.raises(ApiError) as raised:
        plane.request("POST", path, pod("better", PLACE, OURS))
    assert raised.value.status == 500 and "failed calling webhook" in str(raised.value)
    # What would repair the add-on is never refused, nor what no rule is about.
    plane.request("POST", "/api/v1/namespaces/kube-system/pods", pod("repair", "kube-system"))
    plane.request("DELETE", "/api/v1/namespaces/kube-system/pods/repair?gracePeriodSeconds=0")
    plane.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "free", "namespace": PLACE}}])
    plane.request("PATCH", f"{path}/good/status", {"status": {"phase": "Running"}}, "application/merge-patch+json")
    plane.request("DELETE", f"{path}/good?gracePeriodSeconds=0")
    addon.start("--unjudged", "refuse")
    until(lambda: plane.client.raw("POST", path, json.dumps(pod("better", PLACE, OURS)).encode())[0] == 201)
    assert "[allowed-images]" in refusal(lambda: plane.request("POST", path, pod("worse", PLACE)))


def test_a_leader_that_dies_is_followed_within_the_lease_and_one_that_ends_at_once(addon: AddOn) -> None:
    other = free_port()
    addon.assign("allowed-images", parameters=OUR_REGISTRY)
    first = addon.start()
    until(lambda: addon.leader == "aksp-0")
    second = addon.start(port=other)
    addon.applied("allowed-images")
    # Whoever leads, each answers.
    for port in (addon.port, other):
        assert "[allowed-images]" in (Caller(port, addon.trust, keep=False).post(review()).refused or "")
    assert addon.leader == "aksp-0" and second.get("/metrics").count("aksp_leader 0.0") == 1

    first.kill()
    killed = time.monotonic()
    checked_in = addon.status("allowed-images")["lastCheckIn"]
    assert "[allowed-images]" in (Caller(other, addon.trust, keep=False).post(review()).refused or "")
    until(lambda: addon.leader == "aksp-1", LEASE_SECONDS + LOOK_SECONDS + 10, "the other does not lead")
    # A lease that is taken early has two holders.
    assert time.monotonic() - killed > LEASE_SECONDS - LOOK_SECONDS - 1
    until(lambda: addon.status("allowed-images")["lastCheckIn"] > checked_in, what="the new leader does not check in")

    addon.start()
    assert second.terminate() == 0
    # It was released: nobody holds it, or the next one already. tests/kube has that nobody waits for a free one to run out.
    assert addon.leader in ("", "aksp-2")
    until(lambda: addon.leader == "aksp-2", what="nobody takes the free lease")
    checked_in = addon.status("allowed-images")["lastCheckIn"]
    until(lambda: addon.status("allowed-images")["lastCheckIn"] > checked_in, what="the new leader does not check in")


#: Some 50 ms of work, so that there are always reviews under way.
SLOW = """
violation contains {"msg": "slow"} if {
    some a in numbers.range(1, 250)
    some b in numbers.range(1, 250)
    a * b == -1
}
"""


def test_reviews_under_way_are_answered_when_the_process_is_to_end(addon: AddOn, plane: ControlPlane) -> None:
    plane.apply([without_status(defined("slow", SLOW))])
    try:
        replica = addon.start("--shutdown-delay", "1s")
        addon.assign("slow", parameters={}, effect="Deny")
        addon.assign("allowed-images", parameters=OUR_REGISTRY)
        addon.applied("slow")
        addon.applied("allowed-images")
        trust, body = addon.trust, review()
        kept = [Caller(addon.port, trust) for _ in range(6)]
        fresh = [Caller(addon.port, trust, keep=False) for _ in range(2)]
        ended: list[int] = []
        with Load([lambda one=one: one.post(body) for one in (*kept, *fresh)], pause=0.0) as load:  # type: ignore[misc]
            until(lambda: len(load.outcomes) > 30)
            asked = time.monotonic()
            thread = threading.Thread(target=lambda: ended.append(replica.terminate()))
            thread.start()
            thread.join(20)
            over = time.monotonic()
        assert ended == [0]
        answered = [one for one in load.outcomes if one.error is None]
        assert all("[allowed-images]" in (one.refused or "") for one in answered)
        assert sum(one.began < asked < one.ended for one in answered) >= 2, "nothing was under way"
        assert sum(one.began > asked for one in answered) >= 5, "nothing was answered while it ended"
        failed = [one for one in load.outcomes if one.error is not None]
        # Each answer was the last of its connection, so that later ones were refused and nobody waited in vain.
        assert [one for one in failed if one.sent] == []
        refused = [one for one in failed if isinstance(one.error, ConnectionRefusedError)]
        assert refused, "nobody asked after the port was closed"
        # Who connects in the moment in which the port is closed sees a reset or the end of the handshake instead:
        # no program can take a connection that the kernel completes between its last look and the close.
        closing = [one for one in failed if one not in refused]
        assert all(isinstance(one.error, ConnectionError | ssl.SSLError) for one in closing)
        assert all(one.began < min(other.ended for other in refused) for one in closing)
        assert all(one.ended > asked + 1 for one in failed)
        # One second of grace, and ten at most for the answers.
        assert over - asked < 11
        for one in (*kept, *fresh):
            one.close()
    finally:
        plane.client.raw("DELETE", f"{GROUP}/policydefinitions/slow")


def without_status(document: Object) -> Object:
    """A custom resource as a user writes it: what the API server sets is left out."""
    return {**document, "metadata": {"name": document["metadata"]["name"]}}
