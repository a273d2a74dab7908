"""The scope tree: management groups, subscriptions, resource groups and clusters, and what lies in what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from aksp.model.scope import EVERYWHERE, Scope

_MANAGEMENT_GROUP = ("providers", "microsoft.management", "managementgroups")
#: The types of resources that are clusters, as Azure writes them: AKS, and clusters that Azure Arc connects.
CLUSTER_TYPES = ("Microsoft.ContainerService/managedClusters", "Microsoft.Kubernetes/connectedClusters")


class ScopeKind(StrEnum):
    """What a scope of the tree is."""

    MANAGEMENT_GROUP = "management group"
    SUBSCRIPTION = "subscription"
    RESOURCE_GROUP = "resource group"
    CLUSTER = "cluster"

    @property
    def holds(self) -> bool:
        """Whether others can lie in it."""
        return self is not ScopeKind.CLUSTER


def kind_of(scope: Scope) -> ScopeKind | None:
    """What a scope is by its path; None for one that no entry of the tree can have."""
    key = scope.key
    if len(key) == 2 and key[0] == "clusters":
        return ScopeKind.CLUSTER
    if len(key) == 4 and key[:3] == _MANAGEMENT_GROUP:
        return ScopeKind.MANAGEMENT_GROUP
    if not key or key[0] != "subscriptions":
        return None
    if len(key) == 2:
        return ScopeKind.SUBSCRIPTION
    if len(key) == 4 and key[2] == "resourcegroups":
        return ScopeKind.RESOURCE_GROUP
    return ScopeKind.CLUSTER if resource_type(scope) and len(key) == 8 else None


def resource_type(scope: Scope) -> str | None:
    """The type of the cluster that an ARM id names, as Azure writes it; None for any other scope."""
    key = scope.key
    if len(key) < 8 or key[0] != "subscriptions" or key[2] != "resourcegroups" or key[4] != "providers":
        return None
    named = f"{key[5]}/{key[6]}"
    return next((one for one in CLUSTER_TYPES if one.lower() == named), None)


class PlacedScope(Struct, frozen=True, kw_only=True):
    """One entry of the scope tree, as a document of the workspace has it.

    ``parent`` is what it lies in where its own id does not tell. ``context`` is the kubeconfig context of a cluster; a
    cluster of the form ``/clusters/NAME`` has its name. ``origin`` says where the document was read from.
    """

    name: str
    scope: Scope
    parent: Scope | None = None
    context: str = ""
    location: str = ""
    labels: Mapping[str, str] = {}
    display_name: str = ""
    origin: str = ""

    @property
    def kind(self) -> ScopeKind:
        """What it is. A document with any other scope is refused when it is read."""
        kind = kind_of(self.scope)
        assert kind is not None
        return kind

    @property
    def cluster(self) -> str:
        """The cluster's name in scopes and reports: its kubeconfig context. Empty for what is no cluster."""
        if self.kind is not ScopeKind.CLUSTER:
            return ""
        return self.scope.cluster_name or self.context or self.name


class ClusterPlace(Struct, frozen=True, kw_only=True):
    """Where a cluster lies: its scope, which knows all paths to it, and its entry, None where the tree has none.

    ``above`` are the scopes that it lies in, from the top down, without ``/`` and itself.
    """

    scope: Scope
    entry: PlacedScope | None = None
    above: Sequence[Scope] = ()


class ScopeTree(Struct, frozen=True, kw_only=True):
    """The entries of a workspace, by name."""

    entries: Sequence[PlacedScope] = ()

    @property
    def clusters(self) -> Sequence[PlacedScope]:
        """The clusters, by their names in reports."""
        return sorted((one for one in self.entries if one.kind is ScopeKind.CLUSTER), key=lambda one: one.cluster)

    def find(self, text: str) -> PlacedScope | None:
        """The entry with a name, an id or, of a cluster, a context."""
        named = [one for one in self.entries if text in (one.cluster, one.name)]
        if text.startswith("/"):
            named += [one for one in self.entries if one.scope.key == Scope(text).key]
        # A context is meant before another entry's name.
        return min(named, key=lambda one: one.cluster != text, default=None)

    def place(self, target: Scope) -> ClusterPlace:
        """Where a cluster, or a namespace of one, lies; all that is known where the tree does not have it."""
        name = target.cluster_name
        entry = next((one for one in self.clusters if one.cluster == name), None)
        if name is None or entry is None:
            return ClusterPlace(scope=target)
        above = self.above(entry.scope)
        below = Scope.cluster(name).path
        also = [entry.scope.path] if entry.scope.cluster_name is None else []
        also += [f"{one.path}{below}" for one in above]
        placed = replace(Scope.cluster(name), also=tuple(also))
        rest = target.key[2:]
        return ClusterPlace(scope=placed.namespace(rest[1]) if rest else placed, entry=entry, above=above)

    def above(self, scope: Scope) -> list[Scope]:
        """The scopes that one lies in, from the top down, without ``/`` and itself. A circle ends where it begins."""
        found: list[Scope] = []
        seen = {scope.key}
        at = self._holder(scope)
        while at is not None and at.key not in seen:
            seen.add(at.key)
            found.append(at)
            at = self._holder(at)
        return found[::-1]

    def _holder(self, scope: Scope) -> Scope | None:
        """What a scope lies in directly: its id tells, or its entry."""
        segments = scope.path.strip("/").split("/")
        match kind_of(scope):
            case ScopeKind.RESOURCE_GROUP:
                return Scope("/" + "/".join(segments[:2]))
            case ScopeKind.CLUSTER if scope.cluster_name is None:
                return Scope("/" + "/".join(segments[:4]))
        entry = next((one for one in self.entries if one.scope.key == scope.key), None)
        return entry.parent if entry is not None else None

    def knows(self, scope: Scope) -> bool:
        """Whether a scope is that of an entry."""
        return any(one.scope.key == scope.key for one in self.entries)

    def doubt(self, scope: Scope, place: ClusterPlace) -> str | None:
        """Why it cannot be told whether a scope reaches a place; None when it can.

        Ids of subscriptions, resource groups and clusters tell where they lie. What a management group holds only the
        tree can say.
        """
        if scope == EVERYWHERE or scope.cluster_name is not None or scope.meets(place.scope):
            return None
        if place.entry is None:
            return f"the scope tree does not say where {place.scope} lies"
        if scope.key[:1] == ("subscriptions",):
            # One that lies in a group lies in no subscription but those between the two.
            return None if place.above else f"the scope tree does not say in what {place.scope} lies"
        if kind_of(scope) is not ScopeKind.MANAGEMENT_GROUP or not self.knows(scope):
            return f"the scope tree does not have {scope}"
        top = place.above[0] if place.above else place.entry.scope
        known = kind_of(top) is ScopeKind.MANAGEMENT_GROUP and self.knows(top)
        return None if known else f"the scope tree does not say where {top} lies"


def circle(entries: Iterable[PlacedScope]) -> PlacedScope | None:
    """An entry that lies in itself, by way of its parents; None where there is none."""
    listed = list(entries)
    parents = {one.scope.key: one.parent for one in listed}
    for one in listed:
        seen: set[tuple[str, ...]] = set()
        at = one.parent
        while at is not None and at.key not in seen:
            if at.key == one.scope.key:
                return one
            seen.add(at.key)
            at = parents.get(at.key)
    return None
