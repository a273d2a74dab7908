"""Azure's assignments and exemptions as documents of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from aksp.azure.documents import AzureDocument, NotImported, without_nulls
from aksp.azure.expressions import UNKNOWN_SCOPE
from aksp.azure.kept import KeptOfAzure, split
from aksp.errors import InvalidInput
from aksp.model.assignment import API_VERSION, Assignment, EnforcementMode, Exemption, SelectorKind
from aksp.model.scope import Scope
from aksp.store.documents import assignment_from, exemption_from

Document = TypeVar("Document", Assignment, Exemption)

#: What only Azure itself writes into an assignment or an exemption.
_WRITTEN_BY_AZURE: Final = ("latestDefinitionVersion", "effectiveDefinitionVersion", "instanceId")
#: What concerns Azure alone.
_OF_AZURE: Final = ("assignmentType", "sku", "identity", "location", "selfServeExemptionSettings")
_ASSIGNED: Final = (
    "displayName", "description", "parameters", "enforcementMode", "nonComplianceMessages", "overrides", "resourceSelectors",
    "metadata",
)  # fmt: skip
#: The lists of an assignment, and what their entries may have.
_ENTRIES: Final = {
    "nonComplianceMessages": ("message", "policyDefinitionReferenceId"), "overrides": ("kind", "value", "selectors"),
}  # fmt: skip
_EXEMPT: Final = (
    "policyDefinitionReferenceIds", "exemptionCategory", "expiresOn", "displayName", "description", "metadata",
    "resourceSelectors",
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
    """An assignment whose scope is everything; the caller sets its scopes. Raises InvalidInput for a wrong one, and NotImported."""
    others: dict[str, Any] = {}
    spec = split(one.properties, (*_ASSIGNED, *_WRITTEN_BY_AZURE, "policyDefinitionId", "notScopes"), "", others)
    spec = {key: value for key, value in spec.items() if key in _ASSIGNED}
    spec["policyDefinitionId"] = definition_id
    mode = spec.get("enforcementMode")
    if isinstance(mode, str):
        found = next((each for each in EnforcementMode if each.lower() == mode.lower()), None)
        if found is None:
            raise NotImported(f"its enforcementMode {mode!r} is not known")
        spec["enforcementMode"] = found.value
    for key, known in _ENTRIES.items():
        if not isinstance(spec.get(key), list):
            continue
        given, spec[key] = spec[key], []
        for at, entry in enumerate(map(_plain, given)):
            if (why := _no_meaning(entry, known)) is None:
                spec[key].append(entry)
            else:
                lost.append(f"{one}: {key}[{at}] {why}: kept for the export, and without meaning here")
                others[f"/{key}/{at}"] = entry
    _check_selectors(spec, "it would judge more")
    _with_metadata(spec, one, str(one.properties.get("policyDefinitionId")), others)
    _tell_unknown(one, others, ("definitionVersion",), lost)
    return _read(assignment_from, "PolicyAssignment", spec, one)


def exemption_of(one: AzureDocument, lost: list[str]) -> Exemption:
    """An exemption without assignment whose scope is everything; the caller sets both. Raises as for an assignment."""
    others: dict[str, Any] = {}
    spec = split(one.properties, (*_EXEMPT, *_WRITTEN_BY_AZURE, "policyAssignmentId"), "", others)
    spec = {key: value for key, value in spec.items() if key in (*_EXEMPT, "policyAssignmentId")}
    _check_selectors(spec, "it would waive more")
    _with_metadata(spec, one, str(one.properties.get("policyAssignmentId")), others)
    _tell_unknown(one, others, ("assignmentScopeValidation",), lost)
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


def _no_meaning(entry: Any, known: tuple[str, ...]) -> str | None:
    """Why an entry of a list has no meaning here; None where it has one. The reader tells what is wrong with it."""
    if not isinstance(entry, Mapping):
        return None
    if (unknown := next((key for key in entry if key not in known), None)) is not None:
        return f"has {unknown}, which is not known"
    if entry.get("kind") == "policyVersion":
        return "is of kind policyVersion, and each definition is there in one version"
    return None


def _check_selectors(spec: dict[str, Any], without: str) -> None:
    """Leave nulls out of the resourceSelectors. Raises NotImported for a kind that is not known."""
    if isinstance(spec.get("resourceSelectors"), list):
        spec["resourceSelectors"] = [_plain(entry) for entry in spec["resourceSelectors"]]
        for kind in _kinds(spec["resourceSelectors"]):
            if kind not in tuple(SelectorKind):
                raise NotImported(f"its resourceSelectors are of kind {kind}, and without it {without}")


def _kinds(selectors: Sequence[Any]) -> list[str]:
    """The kinds of conditions in resourceSelectors, as far as they can be read."""
    conditions = [each.get("selectors") for each in selectors if isinstance(each, Mapping)]
    listed = [one for each in conditions if isinstance(each, list) for one in each if isinstance(one, Mapping)]
    return [kind for one in listed if isinstance(kind := one.get("kind"), str)]


def _with_metadata(spec: dict[str, Any], one: AzureDocument, about: str, others: Mapping[str, Any]) -> None:
    """Keep in the metadata what has no field of its own."""
    metadata = spec.get("metadata", {})
    if isinstance(metadata, Mapping):
        known = "" if about.startswith(UNKNOWN_SCOPE) else about
        kept = KeptOfAzure(name=one.name, scope=one.scope, refersTo=known, beside=one.beside, fields=others)
        spec["metadata"] = kept.in_metadata(metadata)


def _tell_unknown(one: AzureDocument, others: Mapping[str, Any], known: tuple[str, ...], lost: list[str]) -> None:
    unknown = (name for pointer in others if "/" not in (name := pointer[1:]) and name not in (*known, *_OF_AZURE))
    lost += [f"{one}: {name} is not known: kept for the export, and without meaning here" for name in unknown]
