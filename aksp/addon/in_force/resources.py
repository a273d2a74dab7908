"""The custom resources of a cluster, watched: what they are now, and a word when they change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from aksp.addon.names import ASSIGNMENTS, DEFINITIONS, EXEMPTIONS, GROUP, VERSION
from aksp.errors import ClusterError
from aksp.kube.connection import Connection
from aksp.kube.watch import Watch

Document = dict[str, Any]
_PLURALS = (DEFINITIONS, ASSIGNMENTS, EXEMPTIONS)


class Resources:
    """PolicyDefinitions, PolicyAssignments and PolicyExemptions. ``changed`` is called in a watch's thread.

    A change is a new generation, an object that came or went; what is written to a status is kept,
    but is no change.
    """

    def __init__(
        self, connection: Connection, *, changed: Callable[[], None], troubled: Callable[[ClusterError], None]
    ) -> None:
        self._lock = threading.Lock()
        self._changed = changed
        self._objects: dict[str, dict[str, Document]] = {plural: {} for plural in _PLURALS}
        self._watches = {plural: self._watch(connection, plural, troubled) for plural in _PLURALS}

    def _watch(self, connection: Connection, plural: str, troubled: Callable[[ClusterError], None]) -> Watch:
        return Watch(
            connection,
            f"/apis/{GROUP}/{VERSION}/{plural}",
            replaced=lambda objects: self._replaced(plural, objects),
            changed=lambda kind, one: self._event(plural, kind, one),
            troubled=troubled,
        )

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
        """Whether all three kinds have been listed."""
        return all(watch.synced.is_set() for watch in self._watches.values())

    def snapshot(self) -> Mapping[str, list[Document]]:
        """The objects by plural, each kind's by name."""
        with self._lock:
            return {plural: [one for _, one in sorted(kept.items())] for plural, kept in self._objects.items()}

    def _replaced(self, plural: str, objects: list[Document]) -> None:
        fresh = {one["metadata"]["name"]: one for one in objects}
        with self._lock:
            before = {name: _version(one) for name, one in self._objects[plural].items()}
            self._objects[plural] = fresh
        # Called the first time also when there is none: then all is known.
        if before != {name: _version(one) for name, one in fresh.items()} or not before:
            self._changed()

    def _event(self, plural: str, kind: str, one: Document) -> None:
        name = one["metadata"]["name"]
        with self._lock:
            kept = self._objects[plural]
            before = kept.get(name)
            if kind == "DELETED":
                kept.pop(name, None)
            else:
                kept[name] = one
        if kind == "DELETED" or before is None or _version(before) != _version(one):
            self._changed()


def _version(one: Document) -> tuple[Any, Any]:
    metadata = one["metadata"]
    return metadata.get("uid"), metadata.get("generation")
