"""Azure's assignments and exemptions as documents of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from aksp.azure.definitions import NotImported
from aksp.azure.documents import AzureDocument, without_nulls
from aksp.errors import InvalidInput
from aksp.model.assignment import API_VERSION, Assignment, EnforcementMode, Exemption, SelectorKind
from aksp.model.scope import Scope
from aksp.store.documents import assignment_from, exemption_from

Document = TypeVar("Document", Assignment, Exemption)

#: What Azure writes into an assignment or an exemption, and what concerns Azure alone.
_OF_AZURE: Final = (
    "latestDefinitionVersion", "effectiveDefinitionVersion", "instanceId", "assignmentType", "sku", "identity", "location",
)  # fmt: skip
_KEPT: Final = (
    "displayName", "description", "parameters", "enforcementMode", "nonComplianceMessages", "overrides",
    "resourceSelectors", "metadata",
)  # fmt: skip
_EXEMPT: Final = (
    "policyDefinitionReferenceIds", "exemptionCategory", "expiresOn", "displayName", "description", "metadata",
)  # fmt: skip


def arm_scope(text: Any, where: str, path: str) -> Scope:
    """Read a scope. Raises InvalidInput with the JSON path."""
    if not isinstance(text, str):
        raise InvalidInput(f"{path} is no text", where=where)
    try:
        return Scope.parse(text)
    except ValueError as error:
        raise InvalidInput(f"{path}: {error}", where=where) from error


def left_out(one: AzureDocument) -> list[Scope]:
    """The notScopes of an assignment."""
    value = one.properties.get("notScopes", [])
    if not isinstance(value, list):
        raise InvalidInput("properties.notScopes is no list", where=one.where)
    return [arm_scope(entry, one.where, f"properties.notScopes[{at}]") for at, entry in enumerate(value)]


def assignment_of(one: AzureDocument, definition_id: str, lost: list[str]) -> Assignment:
    """An assignment at everything; its scopes are the caller's. Raises InvalidInput for one that is wrong, and NotImported."""
    spec = {key: value for key, value in one.properties.items() if key in _KEPT}
    spec["policyDefinitionId"] = definition_id
    mode = spec.get("enforcementMode")
    if isinstance(mode, str):
        found = next((each for each in EnforcementMode if each.lower() == mode.lower()), None)
        if found is None:
            raise NotImported(f"its enforcementMode {mode!r} is not known")
        spec["enforcementMode"] = found.value
    for key in ("nonComplianceMessages", "overrides"):
        if isinstance(spec.get(key), list):
            spec[key] = [_plain(entry) for entry in spec[key]]
    if isinstance(spec.get("overrides"), list):
        spec["overrides"] = [
            override
            for at, override in enumerate(spec["overrides"])
            if _can_be(override, f"overrides[{at}]", one, lost)
        ]
    if isinstance(spec.get("resourceSelectors"), list):
        spec["resourceSelectors"] = [_plain(entry) for entry in spec["resourceSelectors"]]
        for kind in _kinds(spec["resourceSelectors"]):
            if kind not in tuple(SelectorKind):
                raise NotImported(f"its resourceSelectors are of kind {kind}, and without it it would judge more")
    _with_metadata(spec, one, ("definitionVersion",))
    _tell_unknown(one, (*_KEPT, "policyDefinitionId", "notScopes", "definitionVersion"), lost)
    return _read(assignment_from, "PolicyAssignment", spec, one)


def exemption_of(one: AzureDocument, lost: list[str]) -> Exemption:
    """An exemption of no assignment, at everything: both are the caller's. Raises as for an assignment."""
    if one.properties.get("resourceSelectors"):
        raise NotImported("it has resourceSelectors, without which it would waive more")
    spec = {key: value for key, value in one.properties.items() if key in _EXEMPT}
    spec["policyAssignmentId"] = one.properties.get("policyAssignmentId")
    _with_metadata(spec, one, ("assignmentScopeValidation",))
    _tell_unknown(one, (*_EXEMPT, "policyAssignmentId", "assignmentScopeValidation", "resourceSelectors"), lost)
    return _read(exemption_from, "PolicyExemption", spec, one)


def _read(reader: Callable[[Any, str], Document], kind: str, spec: Mapping[str, Any], one: AzureDocument) -> Document:
    """A document by the workspace's own reader; what it calls spec are Azure's properties."""
    document = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "unnamed"}, "spec": spec}
    try:
        return reader(document, one.where)
    except InvalidInput as error:
        raise InvalidInput(error.what.replace("spec.", "properties."), where=one.where, hint=error.hint) from error


def _plain(entry: Any) -> Any:
    """An entry without nulls, and its selectors too."""
    if not isinstance(entry, Mapping):
        return entry
    kept = without_nulls(entry)
    if isinstance(selectors := kept.get("selectors"), list):
        kept["selectors"] = [without_nulls(each) if isinstance(each, Mapping) else each for each in selectors]
    return kept


def _kinds(selectors: Sequence[Any]) -> list[str]:
    """The kinds of conditions in resourceSelectors, as far as they can be read."""
    conditions = [each.get("selectors") for each in selectors if isinstance(each, Mapping)]
    listed = [one for each in conditions if isinstance(each, list) for one in each if isinstance(one, Mapping)]
    return [kind for one in listed if isinstance(kind := one.get("kind"), str)]


def _can_be(override: Any, path: str, one: AzureDocument, lost: list[str]) -> bool:
    """Whether an override means something here; else it is told. What is wrong is the reader's to tell."""
    if not isinstance(override, Mapping):
        return True
    if override.get("kind") != "policyVersion":
        return True
    lost.append(f"{one}: {path} is of kind policyVersion, and each definition is there in one version: left out")
    return False


def _with_metadata(spec: dict[str, Any], one: AzureDocument, keys: tuple[str, ...]) -> None:
    """Keep in the metadata what has no field of its own."""
    kept = {key: one.properties[key] for key in keys if one.properties.get(key)}
    metadata = spec.get("metadata", {})
    if kept and isinstance(metadata, Mapping):
        spec["metadata"] = {**metadata, **kept}


def _tell_unknown(one: AzureDocument, known: tuple[str, ...], lost: list[str]) -> None:
    lost += [f"{one}: {key} is not known, and left out" for key in one.properties if key not in (*known, *_OF_AZURE)]
