"""A live cluster that is followed: every list page by page into the engine, then its changes as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from aksp.engine import Batch, Engine
from aksp.errors import ClusterError, EngineError, Forbidden, InvalidInput
from aksp.inventory.cluster import every_kind, gap_of, in_any_version
from aksp.inventory.inbox import Inbox
from aksp.inventory.interface import Wanted, documents_of
from aksp.inventory.texts import list_of
from aksp.inventory.updates import FollowedList, Key, KindNotServed, Lost, ObjectsChanged, Settled, Update
from aksp.kube import lists
from aksp.kube.connection import Connection
from aksp.kube.faults import NotServed, ServerFault
from aksp.kube.fetch import Backoff
from aksp.kube.kinds import KINDS, Discovery, list_path
from aksp.kube.watch import RESUMING, Watch
from aksp.model.compliance import Gap
from aksp.model.definition import ResourceKind

#: Bytes of what has come and is not yet taken, at which the watches wait.
WAITING_BYTES = 16 << 20
#: What a change takes at least.
EVENT_BYTES = 256
#: Bytes of changes that are taken at once: so much is judged before the next look at the clock.
TAKEN_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of a list as it came."""

    page: lists.ListPage


@dataclass(frozen=True, slots=True)
class _Event:
    """One change. ``text`` is the object in JSON, empty when it was deleted."""

    key: Key
    text: bytes


@dataclass(frozen=True, slots=True)
class _Trouble:
    error: ClusterError
    synced: bool


class Watched:
    """The objects of a cluster, for as long as the ``with`` block lasts. ``namespaces`` empty means all.

    Each list is followed in a thread of its own; what comes is taken in
    one thread, with ``take``, and the threads wait when too much is waiting.
    """

    def __init__(
        self,
        engine: Engine,
        connection: Connection,
        wanted: Wanted,
        *,
        namespaces: Sequence[str] = (),
        selector: str | None = None,
        chunk_size: int = lists.PAGE_LIMIT,
        backoff: Backoff = RESUMING,
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._wanted = wanted
        self._namespaces = tuple(dict.fromkeys(namespaces))
        self._selector = selector
        self._chunk_size = chunk_size
        self._backoff = backoff
        self._inbox: Inbox[tuple[FollowedList, _Page | _Event | _Trouble | None]] = Inbox(WAITING_BYTES)
        self._watches: list[Watch] = []
        self._answered = False
        self._first: ClusterError | None = None
        self._failed: set[FollowedList] = set()
        #: Kinds of any group that could not be looked up, and why.
        self._unnamed: dict[ResourceKind, ClusterError] = {}
        self.listings = tuple(self._listings())

    def __enter__(self) -> Self:
        for listing in self.listings:
            if "*" in (listing.kind.group, listing.kind.kind):
                continue
            watch = self._watch(listing)
            self._watches.append(watch)
            watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._inbox.close()
        for watch in self._watches:
            watch.cancel()
        for watch in self._watches:
            watch.stop()

    def take(self, seconds: float) -> list[Update]:
        """What has come, in order within each listing; waits so long for something to come.

        Raises ClusterError when the cluster answers nothing at all, InvalidInput for a selector that it does not
        understand.
        """
        updates: list[Update] = []
        events: dict[FollowedList, dict[Key, bytes]] = {}
        for listing, one in self._inbox.take(seconds, TAKEN_BYTES):
            if isinstance(one, _Event):
                # Of two changes of one object the later is what it is now.
                events.setdefault(listing, {})[one.key] = one.text
                continue
            if listing in events:
                updates += self._changes(listing, events.pop(listing))
            match one:
                case _Page(page):
                    self._answered = True
                    updates.append(self._page(listing, page))
                case _Trouble(error, synced):
                    updates.append(self._trouble(listing, error, synced=synced))
                case None:
                    self._answered = True
                    updates.append(Settled(listing=listing))
        for listing, changed in events.items():
            updates += self._changes(listing, changed)
        return updates

    def unnamed(self) -> list[Update]:
        """The listings that cannot be followed, since nobody can say what they are about."""
        updates: list[Update] = []
        for listing in self.listings:
            if "*" not in (listing.kind.group, listing.kind.kind):
                continue
            error = self._unnamed.get(listing.kind)
            if isinstance(error, NotServed):
                updates.append(KindNotServed(listing=listing))
            else:
                gap = gap_of(listing.kind, "could not be listed", error) if error else every_kind(listing.kind)
                updates.append(Lost(listing=listing, gap=gap))
        return updates

    # Which lists

    def _listings(self) -> Iterator[FollowedList]:
        """As a scan asks for them: what -n and -l leave out is not judged, but rules compare with it."""
        for kind in self._kinds():
            compared = self._wanted.needs_whole(kind.group, kind.kind)
            namespaced = self._namespaced(kind)
            if kind.version:
                # Rules compare with these; what is judged is followed without a version.
                yield FollowedList(kind=kind, judged=False, compared=True)
                within = self._namespaces if namespaced else ()
                yield from (FollowedList(kind=kind, namespace=one, judged=False, compared=True) for one in within)
                continue
            if compared and (self._selector or (self._namespaces and namespaced)):
                yield FollowedList(kind=kind, judged=False, compared=True)
            if self._namespaces and not namespaced:
                continue
            for namespace in self._namespaces or (None,):
                yield FollowedList(kind=kind, namespace=namespace, compared=compared)

    def _kinds(self) -> list[ResourceKind]:
        """The kinds wanted; those of any group, which rules compare with, as they are in each."""
        kinds: list[ResourceKind] = []
        for kind in self._wanted.kinds:
            if kind.group == "*" and kind in self._wanted.whole:
                try:
                    named = Discovery(self._connection).named(kind.kind)
                    kinds += [ResourceKind(group=one.group, kind=one.kind) for one in named]
                    continue
                except ClusterError as error:
                    self._unnamed[kind] = error
            if not self._followed(kind):
                kinds.append(kind)
        return list(dict.fromkeys(kinds))

    def _followed(self, kind: ResourceKind) -> bool:
        """Whether a kind in a version is the one that is followed without a version."""
        if not kind.version or in_any_version(kind) not in self._wanted.kinds:
            return False
        discovery = Discovery(self._connection)
        try:
            served = discovery.find(kind.group, kind.kind)
            return discovery.find(kind.group, kind.kind, kind.version) == served
        except ClusterError:
            # Its own watch meets the same, and tells.
            return False

    def _namespaced(self, kind: ResourceKind) -> bool:
        known = KINDS.get((kind.group, kind.kind))
        if known is not None or not self._namespaces:
            return known is None or known.namespaced
        try:
            return Discovery(self._connection).find(kind.group, kind.kind, kind.version).namespaced
        except ClusterError:
            # Its watch meets the same, and tells.
            return True

    def _watch(self, listing: FollowedList) -> Watch:
        def locate() -> str:
            served = Discovery(self._connection).find(listing.kind.group, listing.kind.kind, listing.kind.version)
            if listing.namespace and not served.namespaced:
                raise NotServed(f"{listing} is in no namespace")
            return list_path(served, listing.namespace)

        def changed(what: str, thing: dict[str, Any]) -> None:
            metadata = thing["metadata"]
            text = b"" if what == "DELETED" else json.dumps(thing).encode()
            self._put(listing, _Event((metadata.get("namespace", ""), metadata["name"]), text), len(text) + EVENT_BYTES)

        watch = Watch(
            self._connection,
            locate,
            changed=changed,
            paged=lambda page: self._put(listing, _Page(page), len(page.body)),
            limit=self._chunk_size,
            troubled=lambda error: self._put(listing, _Trouble(error, watch.synced.is_set())),
            settled=lambda: self._put(listing, None),
            backoff=self._backoff,
            label_selector=self._selector if listing.judged else None,
        )
        return watch

    def _put(self, listing: FollowedList, one: _Page | _Event | _Trouble | None, size: int = 0) -> None:
        self._inbox.put((listing, one), size)

    # What has come

    def _page(self, listing: FollowedList, page: lists.ListPage) -> Update:
        begins, ends = page.number == 1, page.continue_token is None
        try:
            batch = self._engine.load_list(page.body)
        except EngineError as error:
            # An engine that is gone ends the watch; an answer that it cannot read does not.
            if not self._engine.alive:
                raise
            fault = ServerFault(f"an answer cannot be read: {error.what}")
            gap = gap_of(listing.kind, "could not be listed", fault)
            return ObjectsChanged(listing=listing, gaps=[gap], begins=begins, ends=ends)
        return ObjectsChanged(
            listing=listing,
            batch=batch,
            documents=documents_of(batch.documents),
            gaps=_unreadable(listing, batch),
            begins=begins,
            ends=ends,
        )

    def _changes(self, listing: FollowedList, changed: dict[Key, bytes]) -> Iterator[Update]:
        texts = [text for text in changed.values() if text]
        gone = [key for key, text in changed.items() if not text]
        if not texts:
            yield ObjectsChanged(listing=listing, gone=gone)
            return
        batch = self._engine.load_list(list_of(texts))
        documents = documents_of(batch.documents)
        # What can no longer be read is not what it was.
        there = {(one.resource.namespace, one.resource.name) for one in documents}
        gone += [key for key, text in changed.items() if text and key not in there]
        yield ObjectsChanged(
            listing=listing,
            batch=batch,
            documents=documents,
            gone=gone,
            gaps=_unreadable(listing, batch),
        )

    def _trouble(self, listing: FollowedList, error: ClusterError, *, synced: bool) -> Update:
        if isinstance(error.__cause__, InvalidInput):
            raise error.__cause__
        if isinstance(error, NotServed):
            self._answered = True
            return KindNotServed(listing=listing)
        if not self._answered:
            if not isinstance(error, Forbidden | ServerFault):
                raise error
            self._first = self._first or error
            self._failed.add(listing)
            if len(self._failed) == len(self._watches):
                raise self._first
        return Lost(listing=listing, gap=gap_of(listing.kind, self._what(listing, synced=synced), error))

    def _what(self, listing: FollowedList, *, synced: bool) -> str:
        if not listing.judged and self._namespaces:
            return "can be compared only with those in the namespaces given, as all of them could not be listed"
        return "cannot be watched now, and is tried again" if synced else "could not be listed"


def _unreadable(listing: FollowedList, batch: Batch) -> list[Gap]:
    return [Gap(reason="UnreadableDocument", message=f"{listing}: {each['message']}") for each in batch.problems]
