"""Fields of documents that others wrote, by type: what is not there, or of another type, is as good as empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NOTHING: Mapping[str, Any] = {}


def mapping(value: object) -> Mapping[str, Any]:
    """An object; an empty one in place of anything else."""
    return value if isinstance(value, Mapping) else _NOTHING


def mappings(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list; none in place of anything else."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def within(document: object, *keys: str) -> Any:
    """What is at the end of a path of fields; None where it leads nowhere."""
    for key in keys:
        document = mapping(document).get(key)
    return document


def text(value: object) -> str:
    """A text; an empty one in place of anything else."""
    return value if isinstance(value, str) else ""


def whole(value: object) -> int | None:
    """A whole number; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def metadata_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metadata of an object of Kubernetes."""
    return mapping(document.get("metadata"))


def spec_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The spec of an object of Kubernetes."""
    return mapping(document.get("spec"))


def status_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status of an object of Kubernetes."""
    return mapping(document.get("status"))
