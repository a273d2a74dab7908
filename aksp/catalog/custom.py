"""Definitions as custom resources: the same document, with its Rego inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from aksp.catalog.document import PROPERTIES, Reader, definition_of
from aksp.catalog.template import template_from_base64, template_of
from aksp.errors import InvalidPolicy
from aksp.model.assignment import API_VERSION, NAME
from aksp.model.definition import Definition

KIND = "PolicyDefinition"


def slug_and_spec(
    document: Mapping[str, Any], origin: str, kind: str, properties: tuple[str, ...]
) -> tuple[str, Reader]:
    """The name of a custom resource of the catalogue, and its ``spec``: Azure's ``name`` and properties. Raises InvalidPolicy."""
    top = Reader(document, origin)
    for key, expected in (("apiVersion", API_VERSION), ("kind", kind)):
        if document.get(key) != expected:
            raise InvalidPolicy(f"{key} is {document.get(key)!r}, expected {expected}", where=origin)
    slug = top.object("metadata").text("name")
    if not NAME.fullmatch(slug):
        raise InvalidPolicy(f"metadata.name is {slug!r}, expected lower-case letters, digits, - and .", where=origin)
    return slug, top.object("spec").only(("name", *properties))


def definition_from_resource(document: Mapping[str, Any], origin: str) -> Definition:
    """Read a PolicyDefinition: ``metadata.name`` is the slug, ``spec`` Azure's ``properties`` and ``name``.

    Its templateInfo is ``Base64Encoded``. Whatever else the API server adds does not matter.
    Raises InvalidPolicy that names the field.
    """
    slug, spec = slug_and_spec(document, origin, KIND, PROPERTIES)
    info = spec.object("policyRule").object("then").object("details").object("templateInfo")
    if (kind := info.text("sourceType")) != "Base64Encoded":
        raise InvalidPolicy(
            f"{info.path}.sourceType is {kind!r}, expected Base64Encoded: in a cluster there are no files",
            where=origin,
            hint="`aksp sync` writes a workspace's definitions with their Rego inside",
        )
    template = template_from_base64(info.text("content"), origin)
    return definition_of(spec, slug=slug, name=spec.text("name", slug), template=template)


def resource_of(definition: Definition, document: Mapping[str, Any]) -> dict[str, Any]:
    """The custom resource of a definition, which is read back as the same rule.

    ``document`` is its JSON as written. Raises InvalidPolicy when a custom resource cannot hold it.
    """
    resource = resource_with(KIND, definition.slug, document, origin=definition.origin, words=("definition", "folder"))
    spec = resource["spec"]
    details = spec["policyRule"]["then"]["details"]
    info = details["templateInfo"]
    if info["sourceType"] == "Base64Encoded":
        content = info["content"]
    else:
        template = template_of(definition.slug, definition.modules, definition.origin)
        content = base64.b64encode(template.encode()).decode()
    details["templateInfo"] = {"sourceType": "Base64Encoded", "content": content}
    if definition.requires_inventory:
        # The template that is made here lacks the annotation that names them.
        compared = [{"group": kind.group, "kind": kind.kind} for kind in definition.requires_inventory]
        spec.setdefault("metadata", {}).setdefault("requiresInventory", compared)
    return resource


def resource_with(
    kind: str, slug: str, document: Mapping[str, Any], *, origin: str, words: tuple[str, str]
) -> dict[str, Any]:
    """A custom resource of the catalogue that holds a document of Azure's. Raises InvalidPolicy for a slug that cannot be its name.

    ``words``: what an error calls it, and what is to be renamed.
    """
    word, renamed = words
    if not NAME.fullmatch(slug):
        raise InvalidPolicy(
            f"{word} {slug!r} cannot be called so in a cluster: expected lower-case letters, digits, - and .",
            where=origin,
            hint=f"rename its {renamed}",
        )
    name = {"name": document["name"]} if "name" in document else {}
    spec = {**name, **deepcopy(dict(document["properties"]))}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": slug}, "spec": spec}
