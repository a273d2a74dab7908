"""What ``terraform show -json`` prints of azurerm's policy resources, as ARM has it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from aksp.errors import InvalidInput

Resource = Mapping[str, Any]

_DEFINITION: Final = "policyDefinitions"
_INITIATIVE: Final = "policySetDefinitions"
_ASSIGNMENT: Final = "policyAssignments"
_EXEMPTION: Final = "policyExemptions"
#: The ARM type of each type of azurerm's, and its attribute that has the scope.
_TYPES: Final = {
    "azurerm_policy_definition": (_DEFINITION, "management_group_id"),
    "azurerm_management_group_policy_definition": (_DEFINITION, "management_group_id"),
    "azurerm_policy_set_definition": (_INITIATIVE, "management_group_id"),
    "azurerm_management_group_policy_set_definition": (_INITIATIVE, "management_group_id"),
    "azurerm_policy_assignment": (_ASSIGNMENT, "scope"),
    **{f"azurerm_{one}_policy_assignment": (_ASSIGNMENT, f"{one}_id")
       for one in ("management_group", "subscription", "resource_group", "resource")},
    **{f"azurerm_{one}_policy_exemption": (_EXEMPTION, f"{one}_id")
       for one in ("management_group", "subscription", "resource_group", "resource")},
}  # fmt: skip
#: Attributes whose values are JSON as text.
_JSON: Final = ("metadata", "parameters", "policy_rule", "parameter_values", "policy_definitions")
#: Attributes whose names differ from ARM's in more than their spelling.
_CALLED: Final = {
    "policy_definition_reference": "policyDefinitions", "policy_definition_group": "policyDefinitionGroups",
    "reference_id": "policyDefinitionReferenceId", "parameter_values": "parameters", "policy_group_names": "groupNames",
    "version": "definitionVersion", "additional_metadata_resource_id": "additionalMetadataId",
    "non_compliance_message": "nonComplianceMessages", "content": "message", "policy_definitions": "policyDefinitions",
}  # fmt: skip
#: Attributes that azurerm has for itself.
_ITS_OWN: Final = ("id", "name", "timeouts", "role_definition_ids", "management_group_name")


def is_terraform(value: Mapping[str, Any]) -> bool:
    """Whether it is a state or a plan as JSON."""
    return "format_version" in value and any(
        isinstance(value.get(key), Mapping) for key in ("values", "planned_values")
    )


def resources(value: Mapping[str, Any], path: str, file: str) -> Iterator[tuple[str, Resource]]:
    """The policy resources, each with its JSON path. Raises InvalidInput for what is no such document."""
    key = "planned_values" if "planned_values" in value else "values"
    root = value[key].get("root_module")
    if root is not None:
        yield from _module(root, f"{path}.{key}.root_module", file, 0)


def _module(module: Any, path: str, file: str, depth: int) -> Iterator[tuple[str, Resource]]:
    if not isinstance(module, Mapping) or depth > 50:
        raise InvalidInput("is no module of Terraform's", where=f"{file}: {path}")
    for key in ("resources", "child_modules"):
        entries = module.get(key, [])
        if not isinstance(entries, list) or not all(isinstance(one, Mapping) for one in entries):
            raise InvalidInput("is no list of objects", where=f"{file}: {path}.{key}")
        for at, one in enumerate(entries):
            here = f"{path}.{key}[{at}]"
            if key == "child_modules":
                yield from _module(one, here, file, depth + 1)
            elif one.get("mode") != "data" and str(one.get("type")) in _TYPES:
                values = one.get("values")
                if not isinstance(values, Mapping):
                    raise InvalidInput("is no object", where=f"{file}: {here}.values")
                yield f"{here}.values", _resource(one["type"], values, f"{file}: {here}.values")


#: The properties that a document of a kind must have.
_NEEDED: Final = {
    _DEFINITION: "policyRule", _INITIATIVE: "policyDefinitions", _ASSIGNMENT: "policyDefinitionId",
    _EXEMPTION: "policyAssignmentId",
}  # fmt: skip


def not_yet(one: Resource) -> str | None:
    """The property that a plan does not know before it is applied; None where all is known."""
    needed = _NEEDED[one["type"].rpartition("/")[2]]
    return None if needed in one["properties"] else needed


def _resource(type: str, values: Mapping[str, Any], where: str) -> Resource:
    kind, scoped = _TYPES[type]
    made: dict[str, Any] = {"type": f"Microsoft.Authorization/{kind}", "name": values.get("name")}
    if values.get("id"):
        made["id"] = values["id"]
    elif values.get(scoped):
        made["scope"] = values[scoped]
    properties = _named({k: v for k, v in values.items() if k not in (*_ITS_OWN, scoped)}, where)
    if kind == _ASSIGNMENT:
        if "enforce" in properties:
            properties["enforcementMode"] = None if properties.pop("enforce") is not False else "DoNotEnforce"
        if isinstance(identity := properties.pop("identity", None), list) and identity:
            made["identity"] = identity[0]
        made["location"] = properties.pop("location", None)
        for one in properties.get("overrides") or ():
            if isinstance(one, dict):
                one.setdefault("kind", "policyEffect")
                for selector in one.get("selectors") or ():
                    if isinstance(selector, dict):
                        selector.setdefault("kind", "policyDefinitionReferenceId")
    return {**made, "properties": properties}


def _named(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Attributes by ARM's names, with JSON texts decoded. Empty ones are left out: azurerm prints them for what is not set."""
    made = {}
    for key, value in values.items():
        if value in (None, "", [], {}):
            continue
        read = value
        if key in _JSON:
            read = _decoded(value, f"{where}.{key}")
        elif isinstance(value, list):
            read = [
                _named(one, f"{where}.{key}[{at}]") if isinstance(one, Mapping) else one for at, one in enumerate(value)
            ]
        made[_CALLED.get(key) or _camel(key)] = read
    return made


def _decoded(text: Any, where: str) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"is no JSON: {error}", where=where) from error


def _camel(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join(one[:1].upper() + one[1:] for one in others)
