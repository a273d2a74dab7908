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

    def changed(self, answer: Mapping[str, Any], objects: Sequence[bytes], keys: Sequence[Mapping[str, str]]) -> None:
        """Note what the engine has just done: objects of these keys gone, then others put."""
        for key in keys:
            self._objects.pop(_name(key), None)
        for one, raw in zip(answer["stored"], objects, strict=True):
            self._objects[_name(one)] = raw


def stored(objects: Sequence[bytes], keys: Sequence[Mapping[str, str]] = ()) -> tuple[dict[str, Any], bytes]:
    """The header and the body of a request to store (engine/README.md)."""
    return {"remove": [dict(key) for key in keys], "parts": [len(raw) for raw in objects]}, b"".join(objects)


def _name(key: Mapping[str, str]) -> tuple[str, str, str, str]:
    return key["apiVersion"], key["kind"], key.get("namespace", ""), key["name"]
