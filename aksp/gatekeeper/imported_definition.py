"""A ConstraintTemplate as a definition: the unchanged template, and a document with the parameters of its schema and of a match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from aksp.catalog.document import MODE, definition_from
from aksp.catalog.rego_files import LIBRARIES
from aksp.catalog.template import template_from
from aksp.errors import InvalidPolicy
from aksp.gatekeeper.defaults import defaulted
from aksp.gatekeeper.documents import Written
from aksp.gatekeeper.names import DESCRIPTION, OURS, TITLE, VERSION
from aksp.model.assignment import NAME
from aksp.model.definition import SEVERITIES, Definition
from aksp.model.effect import Effect
from aksp.model.fields import mappings, within
from aksp.yaml_writer import to_yaml

#: The fields of match that differ from constraint to constraint, by Azure's types: the default is what Gatekeeper takes.
MATCH: Final[Mapping[str, tuple[str, Any, str]]] = {
    "kinds": ("Array", [{"apiGroups": ["*"], "kinds": ["*"]}], "What is judged: a list of {apiGroups, kinds}."),
    "scope": ("String", "*", "Namespaced, Cluster, or * for both."),
    "name": ("String", "", "Only objects of this name; * at either end stands for any text."),
    "namespaces": ("Array", [], "Only objects in these namespaces; empty means all."),
    "excludedNamespaces": ("Array", [], "Namespaces whose objects are not judged."),
    "labelSelector": ("Object", {}, "Only objects with these labels."),
    "namespaceSelector": ("Object", {}, "Only objects in Namespaces with these labels."),
    "source": ("String", "Original", "Which Pods are judged at admission: Original, Generated or All."),
}
_TYPES: Final = {
    "string": "String", "array": "Array", "boolean": "Boolean", "integer": "Integer", "number": "Float", "object": "Object",
}  # fmt: skip
#: The one parameter of a definition whose template does not list its own.
WHOLE: Final = "parameters"


class ImportedDefinition(Struct, frozen=True, kw_only=True):
    """A definition's files, the definition read from them, and what is different of it here.

    ``parameters`` are what the template's parameters are called in the definition; None where all of them are one.
    """

    kind: str
    slug: str
    document: Mapping[str, Any]
    template: str
    definition: Definition
    parameters: Mapping[str, str] | None
    schema: Mapping[str, Any]
    lost: Sequence[str] = ()


def imported_definition(written: Written) -> ImportedDefinition:
    """Read a template. Raises InvalidPolicy for one that has no Rego, or is wrong."""
    text = to_yaml(written.document, literal=True)
    template = template_from(text, written.origin, f"{written.origin} (its template as aksp writes it)")
    kind = within(written.document, "spec", "crd", "spec", "names", "kind")
    slug = written.name
    if slug != str(kind).lower() or not NAME.fullmatch(slug) or slug == LIBRARIES:
        raise InvalidPolicy(
            f"metadata.name is {slug!r} and the kind {kind!r}: Gatekeeper wants the kind in lower case",
            where=written.origin,
        )
    schema = template.values_schema or {}
    names = _names(schema)
    document = _document(written, str(kind), slug, schema, names)
    return ImportedDefinition(
        kind=str(kind),
        slug=slug,
        document=document,
        template=text,
        definition=definition_from(document, slug=slug, origin=written.origin, template=template),
        parameters=names,
        schema=schema,
        lost=[f"ConstraintTemplate {slug}: {one}" for one in _lost(written.document)],
    )


def _names(schema: Mapping[str, Any]) -> dict[str, str] | None:
    """The names of a template's parameters here; None where it does not give the type of each."""
    properties = schema.get("properties") or {}
    if not isinstance(properties, Mapping) or schema.get("x-kubernetes-preserve-unknown-fields") or not properties:
        return {} if schema.get("type") == "object" and not _open(schema) else None
    if not all(
        isinstance(one, Mapping) and str(one.get("type")) in _TYPES and not one.get("nullable")
        for one in properties.values()
    ):
        return None
    taken = {*MATCH, "effect", "warn"}
    return {name: f"{name}Parameter" if name in taken else str(name) for name in properties}


def _open(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("additionalProperties"))


def _document(
    written: Written, kind: str, slug: str, schema: Mapping[str, Any], names: Mapping[str, str] | None
) -> dict[str, Any]:
    told = written.annotations
    severity = told.get(f"{OURS}severity", "medium")
    parameters: dict[str, Any] = {
        "effect": _parameter(
            "String", Effect.DENY.value, "What follows from a violation.", [one.value for one in Effect]
        ),
        "warn": _parameter("Boolean", True, "Whether whoever makes an object is warned of what is not refused."),
        **{name: _parameter(type_, default, text) for name, (type_, default, text) in MATCH.items()},
    }
    if names is None:
        values: Any = f"[parameters('{WHOLE}')]"
        parameters[WHOLE] = _parameter("Object", defaulted(schema, {}), "The constraint's parameters.")
    else:
        values = {theirs: f"[parameters('{ours}')]" for theirs, ours in names.items()}
        for theirs, ours in names.items():
            parameters[ours] = _of_schema(schema["properties"][theirs])
    metadata = {
        "version": told.get(VERSION, "1.0.0"),
        "category": told.get(f"{OURS}category", "Gatekeeper"),
        "severity": severity if severity in SEVERITIES else "medium",
        "remediation": told.get(f"{OURS}remediation", ""),
    }
    details = {
        "templateInfo": {"sourceType": "File", "path": "template.yaml"},
        **{name: f"[parameters('{name}')]" for name in MATCH},
        "warn": "[parameters('warn')]",
        "values": values,
    }
    properties = {
        "displayName": told.get(TITLE) or kind,
        "policyType": "Custom",
        "mode": MODE,
        "description": told.get(DESCRIPTION) or str(schema.get("description") or ""),
        "metadata": {key: text for key, text in metadata.items() if text},
        "parameters": parameters,
        "policyRule": {
            "if": {"field": "type", "in": ["Microsoft.ContainerService/managedClusters"]},
            "then": {"effect": "[parameters('effect')]", "details": details},
        },
    }
    return {"name": slug, "properties": properties}


def _parameter(type_: str, default: Any, description: str, allowed: Sequence[Any] = ()) -> dict[str, Any]:
    made: dict[str, Any] = {"type": type_, "metadata": {"description": description}, "defaultValue": default}
    return {**made, "allowedValues": list(allowed)} if allowed else made


def _of_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter of a template. One without a default may be left out, as in a constraint."""
    metadata: dict[str, Any] = {"displayName": schema.get("title"), "description": schema.get("description")}
    made: dict[str, Any] = {"type": _TYPES[schema["type"]]}
    if "default" in schema:
        made["defaultValue"] = defaulted(schema, schema["default"])
    else:
        metadata["optional"] = True
    if isinstance(schema.get("enum"), list):
        made["allowedValues"] = schema["enum"]
    return {**made, "metadata": {key: text for key, text in metadata.items() if isinstance(text, str | bool)}}


def _lost(template: Mapping[str, Any]) -> list[str]:
    """What is lost of a template that has Rego."""
    (target,) = template["spec"]["targets"]
    engines = [one.get("engine") for one in mappings(target.get("code"))]
    lost = []
    if "K8sNativeValidation" in engines:
        lost.append("Gatekeeper judges by its CEL (K8sNativeValidation), aksp by its Rego")
    operations = target.get("operations") or []
    if not isinstance(operations, list):
        return [*lost, f"its operations are {operations!r}, which is not understood"]
    others = [str(one) for one in operations if one not in ("*", "CREATE", "UPDATE")]
    if others:
        lost.append(f"aksp judges no {' and '.join(others)}")
    elif operations in (["CREATE"], ["UPDATE"]):
        lost.append(f"Gatekeeper judges {operations[0]} alone, aksp CREATE and UPDATE")
    return lost
