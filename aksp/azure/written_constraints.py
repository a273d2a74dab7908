"""Definitions that bring their constraint as a text: ``constraint`` beside ``constraintTemplate``, and ``constraintInfo``.

Azure fills the placeholders ``{{ .Values.x }}`` of that text with the ``values`` of the details. Here its match becomes the fields of
the details that mean the same, and its parameters their values, with expressions in place of the placeholders.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from aksp.azure.documents import NotImported
from aksp.azure.templates import TemplateUrls
from aksp.catalog.document import Reader
from aksp.catalog.template import Template
from aksp.compliance.expressions import is_expression
from aksp.errors import InvalidInput
from aksp.model.fields import mapping
from aksp.yaml_reader import read_yaml

#: The fields of details that bring a constraint, or a template, as a text.
WRITTEN: Final = ("constraint", "constraintTemplate", "constraintInfo")
_MATCH: Final = (
    "kinds", "scope", "name", "namespaces", "excludedNamespaces", "labelSelector", "namespaceSelector", "source",
)  # fmt: skip
_PLACEHOLDER: Final = re.compile(r"\{\{-?\s*\.Values\.([\w-]+)\s*(?:\|\s*(?:toJson|toYaml|quote)\s*)?-?\}\}")
#: Marks a placeholder while its text is read as YAML. No document contains it.
_MARK: Final = "\ue000"


class Generated(Struct, frozen=True, kw_only=True):
    """Details that mean the same as a constraint, the constraint's kind, and the JSON path at which it was."""

    details: Mapping[str, Any]
    kind: str
    path: str

    def check_kind(self, template: Template, where: str) -> None:
        """Raise NotImported for a constraint of another template's kind, by which Gatekeeper would judge otherwise."""
        if self.kind != template.kind:
            raise NotImported(
                f"{where}: {self.path}: the kind of its constraint is {self.kind or 'missing'}, and that of its template "
                f"(spec.crd.spec.names.kind) is {template.kind or 'missing'}: both must say the same"
            )


def generated(details: Mapping[str, Any], urls: TemplateUrls, where: str) -> Generated:
    """The details that replace details with a constraint. Raises NotImported, and InvalidPolicy for what is wrong."""
    reader = Reader(details, where, "properties.policyRule.then.details")
    if details.get("constraint") is not None and details.get("constraintInfo") is not None:
        raise NotImported("it has both constraint and constraintInfo")
    if details.get("constraintTemplate") is not None:
        if details.get("templateInfo") is not None:
            raise NotImported("it has both constraintTemplate and templateInfo")
        if details.get("constraint") is None:
            raise NotImported("it has constraintTemplate, and no constraint")
        info = {"sourceType": "PublicURL", "url": reader.text("constraintTemplate")}
        text = urls.text(reader.text("constraint"), "constraint")
    elif details.get("constraint") is not None:
        raise NotImported("it has a constraint, and no constraintTemplate")
    else:
        info = dict(reader.mapping("templateInfo"))
        text = text_of(reader.object("constraintInfo"), urls, "constraint")
    others = [key for key in details if key not in (*WRITTEN, "templateInfo", "values", "warn", "source")]
    if others:
        raise NotImported(f"it brings a constraint of its own, and {others[0]} beside it")
    beside = {key: details[key] for key in ("warn", "source") if key in details}
    kind, made = _of_constraint(text, reader.mapping("values"), where)
    path = f"{reader.path}.{'constraint' if details.get('constraint') is not None else 'constraintInfo'}"
    return Generated(details={"templateInfo": info, **made, **beside}, kind=kind, path=path)


def text_of(info: Reader, urls: TemplateUrls, what: str) -> str:
    """The text of a ``…Info``: in it as Base64, or at its URL. Raises NotImported."""
    match info.text("sourceType"):
        case "Base64Encoded":
            try:
                return base64.b64decode(info.text("content"), validate=True).decode()
            except ValueError as error:
                raise NotImported(f"{info.path}.content is no Base64 of a text") from error
        case "PublicURL":
            return urls.text(info.text("url"), what)
        case other:
            raise NotImported(f"its sourceType {other} is not known")


def _of_constraint(text: str, values: Mapping[str, Any], where: str) -> tuple[str, dict[str, Any]]:
    """The kind of a constraint, and what it says in the words of details."""
    text = _PLACEHOLDER.sub(rf"{_MARK}\1{_MARK}", text)
    if "{{" in text:
        raise NotImported("its constraint has a placeholder that is none of the form {{ .Values.NAME }}")
    try:
        documents = [one for one, _ in read_yaml(text, f"{where}: its constraint") if one is not None]
    except InvalidInput as error:
        raise NotImported(f"its constraint is no YAML: {error.what}") from error
    if len(documents) != 1 or not str(mapping(documents[0]).get("apiVersion")).startswith("constraints.gatekeeper.sh/"):
        raise NotImported("its constraint is not one document of constraints.gatekeeper.sh")
    spec = _filled(mapping(documents[0]).get("spec") or {}, values)
    if not isinstance(spec, Mapping):
        raise NotImported("spec of its constraint is no mapping")
    match = spec.get("match") or {}
    if not isinstance(match, Mapping):
        raise NotImported("spec.match of its constraint is no mapping")
    known = ("enforcementAction", "match", "parameters")
    unknown = [f"spec.{key}" for key in spec if key not in known] + [
        f"spec.match.{k}" for k in match if k not in _MATCH
    ]
    if unknown:
        raise NotImported(f"{unknown[0]} of its constraint is not known")
    # The effect decides what follows from a violation, not the text.
    made = {key: match[key] for key in _MATCH if match.get(key) not in (None, "", [], {})}
    kinds = made.get("kinds")
    if kinds is None:
        made["kinds"] = [{"apiGroups": ["*"], "kinds": ["*"]}]
    elif isinstance(kinds, list) and len(kinds) == 1 and isinstance(kinds[0], Mapping):
        made |= {key: kinds[0].get(key) or ["*"] for key in ("apiGroups", "kinds")}
    kind = _filled(mapping(documents[0]).get("kind") or "", values)
    return str(kind), {**made, "values": spec.get("parameters") or {}}


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    """A value with expressions in place of placeholders. A text in it that looks like an expression is escaped."""
    if isinstance(value, Mapping):
        if any(_MARK in str(key) for key in value):
            raise NotImported("its constraint has a placeholder in the name of a field")
        return {str(key): _filled(one, values) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, values) for one in value]
    if not isinstance(value, str):
        return value
    if _MARK not in value:
        return f"[{value}" if is_expression(value) or value.startswith("[[") else value
    name = value.strip(_MARK)
    if value != f"{_MARK}{name}{_MARK}" or _MARK in name:
        raise NotImported("its constraint has a placeholder within a text")
    if name not in values:
        raise NotImported(f"its constraint asks for .Values.{name}, which its values have not")
    return values[name]


def kept_details(written: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of details that were made again, for the export."""
    return {"written": dict(written), "sha256": _digest(made)}


def as_they_came(details: Mapping[str, Any], kept: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Details as Azure had them, where they are still those that were made of them; else None."""
    written = kept.get("written")
    return written if isinstance(written, Mapping) and kept.get("sha256") == _digest(details) else None


def _digest(details: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(details, sort_keys=True).encode()).hexdigest()
