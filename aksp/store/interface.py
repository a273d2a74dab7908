"""What stores keep, and what becomes of it."""

from __future__ import annotations

from enum import StrEnum

from aksp.model.assignment import Assignment, Exemption
from aksp.model.scope_tree import PlacedScope

#: What a store keeps by name.
Stored = Assignment | Exemption | PlacedScope


class ApplyResult(StrEnum):
    """What became of an object, in kubectl's words."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
