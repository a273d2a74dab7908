"""The objects that referential rules compare with, watched into the engine's data.inventory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any

from aksp.addon.in_force.policies import Standing
from aksp.compliance.comparing import missing
from aksp.engine import Engine
from aksp.errors import ClusterError
from aksp.kube.connection import Connection
from aksp.kube.faults import NotServed
from aksp.kube.kinds import Discovery, Kind, list_path
from aksp.kube.watch import Watch
from aksp.model.definition import ResourceKind

#: Seconds that an assignment waits for the objects that it compares with, before it is said that they lack.
SYNC_SECONDS = 20.0


class ReferencedObjects:
    """A watch for each kind that some rule in force compares with, and for no other kind."""

    def __init__(self, connection: Connection, engine: Engine, *, troubled: Callable[[ClusterError], None]) -> None:
        self._connection = connection
        self._engine = engine
        self._troubled = troubled
        self._watches: dict[Kind, Watch] = {}
        #: As what the kinds wanted are served; several may be one.
        self._served: dict[ResourceKind, Kind] = {}
        #: Why kinds cannot be looked up, and why watches get nothing.
        self._faults: dict[ResourceKind, str] = {}
        self._troubles: dict[Kind, str] = {}
        self._unserved: set[ResourceKind] = set()
        self._stopping = threading.Event()

    def follow(self, standing: Standing) -> dict[str, str]:
        """Watch what the rules in force compare with; the assignments whose objects cannot be had, and why."""
        # Kinds that were not served, or could not be asked for, are asked for again.
        self._unserved.clear()
        discovery = Discovery(self._connection)
        asked = {kind for ready in standing.plan.ready for kind in ready.definition.requires_inventory}
        wanted = {one for kind in asked for one in self._groups(discovery, kind)}
        self._served = dict(self._located(discovery, wanted))
        needed = set(self._served.values())
        for served in self._watches.keys() - needed:
            self._watches.pop(served).stop()
            self._troubles.pop(served, None)
            self._engine.set_inventory([_name(served)], [])
        for served in sorted(needed - self._watches.keys(), key=_name):
            self._begin(served)
        for served in needed:
            self._wait(served)
        failed = {
            kind: self._fault(kind)
            for kind in asked | wanted
            if kind not in self._unserved and not self._is_synced(kind) and (kind in wanted or kind in self._faults)
        }
        return {
            ready.key.name: why
            for ready in standing.plan.ready
            if (why := missing(ready.definition, failed, self._unserved)) is not None
        }

    def _groups(self, discovery: Discovery, kind: ResourceKind) -> list[ResourceKind]:
        """A kind to watch; one of any group as it is in each, none where that cannot be told."""
        if kind.group != "*":
            return [kind]
        self._faults.pop(kind, None)
        try:
            return [ResourceKind(group=one.group, kind=one.kind) for one in discovery.named(kind.kind)]
        except NotServed:
            self._unserved.add(kind)
        except ClusterError as error:
            self._faults[kind] = error.what
        return []

    def _located(self, discovery: Discovery, wanted: Collection[ResourceKind]) -> Iterator[tuple[ResourceKind, Kind]]:
        """As what kinds are served; those that are watched are not asked for again."""
        for kind in wanted:
            if kind in self._served:
                yield kind, self._served[kind]
                continue
            self._faults.pop(kind, None)
            try:
                yield kind, discovery.find(kind.group, kind.kind, kind.version)
            except NotServed:
                self._unserved.add(kind)
            except ClusterError as error:
                self._faults[kind] = error.what

    def _fault(self, kind: ResourceKind) -> str:
        served = self._served.get(kind)
        return self._faults.get(kind) or (served and self._troubles.get(served)) or "no answer yet"

    def _is_synced(self, kind: ResourceKind) -> bool:
        return kind in self._served and self._watches[self._served[kind]].synced.is_set()

    def _begin(self, served: Kind) -> None:
        self._troubles.pop(served, None)
        watch = Watch(
            self._connection,
            list_path(served),
            replaced=lambda objects: self._engine.set_inventory(
                [_name(served)], [_raw(served, one) for one in objects]
            ),
            changed=lambda what, one: self._event(served, what, one),
            troubled=lambda error: self._trouble(served, error),
        )
        self._watches[served] = watch
        watch.start()

    def _wait(self, served: Kind) -> None:
        """Until the kind is listed, or cannot be."""
        watch = self._watches[served]
        for _ in range(int(SYNC_SECONDS * 20)):
            if watch.synced.wait(0.05) or served in self._troubles or self._stopping.is_set():
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

    def _trouble(self, served: Kind, error: ClusterError) -> None:
        self._troubles[served] = error.what
        self._troubled(error)

    def stop(self) -> None:
        """End all watches."""
        self._stopping.set()
        for watch in self._watches.values():
            watch.stop()


def _name(served: Kind) -> str:
    return f"{served.group}/{served.version}/{served.kind}"


def _raw(served: Kind, one: dict[str, Any]) -> bytes:
    """The object as JSON; the items of a list do not say what they are."""
    return json.dumps({**one, "apiVersion": served.api_version, "kind": served.kind}).encode()
