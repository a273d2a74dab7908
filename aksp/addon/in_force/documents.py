"""Custom resources as the API server gives them: what every kind of them has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from aksp.model.assignment import API_VERSION
from aksp.model.fields import metadata_of, status_of, whole


class Seen(Struct, frozen=True, kw_only=True):
    """One custom resource. ``generation`` counts the versions of its spec, ``created`` is as written.

    ``applied_spec`` and ``applied_generation`` are the version that its status says is in force.
    """

    name: str
    uid: str
    generation: int
    created: str
    spec: Any
    applied_spec: Mapping[str, Any] | None
    applied_generation: int | None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Seen:
        """Read what the API server guarantees, and take nothing else for granted."""
        metadata = metadata_of(document)
        status = status_of(document)
        applied = status.get("appliedSpec")
        return cls(
            name=str(metadata.get("name") or ""),
            uid=str(metadata.get("uid") or ""),
            generation=whole(metadata.get("generation")) or 0,
            created=str(metadata.get("creationTimestamp") or ""),
            spec=document.get("spec"),
            applied_spec=applied if isinstance(applied, Mapping) else None,
            applied_generation=whole(status.get("appliedGeneration")),
        )

    def document(self, kind: str, spec: Any = None) -> dict[str, Any]:
        """The document that readers take, with its own spec or another one."""
        return {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {"name": self.name},
            "spec": self.spec if spec is None else spec,
        }


def conditions_of(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The conditions of its status by their types."""
    listed = status_of(document).get("conditions") or ()
    return {str(one.get("type")): one for one in listed if isinstance(one, Mapping)}


def by_name(documents: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The documents in the order of their names."""
    return sorted(documents, key=lambda document: str(metadata_of(document).get("name") or ""))
