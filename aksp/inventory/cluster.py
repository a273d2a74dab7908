"""A live cluster: the kinds that assignments need, page by page, straight into the engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from aksp.compliance.nothing import no_namespace
from aksp.engine import Engine
from aksp.errors import ClusterError, EngineError, Forbidden
from aksp.inventory.interface import Page, Wanted, documents_of
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.faults import NotServed, ServerFault
from aksp.kube.fetch import OnRetry
from aksp.kube.kinds import Discovery, list_path
from aksp.kube.lists import PAGE_LIMIT, list_pages
from aksp.model.compliance import Gap
from aksp.model.definition import ResourceKind


class Cluster:
    """Objects of a cluster. ``namespaces`` empty means all; ``selector`` is kubectl's -l."""

    def __init__(
        self,
        engine: Engine,
        connection: Connection,
        *,
        namespaces: Sequence[str] = (),
        selector: str | None = None,
        chunk_size: int = PAGE_LIMIT,
        on_retry: OnRetry | None = None,
    ) -> None:
        self._engine = engine
        self._connection = connection
        # Named twice they are listed once: nothing may count twice.
        self._namespaces = tuple(dict.fromkeys(namespaces))
        self._selector = selector
        self._chunk_size = chunk_size
        self._on_retry = on_retry
        self._answered = False
        self._first: ClusterError | None = None
        #: Namespaces that were asked for, and in which nothing has been seen.
        self._unseen = set(self._namespaces)

    def pages(self, wanted: Wanted) -> Iterator[Page]:
        """A list per kind and namespace. One that is refused, or breaks off, is a gap.

        Raises ClusterError when the cluster answers nothing at all.
        """
        discovery = Discovery(self._connection)
        for kind in wanted.kinds:
            yield from self._or_gap(kind, "could not be listed", self._kind(discovery, kind, wanted))
        if self._first is not None and not self._answered:
            raise self._first
        unseen = [name for name in self._namespaces if name in self._unseen]
        if gaps := absent_namespaces(self._connection, unseen):
            yield Page(listing="namespaces", gaps=gaps)

    def _or_gap(self, kind: ResourceKind, what: str, pages: Iterator[Page]) -> Iterator[Page]:
        """The pages, then a gap if they break off."""
        try:
            yield from pages
        except NotServed:
            # No such kind, no such objects: what an assignment then misses is told as unmatched.
            self._answered = True
            yield Page(listing=name_of(kind), unserved=kind)
        except ClusterError as error:
            if not self._answered and not isinstance(error, Forbidden | ServerFault):
                raise
            self._first = self._first or error
            yield Page(listing=name_of(kind), gaps=[gap_of(kind, what, error)], failed=kind)

    def _kind(self, discovery: Discovery, kind: ResourceKind, wanted: Wanted) -> Iterator[Page]:
        if kind.group == "*" and kind in wanted.whole:
            for one in discovery.named(kind.kind):
                own = ResourceKind(group=one.group, kind=one.kind)
                if own not in wanted.kinds:
                    yield from self._or_gap(own, "could not be listed", self._kind(discovery, own, wanted))
            return
        if "*" in (kind.group, kind.kind):
            yield Page(listing=name_of(kind), gaps=[every_kind(kind)], failed=kind)
            return
        served = discovery.find(kind.group, kind.kind, kind.version)
        if kind.version and in_any_version(kind) in wanted.kinds and served == discovery.find(kind.group, kind.kind):
            return
        if wanted.needs_whole(kind.group, kind.kind) and (self._selector or (self._namespaces and served.namespaced)):
            # Rules compare with objects that are not themselves to be judged, whatever -n and -l say.
            compared = self._list(list_path(served), f"{name_of(kind)}, all", None, wanted)
            unseen = "can be compared only with those in the namespaces given, as all of them could not be listed"
            failed = False
            for page in self._or_gap(kind, unseen if self._namespaces else "could not be listed", compared):
                failed = page.failed is not None
                # In the namespaces given rules still compare.
                yield replace(page, documents=(), failed=None if self._namespaces else page.failed)
            if failed and not self._namespaces:
                # The same list with a selector would be refused the same way.
                return
            if kind.version and not failed:
                return
        # A kind without namespaces is listed once, and not at all when namespaces were asked for.
        if self._namespaces and not served.namespaced:
            return
        for namespace in self._namespaces or (None,):
            pages = self._list(
                list_path(served, namespace),
                f"{name_of(kind)} {namespace or ''}",
                None if kind.version else self._selector,
                wanted,
            )
            for page in self._or_gap(kind, "could not be listed", pages):
                if kind.version:
                    # Rules compare with these; what is judged is listed without a version.
                    yield replace(page, documents=())
                    continue
                if page.batch is not None and page.documents:
                    self._unseen.discard(namespace or "")
                yield page

    def _list(self, path: str, listing: str, selector: str | None, wanted: Wanted) -> Iterator[Page]:
        pages = list_pages(
            self._connection, path, limit=self._chunk_size, label_selector=selector, on_retry=self._on_retry
        )
        with closing(pages):
            for page in pages:
                self._answered = True
                if page.restart:
                    yield Page(listing=listing, restart=True)
                try:
                    batch = self._engine.load_list(page.body, whole_kinds=wanted.whole_names)
                except EngineError as error:
                    raise ServerFault(f"the answer cannot be read: {error.what}", where=path) from error
                gaps = [Gap(reason="UnreadableDocument", message=f"{path}: {p['message']}") for p in batch.problems]
                yield Page(
                    listing=listing,
                    batch=batch,
                    documents=documents_of(batch.documents),
                    gaps=gaps,
                    remaining=page.remaining,
                )


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


def name_of(kind: ResourceKind) -> str:
    """As kubectl writes it: ``Pod``, ``Ingress.networking.k8s.io``, ``Ingress.v1beta1.networking.k8s.io``."""
    return ".".join(part for part in (kind.kind, kind.version, kind.group) if part)


def in_any_version(kind: ResourceKind) -> ResourceKind:
    """The kind in whichever version it is served."""
    return replace(kind, version="")


def every_kind(kind: ResourceKind) -> Gap:
    """The gap that a kind with a ``*`` in it makes."""
    message = f"an assignment is about every kind ({kind.group}/{kind.kind}), and a scan of a cluster needs their names"
    return Gap(reason="UnknownKind", message=message)


def gap_of(kind: ResourceKind, what: str, error: ClusterError) -> Gap:
    """The gap that an error makes; what as in ``could not be listed``."""
    reason = "Forbidden" if isinstance(error, Forbidden) else "ListFailed"
    hint = f" ({error.hint})" if error.hint else ""
    return Gap(reason=reason, message=f"{name_of(kind)} {what}: {error.what}{hint}")
