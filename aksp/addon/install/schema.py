"""Small words for structural schemas (Kubernetes: "Extend the Kubernetes API with CustomResourceDefinitions").

``optional`` fields take null too: `aksp` reads null as a field that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]


def text(description: str, **more: Any) -> Schema:
    """A string."""
    return {"type": "string", "description": description, **more}


def time(description: str) -> Schema:
    """A moment, RFC 3339."""
    return text(description, format="date-time")


def number(description: str, **more: Any) -> Schema:
    """A number."""
    return {"type": "number", "description": description, **more}


def whole(description: str, **more: Any) -> Schema:
    """A whole number of 64 bits."""
    return {"type": "integer", "format": "int64", "description": description, **more}


def array(description: str, items: Schema, **more: Any) -> Schema:
    """A list."""
    return {"type": "array", "description": description, "items": items, **more}


def mapping(description: str, fields: Mapping[str, Schema], required: Sequence[str] = (), **more: Any) -> Schema:
    """An object with these fields and no others."""
    schema: Schema = {"type": "object", "description": description, **more}
    if required:
        schema["required"] = list(required)
    schema["properties"] = dict(fields)
    return schema


def named(description: str, values: Schema, **more: Any) -> Schema:
    """An object with any keys, whose values are alike."""
    return {"type": "object", "description": description, "additionalProperties": values, **more}


def free(description: str, **more: Any) -> Schema:
    """An object with whatever fields."""
    return {"type": "object", "description": description, "x-kubernetes-preserve-unknown-fields": True, **more}


def anything(description: str) -> Schema:
    """Any value, null too."""
    return {"description": description, "nullable": True, "x-kubernetes-preserve-unknown-fields": True}


def optional(schema: Schema) -> Schema:
    """The same, or null; not for an enum, in which the API server finds no null."""
    return {**schema, "nullable": True}
