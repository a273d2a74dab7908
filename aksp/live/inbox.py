"""What several threads have brought and one has not yet taken: bounded by its size in bytes."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """A queue whose writers wait while it holds ``limit`` bytes, until it is read or closed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[tuple[T, int]] = deque()
        self._size = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, one: T, size: int = 0) -> None:
        """Add something of so many bytes. One that is larger than the limit still fits an empty inbox."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._size or self._size + size <= self._limit)
            if not self._closed:
                self._waiting.append((one, size))
                self._size += size
                self._changed.notify_all()

    def take(self, seconds: float, most: int) -> list[T]:
        """The oldest, up to ``most`` bytes but at least one; none when nothing comes within so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting, seconds)
            taken: list[T] = []
            size = 0
            while self._waiting and (not taken or size + self._waiting[0][1] <= most):
                one, own = self._waiting.popleft()
                taken.append(one)
                size += own
            self._size -= size
            if taken:
                self._changed.notify_all()
            return taken

    def close(self) -> None:
        """End all waiting, and take nothing more in."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
