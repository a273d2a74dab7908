"""What assignments in force need besides the object under review: other objects in data.inventory, labels of Namespaces."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from aksp.addon.in_force.policies import Standing
from aksp.compliance.comparing import missing
from aksp.engine import Engine
from aksp.kube.connection import Connection
from aksp.live.source import LiveSource, unnamed
from aksp.live.state import LiveState
from aksp.live.updates import Lost, ObjectsChanged, Update
from aksp.scan import wanted_of
from aksp.sources.interface import Wanted
from aksp.sources.listings import Listings

_log = logging.getLogger("aksp.addon.referenced_objects")

#: Seconds that what is in force waits for the first lists, before it is said that they lack.
SYNC_SECONDS = 20.0
#: Seconds after which the thread looks whether it is to end.
_TAKE_SECONDS = 0.5
STOP_SECONDS = 2.0


class ReferencedObjects:
    """Follows each kind that some rule in force compares with, and Namespaces while an assignment selects by their labels.

    ``changed`` is told when the labels of Namespaces are others than before, and when a kind can be had or no longer.
    """

    def __init__(self, connection: Connection, engine: Engine, *, changed: Callable[[], None]) -> None:
        self._connection = connection
        self._changed = changed
        self._source = LiveSource(engine, connection, patient=True)
        self._engine = engine
        #: Held while the state is read or changed.
        self._turn = threading.Condition()
        self._state = LiveState(engine)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="aksp-referenced-objects", daemon=True)

    @property
    def namespace_labels(self) -> Mapping[str, Mapping[str, str]]:
        """The labels of the Namespaces that are known now, by name. What lies in others cannot be selected by labels."""
        return self._state.namespace_labels

    def follow(self, standing: Standing) -> dict[str, str]:
        """Follow what is in force needs, and nothing else; the assignments whose objects cannot be had, and why."""
        whole = wanted_of(standing.plan).whole
        listings = Listings(self._connection, Wanted(kinds=whole, whole=whole))
        with self._turn:
            if self._stopping.is_set():
                return {}
            state, wanted = self._state, set(listings.all)
            for gone in [one for one in state.known if one not in wanted]:
                state.remove(gone)
            # Lists with something that could not be read are read again; their objects stay meanwhile.
            again = {one for one, gaps in state.gaps.items() if gaps}
            state.settled -= again
            self._source.follow(state.known.keys() - again)
            for new in wanted - state.known.keys():
                state.add(new)
            self._source.follow(listings.all)
            for update in unnamed(listings):
                state.apply(update)
            if listings.all and not self._thread.is_alive():
                self._thread.start()
            self._turn.wait_for(lambda: self._stopping.is_set() or state.settled.issuperset(state.known), SYNC_SECONDS)
            failed = {one.kind: "no answer yet" for one in state.known if one not in state.settled} | state.failed
            failed |= {one.kind: gaps[0].message for one, gaps in state.gaps.items() if gaps}
            return {
                ready.key.name: why
                for ready in standing.plan.ready
                if (why := missing(ready.definition, failed, state.unserved_kinds)) is not None
            }

    def stop(self) -> None:
        """End all watches."""
        self._stopping.set()
        with self._turn:
            self._turn.notify_all()
        self._source.close()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                updates = self._source.take(_TAKE_SECONDS)
                with self._turn:
                    self._apply(updates)
            except Exception as error:  # noqa: BLE001 - logged, whatever it is: the thread must go on
                if self._stopping.wait(_TAKE_SECONDS):
                    return
                # Something that came is lost. New lists tell it again; until then the objects stay.
                _log.warning("what rules compare with is read again: %s", error, exc_info=error)
                with self._turn:
                    self._source.follow(())
                    self._source.follow(self._state.known)

    def _apply(self, updates: Sequence[Update]) -> None:
        state, before = self._state, self._seen()
        for update in updates:
            if update.listing in state.known:
                state.apply(update)
                if isinstance(update, Lost):
                    _log.warning(update.gap.message)
            if isinstance(update, ObjectsChanged) and update.batch is not None:
                self._engine.release(update.batch)
        self._turn.notify_all()
        if before != self._seen():
            self._changed()

    def _seen(self) -> object:
        """What decides who can be judged: labels, lists that can be had or cannot, and those with something unreadable."""
        state = self._state
        unreadable = {one for one, gaps in state.gaps.items() if gaps}
        return state.namespace_labels, set(state.listed), set(state.unserved), unreadable
