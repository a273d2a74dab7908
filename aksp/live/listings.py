"""Which lists of a cluster to follow, so that all is there that is wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aksp.errors import ClusterError
from aksp.inventory.cluster import every_kind, gap_of, in_any_version
from aksp.inventory.interface import Wanted
from aksp.kube.connection import Connection
from aksp.kube.faults import NotServed
from aksp.kube.kinds import KINDS, Discovery
from aksp.live.updates import FollowedList, KindNotServed, Lost, Update
from aksp.model.definition import ResourceKind


class Listings:
    """``all`` are the lists; ``unnamed`` tells of those that cannot be followed, since nobody can say what they are about.

    They are what a scan asks for: what ``namespaces`` and a selector leave out is not judged, but rules compare with it.
    """

    def __init__(
        self, connection: Connection, wanted: Wanted, *, namespaces: Sequence[str] = (), selected: bool = False
    ) -> None:
        self._discovery = Discovery(connection)
        self._wanted = wanted
        self._namespaces = namespaces
        self._selected = selected
        #: Kinds of any group that could not be looked up, and why.
        self._errors: dict[ResourceKind, ClusterError] = {}
        self.all = tuple(self._listings())
        self.unnamed = [self._unnamed(one) for one in self.all if not one.named]

    def _unnamed(self, listing: FollowedList) -> Update:
        error = self._errors.get(listing.kind)
        if isinstance(error, NotServed):
            return KindNotServed(listing=listing)
        if error is None:
            return Lost(listing=listing, gap=every_kind(listing.kind))
        return Lost(listing=listing, gap=gap_of(listing.kind, "could not be listed", error), why=error.what)

    def _listings(self) -> Iterator[FollowedList]:
        for kind in self._kinds():
            compared = self._wanted.needs_whole(kind.group, kind.kind)
            namespaced = self._namespaced(kind)
            if kind.version:
                # Rules compare with these; what is judged is followed without a version.
                yield FollowedList(kind=kind, judged=False, compared=True)
                within = self._namespaces if namespaced else ()
                yield from (FollowedList(kind=kind, namespace=one, judged=False, compared=True) for one in within)
                continue
            if compared and (self._selected or (self._namespaces and namespaced)):
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
                    named = self._discovery.named(kind.kind)
                    kinds += [ResourceKind(group=one.group, kind=one.kind) for one in named]
                    continue
                except ClusterError as error:
                    self._errors[kind] = error
            if not self._followed(kind):
                kinds.append(kind)
        return list(dict.fromkeys(kinds))

    def _followed(self, kind: ResourceKind) -> bool:
        """Whether a kind in a version is the one that is followed without a version."""
        if not kind.version or in_any_version(kind) not in self._wanted.kinds:
            return False
        try:
            served = self._discovery.find(kind.group, kind.kind)
            return self._discovery.find(kind.group, kind.kind, kind.version) == served
        except ClusterError:
            # The watch of this kind gets the same error, and reports it.
            return False

    def _namespaced(self, kind: ResourceKind) -> bool:
        known = KINDS.get((kind.group, kind.kind))
        if known is not None or not self._namespaces:
            return known is None or known.namespaced
        try:
            return self._discovery.find(kind.group, kind.kind, kind.version).namespaced
        except ClusterError:
            # The watch of this kind gets the same error, and reports it.
            return True
