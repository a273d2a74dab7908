"""The watched objects of data.inventory, kept to be given to the next engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class CachedObjects:
    """Raw objects by what the engine calls them. Not for several threads at once."""

    def __init__(self) -> None:
        #: By apiVersion, kind, namespace and name.
        self._objects: dict[tuple[str, str, str, str], bytes] = {}

    def __bool__(self) -> bool:
        return bool(self._objects)

    def replay(self) -> tuple[dict[str, Any], bytes]:
        """The request that gives all of them to a new engine: its header and its body."""
        return stored(list(self._objects.values()))

    def changed(
        self,
        answer: Mapping[str, Any],
        objects: Sequence[bytes],
        kinds: Sequence[str],
        keys: Sequence[Mapping[str, str]],
    ) -> None:
        """Note what the engine has just done: whole kinds and keys gone, then objects put."""
        if kinds:
            gone = frozenset(kinds)
            self._objects = {at: raw for at, raw in self._objects.items() if gone.isdisjoint(_kinds(*at[:2]))}
        for key in keys:
            for at in self._named(key):
                self._objects.pop(at, None)
        for one, raw in zip(answer["stored"], objects, strict=True):
            self._objects[one["apiVersion"], one["kind"], one["namespace"], one["name"]] = raw

    def _named(self, key: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
        rest = (key["kind"], key.get("namespace", ""), key["name"])
        version = key.get("apiVersion", "")
        if version:
            return [(version, *rest)]
        group = key.get("group", "")
        return [at for at in self._objects if at[1:] == rest and _group(at[0]) == group]


def stored(
    objects: Sequence[bytes], *, kinds: Sequence[str] = (), keys: Sequence[Mapping[str, str]] = ()
) -> tuple[dict[str, Any], bytes]:
    """The header and the body of a request to store (engine/README.md)."""
    header = {"set": list(kinds), "remove": [dict(key) for key in keys], "parts": [len(raw) for raw in objects]}
    return header, b"".join(objects)


def _kinds(version: str, kind: str) -> tuple[str, str]:
    """What an object is called by with others of its kind: of all versions, and of its own."""
    group = _group(version)
    return f"{group}/{kind}", f"{version}/{kind}" if group else f"/{version}/{kind}"


def _group(version: str) -> str:
    group, slash, _ = version.partition("/")
    return group if slash else ""
