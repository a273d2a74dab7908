"""Rules that compare an object with others: of which kinds, and whether these can be had."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from aksp.model.definition import Definition, ResourceKind
from aksp.model.kinds import BUILT_IN, api_version


class Lookup(NamedTuple):
    """What a rule looks up in data.inventory, below "cluster" or "namespace": a groupVersion, "*" for any, and a kind."""

    group_version: str
    kind: str
    below: str = "namespace"


#: Why an assignment cannot be judged whose rule computes the kinds.
UNKNOWN = (
    "the rule compares with objects in data.inventory, of kinds that it computes: metadata.requiresInventory of the"
    " definition, or metadata.gatekeeper.sh/requires-sync-data of its template, must name them"
)


def compared_kinds(lookups: Sequence[Lookup], declared: Sequence[ResourceKind]) -> tuple[ResourceKind, ...]:
    """The kinds that a rule compares with: those declared, and others that it looks up, in the version it names.

    Where it takes objects of any group, the groups declared for the kind are meant, if there are any. Of a declared kind
    that it looks up by version alone it sees no other versions.
    """
    looked_up = []
    anywhere = {one.kind for one in lookups if one.group_version == "*"}
    for group_version, kind, _ in lookups:
        group, _, version = group_version.rpartition("/")
        if group_version != "*":
            looked_up.append(ResourceKind(group=group, kind=kind, version=version))
        elif not any(one.kind == kind for one in declared):
            looked_up.append(ResourceKind(group="*", kind=kind))
    by_version = [one for one in looked_up if one.version and one.kind not in anywhere]
    found = [kind for kind in declared if not any(kind.covers(one.group, one.kind) for one in by_version)]
    return tuple(dict.fromkeys([*found, *looked_up]))


#: API groups whose kinds are all known, and have not changed for years. Of the groups of custom resources each has a dot.
_SETTLED = ("", "apps", "autoscaling", "batch")


def nonexistent(kinds: Sequence[ResourceKind]) -> str | None:
    """Why a rule would compare with nothing: it looks up a kind that Kubernetes does not have, such as ``pod``."""
    known = {(one.group, one.kind) for one in BUILT_IN}
    groups = {one.group for one in BUILT_IN}
    for kind in kinds:
        settled = kind.group in _SETTLED or ("." not in kind.group and kind.group not in {*groups, "*"})
        if settled and (kind.group, kind.kind) not in known:
            return f"the rule compares with kind {kind.kind}{_places([kind])}, which Kubernetes does not have"
    return None


def misplaced(lookups: Sequence[Lookup]) -> str | None:
    """Why a rule would compare with nothing: it looks a built-in kind up where its objects never are.

    Gatekeeper has objects with a namespace below data.inventory.namespace, all others below data.inventory.cluster.
    """
    for one in lookups:
        places = {
            "cluster" if row.cluster else "namespace"
            for row in BUILT_IN
            if row.kind == one.kind and one.group_version in ("*", row.api_version)
        }
        if places and not any((*one[:2], place) in lookups for place in places):
            return f"the rule looks {one.kind} up in data.inventory.{one.below}: its objects are in data.inventory.{places.pop()}"
    return None


def missing(
    definition: Definition, failed: Mapping[ResourceKind, str], unserved: Collection[ResourceKind]
) -> str | None:
    """Why the objects cannot be had that a definition's rule compares with; None when they can.

    ``failed`` are kinds whose lists failed, and how unless that is told elsewhere, ``unserved`` those that the cluster does not know. Of kinds of one name in
    several groups one is enough: so an API server serves the same objects under several.
    """
    wanted: dict[str, list[ResourceKind]] = {}
    for kind in definition.requires_inventory:
        wanted.setdefault(kind.kind, []).append(kind)
    for name, kinds in wanted.items():
        for one, how in failed.items():
            if any(kind.covers(one.group, one.kind) and one.version in ("", kind.version) for kind in kinds):
                told = f": {how}" if how else ""
                return f"the {name} objects that the rule compares with could not be listed{told}"
        if all(kind in unserved or replace(kind, version="") in unserved for kind in kinds):
            return f"the cluster serves no kind {name}{_places(kinds)}, with which the rule compares"
    return None


def overlooked(definition: Definition, written: Mapping[tuple[str, str], Collection[str]]) -> str | None:
    """What a definition's rule would not see of manifests, where nobody converts objects; None when it sees all.

    ``written`` are the versions that there are objects of, by group and kind. A cluster serves an object in each version.
    """
    for (group, name), versions in sorted(written.items()):
        looked_up = {kind.version for kind in definition.requires_inventory if kind.covers(group, name)}
        if looked_up and "" not in looked_up and (others := sorted(set(versions) - looked_up)):
            there = " and ".join(api_version(group, version) for version in others)
            compared = " and ".join(api_version(group, version) for version in sorted(looked_up))
            return (
                f"the rule compares with {name} objects of {compared}, and does not see those that these manifests have"
                f" of {there}: write them in one version, or let the rule look up each"
            )
    return None


def _places(kinds: Sequence[ResourceKind]) -> str:
    groups = sorted({kind.group or "core" for kind in kinds if not kind.version} - {"*"})
    versions = sorted({api_version(kind.group, kind.version) for kind in kinds if kind.version})
    places = [*([f"group {' or '.join(groups)}"] if groups else []), *versions]
    return f" in {' or '.join(places)}" if places else ""
