"""A definition or an initiative as one of Azure's: under the id of a built-in, or as a custom one with its template."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from aksp.azure.built_ins import built_ins
from aksp.azure.kept import kept_of
from aksp.azure.templates import as_it_came
from aksp.azure.written_constraints import as_they_came
from aksp.catalog.folder import as_json, is_bundled
from aksp.catalog.preview import is_converted
from aksp.compliance.expressions import has_expression
from aksp.compliance.parameters import as_called_here
from aksp.compliance.plan import MatchSource
from aksp.engine import Engine
from aksp.errors import InvalidPolicy
from aksp.gatekeeper.templates import constraint_template
from aksp.model.definition import AzureDefinition, Definition, Parameter
from aksp.model.effect import Effect
from aksp.workspace import compile_definition
from aksp.yaml_reader import read_file
from aksp.yaml_writer import to_yaml

#: The fields of details that Azure has. All others belong to a constraint's match.
_DETAILS: Final = (
    "templateInfo", "apiGroups", "kinds", "namespaces", "excludedNamespaces", "labelSelector", "source", "warn", "values",
)  # fmt: skip
#: Metadata that name the built-in which a definition here stands for. A custom definition at Azure is not that built-in.
_FOUND_BY: Final = ("azurePolicyId", "azureDefinitions")
#: A character that values of a format may have here, and not in Azure's parameters of the same meaning.
_NOT_AT_AZURE: Final = {"label": "=", "port": "/"}


class NotExported(Exception):
    """Azure has nothing that means the same; the text says why."""


def as_built_in(definition: Definition, one: AzureDefinition, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values for a definition here as those of the built-in that it stands for. ``given`` may hold expressions.

    Raises NotExported with what the built-in lacks.
    """
    built_in = built_ins().get(one.id)
    if built_in is None:
        raise NotExported(f"what {one.name} takes is not known")
    theirs = {ours: name for name, ours in one.parameters.items()}
    found: dict[str, Any] = {}
    for name, value in as_called_here(definition, given).items():
        parameter, called = definition.parameters.get(name), theirs.get(name, name)
        mark = _NOT_AT_AZURE.get(parameter.format or "") if parameter else None
        if called in built_in.parameters and not (mark and mark in str(value)):
            found[called] = value
        elif parameter is None or not parameter.has_default or value != parameter.default:
            raise NotExported(f"{one.name} has no {called} {value!r}")
    if missing := [name for name in built_in.required if name not in found]:
        raise NotExported(f"{one.name} needs {', '.join(missing)}")
    if "effect" in found:
        found = with_azure_effect(found, "warn" in built_in.parameters)
        effect = found["effect"]
        may_be = set(built_in.effects) >= {str(Effect.AUDIT.at_azure), str(Effect.DENY.at_azure)}
        if not may_be if has_expression(effect) else effect.lower() not in map(str.lower, built_in.effects):
            raise NotExported(f"{one.name} has no effect {effect}")
    return found


def with_azure_effect(values: Mapping[str, Any], warns: bool) -> dict[str, Any]:
    """Values with an effect that Azure has. Raises NotExported where it warns and nothing there can."""
    effect = Effect.named(values.get("effect"))
    if effect is None or effect is effect.at_azure:
        return dict(values)
    if not effect.warns or effect.refuses:
        return {**values, "effect": effect.at_azure.value}
    if not warns:
        raise NotExported(f"the effect {effect} needs a parameter warn")
    return {**values, "effect": effect.at_azure.value, "warn": True}


def custom_definition(engine: Engine, definition: Definition) -> dict[str, Any]:
    """The properties of a custom definition. Raises NotExported, and InvalidPolicy for one that is broken."""
    document = as_json(Path(definition.origin))
    properties: dict[str, Any] = deepcopy(dict(document["properties"]))
    kept = kept_of(properties.get("metadata", {}), definition.origin)
    compiled = compile_definition(engine, definition)
    details = properties["policyRule"]["then"]["details"]
    for key in details:
        if key not in _DETAILS and as_they_came(details, kept.details) is None:
            raise NotExported(f"its details have {key}, which Azure's have not")
    content = _template(details["templateInfo"], compiled)
    # What came from Azure goes back unchanged, unless it was of the preview and had another form.
    as_it_was = kept.name and not is_converted(base64.b64decode(content).decode(errors="replace"))
    if compiled.requires_inventory and not as_it_was:
        raise NotExported("it compares objects, and Azure installs no template that asks for others")
    info = {"sourceType": "Base64Encoded", "content": content}
    came = as_they_came(details, kept.details)
    details["templateInfo"] = as_it_came(info, kept.template)
    if any(isinstance(entry, Mapping) for entry in details["kinds"]):
        pairs = details["kinds"]
        details["apiGroups"] = list(dict.fromkeys(group for pair in pairs for group in pair["apiGroups"]))
        details["kinds"] = list(dict.fromkeys(kind for pair in pairs for kind in pair["kinds"]))
    then = properties["policyRule"]["then"]
    if came is not None:
        then["details"] = dict(came)
    if isinstance(effect := then.get("effect"), str) and not has_expression(effect):
        then |= with_azure_effect({"effect": effect}, warns=False)
    if "parameters" in properties:
        properties["parameters"] = exported_parameters(properties["parameters"], definition.parameters)
    if is_bundled(definition):
        properties["policyType"] = "Custom"
        properties["metadata"] = {key: v for key, v in properties["metadata"].items() if key not in _FOUND_BY}
    return properties


def _template(info: Mapping[str, Any], definition: Definition) -> str:
    """The ConstraintTemplate in Base64: as it is written, or made of the rule."""
    if info.get("sourceType") == "Base64Encoded":
        return str(info["content"])
    path = Path(definition.origin).parent / str(info.get("path"))
    if path.suffix in (".yaml", ".yml", ".json"):
        text = read_file(path)
    else:
        try:
            text = to_yaml(constraint_template(definition), literal=True)
        except InvalidPolicy as error:
            raise NotExported(error.what) from error
    return base64.b64encode(text.encode()).decode()


def exported_parameters(written: Mapping[str, Any], parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Parameters with the effects that Azure has, and a default where one is optional."""
    made = {}
    for name, body in written.items():
        parameter = parameters[name]
        made[name] = {**body, **(_effects(parameter) if name == "effect" else {})}
        if parameter.optional and not parameter.has_default:
            defaults = {"source": MatchSource.ORIGINAL.value, "warn": False}
            if name not in defaults:
                raise NotExported(f"its parameter {name} is optional, and Azure's have a value")
            made[name]["defaultValue"] = defaults[name]
    return made


def azure_effects(parameter: Parameter | None) -> bool:
    """Whether a parameter takes, and has by default, no effect but those that Azure has."""
    named = [Effect.named(one) for one in (*parameter.allowed_values, parameter.default)] if parameter else []
    return all(one is None or one is one.at_azure for one in named)


def _effects(parameter: Parameter) -> dict[str, Any]:
    if azure_effects(parameter):
        return {}
    named = [Effect.named(one) for one in parameter.allowed_values]
    made: dict[str, Any] = {}
    if named:
        made["allowedValues"] = list(dict.fromkeys(one.at_azure.value for one in named if one))
    if (default := Effect.named(parameter.default)) is not None:
        made["defaultValue"] = default.at_azure.value
    return made
