"""An Azure Policy JSON document as a Definition."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aksp.errors import InvalidPolicy
from aksp.model.definition import MISSING, Definition, Parameter, ParameterType, RegoModule, ResourceKind

MODE = "Microsoft.Kubernetes.Data"
_OPTION = re.compile(r"--[A-Za-z0-9][-\w]*(?:/--[A-Za-z0-9][-\w]*)?")
SEVERITIES = ("low", "medium", "high", "critical")


class Reader:
    """Typed access to a JSON document; every complaint names file and field."""

    def __init__(self, value: Any, origin: str, path: str = "") -> None:
        self.origin = origin
        self.path = path
        if not isinstance(value, Mapping):
            raise self.wrong("an object", value)
        self._value = value

    def wrong(self, expected: str, got: Any, key: str = "") -> InvalidPolicy:
        field = ".".join(part for part in (self.path, key) if part) or "the document"
        return InvalidPolicy(f"{field} is {_kind(got)}, expected {expected}", where=self.origin)

    def object(self, key: str) -> Reader:
        field = ".".join(part for part in (self.path, key) if part)
        if key not in self._value:
            raise InvalidPolicy(f"{field} is missing", where=self.origin)
        return Reader(self._value[key], self.origin, field)

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self._value.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.wrong("an object", value, key)
        return value

    def text(self, key: str, default: str | None = None) -> str:
        value = self._value.get(key, default)
        if not isinstance(value, str):
            if value is None:
                field = ".".join(part for part in (self.path, key) if part)
                raise InvalidPolicy(f"{field} is missing", where=self.origin)
            raise self.wrong("a string", value, key)
        return value

    def array(self, key: str) -> Sequence[Any]:
        value = self._value.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.wrong("a list", value, key)
        return value

    def texts(self, key: str) -> Sequence[str]:
        value = self.array(key)
        if not all(isinstance(entry, str) for entry in value):
            raise self.wrong("a list of strings", value, key)
        return value

    def objects(self, key: str) -> Sequence[Reader]:
        field = ".".join(part for part in (self.path, key) if part)
        return [Reader(entry, self.origin, f"{field}[{at}]") for at, entry in enumerate(self.array(key))]

    def any(self, key: str, default: Any = None) -> Any:
        return self._value.get(key, default)

    def has(self, key: str) -> bool:
        return key in self._value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def definition_from(document: Any, *, slug: str, origin: str, modules: tuple[RegoModule, ...] = ()) -> Definition:
    """Read a definition; the Rego has been read by the caller. Raises InvalidPolicy."""
    top = Reader(document, origin)
    return definition_of(top.object("properties"), slug=slug, name=top.text("name", slug), modules=modules)


def definition_of(properties: Reader, *, slug: str, name: str, modules: tuple[RegoModule, ...] = ()) -> Definition:
    """Read a definition's ``properties``, wherever they stand. Raises InvalidPolicy."""
    origin, path = properties.origin, properties.path
    mode = properties.text("mode", MODE)
    if mode.lower() != MODE.lower():
        raise InvalidPolicy(f"{path}.mode is {mode!r}, expected {MODE}", where=origin)
    metadata = Reader(properties.mapping("metadata"), origin, f"{path}.metadata")
    severity = metadata.text("severity", "medium").lower()
    if severity not in SEVERITIES:
        raise InvalidPolicy(
            f"{path}.metadata.severity {severity!r} is not one of {', '.join(SEVERITIES)}", where=origin
        )
    then = properties.object("policyRule").object("then")
    details = then.object("details")
    parameters = {
        key: _parameter(key, Reader(body, origin, f"{path}.parameters.{key}"))
        for key, body in properties.mapping("parameters").items()
    }
    kinds = _kinds(details)
    if not kinds:
        raise InvalidPolicy(f"{details.path}.kinds names no kind", where=origin)
    return Definition(
        slug=slug,
        name=name,
        display_name=properties.text("displayName", slug),
        description=properties.text("description", ""),
        category=metadata.text("category", "Custom"),
        version=str(metadata.any("version", properties.any("version", "1.0.0"))),
        severity=severity,
        remediation=metadata.text("remediation", ""),
        azure_policy_id=metadata.text("azurePolicyId", "") or None,
        policy_type=properties.text("policyType", "Custom"),
        parameters=parameters,
        require_any_of=_groups(metadata, parameters),
        kinds=kinds,
        effect=then.any("effect", "[parameters('effect')]"),
        namespaces=details.any("namespaces", []),
        excluded_namespaces=details.any("excludedNamespaces", []),
        label_selector=details.any("labelSelector"),
        values=details.any("values", {}),
        modules=modules,
        requires_inventory=tuple(
            ResourceKind(group=entry.text("group", ""), kind=entry.text("kind"))
            for entry in metadata.objects("requiresInventory")
        ),
        origin=origin,
    )


def _kinds(details: Reader) -> tuple[ResourceKind, ...]:
    """``apiGroups`` × ``kinds``, or a Gatekeeper-like list of such pairs."""
    entries = details.array("kinds")
    pairs = details.objects("kinds") if any(isinstance(entry, Mapping) for entry in entries) else [details]
    return tuple(
        ResourceKind(group=group, kind=kind)
        for pair in pairs
        for group in (pair.texts("apiGroups") or ["*"])
        for kind in (pair.texts("kinds") or (["*"] if pair is not details else []))
    )


def _groups(metadata: Reader, parameters: Mapping[str, Parameter]) -> tuple[tuple[str, ...], ...]:
    """``requireAnyOf``: lists of names of parameters."""
    groups = []
    for names in metadata.array("requireAnyOf"):
        if not isinstance(names, list) or not names or not all(name in parameters for name in map(str, names)):
            raise InvalidPolicy(
                f"{metadata.path}.requireAnyOf has {names!r}, expected a list of names of parameters",
                where=metadata.origin,
            )
        groups.append(tuple(map(str, names)))
    return tuple(groups)


def _parameter(name: str, body: Reader) -> Parameter:
    metadata = Reader(body.mapping("metadata"), body.origin, f"{body.path}.metadata")
    written = body.text("type")
    kind = next((t for t in ParameterType if t.lower() == written.lower()), None)
    if kind is None:
        raise InvalidPolicy(f"{body.path}.type {written!r} is not one of {', '.join(ParameterType)}", where=body.origin)
    schema = body.any("schema")
    if schema is not None and not isinstance(schema, Mapping):
        raise body.wrong("an object", schema, "schema")
    option = metadata.text("option", "") or None
    if option and not _OPTION.fullmatch(option):
        raise InvalidPolicy(f"{metadata.path}.option {option!r} is not --NAME or --NAME/--OTHER", where=body.origin)
    return Parameter(
        name=name,
        type=kind,
        display_name=metadata.text("displayName", name),
        description=metadata.text("description", ""),
        default=body.any("defaultValue", MISSING) if body.has("defaultValue") else MISSING,
        allowed_values=tuple(body.array("allowedValues")),
        schema=schema,
        option=option,
        metavar=metadata.text("metavar", "") or None,
        format=metadata.text("format", "") or None,
    )
