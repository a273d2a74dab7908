"""Elections over a fake API server, with clocks that the tests move."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aksp.errors import ClusterError
from aksp.kube.config import connect
from aksp.kube.errors import NotServed
from aksp.kube.lease import Lease
from tests.kube.apiserver import ApiServer, Reply, Request, document, kubeconfig, status
from tests.waiting import PATIENCE, until

EMPTY = {"metadata": {"name": "l", "namespace": "n", "resourceVersion": "1"}}
QUICK = {"duration": 3.0, "renew": 2.0, "retry": 0.01}


class Server:
    """Keeps one Lease as the API server does: resourceVersion, Conflict."""

    def __init__(self, lease: dict[str, Any] | None = None) -> None:
        self.lease = lease
        self.trouble: Reply | None = None
        self.writes = 0
        self._version = 10
        self._lock = threading.Lock()

    @property
    def spec(self) -> dict[str, Any]:
        return (self.lease or {}).get("spec") or {}

    @property
    def holder(self) -> str:
        return str(self.spec.get("holderIdentity", ""))

    def set(self, spec: dict[str, Any]) -> None:
        with self._lock:
            self._store({"metadata": {"name": "l", "namespace": "n"}, "spec": spec})

    def answer(self, request: Request) -> Reply:
        if self.trouble is not None:
            return self.trouble
        with self._lock:
            if request.method == "GET":
                return status(404, "no such lease") if self.lease is None else document(self.lease)
            if self.lease is None:
                return status(404, "no such lease")
            if request.document["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
                return status(409, "changed")
            self.writes += 1
            return document(self._store(request.document))

    def _store(self, lease: dict[str, Any]) -> dict[str, Any]:
        self._version += 1
        self.lease = lease | {"metadata": lease["metadata"] | {"resourceVersion": str(self._version)}}
        return self.lease


class Clock:
    """Monotonic seconds that only a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Election:
    """Candidates against one server; what happens to them is told in order as (what, identity)."""

    def __init__(self, folder: Path, lease: dict[str, Any] | None = EMPTY) -> None:
        self.server = Server(lease)
        self.clock = Clock()
        self.told: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._stack = ExitStack()
        self._folder = folder

    def __enter__(self) -> Election:
        self.http = self._stack.enter_context(ApiServer(self.server.answer))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def candidate(self, identity: str, **options: Any) -> Lease:
        connection = self._stack.enter_context(connect(None, kubeconfig(self._folder, self.http.url)))
        settings: dict[str, Any] = {
            "won": lambda: self.told.put(("won", identity)),
            "lost": lambda: self.told.put(("lost", identity)),
            "troubled": lambda trouble: self.told.put(("troubled", trouble)),
            "clock": self.clock,
            **QUICK,
            **options,
        }
        lease = Lease(connection, namespace="n", name="l", identity=identity, **settings)
        lease.start()
        self._stack.callback(lease.stop)
        return lease

    def expect(self, *wanted: tuple[str, str]) -> None:
        for each in wanted:
            assert self.told.get(timeout=PATIENCE) == each

    def trouble(self) -> ClusterError:
        what, trouble = self.told.get(timeout=PATIENCE)
        assert what == "troubled"
        assert isinstance(trouble, ClusterError)
        return trouble

    def renewals(self, number: int = 3) -> None:
        """Wait until the server has been asked so many times more."""
        before = len(self.http.requests)
        until(lambda: len(self.http.requests) >= before + number)


@pytest.fixture
def election(tmp_path: Path) -> Iterator[Election]:
    with Election(tmp_path) as running:
        yield running


def test_a_lease_that_nobody_has_held_is_taken_and_held(election: Election) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    lease = election.candidate("a", now=lambda: moment)
    election.expect(("won", "a"))
    assert lease.held
    election.renewals()
    assert election.server.spec == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 3,
        "acquireTime": "2026-01-02T03:04:05.000678Z",
        "renewTime": "2026-01-02T03:04:05.000678Z",
        "leaseTransitions": 0,
    }


@pytest.mark.parametrize("empty", [{}, {"spec": None}, {"spec": {}}, {"spec": {"holderIdentity": ""}}])
def test_a_lease_without_a_holder_is_taken_and_what_else_it_holds_is_kept(tmp_path: Path, empty: Any) -> None:
    there = {"metadata": {"name": "l", "resourceVersion": "1", "labels": {"x": "y"}}} | empty
    with Election(tmp_path, there) as election:
        election.candidate("a")
        election.expect(("won", "a"))
        assert election.server.lease and election.server.lease["metadata"]["labels"] == {"x": "y"}


def test_renewing_moves_only_the_renew_time(election: Election) -> None:
    ticks = [datetime(2026, 1, 1, tzinfo=UTC)]

    def now() -> datetime:
        ticks.append(ticks[-1] + timedelta(seconds=1))
        return ticks[-1]

    election.candidate("a", now=now)
    election.expect(("won", "a"))
    election.renewals()
    spec = election.server.spec
    assert spec["acquireTime"] == "2026-01-01T00:00:01.000000Z" < spec["renewTime"]
    assert spec["leaseTransitions"] == 0


def test_another_takes_over_only_when_it_has_not_seen_a_renewal_for_the_duration(election: Election) -> None:
    # What its times say does not count: they come from another clock.
    old = {"holderIdentity": "dead", "leaseDurationSeconds": 3, "renewTime": "1999-01-01T00:00:00.000000Z"}
    election.server.set(old | {"leaseTransitions": 4})
    lease = election.candidate("a")
    election.renewals()
    election.clock.seconds += 2.9
    election.renewals()
    assert not lease.held and election.server.holder == "dead"
    # A renewal, seen: the time begins anew.
    election.server.set(old | {"leaseTransitions": 4, "renewTime": "1999-01-01T00:00:01.000000Z"})
    election.renewals()
    election.clock.seconds += 2.9
    election.renewals()
    assert not lease.held and election.told.empty()
    election.clock.seconds += 0.2
    election.expect(("won", "a"))
    assert election.server.spec["leaseTransitions"] == 5


def test_stopping_releases_it_after_lost_and_the_next_takes_over_at_once(election: Election) -> None:
    first = election.candidate("a")
    election.expect(("won", "a"))
    second = election.candidate("b")
    election.renewals()
    assert not second.held
    first.stop()
    election.expect(("lost", "a"), ("won", "b"))
    assert not first.held and second.held
    assert election.server.spec["leaseTransitions"] == 1


def test_a_released_lease_names_nobody(election: Election) -> None:
    lease = election.candidate("a")
    election.expect(("won", "a"))
    lease.stop()
    assert (election.server.holder, election.server.spec["leaseDurationSeconds"]) == ("", 1)


def test_a_candidate_that_stops_leaves_the_lease_alone(election: Election) -> None:
    election.server.set({"holderIdentity": "other", "leaseDurationSeconds": 3})
    lease = election.candidate("a")
    election.renewals()
    lease.stop()
    assert election.server.writes == 0 and election.told.empty()


def test_a_leader_that_cannot_renew_gives_up_before_another_may_win(election: Election) -> None:
    lease = election.candidate("a")
    election.expect(("won", "a"))
    election.server.trouble = status(500, "etcd")
    assert "etcd" in election.trouble().what
    assert lease.held
    election.clock.seconds += 2.1  # the deadline, not yet the duration
    until(lambda: not lease.held)
    while (told := election.told.get(timeout=PATIENCE))[0] == "troubled":
        pass
    assert told == ("lost", "a")
    election.server.trouble = None
    while (told := election.told.get(timeout=PATIENCE))[0] == "troubled":
        pass
    assert told == ("won", "a")


def test_a_request_that_hangs_does_not_hold_up_giving_up(tmp_path: Path) -> None:
    over = threading.Event()
    with Election(tmp_path) as election:
        lease = election.candidate("a", clock=time.monotonic, duration=PATIENCE, renew=0.2)
        election.expect(("won", "a"))
        began = time.monotonic()
        election.server.trouble = Reply(before=lambda: over.wait(PATIENCE))
        while (told := election.told.get(timeout=PATIENCE))[0] == "troubled":
            pass
        assert told == ("lost", "a")
        assert time.monotonic() - began < 10
        assert not lease.held
        election.server.trouble = None
        over.set()


def test_a_leader_that_sees_another_holder_gives_up_at_once(election: Election) -> None:
    lease = election.candidate("a")
    election.expect(("won", "a"))
    election.server.set({"holderIdentity": "b", "leaseDurationSeconds": 3})
    election.expect(("lost", "a"))
    assert not lease.held


def test_somebody_who_writes_to_the_lease_meanwhile_costs_nothing(election: Election) -> None:
    lease = election.candidate("a")
    election.expect(("won", "a"))
    election.server.set(dict(election.server.spec))
    election.renewals(5)
    assert lease.held and election.told.empty()


def test_of_many_candidates_one_wins(election: Election) -> None:
    candidates = [election.candidate(identity) for identity in "abcd"]
    what, winner = election.told.get(timeout=PATIENCE)
    election.renewals(20)
    assert what == "won" and [each.identity for each in candidates if each.held] == [winner]
    assert election.told.empty()


def test_a_lease_that_is_missing_is_told_and_not_made(tmp_path: Path) -> None:
    with Election(tmp_path, None) as election:
        election.candidate("a")
        trouble = election.trouble()
        assert isinstance(trouble, NotServed) and "create the Lease l in namespace n" in str(trouble.hint)
        assert all(each.method == "GET" for each in election.http.requests)


def test_a_leader_gives_up_when_its_lease_is_gone_and_takes_a_new_one(election: Election) -> None:
    lease = election.candidate("a", retry=0.05)
    election.expect(("won", "a"))
    election.server.lease = None
    assert isinstance(election.trouble(), NotServed)
    election.expect(("lost", "a"))
    assert not lease.held
    election.server.set({})
    while (told := election.told.get(timeout=PATIENCE))[0] == "troubled":
        pass
    assert told == ("won", "a")


def test_a_leader_that_cannot_begin_lets_another_try(election: Election) -> None:
    tried = []

    def won() -> None:
        tried.append(election.server.holder)
        if len(tried) == 1:
            raise KeyError("x")
        election.told.put(("won", "a"))

    election.candidate("a", won=won)
    assert isinstance(election.trouble().__cause__, KeyError)
    election.expect(("lost", "a"), ("won", "a"))
    assert election.server.spec["leaseTransitions"] == 1


def test_a_leader_whose_end_fails_releases_all_the_same(election: Election) -> None:
    def lost() -> None:
        raise ValueError("stuck")

    lease = election.candidate("a", lost=lost)
    election.expect(("won", "a"))
    lease.stop()
    assert isinstance(election.trouble().__cause__, ValueError)
    assert election.server.holder == ""


@pytest.mark.parametrize(
    "wrong", [{"renew": 15.0}, {"retry": 9.0}, {"retry": 0.0}, {"identity": ""}], ids=lambda wrong: json.dumps(wrong)
)
def test_times_that_cannot_work_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"identity": "a", "won": lambda: None, "lost": lambda: None} | wrong
    with (
        connect(None, kubeconfig(tmp_path, "http://127.0.0.1:9")) as connection,
        pytest.raises(ValueError, match="a lease needs"),
    ):
        Lease(connection, namespace="n", name="l", **settings)
