"""The defaults of a template's schema, put into a constraint's parameters as the API server does it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any


def defaulted(schema: Any, value: Any) -> Any:
    """A value with the defaults that its schema has for what is missing in it (Kubernetes: structural schemas, defaulting)."""
    if not isinstance(schema, Mapping):
        return value
    if isinstance(value, Mapping):
        properties = schema.get("properties")
        filled = dict(value)
        for name, one in properties.items() if isinstance(properties, Mapping) else ():
            missing = name not in filled or (filled[name] is None and not _nullable(one))
            if missing and isinstance(one, Mapping) and "default" in one:
                filled[name] = copy.deepcopy(one["default"])
            if name in filled:
                filled[name] = defaulted(one, filled[name])
        others = schema.get("additionalProperties")
        known = properties if isinstance(properties, Mapping) else {}
        return {name: one if name in known else defaulted(others, one) for name, one in filled.items()}
    if isinstance(value, list):
        return [defaulted(schema.get("items"), one) for one in value]
    return value


def _nullable(schema: Any) -> bool:
    return isinstance(schema, Mapping) and bool(schema.get("nullable"))
