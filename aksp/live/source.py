"""A live cluster that is followed: every list page by page into the engine, then its changes as they come."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Self

from msgspec import Struct

from aksp.engine import Engine
from aksp.errors import ClusterError, EngineError, Forbidden, InvalidInput
from aksp.kube import lists
from aksp.kube.connection import Connection
from aksp.kube.errors import NotServed, ServerError
from aksp.kube.fetch import Backoff
from aksp.kube.kinds import Discovery, refuse_other_servers
from aksp.kube.watch import RESUMING, Watch
from aksp.live.inbox import Inbox
from aksp.live.updates import Key, KindNotServed, Lost, ObjectsChanged, Settled, Update
from aksp.sources.interface import NOTHING, Wanted, documents_of
from aksp.sources.listings import PARTLY, Listings, WantedList, every_kind, gap_of, unreadable
from aksp.sources.texts import list_of

#: Bytes that may wait to be taken before the threads of the watches have to wait.
WAITING_BYTES = 16 << 20
#: Bytes that a change counts at least.
EVENT_BYTES = 256
#: Bytes of changes that are taken at once: so much is judged before the next look at the clock.
TAKEN_BYTES = 2 << 20


class _Event(Struct, frozen=True):
    """One change. ``text`` is the object in JSON, empty when it was deleted."""

    key: Key
    text: bytes


class _Trouble(Struct, frozen=True):
    error: ClusterError
    synced: bool


#: None means that the listing is followed, again or for the first time.
_Item = lists.ListPage | _Event | _Trouble | None


class LiveSource:
    """The objects of a cluster, for as long as the ``with`` block lasts. ``namespaces`` empty means all.

    Each list is followed in a thread of its own; what comes is taken in one thread, with ``take``, and the threads wait
    when too much is waiting. With ``patient`` a cluster that does not answer is a fault like any other, and no exception.
    """

    def __init__(
        self,
        engine: Engine,
        connection: Connection,
        wanted: Wanted = NOTHING,
        *,
        namespaces: Sequence[str] = (),
        selector: str | None = None,
        chunk_size: int = lists.PAGE_LIMIT,
        backoff: Backoff = RESUMING,
        patient: bool = False,
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._namespaces = tuple(dict.fromkeys(namespaces))
        self._selector = selector
        self._chunk_size = chunk_size
        self._backoff = backoff
        self._inbox: Inbox[tuple[WantedList, Watch, _Item]] = Inbox(WAITING_BYTES)
        self._watches: dict[WantedList, Watch] = {}
        self._answered = patient
        self._first: ClusterError | None = None
        self._failed: set[WantedList] = set()
        #: Whether it is known for an API server: a wrong path answers 404, as a kind that is not installed does.
        self._known = patient
        self._unserved: set[WantedList] = set()
        listings = Listings(connection, wanted, namespaces=self._namespaces, selected=bool(selector))
        self.listings = listings.all
        #: The lists that cannot be followed, since it is not known which kinds they are of.
        self.unnamed = unnamed(listings)

    def __enter__(self) -> Self:
        self.follow(self.listings)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Follow nothing any more, and take nothing."""
        self._inbox.close()
        for watch in self._watches.values():
            watch.cancel()
        for watch in self._watches.values():
            watch.stop()

    def follow(self, listings: Collection[WantedList]) -> None:
        """Follow these lists from now on, and no others."""
        for listing in self._watches.keys() - set(listings):
            self._watches.pop(listing).stop()
        for listing in listings:
            if listing.named and listing not in self._watches:
                self._watches[listing] = self._watch(listing)
                self._watches[listing].start()

    def take(self, seconds: float) -> list[Update]:
        """What has come, in order within each listing; waits so long for something to come.

        Raises ClusterError when the cluster answers nothing at all, InvalidInput for a selector that it does not
        understand.
        """
        updates: list[Update] = []
        events: dict[WantedList, dict[Key, bytes]] = {}
        for listing, watch, one in self._inbox.take(seconds, TAKEN_BYTES):
            if self._watches.get(listing) is not watch:
                continue
            if isinstance(one, _Event):
                # Of two changes of one object the later is what it is now.
                events.setdefault(listing, {})[one.key] = one.text
                continue
            if listing in events:
                updates += self._changes(listing, events.pop(listing))
            match one:
                case lists.ListPage():
                    self._answered = self._known = True
                    updates.append(self._page(listing, one))
                case _Trouble(error, synced):
                    updates.append(self._trouble(listing, error, synced=synced))
                case None:
                    self._answered = True
                    updates.append(Settled(listing=listing))
        for listing, changed in events.items():
            updates += self._changes(listing, changed)
        return updates

    def _watch(self, listing: WantedList) -> Watch:
        def put(one: _Item, size: int = 0) -> None:
            self._inbox.put((listing, watch, one), size)

        def changed(what: str, thing: dict[str, Any]) -> None:
            metadata = thing["metadata"]
            text = b"" if what == "DELETED" else json.dumps(thing).encode()
            put(_Event((metadata.get("namespace", ""), metadata["name"]), text), len(text) + EVENT_BYTES)

        watch = Watch(
            self._connection,
            lambda: listing.path(Discovery(self._connection)),
            changed=changed,
            paged=lambda page: put(page, len(page.body)),
            limit=self._chunk_size,
            troubled=lambda error: put(_Trouble(error, watch.synced.is_set())),
            settled=lambda: put(None),
            backoff=self._backoff,
            label_selector=self._selector if listing.judged else None,
        )
        return watch

    # What has come

    def _page(self, listing: WantedList, page: lists.ListPage) -> Update:
        begins, ends = page.number == 1, page.continue_token is None
        try:
            batch = self._engine.load_list(page.body)
        except EngineError as error:
            # An engine that is gone ends the watch; an answer that it cannot read does not.
            if not self._engine.alive:
                raise
            fault = ServerError(f"an answer cannot be read: {error.what}")
            gap = gap_of(listing.kind, "could not be listed", fault)
            return ObjectsChanged(listing=listing, gaps=[gap], begins=begins, ends=ends)
        return ObjectsChanged(
            listing=listing,
            batch=batch,
            documents=documents_of(batch.documents),
            gaps=unreadable(str(listing), listing.kind, batch),
            begins=begins,
            ends=ends,
        )

    def _changes(self, listing: WantedList, changed: dict[Key, bytes]) -> Iterator[Update]:
        texts = [text for text in changed.values() if text]
        gone = [key for key, text in changed.items() if not text]
        if not texts:
            yield ObjectsChanged(listing=listing, gone=gone)
            return
        batch = self._engine.load_list(list_of(texts))
        documents = documents_of(batch.documents)
        # An object that can no longer be read is taken out: what is known of it is old.
        there = {(one.resource.namespace, one.resource.name) for one in documents}
        gone += [key for key, text in changed.items() if text and key not in there]
        yield ObjectsChanged(
            listing=listing,
            batch=batch,
            documents=documents,
            gone=gone,
            gaps=unreadable(str(listing), listing.kind, batch),
        )

    def _trouble(self, listing: WantedList, error: ClusterError, *, synced: bool) -> Update:
        if isinstance(error.__cause__, InvalidInput):
            raise error.__cause__
        if isinstance(error, NotServed):
            self._answered = True
            self._unserved.add(listing)
            if not self._known and self._unserved >= self._watches.keys():
                refuse_other_servers(self._connection)
                self._known = True
            return KindNotServed(listing=listing)
        if not self._answered:
            if not isinstance(error, Forbidden | ServerError):
                raise error
            self._first = self._first or error
            self._failed.add(listing)
            if len(self._failed) == len(self._watches):
                raise self._first
        gap = gap_of(listing.kind, self._what(listing, synced=synced), error)
        return Lost(listing=listing, gap=gap, why=error.what)

    def _what(self, listing: WantedList, *, synced: bool) -> str:
        if not listing.judged and any(one.kind == listing.kind and one.namespace for one in self._watches):
            return PARTLY
        return "cannot be watched now, and is tried again" if synced else "could not be listed"


def unnamed(listings: Listings) -> list[Update]:
    """The updates about lists that cannot be followed, since it is not known which kinds they are of."""
    updates: list[Update] = []
    for listing in listings.all:
        error = listings.errors.get(listing.kind)
        if listing.named:
            continue
        if isinstance(error, NotServed):
            updates.append(KindNotServed(listing=listing))
        elif error is None:
            updates.append(Lost(listing=listing, gap=every_kind(listing.kind)))
        else:
            gap = gap_of(listing.kind, "could not be listed", error)
            updates.append(Lost(listing=listing, gap=gap, why=error.what))
    return updates
