"""A constraint as an assignment: its match and its parameters as values, and what follows from a violation as effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from aksp.errors import InvalidInput
from aksp.gatekeeper.defaults import defaulted
from aksp.gatekeeper.documents import Written
from aksp.gatekeeper.imported_definition import MATCH, WHOLE, ImportedDefinition
from aksp.gatekeeper.names import OURS
from aksp.model.assignment import NAME, Assignment
from aksp.model.azure_ids import ADDON_ASSIGNMENT
from aksp.model.effect import Effect
from aksp.model.fields import mappings
from aksp.model.scope import Scope

_SPEC: Final = ("enforcementAction", "scopedEnforcementActions", "match", "parameters")
#: Where Gatekeeper enforces: its webhook, its audit, and ValidatingAdmissionPolicies.
_WEBHOOK, _AUDIT, _VAP = "validation.gatekeeper.sh", "audit.gatekeeper.sh", "vap.k8s.io"
#: Azure's add-on writes them on its constraints, and ours when they are exported.
_KEPT: Final = ("azure-policy-", "constraint-installed-by", OURS)


class ImportedAssignment(Struct, frozen=True, kw_only=True):
    """An assignment, and what it does not say of the constraint."""

    assignment: Assignment
    lost: Sequence[str] = ()


def imported_assignment(
    written: Written,
    definition: ImportedDefinition,
    *,
    name: str,
    scope: Scope,
    excluded: Sequence[str] = (),
    expanded: bool = False,
) -> ImportedAssignment:
    """Read a constraint of a template. Raises InvalidInput for one that is wrong.

    ``excluded`` are namespaces that Gatekeeper's Config leaves out of everything; ``expanded`` says whether it judges Pods
    of templates.
    """
    if not NAME.fullmatch(name):
        raise InvalidInput(
            f"metadata.name is {name!r}, expected lower-case letters, digits, - and .", where=written.origin
        )
    spec = _mapping(written, "spec", written.document.get("spec") or {})
    lost = [f"spec.{key} is not known" for key in spec if key not in _SPEC]
    match = _mapping(written, "spec.match", spec.get("match") or {})
    lost += [f"spec.match.{key} is not known" for key in match if key not in MATCH]
    given = {key: match[key] for key in MATCH if match.get(key) not in (None, "", [], {})}
    if _unnamed(given.get("kinds")):
        lost.append("spec.match.kinds does not name all its groups and kinds, which a scan of a cluster asks for")
    if expanded and given.get("source") is None:
        given["source"] = "All"
    elif given.get("source") == "All" and not expanded:
        del given["source"]  # without an ExpansionTemplate only Pods that are really created are judged
    if excluded:
        given["excludedNamespaces"] = list(dict.fromkeys([*given.get("excludedNamespaces", ()), *excluded]))
    effect, told, why = _effect(written, spec)
    lost += why
    values: dict[str, Any] = {"effect": effect.value, **({} if told else {"warn": False}), **given}
    values |= _parameters(definition, _mapping(written, "spec.parameters", spec.get("parameters") or {}), lost)
    notes = written.annotations
    return ImportedAssignment(
        assignment=Assignment(
            name=name,
            definition_id=definition.slug,
            scope=scope,
            display_name=notes.get(f"{OURS}display-name", "") or notes.get(ADDON_ASSIGNMENT, "").rpartition("/")[2],
            description=notes.get(f"{OURS}description", ""),
            parameters=values,
            non_compliance_message=notes.get(f"{OURS}non-compliance-message", ""),
            metadata={
                "constraint": f"{definition.kind}/{written.name}",
                **{key: text for key, text in notes.items() if key.startswith(_KEPT)},
            },
        ),
        lost=lost,
    )


def _unnamed(kinds: Any) -> bool:
    """Whether kinds are meant that are not named, so that their objects cannot be listed."""
    entries = kinds if isinstance(kinds, list) else [{}]
    return any(
        not isinstance(entry.get(key), list) or not entry[key] or "*" in entry[key]
        for entry in entries
        if isinstance(entry, Mapping)
        for key in ("apiGroups", "kinds")
    )


def _mapping(written: Written, field: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput(
            f"{written.document.get('kind')} {written.name}: {field} is no mapping", where=written.origin
        )
    return value


def _parameters(definition: ImportedDefinition, given: Mapping[str, Any], lost: list[str]) -> dict[str, Any]:
    """What a constraint gives its template, by the names that the definition has for it."""
    if definition.parameters is None:
        return {WHOLE: defaulted(definition.schema, given)} if given else {}
    found = {}
    for name, value in given.items():
        if name in definition.parameters:
            schema = definition.schema["properties"][name]
            if value is not None:
                found[definition.parameters[name]] = defaulted(schema, value)
        else:
            lost.append(f"spec.parameters.{name} is not in the template's schema, so the API server drops it, too")
    return found


def _effect(written: Written, spec: Mapping[str, Any]) -> tuple[Effect, bool, list[str]]:
    """The effect, whether the user is warned of a violation, and what is different."""
    action = spec.get("enforcementAction") or "deny"
    if action != "scoped":
        if action not in ("deny", "warn", "dryrun"):
            return Effect.AUDIT, False, [f"enforcementAction {action!r} is not known: reported, not refused"]
        return _of_actions([action])[0], action != "dryrun", []
    at: dict[str, list[str]] = {_WEBHOOK: [], _AUDIT: [], _VAP: []}
    for entry in mappings(spec.get("scopedEnforcementActions")):
        for point in mappings(entry.get("enforcementPoints")):
            name = point.get("name")
            for known, actions in at.items():
                if name in ("*", known):
                    actions.append(str(entry.get("action")))
    effect, lost = _of_actions(at[_WEBHOOK])
    if not at[_WEBHOOK] and not at[_AUDIT]:
        where = "a ValidatingAdmissionPolicy" if at[_VAP] else "neither webhook nor audit"
        return Effect.DISABLED, False, [f"it is enforced by {where} alone: not evaluated"]
    if at[_WEBHOOK] and not at[_AUDIT]:
        lost.append("Gatekeeper does not audit it, and aksp reports what violates in scans, too")
    return effect, effect is not Effect.AUDIT, lost


def _of_actions(actions: Sequence[str]) -> tuple[Effect, list[str]]:
    """The effect of several actions at admission: the strictest."""
    unknown = sorted(set(actions) - {"deny", "warn", "dryrun"})
    lost = [f"enforcement action {one!r} is not known" for one in unknown]
    if "deny" in actions:
        return Effect.DENY, lost
    return (Effect.WARN if "warn" in actions else Effect.AUDIT), lost
