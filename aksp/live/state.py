"""What is known of the lists that are followed: their objects, what rules compare with, and which lists cannot be had."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import assert_never

from aksp.engine import Engine
from aksp.live.updates import Key, KindNotServed, Lost, ObjectsChanged, Settled, Update
from aksp.model.compliance import Gap
from aksp.model.definition import ResourceKind
from aksp.sources.interface import NAMESPACE, namespace_labels
from aksp.sources.listings import WantedList
from aksp.sources.texts import text_of

#: Gaps of one listing that are told at most, of unreadable objects.
MOST_GAPS = 100


class LiveState:
    """All updates together. Objects that rules compare with go into the engine's inventory. For one thread at a time.

    ``changed`` becomes true when something changes that rules compare with, or select by. The caller sets it to False.
    """

    def __init__(self, engine: Engine, listings: Iterable[WantedList] = ()) -> None:
        self._engine = engine
        #: The objects of each listing, with the number of the list that last had them.
        self.known: dict[WantedList, dict[Key, int]] = {}
        self._lists: dict[WantedList, int] = {}
        #: In which apiVersion the objects of a listing are in the engine's inventory.
        self._versions: dict[WantedList, str] = {}
        #: What could not be read, and the listings that cannot be followed now.
        self.gaps: dict[WantedList, list[Gap]] = {}
        self.lost: dict[WantedList, Lost] = {}
        #: Listings of kinds that the cluster does not serve, those that have come whole at least once, and those of
        #: which it is known whether they can be had.
        self.unserved: set[WantedList] = set()
        self.listed: set[WantedList] = set()
        self.settled: set[WantedList] = set()
        #: The labels of the Namespaces that are followed, by name. Replaced, never changed: another thread may read it.
        self.namespace_labels: Mapping[str, Mapping[str, str]] = {}
        self.changed = False
        for listing in listings:
            self.add(listing)

    def add(self, listing: WantedList) -> None:
        """Begin to count a listing."""
        self.known[listing], self.gaps[listing], self._lists[listing] = {}, [], 0

    def remove(self, listing: WantedList) -> None:
        """Forget a listing that is followed no more, and its objects."""
        self._drop(listing, list(self.known[listing]))
        for one in (self.known, self.gaps, self._lists, self._versions, self.lost):
            one.pop(listing, None)
        for those in (self.unserved, self.listed, self.settled):
            those.discard(listing)

    def apply(self, update: Update) -> Collection[Key]:
        """Take an update up. Returns the objects that its listing no longer has. The caller releases the batch."""
        listing = update.listing
        match update:
            case ObjectsChanged():
                return self._take(update)
            case Lost():
                self.lost[listing] = update
                self.settled.add(listing)
                self.unserved.discard(listing)
            case KindNotServed():
                self.lost.pop(listing, None)
                self.unserved.add(listing)
                self.settled.add(listing)
                self.gaps[listing] = []
                return self._drop(listing, list(self.known[listing]))
            case Settled():
                self.lost.pop(listing, None)
            case _:
                assert_never(update)
        return ()

    @property
    def failed(self) -> dict[ResourceKind, str]:
        """The kinds that rules cannot compare with, since no list of them has come, and why."""
        return {
            one.kind: lost.why
            for one, lost in self.lost.items()
            if one.compared and one not in self.listed and not self._partly(one)
        }

    @property
    def unserved_kinds(self) -> set[ResourceKind]:
        """The kinds that rules compare with and that the cluster does not serve."""
        return {one.kind for one in self.unserved if one.compared}

    def _partly(self, listing: WantedList) -> bool:
        """Whether rules can still compare with the objects of some namespaces, when those of all cannot be had."""
        return not listing.judged and any(one.kind == listing.kind and one.namespace is not None for one in self.known)

    def _take(self, update: ObjectsChanged) -> Collection[Key]:
        listing, known = update.listing, self.known[update.listing]
        if update.begins:
            self._lists[listing] += 1
            self.gaps[listing] = []
        self.gaps[listing] = list(dict.fromkeys([*self.gaps[listing], *update.gaps]))[:MOST_GAPS]
        if update.batch is not None and update.documents:
            if listing.kind == NAMESPACE:
                self._label(namespace_labels(update.batch.documents))
            if listing.compared:
                texts = [text_of(update.batch, at) for at in range(len(update.documents))]
                self._put(listing, update.documents[0].resource.api_version, texts)
        number = self._lists[listing]
        known.update(((one.resource.namespace, one.resource.name), number) for one in update.documents)
        gone = list(update.gone)
        if update.ends:
            gone += [key for key, last in known.items() if last != number]
            self.settled.add(listing)
            self.listed.add(listing)
            self.unserved.discard(listing)
        return self._drop(listing, gone)

    def _label(self, labels: Mapping[str, Mapping[str, str]]) -> None:
        if any(self.namespace_labels.get(name) != own for name, own in labels.items()):
            self.namespace_labels = {**self.namespace_labels, **labels}
            self.changed = True

    def _put(self, listing: WantedList, version: str, texts: Sequence[bytes]) -> None:
        if self._versions.setdefault(listing, version) != version:
            # The kind is served in another version than before.
            self._take_out(listing, self.known[listing])
            self._versions[listing] = version
        self._engine.put_inventory(texts)
        self.changed = True

    def _drop(self, listing: WantedList, keys: Collection[Key]) -> Collection[Key]:
        known = self.known[listing]
        there = [key for key in keys if key in known]
        # Before they are forgotten: if the engine fails, they are still known, and are taken out with the rest of the list.
        self._take_out(listing, there)
        for key in there:
            del known[key]
        if listing.kind == NAMESPACE and (names := {name for _, name in there}):
            self.namespace_labels = {name: own for name, own in self.namespace_labels.items() if name not in names}
            self.changed = True
        return there

    def _take_out(self, listing: WantedList, keys: Iterable[Key]) -> None:
        """Take objects out of the engine's inventory, unless another listing has them too."""
        version, kind = self._versions.get(listing), listing.kind.kind
        if version is None:
            return
        others = [
            self.known[other]
            for other, own in self._versions.items()
            if own == version and other.kind.kind == kind and other != listing
        ]
        gone = [
            {"apiVersion": version, "kind": kind, "namespace": namespace, "name": name}
            for namespace, name in keys
            if not any((namespace, name) in known for known in others)
        ]
        if gone:
            self._engine.drop_inventory(gone)
            self.changed = True
