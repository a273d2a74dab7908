"""An assignment of an initiative as one assignment for each member, judged like any other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from aksp.compliance.expressions import resolve
from aksp.compliance.parameters import effective, nearest
from aksp.model.assignment import Assignment
from aksp.model.definition import Definition
from aksp.model.effect import Effect
from aksp.model.initiative import Initiative, Member


def member_assignment(assignment: Assignment, initiative: Initiative, member: Member) -> Assignment:
    """The assignment that a member of an initiative stands for. Raises ValueError for an expression that has no value.

    The parameters of the assignment must have been checked. A parameter of the member that takes an optional one of the
    initiative's without a value is left out.
    """
    values = effective(initiative, assignment.parameters)
    optional = [name for name, parameter in initiative.parameters.items() if parameter.optional]
    messages = {reference.lower(): text for reference, text in assignment.member_messages.items()}
    return replace(
        assignment,
        definition_id=member.definition_id,
        display_name="",
        parameters=resolve(member.parameters, values, optional),
        non_compliance_message=messages.get(member.reference.lower(), assignment.non_compliance_message),
        member_messages={},
        initiative=initiative.slug,
        reference=member.reference,
    )


def effect_of(assignment: Assignment) -> Effect | None:
    """The effect that a member's assignment asks for, also where its definition is not there; None for one of no meaning."""
    given = assignment.overridden_effect
    return Effect.named(assignment.parameters.get("effect") if given is None else given)


_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def last_segment(definition_id: str) -> str:
    """What an id names a definition by: its last part, where it is one of Azure Resource Manager."""
    return definition_id.rstrip("/").rpartition("/")[2]


def is_azure_id(definition_id: str) -> bool:
    """Whether an id is one of Azure's definitions."""
    return _GUID.fullmatch(last_segment(definition_id)) is not None


def unavailable_members(initiative: Initiative, known: Mapping[str, Definition]) -> dict[str, str]:
    """Why members cannot be judged, by reference id: no definition stands for one, or one in another version.

    ``known`` are the definitions that there are, by all their names in lower case.
    """
    found = {}
    for one in initiative.members:
        called = last_segment(one.definition_id)
        definition = known.get(called.lower())
        if definition is None:
            found[one.reference] = f"not available ({called})"
        elif problem := version_problem(one, definition):
            found[one.reference] = f"not available, {problem}"
    return found


def version_problem(member: Member, definition: Definition | Initiative) -> str | None:
    """Why a definition, or an initiative, is not the one in the version that a member asks for, or None."""
    if not member.version:
        return None
    there = _versions(member, definition)
    if not there or any(fits_version(member.version, one) for one in there):
        return None
    return f"it asks for version {member.version} of {definition.slug}, and there is {', '.join(there)}"


def _versions(member: Member, definition: Definition | Initiative) -> tuple[str, ...]:
    """The versions of a definition by the name that a member calls it: Azure's, where it is one of Azure's names."""
    called = last_segment(member.definition_id).lower()
    of_azure = (one.versions for one in definition.azure if called in (one.id.lower(), one.name.lower()))
    return next(of_azure, (definition.version,))


def fits_version(wanted: str, version: str) -> bool:
    """Whether ``1.*.*`` or ``1.2.*`` is a version. The end of a preview or of what is deprecated does not count."""
    numbers = [re.sub(r"-.*", "", text).split(".") for text in (wanted, version)]
    return all(one in ("*", other) for one, other in zip(*numbers, strict=False))


def unknown_references(assignment: Assignment, known: Iterable[str]) -> list[tuple[str, str, str]]:
    """What an assignment says of members that there are not: the field, the reference id and a hint."""
    there = {reference.lower(): reference for reference in known}
    named: Mapping[str, Iterable[str]] = {
        "nonComplianceMessages": assignment.member_messages,
        "overrides": [
            reference for one in assignment.overrides for reference in (*(one.selected or ()), *(one.left_out or ()))
        ],
    }
    return [
        (field, reference, nearest(reference, there.values()))
        for field, references in named.items()
        for reference in references
        if reference.lower() not in there
    ]


def override_problem(assignment: Assignment, definition: Definition) -> str | None:
    """Why a definition cannot have the effect that an override gives it, or None."""
    given: Any = assignment.overridden_effect
    if given is None:
        return None
    parameter = definition.parameters.get("effect")
    allowed = [str(one) for one in parameter.allowed_values] if parameter else []
    if Effect.named(given) is None or (allowed and given.lower() not in map(str.lower, allowed)):
        return f"overrides give the effect {given!r}, and {definition.slug} has {', '.join(allowed or Effect)}"
    return None
