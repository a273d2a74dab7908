"""A definition: a rule with typed parameters, in the shape of an Azure Policy document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aksp.model.compliance import Rule


class Effect(StrEnum):
    """What an assignment does about a violation (Azure: "Understand Azure Policy effects")."""

    ENFORCE_REGO_POLICY = "EnforceRegoPolicy"
    DENY = "Deny"
    AUDIT = "Audit"
    WARN = "Warn"
    DISABLED = "Disabled"

    @property
    def refuses(self) -> bool:
        """Whether a violating request is refused at admission."""
        return self in (Effect.ENFORCE_REGO_POLICY, Effect.DENY)


class ParameterType(StrEnum):
    """Azure's parameter types; documents may write them in any case."""

    STRING = "String"
    ARRAY = "Array"
    BOOLEAN = "Boolean"
    INTEGER = "Integer"
    FLOAT = "Float"
    OBJECT = "Object"
    DATE_TIME = "DateTime"


class Missing:
    """The type of a default that is not there, since null is a value."""

    def __repr__(self) -> str:
        return "<no default>"


MISSING = Missing()


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One parameter of a definition.

    ``option`` is the command-line option of ``aksp assign`` that sets it, as the document's
    ``metadata.option`` gives it (``--label``, ``--x/--no-x``); ``format`` names a further check
    (``regex``, ``image-regex``, ``port``, ``label``, ``quantity``, ``registry``).
    """

    name: str
    type: ParameterType
    display_name: str = ""
    description: str = ""
    default: Any = MISSING
    allowed_values: tuple[Any, ...] = ()
    schema: Mapping[str, Any] | None = None
    option: str | None = None
    metavar: str | None = None
    format: str | None = None

    @property
    def required(self) -> bool:
        """Whether an assignment must give a value."""
        return self.default is MISSING


@dataclass(frozen=True, kw_only=True, slots=True)
class RegoModule:
    """One Rego file. ``version`` is ``v0`` or ``v1``; ``name`` is what error messages call it."""

    name: str
    source: str
    version: str = "v1"


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceKind:
    """A kind of object by API group (the core group is the empty string)."""

    group: str
    kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """A definition, its rule and its Rego.

    ``slug`` is what commands call it, ``name`` Azure's GUID. The fields that may hold expressions
    (``[parameters('x')]``) keep them; ``aksp.compliance.parameters`` resolves them.
    ``require_any_of`` are groups of parameters of which at least one must have a value.
    """

    slug: str
    name: str
    display_name: str
    description: str
    category: str
    version: str
    severity: str
    remediation: str
    azure_policy_id: str | None = None
    policy_type: str = "BuiltIn"
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    require_any_of: tuple[tuple[str, ...], ...] = ()
    kinds: tuple[ResourceKind, ...] = ()
    effect: Any = "[parameters('effect')]"
    namespaces: Any = ()
    excluded_namespaces: Any = ()
    label_selector: Any = None
    values: Any = field(default_factory=dict)
    modules: tuple[RegoModule, ...] = ()
    requires_inventory: tuple[ResourceKind, ...] = ()
    origin: str = ""

    @property
    def rule(self) -> Rule:
        """What reports say of it."""
        return Rule(
            slug=self.slug,
            display_name=self.display_name,
            description=self.description,
            remediation=self.remediation,
            category=self.category,
            version=self.version,
            severity=self.severity,
        )

    @property
    def judges_pods(self) -> bool:
        """Whether the rule is about Pods, and so about containers."""
        return any(kind.kind in ("Pod", "*") and kind.group in ("", "*") for kind in self.kinds)
