"""The entries of the scope tree as YAML documents, and what must hold of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aksp.errors import InvalidInput
from aksp.model.scope_tree import PlacedScope, ScopeKind, circle, kind_of
from aksp.store.fields import SpecFields, WrongField, name_and_spec

_FIELDS: Final = ("scope", "parent", "context", "location", "labels", "displayName")
#: Fields that only a cluster has.
_OF_CLUSTERS: Final = ("context", "location", "labels")
EXPECTED: Final = (
    "the ARM id of a management group, a subscription, a resource group, a managed or a connected cluster,"
    " or /clusters/NAME"
)


def scope_from(document: Any, origin: str) -> PlacedScope:
    """Read a PolicyScope. Raises InvalidInput that names the field."""
    name, spec = name_and_spec(document, origin, "PolicyScope")
    fields = SpecFields(spec, origin, "spec", _FIELDS)
    fields.text("scope", required=True)
    one = PlacedScope(
        name=name,
        scope=fields.scope("scope"),
        parent=fields.scope("parent") if fields.text("parent") else None,
        context=fields.text("context"),
        location=fields.text("location"),
        labels=fields.strings("labels"),
        display_name=fields.text("displayName"),
        origin=origin,
    )
    if (problem := _problem(one)) is not None:
        field, what = problem
        raise WrongField(f"spec.{field}{what}", field=f"spec.{field}", where=origin)
    return one


def _problem(one: PlacedScope) -> tuple[str, str] | None:
    """The first field that cannot be so, and why."""
    kind = kind_of(one.scope)
    if kind is None:
        return "scope", f" is {str(one.scope)!r}, expected {EXPECTED}"
    if kind is not ScopeKind.CLUSTER:
        for field in _OF_CLUSTERS:
            if getattr(one, field):
                return field, f": a {kind} has none, only clusters have"
    named = one.scope.cluster_name
    if named is not None and one.context not in ("", named):
        return "context", f" is {one.context!r}, and the scope {one.scope} names the context {named!r}"
    return _parent_problem(one, kind)


def _parent_problem(one: PlacedScope, kind: ScopeKind) -> tuple[str, str] | None:
    if one.parent is None:
        return None
    above = kind_of(one.parent)
    if above is None or not above.holds:
        return "parent", f" is {str(one.parent)!r}, expected a management group, a subscription or a resource group"
    if kind in (ScopeKind.MANAGEMENT_GROUP, ScopeKind.SUBSCRIPTION) and above is not ScopeKind.MANAGEMENT_GROUP:
        return "parent", f" is a {above}, and a {kind} lies in a management group"
    if kind is ScopeKind.RESOURCE_GROUP or (kind is ScopeKind.CLUSTER and one.scope.cluster_name is None):
        return "parent", f": the id {one.scope} says already where it lies"
    return None


def check_tree(entries: Sequence[PlacedScope]) -> None:
    """Raise InvalidInput for two entries of one scope or one cluster, and for one that lies in itself."""
    scopes: dict[tuple[str, ...], PlacedScope] = {}
    clusters: dict[str, PlacedScope] = {}
    for one in entries:
        if (other := scopes.setdefault(one.scope.key, one)) is not one:
            raise InvalidInput(f"spec.scope {one.scope} is that of {other.name!r} too", where=one.origin or None)
        if one.cluster and (other := clusters.setdefault(one.cluster, one)) is not one:
            raise InvalidInput(
                f"the kubeconfig context {one.cluster!r} is that of {other.name!r} too",
                where=one.origin or None,
                hint="give each cluster a context of its own: --context",
            )
    if (one := circle(entries)) is not None:  # type: ignore[assignment]
        raise InvalidInput(f"{one.scope} lies in itself, by way of its parents", where=one.origin or None)
