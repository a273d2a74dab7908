"""What every CustomResourceDefinition of the add-on has: names, a version, a status, columns."""

from __future__ import annotations

from typing import Any

from aksp.addon import names
from aksp.addon.install.schema import Schema, array, free, mapping, optional, text, time, whole

#: How long a scope may be, and how many there may be: the API server bounds what checking them may cost.
_LONGEST_SCOPE, MOST_SCOPES = 2048, 500
Column = tuple[str, str] | tuple[str, str, str] | tuple[str, str, str, int]
APPLIED: Column = ("Applied", '.status.conditions[?(@.type=="Applied")].status')
MESSAGE: Column = ("Message", ".status.message", "string", 1)


def scope(description: str) -> Schema:
    """What aksp.model.scope.Scope.parse takes; empty is ``/``."""
    return text(
        description,
        maxLength=_LONGEST_SCOPE,
        # Starts with a slash, and no segment is empty or blank.
        pattern=r"^(/+([^/]*[^/\s][^/]*(/[^/]*[^/\s][^/]*)*/*)?)?$",
        **{
            "x-kubernetes-validations": [
                {
                    "rule": "!self.matches('(?i)^/+clusters(/|$)')"
                    " || self.matches('(?i)^/+clusters/[^/]+(/namespaces/[^/]+)?/*$')",
                    "message": "expected /clusters/NAME or /clusters/NAME/namespaces/NAMESPACE",
                }
            ]
        },
    )


def status_of(fields: dict[str, Schema], conditions: str) -> Schema:
    """A status; the conditions are metav1.Condition."""
    condition = mapping(
        "One observation.",
        {
            "type": text(conditions),
            "status": text("Whether it is so.", enum=["True", "False", "Unknown"]),
            "reason": text("Why, as one word."),
            "message": text("Why, in words."),
            "lastTransitionTime": time("When `status` last changed."),
            "observedGeneration": optional(whole("The generation that it is about.")),
        },
        ["type", "status", "reason", "message", "lastTransitionTime"],
    )
    listed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return mapping(
        "What the add-on observed; it alone writes here.",
        {
            "observedGeneration": optional(whole("The generation that was last looked at.")),
            **fields,
            "message": optional(text("What is the matter, and what to do next.")),
            "lastCheckIn": optional(time("When the add-on last checked in.")),
            "conditions": array("Observations.", condition, **listed),
        },
    )


def in_force() -> dict[str, Schema]:
    """Which version of a document is in force."""
    return {
        "appliedGeneration": optional(whole("The generation in force; absent when none is.")),
        "appliedSpec": optional(free("The spec in force, kept while a later one is wrong.")),
    }


def crd(
    kind: str,
    plural: str,
    short: list[str],
    description: str,
    spec: Schema,
    *,
    columns: list[Column],
    status: Schema | None = None,
    scope: str = "Cluster",
) -> dict[str, Any]:
    """One CustomResourceDefinition."""
    fields: dict[str, Schema] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": spec,
    }
    version: dict[str, Any] = {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": mapping(description, fields | ({"status": status} if status else {}), ["spec"])},
        "additionalPrinterColumns": [
            *map(_column, columns),
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
    }
    if status:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{names.GROUP}", "labels": dict(names.MANAGED_BY)},
        "spec": {
            "group": names.GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": short,
                "categories": ["aksp", "policy"],
            },
            "scope": scope,
            "versions": [version],
        },
    }


def _column(column: Column) -> dict[str, Any]:
    name, path, kind, priority = (*column, "string", 0)[:4] if len(column) == 2 else (*column, 0)[:4]
    found = {"name": name, "type": kind, "jsonPath": path}
    return found | ({"priority": priority} if priority else {})
