"""A replica that ends, and an add-on that is taken away, leave nothing undone and nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.addon import GROUP, WEBHOOK, AddOn, Replica, rehearsed
from tests.e2e.command import Aksp
from tests.e2e.load import Load, Outcome
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, namespace, pod
from tests.testbed.controlplane import ControlPlane
from tests.testbed.ports import free_port
from tests.waiting import until

pytestmark = pytest.mark.e2e

PLACE = "addon-ends"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/aksp-leader"
TAKEN_OVER_SECONDS = 3.0
KINDS = ("policydefinitions", "policysetdefinitions", "policyassignments", "policyexemptions")


@pytest.fixture
def addon() -> Iterator[AddOn]:
    import tempfile

    with ControlPlane() as plane, tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        plane.apply([namespace(PLACE)])
        made = AddOn(plane=plane, aksp=Aksp(folder=folder, kubeconfig=plane.kubeconfig), folder=folder)
        yield made
        made.stop()


class Service:
    """Takes connections as a Service does: each goes to the replica of the moment, and stays with it."""

    def __init__(self, port: int, target: int) -> None:
        self.target = target
        self._socket = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            replica = socket.create_connection(("127.0.0.1", self.target))
            for source, sink in ((caller, replica), (replica, caller)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        # The other direction, which ends with this one, closes the sink.
        source.close()


def end(replica: Replica) -> None:
    """SIGTERM, without waiting."""
    os.kill(replica.pid, signal.SIGTERM)


def test_who_is_to_end_lets_another_lead_within_three_seconds_and_loses_no_request(addon: AddOn) -> None:
    """With the default delay, under load, and with `Fail`: a request that is lost is one that is refused."""
    plane = addon.plane
    # As the option of the test comes first, the default is given once more.
    options = ("--unjudged", "refuse", "--shutdown-delay", "5s")
    addon.enable("--failure-policy", "Fail")
    first_port, second_port = free_port(), free_port()
    service = Service(addon.port, first_port)
    try:
        first = addon.start(*options, port=first_port)
        until(lambda: addon.leader == "aksp-0")
        addon.start(*options, port=second_port)
        addon.assign("allowed-images", parameters=OUR_REGISTRY)
        addon.enforced("allowed-images", pod("probe", PLACE))

        def create() -> Outcome:
            began = time.monotonic()
            body = json.dumps(pod("probe", PLACE)).encode()
            status, text = plane.client.raw("POST", f"/api/v1/namespaces/{PLACE}/pods?dryRun=All", body)
            return Outcome(began=began, ended=time.monotonic(), status=status, body=text)

        with Load([create] * 4, pause=0.02) as load:
            until(lambda: len(load.outcomes) > 50)
            asked = time.monotonic()
            end(first)
            until(lambda: addon.leader == "aksp-1", TAKEN_OVER_SECONDS, "the lease was not released")
            # The replica is not ready any more, which a Service hears within a second or two.
            time.sleep(max(0.0, asked + 2.0 - time.monotonic()))
            service.target = second_port
            until(lambda: not first.process.running)
            over = time.monotonic()
            until(lambda: sum(one.began > over for one in list(load.outcomes)) > 50)
        assert sum(one.began > asked for one in load.outcomes) > 50
        lost = [one for one in load.outcomes if one.status != 403 or FOREIGN.encode() not in one.body]
        assert [(one.status, one.body) for one in lost] == []
    finally:
        service.close()


def test_a_process_that_outlives_the_add_on_leaves_nothing_behind(addon: AddOn) -> None:
    """It has all rights, as on a host: nothing but its own restraint keeps it from making what was deleted."""
    plane = addon.plane
    addon.enable()
    replica = addon.start()
    addon.assign("allowed-images", parameters=OUR_REGISTRY)
    addon.enforced("allowed-images", pod("probe", PLACE))
    ended = addon.aksp.run("addon", "disable")
    assert ended.code == 0, ended.stderr
    missing = [
        "the Lease aksp-leader is not there",
        *(f"/{plural}: this cluster does not serve it" for plural in KINDS),
    ]

    def looked() -> bool:
        """Whether it leads no more, and has looked for everything again and again."""
        told = [one["message"] for one in replica.log]
        return "leading no more" in told and all(sum(what in one for one in told) >= 4 for what in missing)

    until(looked)
    assert replica.process.running
    gone = [LEASE, WEBHOOK, "/api/v1/namespaces/kube-system/configmaps/aksp-webhook"]
    gone += ["/api/v1/namespaces/kube-system/secrets/aksp-webhook-cert", GROUP]
    assert [path for path in gone if plane.client.raw("GET", path)[0] != 404] == []
    # And it is of use again when the add-on is.
    addon.enable()
    addon.assign("allowed-images", parameters=OUR_REGISTRY)
    addon.enforced("allowed-images", pod("probe", PLACE))
    assert FOREIGN in rehearsed(plane, pod("probe", PLACE))
