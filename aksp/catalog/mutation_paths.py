"""The locations of Gatekeeper's mutators: ``spec.containers[name: *].image``, ``metadata.labels."example.com/team"``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

_WORD: Final = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[A-Za-z0-9_-]+)"""
_SEGMENT: Final = re.compile(rf"\s*(?P<name>{_WORD})\s*(?:\[\s*(?P<key>{_WORD})\s*:\s*(?P<value>\*|{_WORD})\s*\]\s*)?")


#: No object that the API server takes is as deep.
_MOST: Final = 100


class FieldStep(Struct, frozen=True):
    """A field of an object."""

    name: str


class EachStep(Struct, frozen=True):
    """All entries of a list of objects that have a key."""

    key: str


class EntryStep(Struct, frozen=True):
    """The entry of a list of objects whose key has a value."""

    key: str
    value: str | int


Step = FieldStep | EachStep | EntryStep


def steps_of(location: str) -> tuple[Step, ...]:
    """The steps of a location. Raises ValueError for what is none."""
    steps: list[Step] = []
    at = 0
    while True:
        found = _SEGMENT.match(location, at)
        if found is None:
            raise ValueError(f"{location!r} is no location, expected one such as spec.containers[name: *].image")
        steps.append(FieldStep(str(_plain(found["name"], text=True))))
        if found["key"] is not None:
            key = str(_plain(found["key"], text=True))
            steps.append(EachStep(key) if found["value"] == "*" else EntryStep(key, _plain(found["value"])))
        if len(steps) > _MOST:
            raise ValueError(f"{location[:60]!r}… is no location: it has more than {_MOST} steps")
        at = found.end()
        if at == len(location):
            return tuple(steps)
        if location[at] != ".":
            raise ValueError(f"{location!r} is no location: {location[at:]!r} is not understood")
        at += 1


def starts_with(steps: Sequence[Step], beginning: Sequence[Step]) -> bool:
    """Whether a location begins with another, which may end with a list of which the location says the entries."""
    return list(steps[: len(beginning)]) == list(beginning)


def _plain(word: str, text: bool = False) -> str | int:
    if word[0] in "\"'":
        return re.sub(r"\\(.)", r"\1", word[1:-1])
    return word if text or not word.isdecimal() else int(word)
