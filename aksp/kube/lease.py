"""Who leads among several processes: a coordination.k8s.io/v1 Lease, with the rules of client-go's leaderelection.

A record is believed for `leaseDurationSeconds` from when *this* process saw it change, by its own monotonic clock: the
times in it come from other clocks and are only for people. A holder renews every `retry` seconds, and gives up when it
has not managed to for `renew` seconds, counted from when its last successful attempt began; that is before the others'
time is over, since theirs began after it, and `renew` is less than `duration`.
https://github.com/kubernetes/client-go/blob/master/tools/leaderelection/leaderelection.go
"""

from __future__ import annotations

import json
import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from aksp.errors import ClusterError
from aksp.kube import errors
from aksp.kube.connection import Cancellation, Connection
from aksp.kube.fetch import decoded
from aksp.kube.watch import Troubled, log
from aksp.model.fields import spec_of, text
from aksp.model.times import rfc3339

JITTER = 1.2
"""How much later than after half of `retry` a candidate looks at most, as a factor of that: client-go's JitterFactor.

There it is of the whole. Looking twice as often costs reads only, and a Lease that is released is taken within 1.1 times
`retry`."""
RELEASE_SECONDS = 2.0
"""The time-out of each request that releases the lease."""
RELEASE_TRIES = 3
STOP_SECONDS = 10.0
"""How long `stop` waits at most for `lost` and the release."""


class _Outcome(Struct, frozen=True, kw_only=True):
    """One attempt to acquire or to renew: when it began, who holds the lease now as far as we know (None: unknown)."""

    began: float
    holder: str | None
    error: ClusterError | None = None


class Lease:
    """Stands for election from `start` to `stop`, in a daemon thread.

    `won` and `lost` are called in that thread, in turn; nothing is renewed while they run, so that they must be quick.
    `lost` is called when another holds the lease, when it could not be renewed for `renew` seconds even if a request
    still hangs, and at `stop`, before the lease is released: the others take over at once, so whatever only a leader
    may do must have ended when `lost` returns. A `won` that raises gives the lease up again.

    The Lease must be there: a process that outlives what it belongs to would leave one behind. Whoever leads gives up
    when it is gone.

    `troubled` hears of every attempt that failed (Forbidden, NotServed for a missing Lease, Unreachable, …) and of
    what the callbacks raise. `identity` must differ between processes. Seconds throughout; the Lease holds whole ones.
    `clock` is monotonic, `now` says what time it is for people.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        namespace: str,
        name: str,
        identity: str,
        duration: float = 15.0,
        renew: float = 10.0,
        retry: float = 2.0,
        won: Callable[[], None],
        lost: Callable[[], None],
        troubled: Troubled = log,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if not duration > renew > retry * JITTER > 0:
            raise ValueError(f"a lease needs duration > renew > {JITTER} retry > 0, not {duration}, {renew}, {retry}")
        if not identity:
            raise ValueError("a lease needs an identity")
        self.identity = identity
        self._connection = connection
        self._namespace = namespace
        self._name = name
        inside = f"/apis/coordination.k8s.io/v1/namespaces/{quote(namespace, safe='')}/leases"
        self._path = f"{inside}/{quote(name, safe='')}"
        self._where = connection.server + self._path
        self._duration, self._renew, self._retry = duration, renew, retry
        self._won, self._lost, self._troubled = won, lost, troubled
        self._clock, self._now = clock, now
        self._leading = False
        self._until = 0.0
        """When we must have given up, by the clock."""
        # Only the attempt under way uses these two; there is never more than one.
        self._seen: dict[str, Any] | None = None
        """The Lease as last seen."""
        self._seen_at = 0.0
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._request = Cancellation()
        self._thread = threading.Thread(target=self._run, name="aksp-lease", daemon=True)

    @property
    def held(self) -> bool:
        """Whether we lead; false as soon as the time is over, even before `lost` has been called."""
        return self._leading and self._clock() < self._until

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Give it up and release it, so that the next takes over at once. It cannot be started again."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        self._request.cancel()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            outcome = self._attempt_in_time()
            if outcome is None:
                continue
            if outcome.error is not None and not self._stopping.is_set():
                self._tell(outcome.error)
            if outcome.holder == self.identity and outcome.error is None:
                self._until = outcome.began + self._renew
                # An answer that came too late does not count: another candidate may already take the lease.
                if not self._leading and self._clock() < self._until:
                    self._lead()
            elif outcome.holder is not None and outcome.holder != self.identity:
                self._give_up()
            pause = self._retry if self._leading else self._retry / 2 * (1 + JITTER * random.random())
            self._wait(pause)
        self._give_up()
        self._release()

    def _attempt_in_time(self) -> _Outcome | None:
        """The outcome of one attempt, in a thread of its own, so that no request outlasts our time; None: stopped."""
        outcomes: list[_Outcome] = []

        def work() -> None:
            outcome = self._attempt()
            with self._changed:
                outcomes.append(outcome)
                self._changed.notify_all()

        threading.Thread(target=work, name="aksp-lease-request", daemon=True).start()
        while True:
            left = max(self._until - self._clock(), 0.0) if self._leading else None
            with self._changed:
                self._changed.wait_for(lambda: outcomes or self._stopping.is_set(), left)
            if self._stopping.is_set():
                return None
            if outcomes:
                return outcomes[0]
            self._heed_the_time()

    def _wait(self, seconds: float) -> None:
        """Pause, no longer than our time lasts."""
        if self._leading:
            seconds = min(seconds, max(self._until - self._clock(), 0.0))
        self._stopping.wait(seconds)
        self._heed_the_time()

    def _heed_the_time(self) -> None:
        if self._leading and self._clock() >= self._until:
            self._give_up()

    def _lead(self) -> None:
        self._leading = True
        try:
            self._won()
        except Exception as error:  # noqa: BLE001 - told, and another may do better
            self._tell(errors.bug("the leader could not begin", error, where=self._where))
            self._give_up()
            self._release()

    def _give_up(self) -> None:
        if not self._leading:
            return
        self._leading = False
        try:
            self._lost()
        except Exception as error:  # noqa: BLE001 - told; the lease goes to another all the same
            self._tell(errors.bug("the leader could not end", error, where=self._where))

    def _attempt(self) -> _Outcome:
        """client-go's tryAcquireOrRenew. Never raises."""
        began = self._clock()
        try:
            return _Outcome(began=began, holder=self._acquired(began))
        except errors.Conflict:
            # Another candidate wrote first. This is no failure; the next attempt reads who holds it.
            return _Outcome(began=began, holder=None)
        except errors.NotServed:
            # The Lease was deleted: nobody holds it.
            hint = f"create the Lease {self._name} in namespace {self._namespace}"
            missing = errors.NotServed(f"the Lease {self._name} is not there", where=self._where, hint=hint)
            return _Outcome(began=began, holder="", error=missing)
        except ClusterError as error:
            return _Outcome(began=began, holder=None, error=error)
        except Exception as error:  # noqa: BLE001 - a candidate that ends in silence is worse
            return _Outcome(began=began, holder=None, error=errors.bug("the attempt failed", error, where=self._where))

    def _acquired(self, began: float) -> str:
        """Acquire or renew if that is allowed; who holds it then."""
        if self._seen is not None and _holder(self._seen) == self.identity and self._fresh(began):
            try:
                # While it is ours nobody else writes it, so it need not be read first.
                return self._put(self._seen, self.identity)
            except errors.Conflict:
                pass  # somebody has written to it all the same, perhaps an annotation: read it
        found = self._read(self._renew / 2, self._request)
        if self._seen is None or spec_of(found) != spec_of(self._seen):
            self._seen_at = self._clock()
        self._seen = found
        holder = _holder(found)
        if holder and holder != self.identity and self._fresh(self._clock()):
            return holder
        return self._put(found, self.identity)

    def _fresh(self, now: float) -> bool:
        """Whether the record last seen still binds everybody."""
        seconds = spec_of(self._seen or {}).get("leaseDurationSeconds")
        known = seconds if isinstance(seconds, int) and seconds > 0 else self._duration
        return now < self._seen_at + known

    def _read(self, timeout: float, cancellation: Cancellation | None = None) -> dict[str, Any]:
        answer = self._connection.send("GET", self._path, timeout=timeout, cancellation=cancellation)
        return decoded(answer.body, where=self._where)

    def _put(self, lease: Mapping[str, Any], holder: str) -> str:
        """Write who holds it, "" to release it. With its resourceVersion: if it is no longer the one we saw, Conflict."""
        document = {**lease, "spec": {**spec_of(lease), **self._record(spec_of(lease), holder)}}
        timeout, cancellation = (self._renew / 2, self._request) if holder else (RELEASE_SECONDS, None)
        body = json.dumps(document).encode()
        answer = self._connection.send("PUT", self._path, body=body, timeout=timeout, cancellation=cancellation)
        self._seen = decoded(answer.body, where=self._where)
        self._seen_at = self._clock()
        return holder

    def _record(self, old: Mapping[str, Any], holder: str) -> dict[str, Any]:
        """The spec to write over `old`; the holder "" releases it."""
        now = rfc3339(self._now(), "microseconds")
        transitions = old.get("leaseTransitions")
        known = transitions if isinstance(transitions, int) else 0
        same = old.get("holderIdentity") == holder and bool(old.get("acquireTime"))
        return {
            "holderIdentity": holder,
            # The duration of a released lease has no meaning, but 0 is not allowed.
            "leaseDurationSeconds": math.ceil(self._duration) if holder else 1,
            "acquireTime": old["acquireTime"] if same else now,
            "renewTime": now,
            # A Lease that nobody has held begins at 0; each holder that is not the last one counts.
            "leaseTransitions": known + 1 if holder and old and old.get("holderIdentity") != holder else known,
        }

    def _release(self) -> None:
        """If it is ours, let go of it. What an attempt that still hangs does meanwhile meets, or is, a Conflict."""
        for _ in range(RELEASE_TRIES):
            try:
                lease = self._read(RELEASE_SECONDS)
                if _holder(lease) == self.identity:
                    self._put(lease, "")
                return
            except errors.NotServed:
                return
            except errors.Conflict:
                continue
            except ClusterError as error:
                self._tell(error)
                return

    def _tell(self, trouble: ClusterError) -> None:
        try:
            self._troubled(trouble)
        except Exception:  # noqa: BLE001 - nobody is left to tell
            log(trouble)


def _holder(lease: Mapping[str, Any]) -> str:
    return text(spec_of(lease).get("holderIdentity"))
