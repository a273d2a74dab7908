"""An assignment made ready to judge: parameters resolved, selection and exemptions worked out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from aksp.compliance.exemptions import Waivers, waives
from aksp.compliance.expressions import has_expression, resolve
from aksp.compliance.globs import check_glob
from aksp.compliance.kinds import resolved_kinds
from aksp.compliance.parameters import effective
from aksp.compliance.selection import ObjectScope, Selection, Selector
from aksp.model.assignment import Assignment, EnforcementMode, Exemption
from aksp.model.compliance import AssignmentKey
from aksp.model.definition import Definition, ResourceKind
from aksp.model.effect import Effect
from aksp.model.initiative import Initiative
from aksp.model.resource import Container
from aksp.model.scope import Scope


class MatchSource(StrEnum):
    """Which Pods are judged at admission (Gatekeeper: ``match.source``): those asked for, or those of templates."""

    ALL = "All"
    ORIGINAL = "Original"
    GENERATED = "Generated"


class Ready(Struct, frozen=True, kw_only=True, dict=True):
    """One assignment in force on a target. ``values`` are the parameters that its Rego reads.

    ``source`` and ``warns`` matter at admission alone; ``warns`` is None where the definition does not say.
    ``not_started`` is the reason for which no scan can judge by it; empty for all others. Admission does not ask for it.
    """

    assignment: Assignment
    definition: Definition
    effect: Effect
    values: Any
    selection: Selection
    key: AssignmentKey
    exemptions: Sequence[Exemption] = ()
    excluded_containers: tuple[str, ...] = ()
    excluded_images: tuple[str, ...] = ()
    source: MatchSource = MatchSource.ORIGINAL
    warns: bool | None = None
    not_started: str = ""

    @cached_property
    def waivers(self) -> Waivers:
        """The exemptions, to be looked up."""
        return Waivers(self.exemptions, self.selection.target)

    @cached_property
    def refuses(self) -> bool:
        """Whether a violation would be refused at admission."""
        return self.effect.refuses and self.assignment.enforcement_mode is EnforcementMode.DEFAULT

    @cached_property
    def tells(self) -> bool:
        """Whether whoever asks hears of a violation that is not refused.

        DoNotEnforce is for finding out without a word, and so is an effect like Audit where the definition says ``warn: false``.
        """
        return self.assignment.enforcement_mode is EnforcementMode.DEFAULT and (
            self.warns is not False or self.effect.warns
        )

    @property
    def reach(self) -> str:
        """What tells what it selects from what another, or itself at another time, does."""
        parts = self.selection, self.excluded_containers, self.excluded_images
        return hashlib.sha256(repr(parts).encode(errors="backslashreplace")).hexdigest()[:16]

    @property
    def has_exclusions(self) -> bool:
        """Whether the parameters leave any container out."""
        return bool(self.excluded_containers or self.excluded_images)

    def excludes(self, container: Container) -> bool:
        """Whether the parameters leave a container out: then it has no state."""
        return self.exclusion(container) is not None

    def exclusion(self, container: Container) -> tuple[str, str] | None:
        """The parameter that leaves a container out, and the value that does; None when it is judged."""
        if container.name in self.excluded_containers:
            return "excludedContainers", container.name
        # Exact, or a prefix with a trailing *, as definitions/lib/containers.rego reads them.
        for entry in self.excluded_images:
            if container.image.startswith(entry[:-1]) if entry.endswith("*") else container.image == entry:
                return "excludedImages", entry
        return None


class BrokenAssignment(Struct, frozen=True, kw_only=True):
    """An assignment that cannot be judged since something is wrong with its definition, as ``problem`` says.

    ``effect`` is None when the definition cannot even tell that. A member of an initiative is ``unavailable`` when it is one
    of Azure's definitions, and none here stands for it. ``unplaced`` says that the
    scope tree cannot tell whether it reaches the target.
    """

    assignment: Assignment
    definition: str
    problem: str
    effect: Effect | None = None
    unavailable: bool = False
    unplaced: bool = False

    @property
    def disabled(self) -> bool:
        """Whether it would judge nothing if nothing were wrong."""
        return self.effect is not None and not self.effect.judges


class AssignedInitiative(Struct, frozen=True, kw_only=True):
    """An assignment of an initiative, before it is taken as one for each member."""

    assignment: Assignment
    initiative: Initiative


class Plan(Struct, frozen=True, kw_only=True, dict=True):
    """All assignments that reach a target: those in force, those whose effect judges nothing, and those that are broken.

    An assignment of an initiative is there as its members, and among ``initiatives``.
    """

    target: Scope
    ready: Sequence[Ready]
    disabled: Sequence[Ready] = ()
    broken: Sequence[BrokenAssignment] = ()
    notes: Sequence[str] = ()
    initiatives: Sequence[AssignedInitiative] = ()

    @cached_property
    def by_name(self) -> Mapping[str, Ready]:
        """Those in force."""
        return {ready.key.name: ready for ready in self.ready}

    @cached_property
    def by_namespace_labels(self) -> bool:
        """Whether any of those in force selects by the labels of Namespaces."""
        return any(not ready.selection.namespace_selector.empty for ready in self.ready)


def make_ready(
    assignment: Assignment, definition: Definition, exemptions: Iterable[Exemption], target: Scope | None, now: datetime
) -> Ready:
    """Work out what an assignment means on a target; None is for files that name no cluster.

    Parameters must have been checked. Raises ValueError for an expression, an effect or a
    selector that cannot be understood.
    """
    parameters = effective(definition, assignment.parameters)
    optional = [name for name, parameter in definition.parameters.items() if parameter.optional]

    def resolved(value: Any) -> Any:
        return resolve(value, parameters, optional)

    effect_name = resolved(definition.effect) if assignment.overridden_effect is None else assignment.overridden_effect
    effect = Effect.named(effect_name)
    if effect is None:
        raise ValueError(f"effect {effect_name!r} is not one of {', '.join(Effect)}")
    place = target or assignment_cluster(assignment)
    selection = Selection(
        kinds=resolved_kinds(definition.kinds, resolved),
        target=place,
        scope=assignment.scope,
        not_scopes=assignment.not_scopes,
        object_scope=_one_of("scope", ObjectScope, resolved(definition.object_scope), ObjectScope.ANY),
        name=_glob("name", resolved(definition.object_name)),
        namespaces=_globs("namespaces", resolved(definition.namespaces)),
        excluded_namespaces=_globs("excludedNamespaces", resolved(definition.excluded_namespaces)),
        selector=Selector.parse(resolved(definition.label_selector)),
        namespace_selector=Selector.parse(resolved(definition.namespace_selector), "namespaceSelector"),
    )
    warns = resolved(definition.warn)
    if warns is not None and not isinstance(warns, bool):
        raise ValueError(f"warn is {warns!r}, expected true or false")
    return Ready(
        assignment=assignment,
        definition=definition,
        effect=effect,
        values=_values(resolved(definition.values)),
        selection=selection,
        key=AssignmentKey(
            assignment=assignment.name,
            definition=definition.slug,
            effect=effect.value,
            severity=definition.severity,
            initiative=assignment.initiative or None,
            reference=assignment.reference or None,
        ),
        exemptions=tuple(e for e in exemptions if waives(e, assignment) and not e.expired(now)),
        excluded_containers=_names("excludedContainers", parameters.get("excludedContainers")),
        excluded_images=_names("excludedImages", parameters.get("excludedImages")),
        source=_one_of("source", MatchSource, resolved(definition.source), MatchSource.ORIGINAL),
        warns=warns,
    )


#: Fields of a definition that may hold expressions, and a value to check the rest with where a parameter decides.
_RESOLVED: Mapping[str, Any] = {
    "effect": Effect.AUDIT.value,
    "object_scope": None,
    "object_name": None,
    "namespaces": (),
    "excluded_namespaces": (),
    "label_selector": None,
    "namespace_selector": None,
    "source": None,
    "warn": None,
    "values": {},
}


def check_fixed(definition: Definition) -> None:
    """Raise ValueError for what is wrong with a definition whatever its parameters are."""
    parts = {name: getattr(definition, name) for name in _RESOLVED}
    # A field that takes a parameter without a value is absent; an unknown parameter is an error.
    resolve([*parts.values(), *((one.group, one.kind) for one in definition.kinds)], {}, definition.parameters)
    decided = {name: _RESOLVED[name] for name, value in parts.items() if has_expression(value)}
    kinds = tuple(one for one in definition.kinds if not has_expression((one.group, one.kind))) or (_ANY,)
    fixed = replace(definition, parameters={}, kinds=kinds, **decided)
    make_ready(_NOBODY, fixed, (), None, datetime.min)


_ANY = ResourceKind(group="*", kind="*")
_NOBODY = Assignment(name="", definition_id="", scope=Scope("/"))


def assignment_cluster(assignment: Assignment) -> Scope:
    """Where manifests lie that are judged for no cluster: at the assignment's own scope, or the cluster of its namespace."""
    segments = [part for part in assignment.scope.path.split("/") if part]
    if len(segments) > 1 and segments[0].lower() == "clusters":
        return Scope(f"/clusters/{segments[1]}")
    if len(segments) > 2 and segments[-2].lower() == "namespaces":
        return Scope("/" + "/".join(segments[:-2]))
    return assignment.scope


def reaches(assignment: Assignment, target: Scope) -> bool:
    """Whether an assignment has anything to do with a target, or with part of it."""
    return assignment.scope.meets(target)


def _names(what: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(entry, str) for entry in value):
        raise ValueError(f"{what} is not a list of strings")
    # Blanks around names come from copied lists; Azure's own portal leaves them in.
    return tuple(entry.strip() for entry in value if entry.strip())


def _values(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"values is {value!r}, expected an object")
    return value


def _globs(what: str, value: Any) -> tuple[str, ...]:
    globs = _names(what, value)
    for glob in globs:
        check_glob(what, glob)
    return globs


def _glob(what: str, value: Any) -> str:
    """One pattern; empty for none, as in Gatekeeper."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{what} is {value!r}, expected a name or a pattern with *")
    check_glob(what, value)
    return value.strip()


Choice = TypeVar("Choice", bound=StrEnum)


def _one_of(what: str, choices: type[Choice], value: Any, default: Choice) -> Choice:
    if value is None or value == "":
        return default
    found = next((one for one in choices if isinstance(value, str) and one.lower() == value.lower()), None)
    if found is None:
        raise ValueError(f"{what} is {value!r}, expected one of {', '.join(choices)}")
    return found
