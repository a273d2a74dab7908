"""The values that an assignment gives the Rego of a template, held against what the template says of them.

Gatekeeper makes the kind of a template's constraints from its ``openAPIV3Schema``, and the API server then refuses
constraints with other parameters, or with parameters of other types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aksp.compliance.json_schema import schema_problem
from aksp.compliance.parameters import nearest


def values_problem(schema: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[str, str] | None:
    """Why a template does not take values, and what may help; None when it does."""
    known = schema.get("properties")
    if isinstance(known, Mapping) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        unknown = sorted(set(values) - set(known))
        if unknown:
            return f"the template has no parameter {unknown[0]!r}", nearest(unknown[0], map(str, known))
    for name in sorted(values):
        # Each by itself, so that what is wrong is told by name.
        own = known.get(name) if isinstance(known, Mapping) else None
        if isinstance(own, Mapping) and (problem := schema_problem(_json_schema(own), values[name])):
            return f"the template does not take the value of {name!r}: {problem}", ""
    missing = [name for name in schema.get("required") or () if name not in values]
    return (f"the template needs a value for {missing[0]!r}", "") if missing else None


def unset(read: Iterable[str], values: Mapping[str, Any]) -> list[str]:
    """The parameters that a rule reads and that nothing sets."""
    return [name for name in read if name not in values]


def _json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A structural schema of Kubernetes as a JSON Schema (Kubernetes: "Extend the Kubernetes API", structural schemas)."""
    kept: dict[str, Any] = {
        key: value
        for key, value in schema.items()
        if key in ("type", "enum", "required", "minimum", "maximum", "pattern", "minItems", "maxItems", "minLength",
                   "maxLength", "uniqueItems", "multipleOf")
    }  # fmt: skip
    if schema.get("x-kubernetes-int-or-string"):
        kept["type"] = ["integer", "string"]
    if schema.get("nullable") and isinstance(kept.get("type"), str):
        kept["type"] = [kept["type"], "null"]
    properties, items, others = (schema.get(key) for key in ("properties", "items", "additionalProperties"))
    if isinstance(properties, Mapping):
        kept["properties"] = {name: _json_schema(one) for name, one in properties.items() if isinstance(one, Mapping)}
        if others is None and not schema.get("x-kubernetes-preserve-unknown-fields"):
            kept["additionalProperties"] = False
    if isinstance(others, bool | Mapping):
        kept["additionalProperties"] = others if isinstance(others, bool) else _json_schema(others)
    if isinstance(items, Mapping):
        kept["items"] = _json_schema(items)
    return kept
