"""ConstraintTemplates and constraints of others, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aksp.gatekeeper.documents import Written

V0 = """package k8srequiredlabels

violation[{"msg": msg, "details": {"missing_labels": missing}}] {
  provided := {label | input.review.object.metadata.labels[label]}
  required := {label | label := input.parameters.labels[_].key}
  missing := required - provided
  count(missing) > 0
  msg := sprintf("you must provide labels: %v", [missing])
}
"""
LABELS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Requires labels.",
    "properties": {
        "message": {"type": "string"},
        "labels": {
            "type": "array",
            "description": "Labels that must be there.",
            "items": {
                "type": "object",
                "properties": {"key": {"type": "string"}, "allowedRegex": {"type": "string", "default": ".*"}},
            },
        },
        "strict": {"type": "boolean", "default": False},
    },
}


def template(
    kind: str = "K8sRequiredLabels",
    rego: str = V0,
    schema: Mapping[str, Any] | None = LABELS_SCHEMA,
    *,
    engines: Sequence[str] = ("Rego",),
    version: str = "v1",
    **target: Any,
) -> dict[str, Any]:
    code = {
        "Rego": {"engine": "Rego", "source": {"rego": rego}},
        "K8sNativeValidation": {"engine": "K8sNativeValidation", "source": {"validations": [{"expression": "true"}]}},
    }
    crd: dict[str, Any] = {"names": {"kind": kind}}
    if schema is not None:
        crd["validation"] = {"openAPIV3Schema": dict(schema)}
    return {
        "apiVersion": f"templates.gatekeeper.sh/{version}",
        "kind": "ConstraintTemplate",
        "metadata": {
            "name": kind.lower(),
            "annotations": {"metadata.gatekeeper.sh/title": "Required Labels", "description": "Resources have labels."},
        },
        "spec": {
            "crd": {"spec": crd},
            "targets": [
                {"target": "admission.k8s.gatekeeper.sh", "code": [code[one] for one in engines], **target}
            ],
        },
    }  # fmt: skip


def constraint(
    name: str = "ns-must-have-gk",
    kind: str = "K8sRequiredLabels",
    parameters: Mapping[str, Any] | None = None,
    match: Mapping[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    if match is None:
        match = {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}
    given = {"labels": [{"key": "owner"}]} if parameters is None else parameters
    return {
        "apiVersion": "constraints.gatekeeper.sh/v1beta1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"match": match, "parameters": given, **spec},
    }


def written(document: Mapping[str, Any]) -> Written:
    return Written(document=document, origin="file.yaml")
