"""Which lists of a cluster are needed for what is wanted, whether they are read once or followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from aksp.engine import Batch
from aksp.errors import ClusterError, Forbidden
from aksp.kube.connection import Connection
from aksp.kube.errors import NotServed, ServerError
from aksp.kube.kinds import KINDS, Discovery, list_path
from aksp.model.compliance import Gap
from aksp.model.definition import ResourceKind
from aksp.sources.interface import Wanted

#: What is wrong when only some of the objects to compare with can be had.
PARTLY = "can be compared only with those in the namespaces given, as all of them could not be listed"
#: Errors that are about one kind; others end a run, or are met again by each list.
_OF_ONE_KIND = (Forbidden, ServerError, NotServed)


class WantedList(Struct, frozen=True, kw_only=True):
    """One list: of a kind, perhaps of one namespace. Its objects are judged, or rules compare with them, or both."""

    kind: ResourceKind
    namespace: str | None = None
    judged: bool = True
    compared: bool = False

    @property
    def named(self) -> bool:
        """Whether it can be asked for: a kind with a ``*`` in it cannot."""
        return "*" not in (self.kind.group, self.kind.kind)

    def path(self, discovery: Discovery) -> str:
        """Where it is. Raises NotServed, and as `Discovery.find`."""
        served = discovery.find(self.kind.group, self.kind.kind, self.kind.version)
        if self.namespace and not served.namespaced:
            raise NotServed(f"{self} is in no namespace")
        return list_path(served, self.namespace)

    def __str__(self) -> str:
        return name_of(self.kind) + (f" of {self.namespace}" if self.namespace else "")


class Listings:
    """``all`` are the lists, those of a kind one after the other. ``errors`` are kinds with a ``*`` that could not be looked up.

    With ``every`` an assignment about every kind is about those that the cluster serves; without, nobody can say which.
    What ``namespaces`` and a selector leave out is not judged, but rules compare with it. Raises ClusterError when the
    cluster cannot be reached, or lets nobody in.
    """

    def __init__(
        self,
        connection: Connection,
        wanted: Wanted,
        *,
        namespaces: Sequence[str] = (),
        selected: bool = False,
        every: bool = False,
    ) -> None:
        self.discovery = Discovery(connection)
        self._wanted = wanted
        self._namespaces = namespaces
        self._selected = selected
        self._every = every
        self.errors: dict[ResourceKind, ClusterError] = {}
        self.all = tuple(self._listings())

    def _listings(self) -> Iterator[WantedList]:
        for kind in self._kinds():
            compared = self._wanted.needs_whole(kind.group, kind.kind)
            namespaced = self._namespaced(kind)
            if kind.version:
                # Rules compare with these; what is judged is listed without a version.
                yield WantedList(kind=kind, judged=False, compared=True)
                within = self._namespaces if namespaced else ()
                yield from (WantedList(kind=kind, namespace=one, judged=False, compared=True) for one in within)
                continue
            if compared and (self._selected or self._namespaces):
                yield WantedList(kind=kind, judged=False, compared=True)
            if self._namespaces and not namespaced:
                continue
            for namespace in self._namespaces or (None,):
                yield WantedList(kind=kind, namespace=namespace, compared=compared)

    def _kinds(self) -> list[ResourceKind]:
        """The kinds wanted; those of any group, which rules compare with, as they are in each."""
        kinds: list[ResourceKind] = []
        for kind in self._wanted.kinds:
            if self._every and "*" in (kind.group, kind.kind) and kind not in self._wanted.whole:
                kinds += self._served(kind)
                continue
            if kind.group == "*" and kind in self._wanted.whole:
                try:
                    named = self.discovery.named(kind.kind)
                    kinds += [ResourceKind(group=one.group, kind=one.kind) for one in named]
                    continue
                except _OF_ONE_KIND as error:
                    self.errors[kind] = error
            if not self._listed_without_version(kind):
                kinds.append(kind)
        return list(dict.fromkeys(kinds))

    def _served(self, kind: ResourceKind) -> Iterator[ResourceKind]:
        """The kinds that one with a ``*`` stands for, as far as the cluster tells; a group that does not answer is an error."""
        for group in self.discovery.groups() if kind.group == "*" else [kind.group]:
            try:
                for one in self.discovery.of_group(group):
                    # Events tell what happened, and there are very many; they are one list in two groups.
                    told = kind.kind == "*" and one.kind == "Event" and group in ("", "events.k8s.io")
                    if kind.kind in ("*", one.kind) and not told:
                        yield ResourceKind(group=group, kind=one.kind)
            except _OF_ONE_KIND as error:
                unknown = ResourceKind(group=group, kind="*")
                self.errors[unknown] = error
                yield unknown

    def _listed_without_version(self, kind: ResourceKind) -> bool:
        """Whether a kind in a version is the one that is listed without a version."""
        in_any_version = replace(kind, version="")
        if not kind.version or in_any_version not in self._wanted.kinds:
            return False
        try:
            served = self.discovery.find(kind.group, kind.kind)
            return self.discovery.find(kind.group, kind.kind, kind.version) == served
        except _OF_ONE_KIND:
            # Its list gets the same error, and tells.
            return False

    def _namespaced(self, kind: ResourceKind) -> bool:
        known = KINDS.get((kind.group, kind.kind))
        if known is not None or not self._namespaces:
            return known is None or known.namespaced
        try:
            return self.discovery.find(kind.group, kind.kind, kind.version).namespaced
        except _OF_ONE_KIND:
            # Its list gets the same error, and tells.
            return True


def name_of(kind: ResourceKind) -> str:
    """As kubectl writes it: ``Pod``, ``Ingress.networking.k8s.io``, ``Ingress.v1beta1.networking.k8s.io``."""
    return ".".join(part for part in (kind.kind, kind.version, kind.group) if part)


def every_kind(kind: ResourceKind) -> Gap:
    """The gap that a kind with a ``*`` in it makes."""
    message = f"an assignment is about every kind ({kind.group}/{kind.kind}), and a scan of a cluster needs their names"
    return Gap(reason="UnknownKind", message=message)


def gap_of(kind: ResourceKind, what: str, error: ClusterError) -> Gap:
    """The gap that an error makes; what as in ``could not be listed``."""
    reason = "Forbidden" if isinstance(error, Forbidden) else "ListFailed"
    hint = f" ({error.hint})" if error.hint else ""
    return Gap(reason=reason, message=f"{name_of(kind)} {what}: {error.what}{hint}")


def unreadable(where: str, kind: ResourceKind, batch: Batch) -> list[Gap]:
    """Gaps of a list's page: objects that cannot be read, and objects of another kind than was asked for.

    A server or a proxy at fault may answer with those; what was asked for is not known then.
    """
    gaps = [Gap(reason="UnreadableDocument", message=f"{where}: {each['message']}") for each in batch.problems]
    others = [
        f"{one['kind']} {one['name']} ({one['apiVersion']})"
        for one in batch.documents
        if "parent" not in one and not kind.covers(one["apiVersion"].rpartition("/")[0], one["kind"])
    ]
    if others:
        message = f"{where}: {name_of(kind)} was asked for, and {len(others)} of the answer's objects are others, the first {others[0]}"
        gaps.append(Gap(reason="UnreadableDocument", message=message))
    return gaps
