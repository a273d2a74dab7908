"""Definitions of a tenant's own that change objects: Azure's document with a mutator of Gatekeeper in it (``mutationInfo``)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from aksp.catalog import document
from aksp.catalog.mutating import Mutator
from aksp.catalog.mutations import MUTATIONS
from aksp.catalog.mutator_match import check_fields, check_match
from aksp.compliance.expressions import resolve
from aksp.compliance.parameters import value_problem
from aksp.errors import InvalidInput, InvalidPolicy
from aksp.model.definition import Parameter
from aksp.model.json_text import decode_held
from aksp.yaml_reader import read_file, read_yaml

#: What its details may have (Azure: "Mutate effect"): a mutator has its kinds itself.
_DETAILS: Final = ("mutationInfo", "source", "namespaces", "excludedNamespaces", "labelSelector", "scope")


class CustomMutation(Struct, frozen=True, kw_only=True):
    """One of them. ``written`` is the document that it is of, ``mutators`` are those of Gatekeeper in it."""

    slug: str
    name: str
    version: str
    written: Mapping[str, Any]
    mutators: Sequence[Mapping[str, Any]]
    effect: Any
    details: Mapping[str, Any]
    parameters: Mapping[str, Parameter] = {}
    origin: str = ""

    def resolved(self, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Its effect and its details for the values of an assignment. Raises ValueError for values that it does not take."""
        for name, value in given.items():
            if name not in self.parameters:
                raise ValueError(f"{self.name} has no parameter {name}")
            if name != "effect" and (problem := value_problem(self.parameters[name], value)):
                raise ValueError(f"the parameter {name}: {problem}")
        values = {name: one.default for name, one in self.parameters.items() if one.has_default} | dict(given)
        if missing := [name for name, one in self.parameters.items() if one.required and name not in given]:
            raise ValueError(f"{self.name} needs {', '.join(missing)}")
        effect = str(resolve(self.effect, values))
        if effect.lower() not in ("mutate", "disabled"):
            raise ValueError(f"{self.name} has no effect {effect}")
        details = {key: resolve(value, values) for key, value in self.details.items() if key != "mutationInfo"}
        check_fields(details)
        return effect, details


def custom_mutation(written: Mapping[str, Any], content: str, slug: str, origin: str) -> CustomMutation:
    """Read one with the text of its mutators. Raises InvalidPolicy, and InvalidInput for a mutator that Gatekeeper refuses."""
    top = document.Reader(written, origin)
    properties = top.object("properties").only(document.PROPERTIES)
    then = properties.object("policyRule").only(("if", "then")).object("then").only(("effect", "details"))
    details = then.object("details").only(_DETAILS)
    parameters = {
        name: document.parameter_from(name, document.Reader(body, origin, f"properties.parameters.{name}"))
        for name, body in properties.mapping("parameters").items()
    }
    where = f"{origin}: properties.policyRule.then.details.mutationInfo"
    mutators = [one for one, _ in read_yaml(content, where) if one is not None]
    if not mutators or not all(isinstance(one, Mapping) for one in mutators):
        raise InvalidPolicy("has no mutator of Gatekeeper", where=where)
    for one in mutators:
        Mutator.read(one, where)
        check_match(one, where)
    metadata = document.Reader(properties.mapping("metadata"), origin, "properties.metadata")
    return CustomMutation(
        slug=slug, name=top.text("name", slug), version=str(metadata.any("version", properties.any("version", "1.0.0"))),
        written=written, mutators=mutators, effect=then.any("effect", "Mutate"),
        details={key: details.any(key) for key in _DETAILS if details.has(key)}, parameters=parameters, origin=origin,
    )  # fmt: skip


def folder_of(root: Path) -> Path:
    """Where a workspace has them, each in a folder of its own."""
    return root / MUTATIONS / "definitions"


def custom_mutations(root: Path) -> dict[str, CustomMutation]:
    """Those of a workspace, by slug. Raises InvalidPolicy and InvalidInput for one that is wrong."""
    found = {}
    for path in sorted(folder_of(root).glob("*/definition.json")):
        try:
            written = decode_held(read_file(path))
            content = written["properties"]["policyRule"]["then"]["details"]["mutationInfo"]["content"]
            text = base64.b64decode(content, validate=True).decode()
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InvalidInput("is no definition with mutationInfo.content in Base64", where=str(path)) from error
        found[path.parent.name] = custom_mutation(written, text, path.parent.name, str(path))
    return found
