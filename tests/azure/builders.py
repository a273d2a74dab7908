"""Azure's documents as they are printed, and the wrappings that they come in."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001"
GROUP = f"{SUBSCRIPTION}/resourceGroups/Shop-RG"
CLUSTER = f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/prod"
NO_PRIVILEGE = "/providers/Microsoft.Authorization/policyDefinitions/95edb821-ddaf-4404-9732-666045e056b4"
TYPES = "Microsoft.Authorization/"

TEMPLATE = """
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: k8steam}
spec:
  crd: {spec: {names: {kind: K8sTeam}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package k8steam
      violation[{"msg": msg}] {
        not input.review.object.metadata.labels[input.parameters.label]
        msg := "no team"
      }
"""

Resource = dict[str, Any]


def resource(kind: str, name: str, properties: Resource, scope: str = SUBSCRIPTION) -> Resource:
    """A document as ARM REST has it."""
    return {
        "id": f"{scope}/providers/{TYPES}{kind}/{name}", "type": f"{TYPES}{kind}", "name": name,
        "properties": copy.deepcopy(properties),
    }  # fmt: skip


def id_of(kind: str, name: str, scope: str = SUBSCRIPTION) -> str:
    return f"{scope}/providers/{TYPES}{kind}/{name}"


def definition(name: str = "Require-Team", **details: Any) -> Resource:
    body = {
        "templateInfo": {"sourceType": "Base64Encoded", "content": base64.b64encode(TEMPLATE.encode()).decode()},
        "apiGroups": [""], "kinds": ["Pod"], "values": {"label": "[parameters('label')]"}, **details,
    }  # fmt: skip
    return resource(
        "policyDefinitions", name,
        {
            "displayName": "Pods have a team", "policyType": "Custom", "mode": "Microsoft.Kubernetes.Data",
            "metadata": {"category": "Kubernetes", "version": "1.2.0"},
            "parameters": {
                "effect": {"type": "String", "allowedValues": ["audit", "deny", "disabled"], "defaultValue": "audit"},
                "label": {"type": "String"},
            },
            "policyRule": {
                "if": {"field": "type", "in": ["Microsoft.ContainerService/managedClusters"]},
                "then": {"effect": "[parameters('effect')]", "details": body},
            },
        },
    )  # fmt: skip


def initiative(name: str = "Shop Rules") -> Resource:
    return resource(
        "policySetDefinitions", name,
        {
            "displayName": "Rules of the shop", "policyType": "Custom", "parameters": {},
            "policyDefinitions": [
                {"policyDefinitionId": id_of("policyDefinitions", "Require-Team"), "policyDefinitionReferenceId": "team",
                 "definitionVersion": "1.*.*", "parameters": {"label": {"value": "team"}}},
                {"policyDefinitionId": NO_PRIVILEGE, "policyDefinitionReferenceId": "privilege",
                 "definitionVersion": "9.*.*", "parameters": {"effect": {"value": "deny"}}},
            ],
        },
    )  # fmt: skip


def assignment(name: str = "Shop-Privileged", scope: str = SUBSCRIPTION, **properties: Any) -> Resource:
    return resource(
        "policyAssignments", name,
        {
            "displayName": "No privilege", "policyDefinitionId": NO_PRIVILEGE, "definitionVersion": "9.*.*",
            "scope": scope, "notScopes": [], "enforcementMode": "DoNotEnforce",
            "parameters": {"effect": {"value": "deny"}, "excludedNamespaces": {"value": ["legacy"]}},
            "metadata": {"assignedBy": "platform"}, **properties,
        },
        scope,
    )  # fmt: skip


def exemption(
    name: str = "Until Mirror", of: str = "Shop-Privileged", scope: str = GROUP, **properties: Any
) -> Resource:
    return resource(
        "policyExemptions", name,
        {
            "policyAssignmentId": id_of("policyAssignments", of), "exemptionCategory": "Waiver",
            "expiresOn": "2099-01-01T00:00:00.0000000Z", "displayName": "Later", **properties,
        },
        scope,
    )  # fmt: skip


def estate() -> list[Resource]:
    set_id = id_of("policySetDefinitions", "Shop Rules")
    return [
        definition(),
        initiative(),
        assignment(),
        assignment(
            "Shop-Set", policyDefinitionId=set_id, definitionVersion=None, parameters={}, enforcementMode="Default",
            nonComplianceMessages=[{"message": "Ask the platform team.", "policyDefinitionReferenceId": "team"}],
            overrides=[
                {"kind": "policyEffect", "value": "disabled",
                 "selectors": [{"kind": "policyDefinitionReferenceId", "in": ["privilege"]}]}
            ],
        ),
        exemption(),
        exemption("Set", "Shop-Set", policyDefinitionReferenceIds=["team"]),
    ]  # fmt: skip


def rest(found: Sequence[Resource]) -> Any:
    return {"value": list(found)}


def flattened(found: Sequence[Resource]) -> Any:
    """As ``az`` prints it: the properties beside the others, and null for what is not set."""
    unset = {"description": None, "systemData": None, "resourceSelectors": None, "identity": None}
    return [{**unset, **{k: v for k, v in one.items() if k != "properties"}, **one["properties"]} for one in found]


def template(found: Sequence[Resource]) -> Any:
    """An ARM template, in which what is an expression to Azure Policy is escaped."""
    resources = [
        {"apiVersion": "2024-05-01", "scope": one["id"].rpartition("/providers/")[0], **_escaped(one)} for one in found
    ]
    for one in resources:
        del one["id"]
        one["name"] = "[parameters('prefix')]" if one["name"] == "Shop-Set" else one["name"]
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {"prefix": {"type": "string", "defaultValue": "Shop-Set"}},
        "resources": resources,
    }


def symbolic(found: Sequence[Resource]) -> Any:
    """A template as Bicep's compiler writes it, within a deployment."""
    made = template(found)
    for one in made["resources"]:
        one["name"] = "Shop-Set" if one["name"].startswith("[") else one["name"]
    inner = {**made, "resources": {f"r{at}": one for at, one in enumerate(made["resources"])}}
    return {
        **made,
        "resources": [{"type": "Microsoft.Resources/deployments", "name": "x", "properties": {"template": inner}}],
    }


#: The attributes of azurerm that are JSON as text, and those that are called otherwise than at ARM.
_TEXTS = ("metadata", "parameters", "policyRule")
_AZURERM = {
    "policyDefinitions": "policy_definition_reference", "policyDefinitionReferenceId": "reference_id",
    "definitionVersion": "version", "nonComplianceMessages": "non_compliance_message",
}  # fmt: skip
_AZURERM_TYPES = {
    "policyDefinitions": "policy_definition", "policySetDefinitions": "policy_set_definition",
    "policyAssignments": "{}_policy_assignment", "policyExemptions": "{}_policy_exemption",
}  # fmt: skip


def _snake(key: str) -> str:
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in key)


def _attributes(body: Resource, member: bool = False) -> Resource:
    made: Resource = {"description": "", "display_name": None, "timeouts": None}
    for key, value in body.items():
        called = "parameter_values" if member and key == "parameters" else _AZURERM.get(key, _snake(key))
        if key in _TEXTS:
            made[called] = json.dumps(value)
        elif key == "nonComplianceMessages":
            made[called] = [
                {
                    "content": one["message"],
                    "policy_definition_reference_id": one.get("policyDefinitionReferenceId", ""),
                }
                for one in value
            ]
        elif isinstance(value, list):
            made[called] = [_attributes(one, True) if isinstance(one, dict) else one for one in value]
        else:
            made[called] = value
    return made


def terraform(found: Sequence[Resource]) -> Any:
    """A state as ``terraform show -json`` prints it, with what azurerm has no attribute for left out."""
    made = []
    for one in found:
        kind = one["type"].rpartition("/")[2]
        body = {key: value for key, value in one["properties"].items() if key != "scope"}
        values = _attributes(body)
        if kind == "policyAssignments":
            values["enforce"] = values.pop("enforcement_mode", None) != "DoNotEnforce"
            values["version"] = values.pop("version", None)
        scope = one["id"].rpartition("/providers/Microsoft.Authorization/")[0]
        at = (
            "resource"
            if "managedClusters" in scope
            else "resource_group"
            if "resourceGroups" in scope
            else "subscription"
        )
        if kind in ("policyAssignments", "policyExemptions"):
            values[f"{at}_id"] = scope
        values |= {"id": one["id"], "name": one["name"]}
        type_ = f"azurerm_{_AZURERM_TYPES[kind].format(at)}"
        made.append({"address": f"{type_}.x", "mode": "managed", "type": type_, "values": values})
    data = {"mode": "data", "type": "azurerm_policy_definition", "values": {"name": "built-in"}}
    other = {"mode": "managed", "type": "azurerm_resource_group", "values": {"name": "rg"}}
    return {
        "format_version": "1.0", "terraform_version": "1.9.0",
        "values": {"root_module": {
            "resources": [data, other, *made[:2]],
            "child_modules": [{"address": "module.m", "resources": made[2:]}],
        }},
    }  # fmt: skip


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_escaped(one) for one in value]
    return f"[{value}" if isinstance(value, str) and value.startswith("[") else value


WRAPPINGS: dict[str, Callable[[Sequence[Resource]], Any]] = {
    "array": list, "rest": rest, "flattened": flattened, "template": template, "symbolic": symbolic,
    "terraform": terraform,
}  # fmt: skip


def text(value: Any) -> str:
    return json.dumps(value)
