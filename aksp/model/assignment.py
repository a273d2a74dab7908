"""Assignments and exemptions: definitions and initiatives put to work, and findings waived."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from aksp.model.scope import EVERYWHERE, Scope

API_GROUP = "policy.aksp.io"
API_VERSION = f"{API_GROUP}/v1alpha1"
#: Of what commands print and read back: reports, baselines, statuses.
PRINTED_VERSION = f"{API_GROUP}/v1"
#: What a custom resource, or its document in a file, may be called: an RFC 1123 subdomain.
NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")


class EnforcementMode(StrEnum):
    """Azure's enforcementMode: with DoNotEnforce compliance is reported and nothing is refused."""

    DEFAULT = "Default"
    DO_NOT_ENFORCE = "DoNotEnforce"


class SelectorKind(StrEnum):
    """What Azure's resourceSelectors, and the selectors of overrides, ask of a resource."""

    RESOURCE_LOCATION = "resourceLocation"
    RESOURCE_TYPE = "resourceType"
    RESOURCE_WITHOUT_LOCATION = "resourceWithoutLocation"


class SelectorCondition(Struct, frozen=True, kw_only=True):
    """One condition of a selector: the cluster's value is one of some, or, ``negated``, none of them."""

    kind: SelectorKind
    values: tuple[str, ...]
    negated: bool = False


class ResourceSelector(Struct, frozen=True, kw_only=True):
    """One of the resourceSelectors of an assignment or an exemption: all its conditions must hold. Of several selectors one is enough."""

    name: str
    conditions: tuple[SelectorCondition, ...]


class EffectOverride(Struct, frozen=True, kw_only=True):
    """Another effect than the parameters give: of all members, of those with some reference ids, or of all but those.

    ``selected`` and ``left_out`` are None where the document does not restrict by them. ``location`` restricts it to
    clusters in some locations; where it is decided (``aksp.compliance.placing``) it is None.
    """

    effect: str
    selected: tuple[str, ...] | None = None
    left_out: tuple[str, ...] | None = None
    location: SelectorCondition | None = None

    def concerns(self, reference: str) -> bool:
        """Whether it is about the member with a reference id, in any case; empty for what is no member."""
        wanted = reference.lower()
        return (self.selected is None or wanted in map(str.lower, self.selected)) and (
            self.left_out is None or wanted not in map(str.lower, self.left_out)
        )


class Assignment(Struct, frozen=True, kw_only=True):
    """A definition or an initiative put to work at a scope, with values for its parameters.

    ``definition_id`` is the slug or the GUID of either. ``member_messages`` are the messages to those refused by some
    member, by reference id; ``non_compliance_message`` is for all others. ``origin`` says where the document was read from,
    for messages. An assignment of an initiative is judged as one assignment for each member (``aksp.compliance.members``):
    these have the initiative's slug and the member's ``reference``, which no document has.
    """

    name: str
    definition_id: str
    scope: Scope = EVERYWHERE
    display_name: str = ""
    description: str = ""
    not_scopes: tuple[Scope, ...] = ()
    parameters: Mapping[str, Any] = {}
    enforcement_mode: EnforcementMode = EnforcementMode.DEFAULT
    non_compliance_message: str = ""
    member_messages: Mapping[str, str] = {}
    overrides: tuple[EffectOverride, ...] = ()
    resource_selectors: tuple[ResourceSelector, ...] = ()
    metadata: Mapping[str, Any] = {}
    origin: str = ""
    initiative: str = ""
    reference: str = ""

    @property
    def full_name(self) -> str:
        """Its name, with a member's reference id behind a slash."""
        return full_name(self.name, self.reference)

    @property
    def overridden_effect(self) -> str | None:
        """The effect that an override gives it. Azure goes through them in order, so the last one that is about it holds."""
        return next((one.effect for one in reversed(self.overrides) if one.concerns(self.reference)), None)


def full_name(assignment: str, reference: str) -> str:
    """What reports and answers call an assignment, or a member of the initiative that it is of. No name has a slash."""
    return f"{assignment}/{reference}" if reference else assignment


class ExemptionCategory(StrEnum):
    """Azure's two reasons to exempt ("Azure Policy exemption structure")."""

    WAIVER = "Waiver"
    MITIGATED = "Mitigated"


class ExemptedResource(Struct, frozen=True, kw_only=True):
    """One entry of an exemption's resources: globs, of which every given one must match."""

    namespace: str | None = None
    kind: str | None = None
    name: str | None = None
    container: str | None = None
    image: str | None = None


class Exemption(Struct, frozen=True, kw_only=True):
    """An assignment's findings waived for a scope, resources or containers, until a date.

    With ``references`` only those of members of an initiative with these reference ids, and with ``resource_selectors``
    only in clusters that one of them selects.
    """

    name: str
    assignment: str
    category: ExemptionCategory
    scope: Scope = EVERYWHERE
    expires_on: datetime | None = None
    display_name: str = ""
    description: str = ""
    metadata: Mapping[str, Any] = {}
    resources: tuple[ExemptedResource, ...] = ()
    references: tuple[str, ...] = ()
    resource_selectors: tuple[ResourceSelector, ...] = ()
    origin: str = ""

    @property
    def requested_by(self) -> str:
        """Who asked for it, by the metadata that Azure's documentation proposes."""
        for key in ("requestedBy", "approvedBy", "createdBy"):
            value = self.metadata.get(key)
            if isinstance(value, str) and value:
                return value
        return ""

    def concerns(self, reference: str) -> bool:
        """Whether it is about a member, by its reference id in any case; empty for what is no member."""
        return not self.references or reference.lower() in map(str.lower, self.references)

    def expired(self, now: datetime) -> bool:
        """Whether it no longer counts. Azure keeps the object and stops honouring it."""
        return self.expires_on is not None and self.expires_on <= now
