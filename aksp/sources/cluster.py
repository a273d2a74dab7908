"""A live cluster: the kinds that assignments need, page by page, straight into the engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing

from msgspec.structs import replace

from aksp.compliance.nothing import no_namespace
from aksp.engine import Engine, Loading
from aksp.errors import ClusterError, EngineError, Forbidden
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.errors import NotServed, ServerError
from aksp.kube.fetch import OnRetry
from aksp.kube.kinds import Kind, refuse_other_servers
from aksp.kube.lists import PAGE_LIMIT, list_pages
from aksp.model.compliance import Gap
from aksp.model.definition import ResourceKind
from aksp.sources.interface import Page, Wanted, documents_of
from aksp.sources.listings import PARTLY, Listings, WantedList, every_kind, gap_of, name_of, unreadable


class Cluster:
    """Objects of a cluster. ``namespaces`` empty means all; ``selector`` is kubectl's -l.

    ``hint`` is what to do where a list of all namespaces is refused: many may list what is in theirs.
    """

    def __init__(
        self,
        engine: Engine,
        connection: Connection,
        *,
        namespaces: Sequence[str] = (),
        selector: str | None = None,
        chunk_size: int = PAGE_LIMIT,
        on_retry: OnRetry | None = None,
        hint: str | None = None,
    ) -> None:
        self._engine = engine
        self._hint = hint
        self._connection = connection
        # Named twice they are listed once: nothing may count twice.
        self._namespaces = tuple(dict.fromkeys(namespaces))
        self._selector = selector
        self._chunk_size = chunk_size
        self._on_retry = on_retry
        self._answered = False
        #: Whether there was a list at all: a wrong path answers 404, as a kind that is not installed does.
        self._served = False
        self._first: ClusterError | None = None
        #: Namespaces that were asked for, and in which nothing has been seen.
        self._unseen = set(self._namespaces)

    def pages(self, wanted: Wanted) -> Iterator[Page]:
        """A list per kind and namespace. One that is refused, or breaks off, is a gap.

        Raises ClusterError when the cluster answers nothing at all.
        """
        listings = Listings(
            self._connection, wanted, namespaces=self._namespaces, selected=bool(self._selector), every=True
        )
        finished: set[ResourceKind] = set()
        for listing in listings.all:
            if listing.kind not in finished:
                yield from self._listing(listings, listing, wanted, finished)
        if self._first is not None and not self._answered:
            raise self._first
        if self._answered and not self._served:
            refuse_other_servers(self._connection, self._on_retry)
        unseen = [name for name in self._namespaces if name in self._unseen]
        if gaps := absent_namespaces(self._connection, unseen):
            yield Page(listing="namespaces", gaps=gaps)

    def _listing(
        self, listings: Listings, listing: WantedList, wanted: Wanted, finished: set[ResourceKind]
    ) -> Iterator[Page]:
        """The pages of one list, then a gap if it breaks off. Kinds whose other lists are not to be read are ``finished``."""
        kind, located = listing.kind, False
        whole = not listing.judged and listing.namespace is None
        partly = whole and any(one.kind == kind and one.namespace for one in listings.all)
        name = f"{name_of(kind)}{', all' if whole else ''} {listing.namespace or ''}"
        try:
            if not listing.named:
                if kind in listings.errors:
                    raise listings.errors[kind]
                yield Page(listing=name, gaps=[every_kind(kind)], failed=kind)
                return
            path, located = listing.path(listings.discovery), True
            for page in self._list(path, kind, name, self._selector if listing.judged else None, wanted):
                self._served = True
                if page.batch is not None and page.documents and listing.judged:
                    self._unseen.discard(listing.namespace or "")
                # Rules compare with objects that are not themselves to be judged, whatever -n and -l say.
                yield page if listing.judged else replace(page, documents=())
            if whole and kind.version:
                finished.add(kind)
        except NotServed:
            # No such kind, no such objects: what an assignment then misses is told as unmatched.
            self._answered = True
            finished.add(kind)
            yield Page(listing=name, unserved=kind)
        except ClusterError as error:
            if not self._answered and not isinstance(error, Forbidden | ServerError):
                raise
            if isinstance(error, Forbidden) and located and not self._namespaces:
                error = self._of_all_namespaces(error, listings.discovery.find(kind.group, kind.kind, kind.version))
            self._first = self._first or error
            if not located or (whole and not partly):
                # A list with a selector would be refused the same way.
                finished.add(kind)
            # In the namespaces given rules still compare.
            gap = gap_of(kind, PARTLY if partly else "could not be listed", error)
            yield Page(listing=name, gaps=[gap], failed=None if partly else kind)

    def _list(
        self, path: str, kind: ResourceKind, listing: str, selector: str | None, wanted: Wanted
    ) -> Iterator[Page]:
        # The engine parses a page while what was found in the one before is counted.
        begun: deque[Loading] = deque()
        pages = list_pages(
            self._connection,
            path,
            limit=self._chunk_size,
            label_selector=selector,
            on_retry=self._on_retry,
            begin=lambda body: begun.append(self._engine.begin_list(body, whole_kinds=wanted.whole_names)),
        )
        try:
            with closing(pages):
                for page in pages:
                    self._answered = True
                    if page.restart:
                        yield Page(listing=listing, restart=True)
                    try:
                        batch = self._engine.loaded(begun.popleft())
                    except EngineError as error:
                        raise ServerError(f"the answer cannot be read: {error.what}", where=path) from error
                    yield Page(
                        listing=listing,
                        batch=batch,
                        documents=documents_of(batch.documents),
                        gaps=unreadable(path, kind, batch),
                        remaining=page.remaining,
                    )
        finally:
            # What was begun ahead of a list that ends early.
            for loading in begun:
                self._engine.abandon(loading)

    def _of_all_namespaces(self, error: Forbidden, kind: Kind) -> Forbidden:
        if not kind.namespaced or self._hint is None:
            return error
        return Forbidden(error.what, where=error.where, hint="; ".join(filter(None, (self._hint, error.hint))))


def absent_namespaces(connection: Connection, names: Iterable[str]) -> list[Gap]:
    """A gap for each namespace that is not there. Where that cannot be asked nothing is said."""
    gaps = []
    for name in dict.fromkeys(names):
        try:
            if objects.get(connection, f"/api/v1/namespaces/{name}") is None:
                gaps.append(no_namespace(name, f"in cluster {connection.name}"))
        except ClusterError:
            # Many may list Pods of their namespace and not read it; what failed besides has a gap of its own.
            continue
    return gaps
