"""The objects that referential rules compare with, watched into the engine's data.inventory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from aksp.addon.policies import Standing
from aksp.engine import Engine
from aksp.errors import ClusterError
from aksp.kube.connection import Connection
from aksp.kube.kinds import Discovery, Kind, list_path
from aksp.kube.watch import Watch
from aksp.model.definition import ResourceKind

#: Seconds that an assignment waits for the objects that it compares with, before it is said that they lack.
SYNC_SECONDS = 20.0


class Compared:
    """A watch for each kind that some rule in force compares with, and for no other kind."""

    def __init__(self, connection: Connection, engine: Engine, *, troubled: Callable[[ClusterError], None]) -> None:
        self._connection = connection
        self._engine = engine
        self._troubled = troubled
        self._watches: dict[ResourceKind, Watch] = {}
        self._faults: dict[ResourceKind, str] = {}
        self._stopping = threading.Event()

    def follow(self, standing: Standing) -> dict[str, str]:
        """Watch what the rules in force compare with; the assignments whose objects cannot be had, and why."""
        wanted = {kind for ready in standing.plan.ready for kind in ready.definition.requires_inventory}
        for kind in self._watches.keys() - wanted:
            self._watches.pop(kind).stop()
            self._faults.pop(kind, None)
            self._engine.set_inventory([_name(kind)], [])
        for kind in sorted(wanted - self._watches.keys(), key=_name):
            self._begin(kind)
        for kind in wanted:
            if kind in self._watches:
                self._wait(kind)
        missing = {kind: self._fault(kind) for kind in wanted if not self._is_synced(kind)}
        return {
            ready.key.name: missing[kind]
            for ready in standing.plan.ready
            for kind in ready.definition.requires_inventory
            if kind in missing
        }

    def _is_synced(self, kind: ResourceKind) -> bool:
        return kind in self._watches and self._watches[kind].synced.is_set()

    def _fault(self, kind: ResourceKind) -> str:
        return f"the {kind.kind} objects that it compares with could not be listed: {self._faults.get(kind, 'no answer yet')}"

    def _begin(self, kind: ResourceKind) -> None:
        try:
            served = Discovery(self._connection).find(kind.group, kind.kind)
        except ClusterError as error:
            self._faults[kind] = error.what
            return
        watch = Watch(
            self._connection,
            list_path(served),
            replaced=lambda objects: self._engine.set_inventory([_name(kind)], [_raw(served, one) for one in objects]),
            changed=lambda what, one: self._event(served, what, one),
            troubled=lambda error: self._trouble(kind, error),
        )
        self._watches[kind] = watch
        watch.start()

    def _wait(self, kind: ResourceKind) -> None:
        """Until the kind is listed, or cannot be."""
        watch = self._watches[kind]
        for _ in range(int(SYNC_SECONDS * 20)):
            if watch.synced.wait(0.05) or kind in self._faults or self._stopping.is_set():
                return

    def _event(self, served: Kind, what: str, one: dict[str, Any]) -> None:
        if what == "DELETED":
            metadata = one["metadata"]
            self._engine.drop_inventory(
                [
                    {
                        "apiVersion": served.api_version,
                        "kind": served.kind,
                        "namespace": metadata.get("namespace", ""),
                        "name": metadata["name"],
                    }
                ]
            )
        else:
            self._engine.put_inventory([_raw(served, one)])

    def _trouble(self, kind: ResourceKind, error: ClusterError) -> None:
        self._faults[kind] = error.what
        self._troubled(error)

    def stop(self) -> None:
        """End all watches."""
        self._stopping.set()
        for watch in self._watches.values():
            watch.stop()


def _name(kind: ResourceKind) -> str:
    return f"{kind.group}/{kind.kind}"


def _raw(served: Kind, one: dict[str, Any]) -> bytes:
    """The object as JSON; the items of a list do not say what they are."""
    return json.dumps({**one, "apiVersion": served.api_version, "kind": served.kind}).encode()
