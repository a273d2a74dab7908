"""A definition as a ConstraintTemplate, whose schema of parameters is structural, as the API server wants it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aksp.catalog.template import SYNC_DATA, template_document
from aksp.compliance.expressions import parameter_named
from aksp.compliance.json_schema import schema_problem
from aksp.gatekeeper.names import DESCRIPTION, MANAGED_BY, OURS, TITLE, VERSION, kind_of
from aksp.gatekeeper.synced import annotation, synced
from aksp.model.definition import Definition, Parameter, ParameterType

#: A value of any type.
ANY: Final[Mapping[str, Any]] = {"x-kubernetes-preserve-unknown-fields": True}
_TYPES: Final = {
    ParameterType.STRING: "string",
    ParameterType.ARRAY: "array",
    ParameterType.BOOLEAN: "boolean",
    ParameterType.INTEGER: "integer",
    ParameterType.FLOAT: "number",
    ParameterType.OBJECT: "object",
    ParameterType.DATE_TIME: "string",
}
#: Keys that mean the same in a JSON Schema and in a structural schema.
_SAME: Final = (
    "title", "description", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems",
)  # fmt: skip


def constraint_template(definition: Definition) -> dict[str, Any]:
    """The ConstraintTemplate of a compiled definition. Raises InvalidPolicy for Rego of several versions."""
    requirements, _ = synced(definition)
    annotations = {
        TITLE: definition.display_name,
        VERSION: definition.version,
        DESCRIPTION: definition.description,
        SYNC_DATA: annotation(requirements) if requirements else "",
        f"{OURS}definition": definition.slug,
        f"{OURS}definition-id": definition.name,
        f"{OURS}category": definition.category,
        f"{OURS}severity": definition.severity,
        f"{OURS}remediation": definition.remediation,
    }
    made = template_document(kind_of(definition.slug), definition.slug, definition.modules, definition.origin)
    made["metadata"] |= {
        "labels": dict(MANAGED_BY),
        "annotations": {key: text for key, text in annotations.items() if text},
    }
    made["spec"]["crd"]["spec"]["validation"] = {"openAPIV3Schema": parameters_schema(definition)}
    return made


def parameters_schema(definition: Definition) -> dict[str, Any]:
    """The ``openAPIV3Schema`` of a definition's values: the template's own where it has one."""
    if definition.values_schema is not None:
        return dict(definition.values_schema)
    if not isinstance(definition.values, Mapping):
        return {"type": "object", **ANY}
    properties = {}
    for name, value in definition.values.items():
        parameter = definition.parameters.get(parameter_named(value) or "")
        properties[name] = dict(ANY) if parameter is None else _of(parameter)
    return {"type": "object", **({"properties": properties} if properties else {})}


def _of(parameter: Parameter) -> dict[str, Any]:
    written = {"type": _TYPES[parameter.type], **(parameter.schema or {})}
    schema = _structural(written)
    # The texts for people come first. The schema's own replace them.
    told = {"title": parameter.display_name, "description": parameter.description}
    schema = {**{key: text for key, text in told.items() if text and text != parameter.name}, **schema}
    if parameter.allowed_values:
        schema["enum"] = list(parameter.allowed_values)
    default = parameter.default if parameter.has_default else None
    if default is None:
        # Without a default the API server would drop a null that an assignment gives.
        return {**schema, "nullable": True} if parameter.has_default else schema
    # The API server refuses a kind with a default that its own schema does not take.
    fits = not schema_problem(written, default) and (not parameter.allowed_values or default in schema["enum"])
    return {**schema, "default": default} if fits else schema


def _structural(schema: Any) -> dict[str, Any]:
    """A JSON Schema as a structural one. Where that cannot say the same it says less, and so accepts every value that was valid."""
    if not isinstance(schema, Mapping) or not isinstance(schema.get("type"), str) or schema["type"] == "null":
        return dict(ANY)
    found: dict[str, Any] = {"type": schema["type"]} | {key: schema[key] for key in _SAME if key in schema}
    if schema["type"] == "array":
        found["items"] = _structural(schema.get("items"))
    elif schema["type"] == "object":
        properties, others = schema.get("properties"), schema.get("additionalProperties", True)
        if isinstance(properties, Mapping):
            found["properties"] = {name: _structural(one) for name, one in properties.items()}
            if "required" in schema:
                found["required"] = list(schema["required"])
        if isinstance(properties, Mapping) or not isinstance(others, Mapping):
            # It cannot have both. Without either, the API server drops fields that are not named.
            found |= ANY if others is not False else {}
        else:
            found["additionalProperties"] = _structural(others)
    return found
