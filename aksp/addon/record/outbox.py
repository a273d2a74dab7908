"""What is on its way to the API server: taken without waiting, written by a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from aksp.errors import ClusterError, Forbidden
from aksp.kube import errors
from aksp.kube.fetch import Backoff

_log = logging.getLogger(__name__)

PENDING = 5_000
"""Entries that may wait; at 2 KB each they take 10 MB at worst."""
PER_SHARE = 200
"""Of these, so many of one share."""
INTERVAL_SECONDS = 1.0
TELL_SECONDS = 60.0
"""How often the log says that something is not written."""
BACKOFF = Backoff(first=1.0, longest=60.0)

K = TypeVar("K", bound=Hashable)
E = TypeVar("E")


class Outbox(Generic[K, E]):
    """Entries by key. Those with the same key become one while they wait, so that a storm takes no room.

    ``write`` takes a key and its entry to the API server, in the outbox's thread. When it raises

    - Forbidden, NotServed, Invalid or BadRequest (a namespace that is going, a missing right), the entry is lost;
    - Conflict, it is written again in the next turn;
    - another ClusterError, everything waits and is tried again, ever less often, at least once a minute.

    ``share`` says whose an entry is, and ``folded`` gives the key that stands for all of theirs once ``per_share`` of
    them wait: nobody's storm keeps the others out.

    What is lost is counted, and the log says so once a minute. ``noun`` is what the log calls the entries. ``clock``
    gives monotonic seconds.
    """

    def __init__(
        self,
        noun: str,
        *,
        write: Callable[[K, E], None],
        merge: Callable[[E, E], E],
        share: Callable[[K], Hashable] | None = None,
        folded: Callable[[K], K] | None = None,
        per_share: int = PER_SHARE,
        pending: int = PENDING,
        interval: float = INTERVAL_SECONDS,
        backoff: Backoff = BACKOFF,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._noun = noun
        self._write = write
        self._merge = merge
        self._share, self._folded, self._per_share = share, folded, per_share
        self._shares: Counter[Hashable] = Counter()
        """How many entries of each wait."""
        self._limit = pending
        self._interval = interval
        self._backoff = backoff
        self._clock = clock
        self._lock = threading.Lock()
        # With each entry, how many were put into it.
        self._pending: OrderedDict[K, tuple[E, int]] = OrderedDict()
        self.lost = 0
        """How many were put and will never be written."""
        self._lost_told = 0
        self._why = ""
        self._failures = 0
        self._not_before = 0.0
        self._next_tell_of_loss = 0.0
        self._next_tell_of_failure = 0.0
        self._deadline: float | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many entries wait."""
        return len(self._pending)

    def put(self, key: K, entry: E) -> None:
        """Take one. Never waits for the API server; when too many wait, a new key is counted as lost."""
        with self._lock:
            new = key not in self._pending
            if new and self._share and self._folded and self._shares[self._share(key)] >= self._per_share:
                key = self._folded(key)
            known = self._pending.get(key)
            if known is not None:
                self._pending[key] = (self._merge(known[0], entry), known[1] + 1)
            elif len(self._pending) < self._limit:
                self._pending[key] = (entry, 1)
                self._count(key, 1)
            else:
                self.lost += 1
                self._why = f"more than {self._limit:,} wait to be written"

    def start(self) -> None:
        """Begin to write, once every interval."""
        self._thread = threading.Thread(target=self._run, name=f"aksp-{self._noun.replace(' ', '-')}", daemon=True)
        self._thread.start()

    def close(self, seconds: float = 3.0) -> None:
        """Write what waits and end; after some seconds what is left is given up, and the log says how much."""
        self._deadline = self._clock() + seconds
        self._closing.set()
        if self._thread is None:
            self.turn()
        else:
            self._thread.join(seconds)
        # The one that is being written is taken out meanwhile.
        left = self.waiting + (self._thread is not None and self._thread.is_alive())
        if left:
            _log.warning("%d %s are lost: the process ends before they could be written", left, self._noun)

    def turn(self) -> None:
        """Write what waits, unless the API server failed a moment ago. The thread does this once every interval."""
        if self._closing.is_set() or self._clock() >= self._not_before:
            self._write_all()
        self._tell()

    def _run(self) -> None:
        while not self._closing.wait(self._interval):
            self.turn()
        self.turn()

    def _write_all(self) -> None:
        with self._lock:
            keys = list(self._pending)
        for key in keys:
            if self._deadline is not None and self._clock() >= self._deadline:
                return
            with self._lock:
                entry, times = self._pending.pop(key)
                self._count(key, -1)
            try:
                self._write(key, entry)
            except (Forbidden, errors.NotServed, errors.Invalid, errors.BadRequest) as error:
                self._lose(times, str(error))
            except errors.Conflict:
                self._put_back(key, entry, times)
                continue
            except ClusterError as error:
                self._put_back(key, entry, times)
                self._fail(error)
                return
            except Exception as error:  # noqa: BLE001 - and the log has it whole
                # One entry that cannot be written may not end the thread.
                _log.exception("a bug in aksp: one of the %s cannot be written", self._noun)
                self._lose(times, f"{type(error).__name__}: {error}")
            if self._failures:
                _log.info("%s are written again", self._noun)
                self._failures = 0

    def _put_back(self, key: K, entry: E, times: int) -> None:
        with self._lock:
            newer = self._pending.get(key)
            if newer is None:
                self._count(key, 1)
            self._pending[key] = (entry, times) if newer is None else (self._merge(entry, newer[0]), times + newer[1])
            self._pending.move_to_end(key, last=False)

    def _count(self, key: K, change: int) -> None:
        if self._share:
            share = self._share(key)
            self._shares[share] += change
            if not self._shares[share]:
                del self._shares[share]

    def _lose(self, times: int, why: str) -> None:
        with self._lock:
            self.lost += times
            self._why = why

    def _fail(self, error: ClusterError) -> None:
        self._failures += 1
        self._not_before = self._clock() + self._backoff.pause(self._failures, error)
        if self._failures == 1 or self._clock() >= self._next_tell_of_failure:
            self._next_tell_of_failure = self._clock() + TELL_SECONDS
            _log.warning("%s cannot be written now, %d wait: %s", self._noun, self.waiting, error)

    def _tell(self) -> None:
        new = self.lost - self._lost_told
        if new and (self._closing.is_set() or self._clock() >= self._next_tell_of_loss):
            self._next_tell_of_loss = self._clock() + TELL_SECONDS
            self._lost_told += new
            _log.warning("%d %s are lost: %s", new, self._noun, self._why)
