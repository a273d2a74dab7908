"""Definitions as files, for tests."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import yaml

V1_RULE = """package rule

violation contains {"msg": "bad", "details": {"path": "spec"}} if input.review.object.spec.bad
"""
V0_RULE = """package rule

violation[{"msg": msg}] {
  input_containers[c]
  c.securityContext.privileged
  msg := "a container is privileged"
}

input_containers[c] { c := input.review.object.spec.containers[_] }
input_containers[c] { c := input.review.object.spec.initContainers[_] }
"""


def document(**changes: Any) -> dict[str, Any]:
    """An Azure Policy document; changes by dotted path, None removes."""
    made: dict[str, Any] = {
        "name": "11111111-2222-3333-4444-555555555555",
        "properties": {
            "displayName": "A rule of our own",
            "description": "It must not be bad.",
            "mode": "Microsoft.Kubernetes.Data",
            "metadata": {"category": "Ours", "version": "2.1.0", "severity": "Low", "azurePolicyId": "OurRule"},
            "parameters": {
                "effect": {"type": "string", "defaultValue": "Audit", "allowedValues": ["Audit", "Deny", "Disabled"]}
            },
            "policyRule": {
                "if": {"field": "type", "equals": "Microsoft.ContainerService/managedClusters"},
                "then": {
                    "effect": "[parameters('effect')]",
                    "details": {
                        "templateInfo": {"sourceType": "File", "path": "policy.rego"},
                        "apiGroups": [""],
                        "kinds": ["Pod"],
                    },
                },
            },
        },
    }
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = made
        for key in parents:
            place = place[key]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return made


DETAILS = "properties.policyRule.then.details"
TEMPLATE_INFO = f"{DETAILS}.templateInfo"


def write(root: Path, slug: str = "ours", made: Any = None, **files: str) -> Path:
    """A definition's folder; files by name with _ for the dot."""
    folder = root / slug
    folder.mkdir(parents=True, exist_ok=True)
    text = made if isinstance(made, str) else json.dumps(made if made is not None else document())
    (folder / "definition.json").write_text(text, encoding="utf-8")
    for name, content in {"policy_rego": V1_RULE, **files}.items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(content, encoding="utf-8")
    return folder


def template(target: dict[str, Any] | None = None, **changes: Any) -> str:
    """A Gatekeeper ConstraintTemplate."""
    made = {
        "apiVersion": "templates.gatekeeper.sh/v1",
        "kind": "ConstraintTemplate",
        "metadata": {"name": "rule"},
        "spec": {
            "crd": {"spec": {"names": {"kind": "Rule"}}},
            "targets": [{"target": "admission.k8s.gatekeeper.sh", **(target or {"rego": V0_RULE})}],
        },
        **changes,
    }
    return yaml.safe_dump(made)


def base64_of(text: str) -> dict[str, str]:
    return {"sourceType": "Base64Encoded", "content": base64.b64encode(text.encode()).decode()}
