"""A definition as a ConstraintTemplate."""

from __future__ import annotations

from typing import Any

from aksp.catalog.template import SYNC_DATA, template_document
from aksp.gatekeeper.names import DESCRIPTION, MANAGED_BY, OURS, TITLE, VERSION, kind_of
from aksp.gatekeeper.schemas import parameters_schema
from aksp.gatekeeper.synced import annotation, synced
from aksp.model.definition import Definition


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
