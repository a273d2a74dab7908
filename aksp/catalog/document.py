"""An Azure Policy JSON document as a Definition."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aksp.catalog.template import Template
from aksp.compliance.expressions import is_expression
from aksp.compliance.parameters import nearest
from aksp.compliance.plan import check_fixed
from aksp.errors import InvalidPolicy
from aksp.model.azure_ids import id_at_azure
from aksp.model.definition import (
    MISSING,
    SEVERITIES,
    AzureDefinition,
    Definition,
    Parameter,
    ParameterType,
    ResourceKind,
)

MODE = "Microsoft.Kubernetes.Data"
_OPTION = re.compile(r"--[A-Za-z0-9][-\w]*(?:/--[A-Za-z0-9][-\w]*)?")

#: What an object of the document may have (Azure: "Azure Policy definition structure"; notes on details: "policyRule.then.details").
PROPERTIES = (
    "displayName", "description", "policyType", "mode", "version", "versions", "metadata", "parameters", "policyRule",
)  # fmt: skip
_DETAILS = (
    "templateInfo", "apiGroups", "kinds", "scope", "name", "namespaces", "excludedNamespaces", "labelSelector",
    "namespaceSelector", "source", "warn", "values",
)  # fmt: skip
_TEMPLATE_INFO = ("sourceType", "path", "content", "url")
PARAMETER = ("type", "metadata", "defaultValue", "allowedValues", "schema")
#: Azure's keys that have no effect here. A document with one is refused: without the key it is another rule.
_REFUSED = {
    "constraintInfo": "write what its match has as apiGroups, kinds, namespaces, … and its parameters as values",
    "constraint": "write what its match has as apiGroups, kinds, namespaces, … and its parameters as values",
    "constraintTemplate": "name the template in templateInfo",
    "mutationInfo": "aksp judges and does not mutate",
}


class Reader:
    """Typed access to a JSON document; every complaint names file and field."""

    def __init__(self, value: Any, origin: str, path: str = "") -> None:
        self.origin = origin
        self.path = path
        if not isinstance(value, Mapping):
            raise self.wrong("an object", value)
        self._value = value

    def wrong(self, expected: str, got: Any, key: str = "") -> InvalidPolicy:
        field = self._field(key) or "the document"
        return InvalidPolicy(f"{field} is {_kind(got)}, expected {expected}", where=self.origin)

    def _field(self, key: str) -> str:
        return ".".join(part for part in (self.path, key) if part)

    def object(self, key: str) -> Reader:
        if key not in self._value:
            raise InvalidPolicy(f"{self._field(key)} is missing", where=self.origin)
        return Reader(self._value[key], self.origin, self._field(key))

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self._value.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.wrong("an object", value, key)
        return value

    def text(self, key: str, default: str | None = None) -> str:
        value = self._value.get(key, default)
        if value is None:
            raise InvalidPolicy(f"{self._field(key)} is missing", where=self.origin)
        if not isinstance(value, str):
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
        field = self._field(key)
        return [Reader(entry, self.origin, f"{field}[{at}]") for at, entry in enumerate(self.array(key))]

    def only(self, known: Sequence[str], refused: Mapping[str, str] | None = None) -> Reader:
        """This reader. Raises InvalidPolicy for a key that is not known, since it would have no effect."""
        for key in map(str, self._value):
            field = self._field(key)
            if refused and key in refused:
                raise InvalidPolicy(f"{field} is not supported", where=self.origin, hint=refused[key])
            if key not in known:
                raise InvalidPolicy(f"{field} is not known", where=self.origin, hint=nearest(key, known))
        return self

    def any(self, key: str, default: Any = None) -> Any:
        return self._value.get(key, default)

    def has(self, key: str) -> bool:
        return key in self._value


def details_of(document: Any, origin: str) -> Reader:
    """The details of a definition's rule. Raises InvalidPolicy."""
    found = Reader(document, origin)
    for key in ("properties", "policyRule", "then", "details"):
        found = found.object(key)
    return found


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def definition_from(document: Any, *, slug: str, origin: str, template: Template | None = None) -> Definition:
    """Read a definition; the Rego has been read by the caller. Raises InvalidPolicy."""
    top = Reader(document, origin)
    return definition_of(
        top.object("properties").only(PROPERTIES), slug=slug, name=top.text("name", slug), template=template
    )


def definition_of(properties: Reader, *, slug: str, name: str, template: Template | None = None) -> Definition:
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
    then = properties.object("policyRule").only(("if", "then")).object("then").only(("effect", "details"))
    details = then.object("details").only(_DETAILS, _REFUSED)
    details.object("templateInfo").only(_TEMPLATE_INFO)
    parameters = {
        key: parameter_from(key, Reader(body, origin, f"{path}.parameters.{key}"))
        for key, body in properties.mapping("parameters").items()
    }
    kinds = _kinds(details)
    if not kinds:
        raise InvalidPolicy(f"{details.path}.kinds names no kind", where=origin)
    definition = Definition(
        slug=slug,
        name=name,
        display_name=properties.text("displayName", slug),
        description=properties.text("description", ""),
        category=metadata.text("category", "Custom"),
        version=str(metadata.any("version", properties.any("version", "1.0.0"))),
        severity=severity,
        remediation=metadata.text("remediation", ""),
        azure_policy_id=metadata.text("azurePolicyId", "") or None,
        azure=_azure(metadata),
        standards=tuple(metadata.texts("standards")),
        policy_type=properties.text("policyType", "Custom"),
        parameters=parameters,
        require_any_of=_groups(metadata, parameters),
        kinds=kinds,
        effect=then.any("effect", "[parameters('effect')]"),
        object_scope=details.any("scope"),
        object_name=details.any("name"),
        namespaces=details.any("namespaces", []),
        excluded_namespaces=details.any("excludedNamespaces", []),
        label_selector=details.any("labelSelector"),
        namespace_selector=details.any("namespaceSelector"),
        source=details.any("source"),
        warn=details.any("warn"),
        values=details.any("values", {}),
        modules=template.modules if template else (),
        requires_inventory=_compared(metadata, template.requires_inventory if template else ()),
        values_schema=template.values_schema if template else None,
        arm_id=id_at_azure(properties.mapping("metadata"), "policyDefinitions"),
        origin=origin,
    )
    try:
        check_fixed(definition)
    except ValueError as error:
        raise InvalidPolicy(str(error), where=origin) from error
    return definition


def _kinds(details: Reader) -> tuple[ResourceKind, ...]:
    """``apiGroups`` × ``kinds``, or a Gatekeeper-like list of such pairs; expressions as they are written."""
    entries = details.any("kinds")
    paired = isinstance(entries, list) and any(isinstance(entry, Mapping) for entry in entries)
    pairs = [pair.only(("apiGroups", "kinds")) for pair in details.objects("kinds")] if paired else [details]
    return tuple(
        ResourceKind(group=group, kind=kind)
        for pair in pairs
        for group in (_listed(pair, "apiGroups") or ["*"])
        for kind in (_listed(pair, "kinds") or (["*"] if pair is not details else []))
    )


def _listed(pair: Reader, key: str) -> Sequence[str]:
    """A list of names, or an expression that stands for one."""
    value = pair.any(key)
    return [value] if isinstance(value, str) and is_expression(value) else pair.texts(key)


def _compared(metadata: Reader, of_template: Sequence[ResourceKind]) -> tuple[ResourceKind, ...]:
    own = (
        ResourceKind(group=entry.text("group", ""), kind=entry.text("kind"))
        for entry in metadata.objects("requiresInventory")
    )
    return tuple(dict.fromkeys([*own, *of_template]))


def _azure(metadata: Reader) -> tuple[AzureDefinition, ...]:
    return tuple(
        AzureDefinition(
            id=entry.text("id"),
            name=entry.text("name"),
            versions=tuple(entry.texts("versions")),
            parameters=dict(entry.mapping("parameters")),
            differences=tuple(entry.texts("differences")),
        )
        for entry in metadata.objects("azureDefinitions")
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


def parameter_from(name: str, body: Reader) -> Parameter:
    """Read one parameter of a definition or an initiative. Raises InvalidPolicy."""
    metadata = Reader(body.only(PARAMETER).mapping("metadata"), body.origin, f"{body.path}.metadata")
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
    optional = metadata.any("optional", False)
    if not isinstance(optional, bool):
        raise metadata.wrong("a boolean", optional, "optional")
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
        optional=optional,
    )
