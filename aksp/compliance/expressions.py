"""The three forms of Azure's expression language that Kubernetes definitions use.

``[parameters('x')]``, ``[parameters('x').y]`` and ``[if(equals(parameters('x'),'A'),'B','C')]``:
counted over every string of Azure's built-in definitions for Kubernetes, nothing else occurs.
``[[`` starts a literal string with one bracket (Azure Resource Manager: "Template expressions").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PARAMETER = r"parameters\(\s*'(?P<{0}>[^']+)'\s*\)"
_PLAIN = re.compile(r"\[\s*" + _PARAMETER.format("name") + r"(?P<path>(?:\.[A-Za-z_][\w-]*)*)\s*\]")
_CHOICE = re.compile(
    r"\[\s*if\(\s*equals\(\s*" + _PARAMETER.format("name") + r"\s*,\s*'(?P<value>[^']*)'\s*\)"
    r"\s*,\s*'(?P<then>[^']*)'\s*,\s*'(?P<other>[^']*)'\s*\)\s*\]"
)


def resolve(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Replace every expression within a JSON value by what it stands for.

    Raises ValueError for an expression of another form or an unknown parameter.
    """
    if isinstance(value, str):
        return _resolve_text(value, parameters)
    if isinstance(value, Mapping):
        return {key: resolve(entry, parameters) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(entry, parameters) for entry in value]
    return value


def _resolve_text(text: str, parameters: Mapping[str, Any]) -> Any:
    if text.startswith("[["):
        return text[1:]
    if not (text.startswith("[") and text.endswith("]")):
        return text
    if match := _PLAIN.fullmatch(text):
        value = _lookup(match["name"], parameters, text)
        for key in match["path"].split(".")[1:]:
            if not isinstance(value, Mapping) or key not in value:
                raise ValueError(f"expression {text}: the value of {match['name']!r} has no property {key!r}")
            value = value[key]
        return value
    if match := _CHOICE.fullmatch(text):
        # equals() compares strings without regard to case (Azure: "Template functions").
        value = _lookup(match["name"], parameters, text)
        same = isinstance(value, str) and value.lower() == match["value"].lower()
        return match["then"] if same else match["other"]
    raise ValueError(
        f"expression {text} is not understood: known are [parameters('x')], [parameters('x').y] "
        "and [if(equals(parameters('x'),'A'),'B','C')]"
    )


def _lookup(name: str, parameters: Mapping[str, Any], text: str) -> Any:
    if name not in parameters:
        raise ValueError(f"expression {text}: there is no parameter {name!r}")
    return parameters[name]
