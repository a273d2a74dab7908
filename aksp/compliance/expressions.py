"""The three forms of Azure's expression language that Kubernetes definitions use.

``[parameters('x')]``, ``[parameters('x').y]`` and ``[if(equals(parameters('x'),'A'),'B','C')]``:
counted over every string of Azure's built-in definitions for Kubernetes, nothing else occurs.
``[[`` starts a literal string with one bracket (Azure Resource Manager: "Template expressions").
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

_PARAMETER = r"parameters\(\s*'(?P<{0}>[^']+)'\s*\)"
_PLAIN = re.compile(r"\[\s*" + _PARAMETER.format("name") + r"(?P<path>(?:\.[A-Za-z_][\w-]*)*)\s*\]")
_CHOICE = re.compile(
    r"\[\s*if\(\s*equals\(\s*" + _PARAMETER.format("name") + r"\s*,\s*'(?P<value>[^']*)'\s*\)"
    r"\s*,\s*'(?P<then>[^']*)'\s*,\s*'(?P<other>[^']*)'\s*\)\s*\]"
)


#: What an optional parameter without a value stands for.
_ABSENT = object()


def is_expression(text: str) -> bool:
    """Whether a text is to be replaced by what it stands for."""
    return text.startswith("[") and text.endswith("]") and not text.startswith("[[")


def parameter_named(value: Any) -> str | None:
    """The parameter that a value is, as ``[parameters('x')]``; None for any other value."""
    match = _PLAIN.fullmatch(value) if isinstance(value, str) else None
    return match["name"] if match is not None and not match["path"] else None


def has_expression(value: Any) -> bool:
    """Whether anything within a JSON value is to be replaced."""
    if isinstance(value, Mapping):
        return any(map(has_expression, value.values()))
    if isinstance(value, list | tuple):
        return any(map(has_expression, value))
    return isinstance(value, str) and is_expression(value)


def parameters_in(value: Any) -> set[str]:
    """The parameters that the expressions within a JSON value name."""
    if isinstance(value, Mapping):
        return {name for entry in value.values() for name in parameters_in(entry)}
    if isinstance(value, list | tuple):
        return {name for entry in value for name in parameters_in(entry)}
    match = (_PLAIN.fullmatch(value) or _CHOICE.fullmatch(value)) if isinstance(value, str) else None
    return {match["name"]} if match is not None else set()


def resolve(value: Any, parameters: Mapping[str, Any], optional: Collection[str] = ()) -> Any:
    """Replace every expression within a JSON value by what it stands for.

    A key or an entry whose expression refers to a parameter that is ``optional`` and not among ``parameters``
    is left out; where that is the whole value the result is None. Raises ValueError for an expression of
    another form or an unknown parameter.
    """
    resolved = _resolve(value, parameters, optional)
    return None if resolved is _ABSENT else resolved


def _resolve(value: Any, parameters: Mapping[str, Any], optional: Collection[str]) -> Any:
    if isinstance(value, str):
        return _resolve_text(value, parameters, optional)
    if isinstance(value, Mapping):
        entries = {key: _resolve(entry, parameters, optional) for key, entry in value.items()}
        return {key: entry for key, entry in entries.items() if entry is not _ABSENT}
    if isinstance(value, list | tuple):
        return [one for entry in value if (one := _resolve(entry, parameters, optional)) is not _ABSENT]
    return value


def _resolve_text(text: str, parameters: Mapping[str, Any], optional: Collection[str]) -> Any:
    if text.startswith("[["):
        return text[1:]
    if not is_expression(text):
        return text
    if match := _PLAIN.fullmatch(text):
        value = _lookup(match["name"], parameters, optional, text)
        if value is _ABSENT:
            return value
        for key in match["path"].split(".")[1:]:
            if not isinstance(value, Mapping) or key not in value:
                raise ValueError(f"expression {text}: the value of {match['name']!r} has no property {key!r}")
            value = value[key]
        return value
    if match := _CHOICE.fullmatch(text):
        # equals() compares strings without regard to case (Azure: "Template functions").
        value = _lookup(match["name"], parameters, optional, text)
        same = isinstance(value, str) and value.lower() == match["value"].lower()
        return match["then"] if same else match["other"]
    raise ValueError(
        f"expression {text} is not understood: known are [parameters('x')], [parameters('x').y] "
        "and [if(equals(parameters('x'),'A'),'B','C')]"
    )


def _lookup(name: str, parameters: Mapping[str, Any], optional: Collection[str], text: str) -> Any:
    if name not in parameters:
        if name in optional:
            return _ABSENT
        raise ValueError(f"expression {text}: there is no parameter {name!r}")
    return parameters[name]
