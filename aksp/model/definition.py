"""A definition: a rule with typed parameters, in the shape of an Azure Policy document."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from msgspec import UNSET, Struct

from aksp.model.compliance import RuleDescriptor

#: From the least to the most.
SEVERITIES = ("low", "medium", "high", "critical")


class ParameterType(StrEnum):
    """Azure's parameter types; documents may write them in any case."""

    STRING = "String"
    ARRAY = "Array"
    BOOLEAN = "Boolean"
    INTEGER = "Integer"
    FLOAT = "Float"
    OBJECT = "Object"
    DATE_TIME = "DateTime"


#: A default that is not there, since null is a value.
MISSING: Final = UNSET


class Parameter(Struct, frozen=True, kw_only=True):
    """One parameter of a definition.

    ``option`` is the command-line option of ``aksp assign`` that sets it, as the document's
    ``metadata.option`` gives it (``--label``, ``--x/--no-x``); ``format`` names a further check
    (``regex``, ``image-regex``, ``port``, ``label``, ``quantity``, ``registry``). One that is
    ``optional`` and has no default may be left out; then it is not there at all.
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
    optional: bool = False

    @property
    def has_default(self) -> bool:
        """Whether it has a value when an assignment gives none; null is one."""
        return self.default is not MISSING

    @property
    def required(self) -> bool:
        """Whether an assignment must give a value."""
        return not self.has_default and not self.optional


class RegoModule(Struct, frozen=True, kw_only=True):
    """One Rego file. ``version`` is ``v0`` or ``v1``; ``name`` is what error messages call it.

    Within a template it begins at ``line`` of the file, and its lines are indented by so many columns.
    """

    name: str
    source: str
    version: str = "v1"
    line: int = 1
    indent: int = 0


class ResourceKind(Struct, frozen=True, kw_only=True):
    """A kind of object by API group (the core group is the empty string); either may be ``*``, for any.

    In a definition either may be an expression, which an assignment's parameters resolve. ``version`` is for what rules
    compare with, which they may look up in one version alone; empty for whichever there is.
    """

    group: str
    kind: str
    version: str = ""

    def covers(self, group: str, kind: str) -> bool:
        """Whether it is, or stands for, a kind, in whatever version."""
        return self.kind in ("*", kind) and self.group in ("*", group)


class AzureDefinition(Struct, frozen=True, kw_only=True):
    """A definition of Azure's that one here stands for.

    ``parameters`` maps those of its parameters that are called otherwise here; ``differences`` tell, in sentences, where
    the two judge otherwise.
    """

    id: str
    name: str
    versions: tuple[str, ...] = ()
    parameters: Mapping[str, str] = {}
    differences: tuple[str, ...] = ()


class Definition(Struct, frozen=True, kw_only=True):
    """A definition, its rule and its Rego.

    ``slug`` is what commands call it, ``name`` Azure's GUID. The fields that may hold expressions
    (``[parameters('x')]``) keep them; ``aksp.compliance.plan`` resolves them for an assignment.
    ``require_any_of`` are groups of parameters of which at least one must have a value.
    ``azure`` are the definitions of Azure's that it stands for; ``standards`` what asks for it.
    ``requires_inventory`` are the kinds that the rule compares with: those declared, and once it is
    compiled (``aksp.workspace.compile_definition``) those that it looks up. ``values_schema`` is what the
    template says of the values, as an OpenAPI v3 schema. ``arm_id`` is the id that an imported one has at Azure.
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
    azure: tuple[AzureDefinition, ...] = ()
    standards: tuple[str, ...] = ()
    policy_type: str = "BuiltIn"
    parameters: Mapping[str, Parameter] = {}
    require_any_of: tuple[tuple[str, ...], ...] = ()
    kinds: tuple[ResourceKind, ...] = ()
    effect: Any = "[parameters('effect')]"
    object_scope: Any = None
    object_name: Any = None
    namespaces: Any = ()
    excluded_namespaces: Any = ()
    label_selector: Any = None
    namespace_selector: Any = None
    source: Any = None
    warn: Any = None
    values: Any = {}
    modules: tuple[RegoModule, ...] = ()
    requires_inventory: tuple[ResourceKind, ...] = ()
    values_schema: Mapping[str, Any] | None = None
    arm_id: str = ""
    origin: str = ""

    @property
    def rule(self) -> RuleDescriptor:
        """What reports say of it."""
        return RuleDescriptor(
            slug=self.slug,
            display_name=self.display_name,
            description=self.description,
            remediation=self.remediation,
            category=self.category,
            version=self.version,
            severity=self.severity,
        )
