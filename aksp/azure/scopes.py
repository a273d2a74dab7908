"""Which clusters lie at an ARM scope, as far as the user says so: Azure's ids do not name a context of a kubeconfig."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from aksp.compliance.reach import check_scope
from aksp.errors import InvalidInput
from aksp.model.assignment import Assignment
from aksp.model.scope import Scope
from aksp.model.scope_tree import ScopeTree

#: Namespaces that Azure's add-on never judges, whatever an assignment says ("Policy for Kubernetes").
NEVER: Final = ("kube-system", "gatekeeper-system", "azure-arc")


def implied(here: Scope, left_out: Sequence[Scope] = ()) -> list[Scope]:
    """The namespaces of a cluster that Azure leaves out unasked, but for those that are left out already."""
    if len(here.key) != 2 or here.key[0] != "clusters":
        return []
    return [one for one in map(here.namespace, NEVER) if not any(out.covers(one) for out in left_out)]


def is_implied(scope: Scope) -> bool:
    """Whether Azure leaves a namespace of a cluster out unasked."""
    return len(scope.key) == 4 and scope.key[0] == "clusters" and scope.key[3] in NEVER


def of_tree(tree: ScopeTree) -> list[MappedScope]:
    """The clusters of a scope tree that have an ARM id."""
    return [
        MappedScope(here=Scope.cluster(one.cluster), arm=one.scope)
        for one in tree.clusters
        if one.scope.cluster_name is None
    ]


def within(tree: ScopeTree, arm: Scope) -> list[Scope]:
    """The clusters that lie at an ARM scope by a scope tree."""
    named = (Scope.cluster(one.cluster) for one in tree.clusters)
    return [one for one in named if arm.covers(tree.place(one).scope)]


class MappedScope(Struct, frozen=True, kw_only=True):
    """A scope here, and its ARM id; None where it stands for all ARM scopes."""

    here: Scope
    arm: Scope | None = None

    def outside(self, scope: Scope) -> bool:
        """Whether it is known to lie outside an ARM scope. False where that is not known: ids of management groups do not say what is in them."""
        if self.arm is None or self.arm.meets(scope):
            return False
        return all(one.key[:1] == ("subscriptions",) for one in (self.arm, scope))


class ScopeMap(Struct, frozen=True, kw_only=True):
    """The places that were named. ``cluster``: where scopes lie that hold none of them."""

    places: Sequence[MappedScope] = ()
    cluster: Scope | None = None

    def reached(self, scope: Scope, left_out: Sequence[Scope]) -> list[MappedScope]:
        """The places that an ARM scope reaches and its notScopes do not leave out."""
        inside = [one for one in self.places if one.arm is not None and scope.covers(one.arm)]
        if not inside and self.cluster is not None:
            return [MappedScope(here=self.cluster)]
        return [one for one in inside if one.arm and not any(out.covers(one.arm) for out in left_out)]

    def holds_any(self, scope: Scope) -> bool:
        """Whether a place lies in an ARM scope."""
        return any(one.arm is not None and scope.covers(one.arm) for one in self.places)


def scope_map(written: Sequence[str], cluster: str | None) -> ScopeMap:
    """Read ``ARMID=SCOPE``. Raises InvalidInput."""
    places = []
    for text in written:
        arm, equals, here = text.partition("=")
        try:
            if not equals:
                raise ValueError("expected ARMID=SCOPE")
            place = MappedScope(arm=Scope.parse(arm), here=Scope.parse(here))
            check_scope(Assignment(name="", definition_id="", scope=place.here))
        except ValueError as error:
            raise InvalidInput(
                f"--scope-map {text!r}: {error}",
                hint="e.g. --scope-map /subscriptions/ID/resourceGroups/RG/providers/Microsoft.ContainerService"
                "/managedClusters/prod=/clusters/prod",
            ) from error
        places.append(place)
    return ScopeMap(places=places, cluster=Scope.cluster(cluster) if cluster else None)
