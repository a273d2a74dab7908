"""The expressions of an ARM template, as far as they have a value without a deployment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NAMED = re.compile(r"\[\s*(parameters|variables)\(\s*'([^']*)'\s*\)\s*\]")


class NotKnown(Exception):
    """An expression whose value only a deployment has; the text says where it stands."""


class Expressions:
    """The values that a template gives to its parameters (their defaults) and to its variables, where these are plain."""

    def __init__(self, template: Mapping[str, Any]) -> None:
        parameters, variables = template.get("parameters"), template.get("variables")
        self._values: dict[tuple[str, str], Any] = {}
        for name, one in parameters.items() if isinstance(parameters, Mapping) else ():
            if isinstance(one, Mapping) and "defaultValue" in one:
                self._values["parameters", str(name).lower()] = one["defaultValue"]
        for name, one in variables.items() if isinstance(variables, Mapping) else ():
            self._values["variables", str(name).lower()] = one

    def resolved(self, value: Any, path: str) -> Any:
        """A value with its expressions replaced, and what is escaped as ``[[`` unescaped. Raises NotKnown."""
        if isinstance(value, Mapping):
            # The template's own bookkeeping is not read, so it need not be known.
            return {
                key: one if key == "dependsOn" else self.resolved(one, f"{path}.{key}") for key, one in value.items()
            }
        if isinstance(value, list):
            return [self.resolved(one, f"{path}[{at}]") for at, one in enumerate(value)]
        if not isinstance(value, str) or not value.startswith("["):
            return value
        if value.startswith("[["):
            return value[1:]
        if not value.endswith("]"):
            return value
        if match := _NAMED.fullmatch(value):
            found = self._values.get((match[1], match[2].lower()))
            if found is not None and not _has_expression(found):
                return found
        raise NotKnown(f"{path} is {value}, which only a deployment has a value for")


def _has_expression(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_expression, value.values()))
    if isinstance(value, list):
        return any(map(_has_expression, value))
    return isinstance(value, str) and value.startswith("[")
