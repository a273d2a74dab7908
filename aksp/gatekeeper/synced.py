"""The objects that rules compare with, as Gatekeeper must be told of them: with their version, which it does not look up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from aksp.compliance.comparing import UNKNOWN
from aksp.gatekeeper.names import MANAGED_BY, SYNC_SET, SYNC_SETS
from aksp.model.definition import Definition, ResourceKind
from aksp.model.kinds import BUILT_IN


def synced(definition: Definition) -> tuple[list[list[ResourceKind]], list[str]]:
    """The kinds that a compiled definition compares with, and why some of them cannot be told.

    Each entry is a requirement, of which one kind of several is enough. All have a version.
    """
    wanted: dict[str, list[ResourceKind]] = {}
    for kind in definition.requires_inventory:
        wanted.setdefault(kind.kind, []).extend(_versions(kind))
    lost = [
        f"definition {definition.slug}: it compares with objects of kind {name}, whose group and version it does not say:"
        " add it to a SyncSet"
        for name, kinds in wanted.items()
        if not kinds
    ]
    return [list(dict.fromkeys(kinds)) for kinds in wanted.values() if kinds], lost


def computed(definition: Definition) -> str:
    """Why it is not known which kinds a definition compares with: its rule computes them."""
    return f"definition {definition.slug}: {UNKNOWN}"


def annotation(requirements: Sequence[Sequence[ResourceKind]]) -> str:
    """The value of ``metadata.gatekeeper.sh/requires-sync-data``."""
    return json.dumps(
        [
            [{"groups": [one.group], "versions": [one.version], "kinds": [one.kind]} for one in alternatives]
            for alternatives in requirements
        ]
    )


def sync_set(kinds: Iterable[ResourceKind]) -> dict[str, Any]:
    """The SyncSet that has Gatekeeper keep objects of these kinds."""
    ordered = sorted(set(kinds), key=lambda one: (one.group, one.kind, one.version))
    return {
        "apiVersion": SYNC_SETS,
        "kind": "SyncSet",
        "metadata": {"name": SYNC_SET, "labels": dict(MANAGED_BY)},
        "spec": {"gvks": [{"group": one.group, "version": one.version, "kind": one.kind} for one in ordered]},
    }


def _versions(kind: ResourceKind) -> list[ResourceKind]:
    """A kind in the version that it names, else in one that every cluster serves; empty where that is not known."""
    if kind.version:
        return [kind]
    return [
        ResourceKind(group=one.group, kind=one.kind, version=one.version)
        for one in BUILT_IN
        if one.version and kind.covers(one.group, one.kind)
    ]
