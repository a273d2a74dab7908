"""Assignments and exemptions: definitions put to work, and findings waived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from aksp.model.scope import EVERYWHERE, Scope

API_VERSION = "policy.aksp.io/v1alpha1"


class EnforcementMode(StrEnum):
    """Azure's enforcementMode: with DoNotEnforce compliance is reported and nothing is refused."""

    DEFAULT = "Default"
    DO_NOT_ENFORCE = "DoNotEnforce"


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """A definition put to work at a scope, with values for its parameters.

    ``definition_id`` is the slug or the GUID of a definition. ``origin`` says where the document
    was read from, for messages.
    """

    name: str
    definition_id: str
    scope: Scope = EVERYWHERE
    display_name: str = ""
    description: str = ""
    not_scopes: tuple[Scope, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    enforcement_mode: EnforcementMode = EnforcementMode.DEFAULT
    non_compliance_message: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""


class ExemptionCategory(StrEnum):
    """Azure's two reasons to exempt ("Azure Policy exemption structure")."""

    WAIVER = "Waiver"
    MITIGATED = "Mitigated"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExemptedResource:
    """One entry of an exemption's resources: globs, of which every given one must match."""

    namespace: str | None = None
    kind: str | None = None
    name: str | None = None
    container: str | None = None
    image: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Exemption:
    """An assignment's findings waived for a scope, resources or containers, until a date."""

    name: str
    assignment: str
    category: ExemptionCategory
    scope: Scope = EVERYWHERE
    expires_on: datetime | None = None
    display_name: str = ""
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    resources: tuple[ExemptedResource, ...] = ()
    origin: str = ""

    @property
    def requested_by(self) -> str:
        """Who asked for it, by the metadata that Azure's documentation proposes."""
        for key in ("requestedBy", "approvedBy", "createdBy"):
            value = self.metadata.get(key)
            if isinstance(value, str) and value:
                return value
        return ""

    def expired(self, now: datetime) -> bool:
        """Whether it no longer counts. Azure keeps the object and stops honouring it."""
        return self.expires_on is not None and self.expires_on <= now
