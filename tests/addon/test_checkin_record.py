"""How check-ins end is written on the Lease."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from aksp.addon.checkins.checkin_record import FAILED, LAST, CheckInRecord, cause_of, read
from aksp.kube.connection import Connection, Response
from aksp.kube.errors import Unreachable
from tests.addon.custom import merged

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class Leased:
    """Keeps one Lease; ``down``: nothing can be written."""

    server = "https://cluster"

    def __init__(self) -> None:
        self.lease: dict[str, Any] = {"metadata": {"name": "aksp-leader"}, "spec": {"holderIdentity": "a"}}
        self.down = False
        self.moment = START

    def send(self, method: str, path: str, *, body: bytes = b"", **more: Any) -> Response:
        if self.down:
            raise Unreachable("down", tries=1)
        assert method == "PATCH" and path.endswith("/namespaces/kube-system/leases/aksp-leader")
        self.lease = merged(self.lease, json.loads(body))
        return Response(status=200, headers={}, body=json.dumps(self.lease).encode())

    def record(self) -> CheckInRecord:
        return CheckInRecord(cast(Connection, self), "kube-system", now=lambda: self.moment)


def test_failures_add_up_until_one_ends_well() -> None:
    cluster = Leased()
    record = cluster.record()
    record.take({"failed": False, "problems": []})
    for cause in ("no answer", "other"):
        cluster.moment += timedelta(minutes=1)
        record.take({"failed": True, "failure": cause})
    last, failure = read(cluster.lease)
    assert last == "2026-01-01T12:00:00Z" and failure is not None
    assert (failure.since, failure.last, failure.times, failure.cause) == (
        "2026-01-01T12:01:00Z", "2026-01-01T12:02:00Z", 2, "other",
    )  # fmt: skip
    cluster.moment += timedelta(minutes=1)
    record.take({"failed": False})
    assert read(cluster.lease) == ("2026-01-01T12:03:00Z", None)
    assert FAILED not in cluster.lease["metadata"]["annotations"]
    assert cluster.lease["spec"] == {"holderIdentity": "a"}


def test_what_cannot_be_written_now_is_written_with_the_next_one(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Leased()
    record = cluster.record()
    cluster.down = True
    record.take({"failed": True, "failure": "down"})
    assert "cannot be written" in caplog.text
    cluster.down = False
    record.take({"failed": True, "failure": "down"})
    failure = read(cluster.lease)[1]
    assert failure is not None and failure.times == 2


@pytest.mark.parametrize(
    ("summary", "cause"),
    [
        ({"failed": False, "problems": []}, ""),
        ({"failed": True, "failure": "no"}, "no"),
        ({"failed": True}, "it ended without a word"),
        ({"problems": ["a", "b"]}, "not everything could be written: a, and 1 more"),
    ],
)
def test_the_cause_is_the_failure_or_what_could_not_be_written(summary: dict[str, Any], cause: str) -> None:
    assert cause_of(summary) == cause


@pytest.mark.parametrize("text", ["{", "[]", "null", "{}", '{"since": "x", "last": "y", "times": "z", "cause": ""}'])
def test_an_annotation_that_somebody_else_wrote_is_no_failure(text: str) -> None:
    assert read({"metadata": {"annotations": {FAILED: text, LAST: "t"}}}) == ("t", None)
