"""An assignment as a constraint: what it matches, what follows from a violation, and what a constraint cannot say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from aksp.compliance.globs import matches_glob
from aksp.compliance.plan import MatchSource, Ready
from aksp.compliance.selection import ObjectScope
from aksp.gatekeeper.names import CONSTRAINTS, MANAGED_BY, OURS, kind_of, legal, shortened
from aksp.gatekeeper.waived import Waived, waived
from aksp.model.definition import ResourceKind
from aksp.model.scope import EVERYWHERE, Scope
from aksp.model.times import rfc3339

#: What Gatekeeper takes for a name or a pattern (its pkg/wildcard).
_WILDCARD: Final = re.compile(r"\*?[-:a-z0-9]*\*?")
_NAMESPACE: Final = ResourceKind(group="", kind="Namespace")


class InexpressibleError(Exception):
    """An assignment that no constraint can express: it would judge more, or less, than is assigned."""


class Exported(Struct, frozen=True, kw_only=True):
    """A constraint, and what it does not say of the assignment."""

    document: Mapping[str, Any]
    lost: Sequence[str] = ()


class _Place(Struct, frozen=True, kw_only=True):
    """The namespaces of a cluster that an assignment's scopes leave, and whether objects without one are meant."""

    namespaces: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    within: bool = False


def constraint(ready: Ready, cluster: Scope | None, *, kept: bool = False) -> Exported | str:
    """The constraint of an assignment in a cluster (None: in any), or why it is right that there is none.

    ``kept``: it is made again when an exemption ends. Raises InexpressibleError.
    """
    place = _placed(ready, cluster)
    if isinstance(place, str):
        return place
    given = waived(ready, cluster, kept=kept)
    if given.everything is not None:
        told = f"exemption {given.everything.name} waives all of it"
        if given.everything.expires_on is None:
            return told
        told += f" until {rfc3339(given.everything.expires_on, 'auto')}"
        if not kept:
            raise InexpressibleError(f"{told}: export again then")
        return told
    match, lost = _match(ready, place, given)
    lost += given.lost
    if ready.excluded_containers and "excludedContainers" not in ready.values:
        lost.append("the rule does not pass over excludedContainers, which aksp leaves out itself")
    if ready.excluded_images and "excludedImages" not in ready.values:
        lost.append("the rule does not pass over excludedImages, which aksp leaves out itself")
    document = {
        "apiVersion": CONSTRAINTS,
        "kind": kind_of(ready.key.definition),
        "metadata": {
            "name": shortened(legal(ready.assignment.full_name), ready.assignment.full_name),
            "labels": dict(MANAGED_BY),
            "annotations": _annotations(ready, given),
        },
        "spec": {"enforcementAction": _action(ready), "match": match, "parameters": dict(ready.values)},
    }
    return Exported(document=document, lost=lost)


def _action(ready: Ready) -> str:
    """What Gatekeeper does about a violation at admission; its audit reports it with each."""
    if ready.refuses:
        return "deny"
    return "warn" if ready.tells else "dryrun"


def _annotations(ready: Ready, given: Waived) -> dict[str, str]:
    assignment = ready.assignment
    found = {
        "assignment": assignment.name,
        "initiative": assignment.initiative,
        "reference-id": assignment.reference,
        "definition": ready.key.definition,
        "display-name": assignment.display_name,
        "description": assignment.description,
        "effect": ready.effect.value,
        "enforcement-mode": assignment.enforcement_mode.value,
        "scope": str(assignment.scope),
        "non-compliance-message": assignment.non_compliance_message,
        "exemptions": ",".join(given.expressed),
        "exempt-until": given.until,
        "exemptions-not-expressed": ",".join(given.not_expressed),
    }
    return {f"{OURS}{key}": text for key, text in found.items() if text}


def _placed(ready: Ready, cluster: Scope | None) -> _Place | str:
    scope, left_out = ready.assignment.scope, ready.assignment.not_scopes
    if cluster is None:
        named = scope if scope != EVERYWHERE else next(iter(left_out), None)
        if named is not None:
            raise InexpressibleError(f"{named} is no scope of any cluster: name the cluster with --cluster")
        return _Place()
    if (all_of_it := next((one for one in left_out if one.covers(cluster) or one.covers(scope)), None)) is not None:
        return f"its notScopes leave out {all_of_it}"
    excluded = tuple(one.key[-1] for one in left_out if cluster.covers(one))
    if scope.covers(cluster):
        return _Place(excluded=excluded)
    return _Place(namespaces=(scope.key[-1],), excluded=excluded, within=True)


def _match(ready: Ready, place: _Place, given: Waived) -> tuple[dict[str, Any], list[str]]:
    selection, lost = ready.selection, []
    namespaces, scope = selection.namespaces, selection.object_scope
    if place.within:
        (own,) = place.namespaces
        if namespaces and not any(matches_glob(one, own) for one in namespaces):
            raise InexpressibleError(f"its scope has none of its namespaces {', '.join(namespaces)}")
        namespaces = place.namespaces
        if any(one != _NAMESPACE for one in selection.kinds):
            if scope is ObjectScope.CLUSTER:
                raise InexpressibleError("its scope is a namespace, and it judges what lies in none")
            # In Gatekeeper no list of namespaces leaves out an object that lies in none.
            scope = ObjectScope.NAMESPACED
            if any(one.covers("", "Namespace") for one in selection.kinds):
                lost.append(f"the Namespace {own} itself is not judged")
    excluded = dict.fromkeys([*selection.excluded_namespaces, *place.excluded, *given.namespaces])
    patterns = {"namespaces": namespaces, "excludedNamespaces": excluded, "name": [selection.name]}
    for field, globs in patterns.items():
        for glob in globs:
            if not _WILDCARD.fullmatch(glob):
                raise InexpressibleError(
                    f"{field} has {glob!r}: Gatekeeper takes lower-case letters, digits, - and :, and a * at either end"
                )
    match = {
        "kinds": _kinds(selection.kinds),
        "scope": scope.value if scope is not ObjectScope.ANY else None,
        "namespaces": list(namespaces),
        "excludedNamespaces": list(excluded),
        "labelSelector": selection.selector.document(),
        "namespaceSelector": selection.namespace_selector.document(),
        "name": selection.name,
        # Pods of templates are judged with an ExpansionTemplate alone; Gatekeeper's own default is to judge both.
        "source": ready.source.value if ready.source is not MatchSource.ALL else None,
    }
    return {key: value for key, value in match.items() if value}, lost


def _kinds(kinds: Sequence[ResourceKind]) -> list[dict[str, list[str]]]:
    """Kinds of one group together, in the order in which groups are named."""
    by_group: dict[str, list[str]] = {}
    for one in kinds:
        by_group.setdefault(one.group, []).append(one.kind)
    return [{"apiGroups": [group], "kinds": names} for group, names in by_group.items()]
