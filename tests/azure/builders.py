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


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_escaped(one) for one in value]
    return f"[{value}" if isinstance(value, str) and value.startswith("[") else value


WRAPPINGS: dict[str, Callable[[Sequence[Resource]], Any]] = {
    "array": list, "rest": rest, "flattened": flattened, "template": template, "symbolic": symbolic,
}  # fmt: skip


def text(value: Any) -> str:
    return json.dumps(value)
