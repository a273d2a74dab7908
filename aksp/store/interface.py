"""What a store is."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from aksp.model.assignment import Assignment, Exemption
from aksp.model.scope_tree import PlacedScope

#: What a store keeps by name.
Stored = Assignment | Exemption | PlacedScope


class ApplyResult(StrEnum):
    """What became of an object, in kubectl's words."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


class Store(Protocol):
    """A place that keeps assignments, exemptions and the scope tree by name."""

    def assignments(self) -> Sequence[Assignment]:
        """All assignments, by name. Raises InvalidInput for one that is wrong."""

    def exemptions(self) -> Sequence[Exemption]:
        """All exemptions, by name. Raises InvalidInput for one that is wrong."""

    def scopes(self) -> Sequence[PlacedScope]:
        """The scope tree's entries, by name; a cluster keeps none. Raises InvalidInput for one that is wrong."""

    def save(self, one: Stored, *, replace: bool) -> tuple[ApplyResult, str]:
        """Keep one; what became of it, and where. Raises InvalidInput when the name is taken by another of its kind."""

    def delete(self, name: str, kind: str = "PolicyAssignment") -> str:
        """Remove the one of a name and say where it was. Raises InvalidInput when there is none."""


def listed(store: Store, kind: str) -> Sequence[Stored]:
    """All that a store keeps of a kind, by name."""
    match kind:
        case "PolicyAssignment":
            return store.assignments()
        case "PolicyExemption":
            return store.exemptions()
        case "PolicyScope":
            return store.scopes()
    raise ValueError(kind)
