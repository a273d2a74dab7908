"""Strategic-merge patches, made of values by path.

A patch names what it changes, so the entry of a list is known by its merge key, never by its number: kubectl and the
API server would take a list without one for the whole list.
Kubernetes: "Update API Objects in Place Using kubectl patch", and ``patchMergeKey`` in its API types.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aksp.model.resource import Container

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
# The lists whose entries a strategic-merge patch names by a key; all others it can only replace.
_MERGE_KEYS = {
    **dict.fromkeys(_CONTAINERS, "name"),
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
}
_STEP = re.compile(r"\.?([A-Za-z_$][^.\[\]'\"]*)|\[(\d+)\]|\['([^']*)'\]")
# More lists that are merged, entry by entry, when a patch gives them.
_MERGED = {*_MERGE_KEYS, "ports", "finalizers", "ownerReferences", "hostAliases", "topologySpreadConstraints"}
#: The groups of the API types that have merge keys. Other groups that end in k8s.io are of custom resources.
BUILT_IN = {
    *("", "apps", "autoscaling", "batch", "extensions", "policy"),
    *(
        f"{name}.k8s.io"
        for name in (
            "admissionregistration", "apiextensions", "apiregistration", "certificates", "coordination", "discovery",
            "events", "flowcontrol.apiserver", "networking", "node", "rbac.authorization", "resource", "scheduling",
            "storage",
        )
    ),
}  # fmt: skip

Step = str | int


def steps(path: str) -> tuple[Step, ...] | None:
    """A path's keys and indices: ``spec.containers[0].ports``, ``metadata.labels['app']``; None for what is no path."""
    found: list[Step] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None or (not at and path.startswith(".")):
            return None
        key, index, quoted = match.groups()
        found.append(int(index) if index is not None else key if key is not None else quoted)
        at = match.end()
    return tuple(found) or None


def patch_of(fix: Mapping[str, Any], template: str, container: Container | None) -> dict[str, Any] | None:
    """The patch of values by path, which are the container's where they lead through one; None where it cannot say them.

    ``template`` is the path that leads to what the others start from, or empty.
    """
    ways = {path: steps(f"{template}.{path}" if template else path) for path in fix}
    known: dict[tuple[Step, ...], Any] = {}
    for path, way in ways.items():
        if way is not None:
            known |= {way: fix[path], **_container_key(way, container)}
    content: dict[str, Any] = {}
    for path, way in ways.items():
        if way is None or not _mergeable(way, fix[path]) or not _placed(content, way, _replacing(fix[path]), known):
            return None
    return content


def _container_key(way: tuple[Step, ...], container: Container | None) -> dict[tuple[Step, ...], Any]:
    """The merge key of the container that a path leads through, which is the finding's."""
    if container is not None:
        for at in range(1, len(way)):
            if way[at - 1] == container.type and isinstance(way[at], int):
                return {(*way[: at + 1], "name"): container.name}
    return {}


def _mergeable(way: tuple[Step, ...], value: Any) -> bool:
    """Whether a patch can set this value at all: it cannot rename, nor give a whole list that is merged."""
    if way in (("metadata", "name"), ("metadata", "generateName"), ("metadata", "namespace")):
        return False
    return not (isinstance(value, list) and way[-1] in _MERGED)


def _placed(content: dict[str, Any], way: tuple[Step, ...], value: Any, keys: Mapping[tuple[Step, ...], Any]) -> bool:
    """Put a value into the patch, where its path leads; False when the path cannot be followed there."""
    here = content
    for at, step in enumerate(way[:-1]):
        if isinstance(step, int):
            # The entry is found by the name of its list; a list directly within a list has none.
            if at == 0 or isinstance(way[at - 1], int):
                return False
            continue
        if not isinstance(way[at + 1], int):
            here = here.setdefault(step, {})
        else:
            name = _merge_key(way[:at], step)
            wanted = keys.get((*way[: at + 2], name)) if name else None
            if name is None or wanted == "" or not isinstance(wanted, str | int):
                return False
            entries = here.setdefault(step, [])
            if not isinstance(entries, list):
                return False
            entry = next((one for one in entries if one[name] == wanted), None)
            if entry is None:
                entry = {name: wanted}
                entries.append(entry)
            here = entry
        if not isinstance(here, dict):
            return False
    last = way[-1]
    if isinstance(last, int):
        return False
    here[last] = value
    return True


def _merge_key(before: tuple[Step, ...], name: str) -> str | None:
    """The merge key of a list. A container's ports have another than a Service's."""
    if name == "ports":
        return "containerPort" if any(step in _CONTAINERS for step in before) else "port"
    return _MERGE_KEYS.get(name)


def _replacing(value: Any) -> Any:
    """A value as it must stand in a patch to take the place of what is there, not to be merged with it."""
    return {**value, "$patch": "replace"} if isinstance(value, dict) else value


def has_entries(content: Any) -> bool:
    """Whether a patch names entries of lists, which only the API types of Kubernetes itself let it do."""
    if isinstance(content, dict):
        return any(has_entries(value) for value in content.values()) or "$patch" in content
    return isinstance(content, list) and any(isinstance(one, dict) for one in content)


def merged(before: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Two patches of one object as one."""
    whole = dict(before)
    for key, value in more.items():
        there = whole.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            whole[key] = merged(there, value)
        elif isinstance(there, list) and isinstance(value, list) and (name := _entry_key(value)):
            entries = {one[name]: one for one in there}
            for one in value:
                entries[one[name]] = merged(entries.get(one[name], {}), one)
            whole[key] = list(entries.values())
        else:
            whole[key] = value
    return whole


def _entry_key(entries: list[Any]) -> str | None:
    """The merge key of a patch's list, which is the first of each entry; None for a list of plain values."""
    return next(iter(entries[0]), None) if entries and isinstance(entries[0], dict) else None
