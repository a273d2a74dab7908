"""What referential rules need: the objects that they compare with, and the texts of those that they judge."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

from aksp.engine import Engine
from aksp.inventory.updates import FollowedList, Key
from aksp.model.resource import Document


class ReferentialInventory:
    """The engine's inventory, kept up to date. An object is there as long as some listing has it.

    ``changed`` tells that what rules compare with is not what they were last asked about.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        #: The listings that have an object, by its apiVersion, kind, namespace and name.
        self._holders: dict[tuple[str, str, str, str], set[FollowedList]] = {}
        self._named: dict[tuple[FollowedList, Key], tuple[str, str, str, str]] = {}
        self.changed = False

    def put(self, listing: FollowedList, documents: Sequence[Document], texts: Sequence[bytes]) -> None:
        """Take objects up as they are now."""
        if not documents:
            return
        for document in documents:
            one = document.resource
            name = (one.api_version, one.kind, one.namespace, one.name)
            self._holders.setdefault(name, set()).add(listing)
            self._named[listing, (one.namespace, one.name)] = name
        self._engine.put_inventory(texts)
        self.changed = True

    def drop(self, listing: FollowedList, keys: Iterable[Key]) -> None:
        """Take objects out that a listing no longer has."""
        gone = []
        for key in keys:
            name = self._named.pop((listing, key), None)
            if name is None:
                continue
            holders = self._holders[name]
            holders.discard(listing)
            if not holders:
                del self._holders[name]
                gone.append(dict(zip(("apiVersion", "kind", "namespace", "name"), name, strict=True)))
        if gone:
            self._engine.drop_inventory(gone)
            self.changed = True


class Texts:
    """Objects as JSON, small: those that are judged again though they have not changed."""

    def __init__(self) -> None:
        self._texts: dict[tuple[FollowedList, Key], bytes] = {}

    def put(self, key: tuple[FollowedList, Key], text: bytes) -> None:
        """Keep an object as it is now."""
        # A fifth of its size, at the speed at which it comes.
        self._texts[key] = zlib.compress(text, 1)

    def drop(self, key: tuple[FollowedList, Key]) -> None:
        """Forget an object."""
        self._texts.pop(key, None)

    def get(self, key: tuple[FollowedList, Key]) -> bytes:
        """One object."""
        return zlib.decompress(self._texts[key])
