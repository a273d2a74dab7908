"""What becomes known of a cluster that is followed: objects that are there or gone, and lists that cannot be had."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from aksp.engine import Batch
from aksp.model.compliance import Gap
from aksp.model.resource import Document
from aksp.sources.listings import WantedList

#: Namespace and name of an object, within a listing.
Key = tuple[str, str]


class ObjectsChanged(Struct, frozen=True, kw_only=True):
    """Objects that are there, as they are now, in a batch of the engine that is the taker's to release; and those gone.

    With ``begins`` a list begins (anew), whatever an unfinished one had; with ``ends`` it is complete, and what it did
    not have since it began is gone.
    """

    listing: WantedList
    batch: Batch | None = None
    documents: Sequence[Document] = ()
    gone: Sequence[Key] = ()
    gaps: Sequence[Gap] = ()
    begins: bool = False
    ends: bool = False


class Lost(Struct, frozen=True, kw_only=True):
    """A listing cannot be followed now; what is known of it may be old. It is tried again. ``why`` is the bare reason."""

    listing: WantedList
    gap: Gap
    why: str = ""


class KindNotServed(Struct, frozen=True, kw_only=True):
    """The cluster does not serve the kind: there are no such objects, until it does."""

    listing: WantedList


class Settled(Struct, frozen=True, kw_only=True):
    """A listing is followed (again)."""

    listing: WantedList


Update = ObjectsChanged | Lost | KindNotServed | Settled
