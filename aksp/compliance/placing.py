"""What an assignment is at one cluster of the scope tree, or why that cannot be told."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from aksp.model.assignment import Assignment, Exemption, SelectorCondition, SelectorKind
from aksp.model.scope import Scope
from aksp.model.scope_tree import ClusterPlace, PlacedScope, ScopeTree, resource_type

_HINT = "`aksp scope add` says it"


class Undecided(ValueError):
    """It cannot be told whether an assignment reaches a cluster, and what it is there: the text says what is missing."""


class LeavesOut(Struct, frozen=True, kw_only=True):
    """Why an assignment whose scope holds a cluster does not reach it: the field, and the value that decided."""

    field: str
    value: str


def at_place(assignment: Assignment, place: ClusterPlace, tree: ScopeTree) -> Assignment | None:
    """The assignment as it is at a place; None where it does not reach it. Raises Undecided."""
    _decidable(assignment.scope, "its scope reaches", place, tree)
    if not assignment.scope.meets(place.scope):
        return None
    for left_out in assignment.not_scopes:
        _decidable(left_out, "its notScopes leave out", place, tree)
    if selectors_leave_out(assignment, place) is not None:
        return None
    return located(assignment, place)


def _decidable(scope: Scope, what: str, place: ClusterPlace, tree: ScopeTree) -> None:
    if (doubt := tree.doubt(scope, place)) is not None:
        raise Undecided(f"it cannot be told whether {what} {place.scope}, by {scope}: {doubt} ({_HINT})")


def leaves_out(assignment: Assignment, place: ClusterPlace) -> LeavesOut | None:
    """What leaves a cluster out that the scope of an assignment holds; None where nothing does. Raises Undecided."""
    for one in assignment.not_scopes:
        if one.covers(place.scope):
            return LeavesOut(field="notScopes", value=str(one))
    return selectors_leave_out(assignment, place)


def selectors_leave_out(one: Assignment | Exemption, place: ClusterPlace) -> LeavesOut | None:
    """That no resourceSelector selects a cluster; None where one does, or there are none. Raises Undecided."""
    if not one.resource_selectors:
        return None
    doubts: list[str] = []
    for selector in one.resource_selectors:
        try:
            if _holds(selector.conditions, place):
                return None
        except Undecided as doubt:
            doubts.append(str(doubt))
    if doubts:
        raise Undecided(f"it cannot be told whether its resourceSelectors select {place.scope}: {doubts[0]}")
    names = ", ".join(each.name or "unnamed" for each in one.resource_selectors)
    return LeavesOut(field="resourceSelectors", value=names)


def waiving_at(exemption: Exemption, place: ClusterPlace | None) -> bool:
    """Whether the resourceSelectors of an exemption select a cluster; None is for no cluster. Raises Undecided."""
    if place is None and exemption.resource_selectors:
        raise Undecided(
            "its resourceSelectors select clusters, and manifests are of none (--cluster NAME says for which they are)"
        )
    return place is None or selectors_leave_out(exemption, place) is None


def located(assignment: Assignment, place: ClusterPlace | None) -> Assignment:
    """The assignment with those overrides alone that concern the location of a place; none is known without one.

    Raises Undecided.
    """
    kept = []
    for one in assignment.overrides:
        if one.location is None:
            kept.append(one)
            continue
        if place is None:
            raise Undecided(
                "its overrides select by resourceLocation, and for no cluster nobody knows it"
                " (--cluster NAME says for which)"
            )
        if _holds((one.location,), place):
            kept.append(replace(one, location=None))
    return replace(assignment, overrides=tuple(kept)) if assignment.overrides else assignment


def _holds(conditions: tuple[SelectorCondition, ...], place: ClusterPlace) -> bool:
    """Whether all conditions hold. One that does not decides, whatever of the others is known. Raises Undecided."""
    doubt: Undecided | None = None
    for condition in conditions:
        try:
            if not _fulfils(condition, place):
                return False
        except Undecided as error:
            doubt = error
    if doubt is not None:
        raise doubt
    return True


def _fulfils(condition: SelectorCondition, place: ClusterPlace) -> bool:
    if condition.kind is SelectorKind.RESOURCE_WITHOUT_LOCATION:
        return condition.negated  # every cluster has a location
    value = _value(condition.kind, place.entry)
    if not value:
        what = "location" if condition.kind is SelectorKind.RESOURCE_LOCATION else "ARM id, and so its type,"
        raise Undecided(f"the {what} of {place.scope} is not known ({_HINT})")
    return (_plain(value) in map(_plain, condition.values)) is not condition.negated


def _value(kind: SelectorKind, entry: PlacedScope | None) -> str | None:
    if entry is None:
        return None
    return entry.location if kind is SelectorKind.RESOURCE_LOCATION else resource_type(entry.scope)


def _plain(text: str) -> str:
    """Azure writes ``West Europe`` and ``westeurope`` for the same location."""
    return text.replace(" ", "").lower()


def in_own_terms(scope: Scope, place: ClusterPlace) -> Scope | None:
    """A scope as a cluster itself knows it, which has no scope tree; None where nothing lies under both.

    What covers the cluster is the cluster, unless it is ``/`` or of the form ``/clusters/NAME``.
    """
    if scope.path == "/" or scope.cluster_name is not None:
        return scope if scope.meets(place.scope) else None
    own = Scope(place.scope.path)
    if scope.covers(place.scope):
        return own
    for key in place.scope.keys:
        if scope.key[: len(key)] == key:
            return own.namespace(scope.key[-1])
    return None


def localized(assignment: Assignment, place: ClusterPlace) -> Assignment:
    """An assignment as it is at a place that it reaches, in terms that the cluster itself knows."""
    scope = in_own_terms(assignment.scope, place)
    assert scope is not None  # it reaches the place
    outs = (in_own_terms(one, place) for one in assignment.not_scopes)
    return replace(
        assignment, scope=scope, not_scopes=tuple(one for one in outs if one is not None), resource_selectors=()
    )
