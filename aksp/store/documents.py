"""Assignments and exemptions as YAML documents, the same in a workspace and in a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aksp.model.assignment import (
    API_VERSION,
    Assignment,
    EffectOverride,
    EnforcementMode,
    ExemptedResource,
    Exemption,
    ExemptionCategory,
    ResourceSelector,
    SelectorCondition,
    SelectorKind,
)
from aksp.model.scope_tree import PlacedScope
from aksp.model.times import rfc3339
from aksp.store.fields import SpecFields, WrongField, name_and_spec

ASSIGNMENT_FIELDS = (
    "policyDefinitionId", "displayName", "description", "scope", "notScopes", "parameters", "enforcementMode",
    "nonComplianceMessages", "overrides", "resourceSelectors", "metadata",
)  # fmt: skip
EXEMPTION_FIELDS = (
    "policyAssignmentId", "policyDefinitionReferenceIds", "exemptionCategory", "expiresOn", "displayName",
    "description", "metadata", "scope", "resourceSelectors", "resources",
)  # fmt: skip
RESOURCE_FIELDS = ("namespace", "kind", "name", "container", "image")
MESSAGE_FIELDS = ("message", "policyDefinitionReferenceId")
OVERRIDE_FIELDS = ("kind", "value", "selectors")
SELECTOR_FIELDS = ("kind", "in", "notIn")
RESOURCE_SELECTOR_FIELDS = ("name", "selectors")
#: The kinds of Azure's overrides and of their selectors that mean something here.
_OVERRIDE = "policyEffect"
_SELECTOR = "policyDefinitionReferenceId"
#: Azure's limits: resourceSelectors of an assignment, and values of a condition.
_MOST_SELECTORS, _MOST_VALUES = 10, 50
#: The only value of resourceWithoutLocation.
_SUBSCRIPTION_LEVEL = "subscriptionLevelResources"


#: What the kinds of documents are called in messages.
WORDS = {
    "PolicyDefinition": "definition",
    "PolicyExemption": "exemption",
    "PolicyAssignment": "assignment",
    "PolicyScope": "scope",
}


def assignment_from(document: Any, origin: str) -> Assignment:
    """Read a PolicyAssignment. Raises InvalidInput that names the field."""
    name, spec = name_and_spec(document, origin, "PolicyAssignment")
    fields = SpecFields(spec, origin, "spec", ASSIGNMENT_FIELDS)
    parameters: dict[str, Any] = {}
    for key, entry in fields.mapping("parameters").items():
        if not isinstance(entry, Mapping) or set(entry) != {"value"}:
            field = f"spec.parameters.{key}"
            raise WrongField(f"{field} is {entry!r}, expected {{value: …}}", field=field, where=origin)
        parameters[str(key)] = entry["value"]
    mode = fields.text("enforcementMode") or EnforcementMode.DEFAULT.value
    if mode not in tuple(EnforcementMode):
        raise fields.wrong("enforcementMode", " or ".join(EnforcementMode), mode)
    messages: dict[str, str] = {}
    for at, entry in enumerate(fields.array("nonComplianceMessages")):
        one = SpecFields(entry, origin, f"spec.nonComplianceMessages[{at}]", MESSAGE_FIELDS)
        messages[one.text("policyDefinitionReferenceId")] = one.text("message", required=True)
    return Assignment(
        name=name,
        definition_id=fields.text("policyDefinitionId", required=True),
        scope=fields.scope("scope"),
        display_name=fields.text("displayName"),
        description=fields.text("description"),
        not_scopes=fields.scopes("notScopes"),
        parameters=parameters,
        enforcement_mode=EnforcementMode(mode),
        non_compliance_message=messages.pop("", ""),
        member_messages=messages,
        overrides=_overrides(fields),
        resource_selectors=_resource_selectors(fields),
        metadata=fields.mapping("metadata"),
        origin=origin,
    )


def assignment_document(assignment: Assignment) -> dict[str, Any]:
    """An assignment as the document that assignment_from reads."""
    messages = [{"message": assignment.non_compliance_message}] if assignment.non_compliance_message else []
    messages += [
        {"message": text, "policyDefinitionReferenceId": reference}
        for reference, text in assignment.member_messages.items()
    ]
    return _document(
        "PolicyAssignment",
        assignment.name,
        policyDefinitionId=assignment.definition_id,
        displayName=assignment.display_name,
        description=assignment.description,
        scope=str(assignment.scope),
        notScopes=[str(scope) for scope in assignment.not_scopes],
        enforcementMode=assignment.enforcement_mode.value,
        parameters={name: {"value": value} for name, value in assignment.parameters.items()},
        nonComplianceMessages=messages,
        overrides=[_override_document(one) for one in assignment.overrides],
        resourceSelectors=_selector_documents(assignment.resource_selectors),
        metadata=dict(assignment.metadata),
    )


def _document(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    """A document without the fields that are empty."""
    given = {key: value for key, value in spec.items() if value}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": given}


def document_of(one: Assignment | Exemption | PlacedScope) -> dict[str, Any]:
    """What is assigned, or exempt, or a scope of the tree, as a document."""
    match one:
        case Assignment():
            return assignment_document(one)
        case Exemption():
            return exemption_document(one)
        case PlacedScope():
            return scope_document(one)


def scope_document(one: PlacedScope) -> dict[str, Any]:
    """An entry of the scope tree as the document that it is read from."""
    return _document(
        "PolicyScope",
        one.name,
        scope=str(one.scope),
        parent=one.parent and str(one.parent),
        displayName=one.display_name,
        context=one.context,
        location=one.location,
        labels=dict(one.labels),
    )


def overrides_from(value: Any, origin: str) -> tuple[EffectOverride, ...]:
    """Read the field alone, as an option gives it. Raises WrongField."""
    return _overrides(SpecFields({"overrides": value}, origin, "spec", ("overrides",)))


def selectors_from(value: Any, origin: str) -> tuple[ResourceSelector, ...]:
    """Read the field alone, as an option gives it. Raises WrongField."""
    return _resource_selectors(SpecFields({"resourceSelectors": value}, origin, "spec", ("resourceSelectors",)))


def _overrides(fields: SpecFields) -> tuple[EffectOverride, ...]:
    return tuple(
        _override(SpecFields(entry, fields.origin, f"{fields.path}.overrides[{at}]", OVERRIDE_FIELDS))
        for at, entry in enumerate(fields.array("overrides"))
    )


def _override(fields: SpecFields) -> EffectOverride:
    if (kind := fields.text("kind", required=True)) != _OVERRIDE:
        raise fields.wrong("kind", f"{_OVERRIDE}: each definition is there in one version", kind)
    given: dict[str, tuple[str, ...]] = {}
    location: SelectorCondition | None = None
    for at, entry in enumerate(fields.array("selectors")):
        selector = SpecFields(entry, fields.origin, f"{fields.path}.selectors[{at}]", SELECTOR_FIELDS)
        kind = selector.text("kind", required=True)
        if kind not in (_SELECTOR, SelectorKind.RESOURCE_LOCATION):
            raise selector.wrong("kind", f"{_SELECTOR} or {SelectorKind.RESOURCE_LOCATION}", kind)
        if given if kind == _SELECTOR else location:
            raise selector.wrong("kind", "each kind once; write an override for each", kind)
        if kind == _SELECTOR:
            key, values = _listed(selector)
            given = {key: values}
        else:
            location = _condition(selector)
    return EffectOverride(
        effect=fields.text("value", required=True),
        selected=given.get("in"),
        left_out=given.get("notIn"),
        location=location,
    )


def _listed(selector: SpecFields) -> tuple[str, tuple[str, ...]]:
    """The one of in and notIn that a selector has, and its values."""
    listed = {key: selector.texts(key) for key in ("in", "notIn") if selector.array(key)}
    if len(listed) != 1:
        raise WrongField(
            f"{selector.path} does not have one of in and notIn with values", field=selector.path, where=selector.origin
        )
    ((key, values),) = listed.items()
    if len(values) > _MOST_VALUES:
        raise selector.wrong(key, f"at most {_MOST_VALUES} values", f"{len(values)} values")
    return key, values


def _condition(selector: SpecFields) -> SelectorCondition:
    key, values = _listed(selector)
    kind = SelectorKind(selector.text("kind"))
    if kind is SelectorKind.RESOURCE_WITHOUT_LOCATION and values != (_SUBSCRIPTION_LEVEL,):
        raise selector.wrong(key, f"[{_SUBSCRIPTION_LEVEL}]", list(values))
    return SelectorCondition(kind=kind, values=values, negated=key == "notIn")


def _resource_selectors(fields: SpecFields) -> tuple[ResourceSelector, ...]:
    entries = fields.array("resourceSelectors")
    if len(entries) > _MOST_SELECTORS:
        raise fields.wrong("resourceSelectors", f"at most {_MOST_SELECTORS}", f"{len(entries)} entries")
    found = []
    for at, entry in enumerate(entries):
        one = SpecFields(entry, fields.origin, f"{fields.path}.resourceSelectors[{at}]", RESOURCE_SELECTOR_FIELDS)
        conditions: dict[SelectorKind, SelectorCondition] = {}
        for number, each in enumerate(one.array("selectors")):
            selector = SpecFields(each, fields.origin, f"{one.path}.selectors[{number}]", SELECTOR_FIELDS)
            kind = selector.text("kind", required=True)
            if kind not in tuple(SelectorKind):
                raise selector.wrong("kind", " or ".join(SelectorKind), kind)
            if SelectorKind(kind) in conditions:
                raise selector.wrong("kind", "each kind once", kind)
            conditions[SelectorKind(kind)] = _condition(selector)
        if {SelectorKind.RESOURCE_LOCATION, SelectorKind.RESOURCE_WITHOUT_LOCATION} <= set(conditions):
            raise one.wrong("selectors", "not both resourceLocation and resourceWithoutLocation", "both")
        found.append(ResourceSelector(name=one.text("name"), conditions=tuple(conditions.values())))
    return tuple(found)


def _condition_document(condition: SelectorCondition) -> dict[str, Any]:
    return {"kind": condition.kind.value, "notIn" if condition.negated else "in": list(condition.values)}


def _selector_documents(selectors: tuple[ResourceSelector, ...]) -> list[dict[str, Any]]:
    return [
        ({"name": one.name} if one.name else {}) | {"selectors": [_condition_document(each) for each in one.conditions]}
        for one in selectors
    ]


def _override_document(override: EffectOverride) -> dict[str, Any]:
    document: dict[str, Any] = {"kind": _OVERRIDE, "value": override.effect}
    selectors = [
        {"kind": _SELECTOR, key: list(references)}
        for key, references in (("in", override.selected), ("notIn", override.left_out))
        if references is not None
    ]
    selectors += [_condition_document(override.location)] if override.location else []
    return {**document, "selectors": selectors} if selectors else document


def exemption_from(document: Any, origin: str) -> Exemption:
    """Read a PolicyExemption. Raises InvalidInput that names the field."""
    name, spec = name_and_spec(document, origin, "PolicyExemption")
    fields = SpecFields(spec, origin, "spec", EXEMPTION_FIELDS)
    category = fields.text("exemptionCategory", required=True)
    if category not in tuple(ExemptionCategory):
        raise fields.wrong("exemptionCategory", " or ".join(ExemptionCategory), category)
    resources = fields.array("resources")
    if not resources and spec.get("resources") is not None:
        raise WrongField(
            "spec.resources is empty: it exempts nothing",
            field="spec.resources",
            where=origin,
            hint="name what is exempt, or leave the field out to exempt everything in the scope",
        )
    return Exemption(
        name=name,
        assignment=fields.text("policyAssignmentId", required=True),
        category=ExemptionCategory(category),
        scope=fields.scope("scope"),
        expires_on=fields.time("expiresOn"),
        display_name=fields.text("displayName"),
        description=fields.text("description"),
        metadata=fields.mapping("metadata"),
        resources=tuple(_resource(entry, f"spec.resources[{at}]", origin) for at, entry in enumerate(resources)),
        references=fields.texts("policyDefinitionReferenceIds"),
        resource_selectors=_resource_selectors(fields),
        origin=origin,
    )


def exemption_document(exemption: Exemption) -> dict[str, Any]:
    """An exemption as the document that exemption_from reads."""
    return _document(
        "PolicyExemption",
        exemption.name,
        policyAssignmentId=exemption.assignment,
        exemptionCategory=exemption.category.value,
        policyDefinitionReferenceIds=list(exemption.references),
        expiresOn=exemption.expires_on and rfc3339(exemption.expires_on, "auto"),
        displayName=exemption.display_name,
        description=exemption.description,
        scope=str(exemption.scope),
        resourceSelectors=_selector_documents(exemption.resource_selectors),
        resources=[
            {key: value for key in RESOURCE_FIELDS if (value := getattr(entry, key)) is not None}
            for entry in exemption.resources
        ],
        metadata=dict(exemption.metadata),
    )


def _resource(entry: Any, path: str, origin: str) -> ExemptedResource:
    fields = SpecFields(entry, origin, path, RESOURCE_FIELDS)
    given = {key: fields.text(key) or None for key in RESOURCE_FIELDS}
    if not any(given.values()):
        raise WrongField(
            f"{path} is empty, so it would exempt everything",
            field=path,
            where=origin,
            hint="leave resources out to mean that",
        )
    return ExemptedResource(**given)
