"""The texts of objects that are judged again though they have not changed."""

from __future__ import annotations

import zlib

from aksp.live.updates import Key
from aksp.sources.listings import WantedList


class Texts:
    """Objects as JSON, small: those that are judged again though they have not changed."""

    def __init__(self) -> None:
        self._texts: dict[tuple[WantedList, Key], bytes] = {}

    def put(self, key: tuple[WantedList, Key], text: bytes) -> None:
        """Keep an object as it is now."""
        # Level 1: a fifth of the size, at the speed at which objects arrive.
        self._texts[key] = zlib.compress(text, 1)

    def drop(self, key: tuple[WantedList, Key]) -> None:
        """Forget an object."""
        self._texts.pop(key, None)

    def get(self, key: tuple[WantedList, Key]) -> bytes:
        """One object."""
        return zlib.decompress(self._texts[key])
