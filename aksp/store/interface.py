"""What a store is."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from aksp.model.assignment import Assignment, Exemption


class ApplyResult(StrEnum):
    """What became of an object, in kubectl's words."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


class Store(Protocol):
    """A place that keeps assignments and exemptions by name."""

    def assignments(self) -> Sequence[Assignment]:
        """All assignments, by name. Raises InvalidInput for one that is wrong."""

    def exemptions(self) -> Sequence[Exemption]:
        """All exemptions, by name. Raises InvalidInput for one that is wrong."""

    def save(self, one: Assignment | Exemption, *, replace: bool) -> tuple[ApplyResult, str]:
        """Keep one; what became of it, and where. Raises InvalidInput when the name is taken by another of its kind."""

    def delete(self, name: str, kind: str = "PolicyAssignment") -> str:
        """Remove the one of a name and say where it was. Raises InvalidInput when there is none."""
