"""The objects of some lists, followed: what they are now, and a word when they change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aksp.errors import ClusterError
from aksp.kube.connection import Connection
from aksp.kube.watch import Watch

Document = dict[str, Any]


class FollowedObjects:
    """The objects of some lists. ``paths``: their paths, by names of the caller's. ``changed`` is called in a watch's thread.

    A change is a new generation, an object that came or went; what is written to a status is kept,
    but is no change.
    """

    def __init__(
        self,
        connection: Connection,
        paths: Mapping[str, str],
        *,
        changed: Callable[[], None],
        troubled: Callable[[ClusterError], None],
    ) -> None:
        self._lock = threading.Lock()
        self._changed = changed
        self._objects: dict[str, dict[str, Document]] = {name: {} for name in paths}
        self._watches = {
            name: Watch(
                connection,
                path,
                replaced=partial(self._replaced, name),
                changed=partial(self._event, name),
                troubled=troubled,
            )
            for name, path in paths.items()
        }

    def start(self) -> None:
        """Begin to watch."""
        for watch in self._watches.values():
            watch.start()

    def stop(self) -> None:
        """End the watches."""
        for watch in self._watches.values():
            watch.stop()

    @property
    def synced(self) -> bool:
        """Whether all have been listed."""
        return all(watch.synced.is_set() for watch in self._watches.values())

    def snapshot(self) -> Mapping[str, list[Document]]:
        """The objects of each list, in the order of their names."""
        with self._lock:
            return {listing: [one for _, one in sorted(kept.items())] for listing, kept in self._objects.items()}

    def _replaced(self, listing: str, objects: list[Document]) -> None:
        self._set(listing, {one["metadata"]["name"]: one for one in objects})

    def _event(self, listing: str, what: str, one: Document) -> None:
        name = one["metadata"]["name"]
        others = {other: kept for other, kept in self._objects[listing].items() if other != name}
        self._set(listing, others if what == "DELETED" else {**others, name: one})

    def _set(self, listing: str, fresh: dict[str, Document]) -> None:
        with self._lock:
            before, self._objects[listing] = self._objects[listing], fresh
        # Also called for a list without objects: then all lists are known.
        if not before or _versions(before) != _versions(fresh):
            self._changed()


def _versions(objects: Mapping[str, Document]) -> dict[str, tuple[Any, Any]]:
    return {name: (one["metadata"].get("uid"), one["metadata"].get("generation")) for name, one in objects.items()}
