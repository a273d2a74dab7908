"""A live cluster that is followed: every list page by page into the engine, then its changes as they come."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from aksp.engine import Batch, DocumentRecord, Engine
from aksp.errors import ClusterError, EngineError, Forbidden, InvalidInput
from aksp.inventory.cluster import every_kind, gap_of, name_of
from aksp.inventory.inbox import Inbox
from aksp.inventory.interface import Wanted, documents_of
from aksp.kube import lists
from aksp.kube.connection import Connection
from aksp.kube.faults import NotServed, ServerFault
from aksp.kube.fetch import Backoff
from aksp.kube.kinds import KINDS, Discovery, list_path
from aksp.kube.watch import RESUMING, Watch
from aksp.model.compliance import Gap
from aksp.model.definition import ResourceKind
from aksp.model.resource import Document

#: Namespace and name of an object, within a listing.
Key = tuple[str, str]

#: Bytes of what has come and is not yet taken, at which the watches wait.
WAITING_BYTES = 16 << 20
#: What a change takes at least.
EVENT_BYTES = 256
#: Bytes of changes that are taken at once: so much is judged before the next look at the clock.
TAKEN_BYTES = 2 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """One list that is followed: of a kind, perhaps of one namespace.

    Its objects are judged, or rules compare with them, or both. ``kept`` says that their texts are wanted too.
    """

    kind: ResourceKind
    namespace: str | None = None
    judged: bool = True
    compared: bool = False
    kept: bool = False

    def __str__(self) -> str:
        return name_of(self.kind) + (f" of {self.namespace}" if self.namespace else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Objects:
    """Objects that are there, as they are now, in a batch of the engine that is the taker's to release; and those gone.

    With ``begins`` a list begins (anew), whatever an unfinished one had; with ``ends`` it is complete, and what it did
    not have since it began is gone. ``texts`` are the documents in JSON, for listings that are kept.
    """

    listing: Listing
    batch: Batch | None = None
    documents: Sequence[Document] = ()
    texts: Sequence[bytes] = ()
    gone: Sequence[Key] = ()
    gaps: Sequence[Gap] = ()
    begins: bool = False
    ends: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Lost:
    """A listing cannot be followed now; what is known of it may be old. It is tried again."""

    listing: Listing
    gap: Gap


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """The cluster does not serve the kind: there are no such objects, until it does."""

    listing: Listing


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """A listing is followed (again)."""

    listing: Listing


Update = Objects | Lost | Missing | Settled


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of a list as it came."""

    page: lists.Page


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

    ``kept`` are the kinds whose texts are wanted. Each list is followed in a thread of its own; what comes is taken in
    one thread, with ``take``, and the threads wait when too much is waiting.
    """

    def __init__(
        self,
        engine: Engine,
        connection: Connection,
        wanted: Wanted,
        *,
        kept: Collection[ResourceKind] = (),
        namespaces: Sequence[str] = (),
        selector: str | None = None,
        chunk_size: int = lists.PAGE_LIMIT,
        backoff: Backoff = RESUMING,
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._wanted = wanted
        self._kept = frozenset(kept)
        self._namespaces = tuple(dict.fromkeys(namespaces))
        self._selector = selector
        self._chunk_size = chunk_size
        self._backoff = backoff
        self._inbox: Inbox[tuple[Listing, _Page | _Event | _Trouble | None]] = Inbox(WAITING_BYTES)
        self._watches: list[Watch] = []
        self._answered = False
        self._first: ClusterError | None = None
        self._failed: set[Listing] = set()
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
        events: dict[Listing, dict[Key, bytes]] = {}
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

    def unnamed(self) -> list[Lost]:
        """The listings that cannot be followed, since nobody can say what they are about."""
        return [
            Lost(listing=listing, gap=every_kind(listing.kind))
            for listing in self.listings
            if "*" in (listing.kind.group, listing.kind.kind)
        ]

    # Which lists

    def _listings(self) -> Iterator[Listing]:
        """As a scan asks for them: what -n and -l leave out is not judged, but rules compare with it."""
        for kind in self._wanted.kinds:
            compared, kept = kind in self._wanted.whole, kind in self._kept
            namespaced = self._namespaced(kind)
            if compared and (self._selector or (self._namespaces and namespaced)):
                yield Listing(kind=kind, judged=False, compared=True, kept=True)
            if self._namespaces and not namespaced:
                continue
            for namespace in self._namespaces or (None,):
                yield Listing(kind=kind, namespace=namespace, compared=compared, kept=kept or compared)

    def _namespaced(self, kind: ResourceKind) -> bool:
        known = KINDS.get((kind.group, kind.kind))
        if known is not None or not self._namespaces:
            return known is None or known.namespaced
        try:
            return Discovery(self._connection).find(kind.group, kind.kind).namespaced
        except ClusterError:
            # Its watch meets the same, and tells.
            return True

    def _watch(self, listing: Listing) -> Watch:
        def locate() -> str:
            served = Discovery(self._connection).find(listing.kind.group, listing.kind.kind)
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

    def _put(self, listing: Listing, one: _Page | _Event | _Trouble | None, size: int = 0) -> None:
        self._inbox.put((listing, one), size)

    # What has come

    def _page(self, listing: Listing, page: lists.Page) -> Update:
        begins, ends = page.number == 1, page.continue_token is None
        try:
            batch = self._engine.load_list(page.body)
        except EngineError as error:
            # An engine that is gone ends the watch; an answer that it cannot read does not.
            if not self._engine.alive:
                raise
            fault = ServerFault(f"an answer cannot be read: {error.what}")
            gap = gap_of(listing.kind, "could not be listed", fault)
            return Objects(listing=listing, gaps=[gap], begins=begins, ends=ends)
        return Objects(
            listing=listing,
            batch=batch,
            documents=documents_of(batch.documents),
            texts=_texts(batch) if listing.kept else (),
            gaps=_unreadable(listing, batch),
            begins=begins,
            ends=ends,
        )

    def _changes(self, listing: Listing, changed: dict[Key, bytes]) -> Iterator[Update]:
        texts = [text for text in changed.values() if text]
        gone = [key for key, text in changed.items() if not text]
        if not texts:
            yield Objects(listing=listing, gone=gone)
            return
        batch = self._engine.load_list(list_of(texts))
        documents = documents_of(batch.documents)
        # What can no longer be read is not what it was.
        there = {(one.resource.namespace, one.resource.name) for one in documents}
        gone += [key for key, text in changed.items() if text and key not in there]
        yield Objects(
            listing=listing,
            batch=batch,
            documents=documents,
            texts=_texts(batch) if listing.kept else (),
            gone=gone,
            gaps=_unreadable(listing, batch),
        )

    def _trouble(self, listing: Listing, error: ClusterError, *, synced: bool) -> Update:
        if isinstance(error.__cause__, InvalidInput):
            raise error.__cause__
        if isinstance(error, NotServed):
            self._answered = True
            return Missing(listing=listing)
        if not self._answered:
            if not isinstance(error, Forbidden | ServerFault):
                raise error
            self._first = self._first or error
            self._failed.add(listing)
            if len(self._failed) == len(self._watches):
                raise self._first
        return Lost(listing=listing, gap=gap_of(listing.kind, self._what(listing, synced=synced), error))

    def _what(self, listing: Listing, *, synced: bool) -> str:
        if not listing.judged and self._namespaces:
            return "can be compared only with those in the namespaces given, as all of them could not be listed"
        return "cannot be watched now, and is tried again" if synced else "could not be listed"


def list_of(texts: Sequence[bytes]) -> bytes:
    """A Kubernetes list of objects that say what they are."""
    return b'{"kind":"List","apiVersion":"v1","metadata":{},"items":[' + b",".join(texts) + b"]}"


def _texts(batch: Batch) -> list[bytes]:
    """The objects of a batch, each with its apiVersion and kind, which lists of built-in kinds leave out."""
    body = bytes(batch.body)
    return [_text(body, record) for record in batch.documents]


def _text(body: bytes, record: DocumentRecord) -> bytes:
    raw = json.loads(body[record["offset"] : record["offset"] + record["length"]])
    return json.dumps({**raw, "apiVersion": record["apiVersion"], "kind": record["kind"]}).encode()


def _unreadable(listing: Listing, batch: Batch) -> list[Gap]:
    return [Gap(reason="UnreadableDocument", message=f"{listing}: {each['message']}") for each in batch.problems]
