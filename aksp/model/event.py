"""What changes while a cluster is watched."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from aksp.model.compliance import Gap, Result


class EventType(StrEnum):
    """What became of a result or a gap."""

    ADDED = "ADDED"
    CHANGED = "CHANGED"
    RESOLVED = "RESOLVED"


class Event(Struct, frozen=True, kw_only=True):
    """One change of the results or of the gaps of what is watched: either is set.

    It is as it is now; of what is RESOLVED, as it was last. ``before`` is what a result that CHANGED was. ``gone`` tells
    that the resource itself is no longer there.
    """

    type: EventType
    at: datetime
    result: Result | None = None
    before: Result | None = None
    gap: Gap | None = None
    gone: bool = False
