"""What a webhook may be sent, what a policy may do, and what becomes of its certificate meanwhile."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.measure import resident
from tests.addon.custom import defined
from tests.e2e.addon import GROUP, AddOn
from tests.e2e.load import PATH, Caller, review
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, OURS, pod
from tests.engine.hostile import ENDLESS
from tests.testbed.controlplane import ControlPlane
from tests.testbed.ports import free_port
from tests.waiting import until

pytestmark = pytest.mark.e2e

PLACE = "addon-requests"
JSON = {"Content-Type": "application/json"}
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def assigned(addon: AddOn) -> None:
    addon.assign("allowed-images", parameters=OUR_REGISTRY)
    addon.applied("allowed-images")


@pytest.fixture
def caller(addon: AddOn) -> Iterator[Caller]:
    made = Caller(addon.port, addon.trust)
    yield made
    made.close()


def padded(size: int) -> bytes:
    """A review of about so many bytes, of a Pod with a forbidden image."""
    one = pod("large", PLACE, FOREIGN)
    one["metadata"]["annotations"] = {"padding": "x" * size}
    return review(one)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "no AdmissionReview"),
        (b"\x00\xff binary", 400, "no AdmissionReview"),
        (b'{"kind":"AdmissionReview"', 400, "no AdmissionReview"),
        (b'{"apiVersion":"admission.k8s.io/v1","kind":"Pod"}', 400, "kind"),
        (review().replace(b"admission.k8s.io/v1", b"admission.k8s.io/v9"), 400, "admission.k8s.io/v9"),
        (b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}', 400, "request"),
        (b"[" * 100_000, 400, "no AdmissionReview"),
        (b"x" * (3 * MEBIBYTE), 400, "no AdmissionReview"),
    ],
    ids=["empty", "binary", "cut", "kind", "version", "no-request", "deep", "3-MiB-of-noise"],
)
def test_what_is_no_review_is_a_clean_4xx(caller: Caller, body: bytes, status: int, says: str) -> None:
    outcome = caller.post(body)
    assert outcome.status == status, outcome
    document = json.loads(outcome.body)
    assert document["kind"] == "Status" and says in document["message"]
    assert caller.post(review()).refused


def test_a_review_of_3_mebibytes_is_judged_since_the_api_server_sends_such(caller: Caller) -> None:
    assert "[allowed-images]" in (caller.post(padded(3 * MEBIBYTE)).refused or "")


def test_other_methods_paths_and_types_are_refused(caller: Caller) -> None:
    assert caller.ask("GET", PATH).status == 405
    assert caller.ask("POST", "/elsewhere", b"{}", JSON).status == 404
    assert caller.ask("POST", PATH, b"{}", {"Content-Type": "text/plain"}).status == 415


def test_bad_requests_leave_memory_as_it_was(addon: AddOn, caller: Caller) -> None:
    pid = addon.replicas[0].process.pid
    assert pid is not None
    bodies = [b"", b"{" * 1000, padded(MEBIBYTE), b"x" * (3 * MEBIBYTE), padded(7 * MEBIBYTE)]
    for _ in range(5):
        for body in bodies:
            caller.post(body)
    before = resident(pid)

    def as_before() -> bool:
        for body in bodies:
            assert caller.post(body).status in (200, 400, 413)
        return resident(pid) - before < 40 * MEBIBYTE

    # Together they have 440 MiB. What was freed goes back to the system only now and then.
    for _ in range(40):
        as_before()
    until(as_before, what="memory grows")


def test_slow_clients_are_sent_away_while_others_are_answered(addon: AddOn, caller: Caller) -> None:
    slow = []
    for number in range(60):
        raw = socket.create_connection(("127.0.0.1", addon.port), timeout=15)
        if number % 3:
            raw = addon.trust.wrap_socket(raw, server_hostname="127.0.0.1")
            head = b"POST /v1/admit HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
            raw.sendall(head + (b"\r\n{" if number % 3 == 1 else b""))
        slow.append(raw)
    try:
        for _ in range(50):
            assert caller.post(review()).refused and len(caller.serials) == 1
        answers = []
        for each in slow:
            try:
                answers.append(each.recv(64))
            except OSError:
                answers.append(b"")
        # Either the time is told to be over, or the connection is; none is kept.
        assert all(answer == b"" or answer.startswith(b"HTTP/1.1 408") for answer in answers), answers
        assert any(answer.startswith(b"HTTP/1.1 408") for answer in answers)
    finally:
        for each in slow:
            each.close()


def test_a_hostile_policy_is_in_error_and_the_others_answer_in_time(
    addon: AddOn, caller: Caller, plane: ControlPlane
) -> None:
    definition = defined("endless", ENDLESS)
    definition["metadata"] = {"name": "endless"}
    plane.apply([definition])
    try:
        addon.assign("endless", effect="Deny", parameters={})
        until(lambda: "[endless] could not be judged" in str(caller.post(review(pod("a", PLACE, OURS))).body))
        for _ in range(5):
            outcome = caller.post(review(pod("b", PLACE, FOREIGN)))
            assert outcome.seconds < 2.8
            assert "[allowed-images]" in (outcome.refused or "")
            assert "[endless] could not be judged" in str(outcome.response["warnings"])
        fine = caller.post(review(pod("c", PLACE, OURS)))
        assert fine.refused is None
        plane.request("POST", f"/api/v1/namespaces/{PLACE}/pods", pod("judged", PLACE, OURS))
        until(lambda: addon.status("endless").get("state") == "Error", what="it is not in error")
        assert addon.status("allowed-images")["state"] in ("Compliant", "NonCompliant")
        assert 'aksp_policy_errors_total{assignment="endless"}' in addon.replicas[0].get("/metrics")
    finally:
        plane.client.raw("DELETE", f"/api/v1/namespaces/{PLACE}/pods/judged?gracePeriodSeconds=0")
        addon.unassign("endless")
        plane.request("DELETE", f"{GROUP}/policydefinitions/endless")


def test_a_certificate_that_is_replaced_fails_no_request(addon: AddOn, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from aksp.addon.webhook.certificates import issue, make_authority

    now = datetime.now(UTC)
    old, new = make_authority(now), make_authority(now)

    def write(authority_number: int) -> None:
        pair = issue((old, new)[authority_number], ["127.0.0.1"], now)
        # As a mounted Secret is swapped: the key first would be a pair that does not fit, which is to be borne.
        (tmp_path / "tls.key").write_bytes(pair.key)
        (tmp_path / "tls.crt").write_bytes(pair.certificate)

    (tmp_path / "ca.crt").write_bytes(new.certificate + old.certificate)
    write(0)
    import ssl

    trust = ssl.create_default_context(cadata=(new.certificate + old.certificate).decode())
    port = free_port()
    replica = addon.start("--cert-dir", str(tmp_path), port=port)
    serials: set[str] = set()
    failed: list[object] = []
    done = threading.Event()
    count = 0
    lock = threading.Lock()

    def ask(keep: bool) -> None:
        nonlocal count
        made = Caller(port, trust, keep=keep)
        while not done.is_set():
            outcome = made.post(review())
            with lock:
                count += 1
                serials.update(made.serials)
                if outcome.error is not None or outcome.refused is None:
                    failed.append(outcome)
        made.close()

    try:
        with ThreadPoolExecutor(4) as pool:
            try:
                workers = [pool.submit(ask, keep) for keep in (True, True, False, False)]
                until(lambda: count >= 100)
                write(1)
                until(lambda: count >= 1000 and len(serials) == 2, what="the new certificate is not served")
            finally:
                done.set()
            for worker in workers:
                worker.result(30)
    finally:
        assert replica.terminate() == 0
    assert failed == []
