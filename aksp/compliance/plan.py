"""An assignment made ready to judge: parameters resolved, selection and exemptions worked out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aksp.compliance.expressions import resolve
from aksp.compliance.parameters import effective
from aksp.compliance.selection import Selection, Selector
from aksp.model.assignment import Assignment, EnforcementMode, Exemption
from aksp.model.compliance import AssignmentKey
from aksp.model.definition import Definition, Effect
from aksp.model.resource import Container
from aksp.model.scope import Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """One assignment in force on a target. ``values`` are the parameters that its Rego reads."""

    assignment: Assignment
    definition: Definition
    effect: Effect
    values: Any
    selection: Selection
    key: AssignmentKey
    exemptions: Sequence[Exemption] = ()
    excluded_containers: tuple[str, ...] = ()
    excluded_images: tuple[str, ...] = ()

    @property
    def refuses(self) -> bool:
        """Whether a violation would be refused at admission."""
        return self.effect.refuses and self.assignment.enforcement_mode is EnforcementMode.DEFAULT

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All assignments that reach a target: those in force, and those whose effect is Disabled."""

    target: Scope
    ready: Sequence[Ready]
    disabled: Sequence[Ready] = ()
    notes: Sequence[str] = field(default=())


def make_ready(
    assignment: Assignment, definition: Definition, exemptions: Iterable[Exemption], target: Scope | None, now: datetime
) -> Ready:
    """Work out what an assignment means on a target; None is for files that name no cluster.

    Parameters must have been checked. Raises ValueError for an expression, an effect or a
    selector that cannot be understood.
    """
    parameters = effective(definition, assignment.parameters)
    effect_name = resolve(definition.effect, parameters)
    effect = next((e for e in Effect if isinstance(effect_name, str) and e.lower() == effect_name.lower()), None)
    if effect is None:
        raise ValueError(f"effect {effect_name!r} is not one of {', '.join(Effect)}")
    place = target or assignment_cluster(assignment)
    selection = Selection(
        kinds=definition.kinds,
        target=place,
        scope=assignment.scope,
        not_scopes=assignment.not_scopes,
        namespaces=_names("namespaces", resolve(definition.namespaces, parameters)),
        excluded_namespaces=_names("excludedNamespaces", resolve(definition.excluded_namespaces, parameters)),
        selector=Selector.parse(resolve(definition.label_selector, parameters)),
    )
    return Ready(
        assignment=assignment,
        definition=definition,
        effect=effect,
        values=resolve(definition.values, parameters),
        selection=selection,
        key=AssignmentKey(
            name=assignment.name, definition=definition.slug, effect=effect.value, severity=definition.severity
        ),
        exemptions=tuple(e for e in exemptions if e.assignment == assignment.name and not e.expired(now)),
        excluded_containers=_names("excludedContainers", parameters.get("excludedContainers")),
        excluded_images=_names("excludedImages", parameters.get("excludedImages")),
    )


def assignment_cluster(assignment: Assignment) -> Scope:
    """The cluster that an assignment's scope lies in or names; ``/`` when it is above clusters."""
    segments = [part for part in assignment.scope.path.split("/") if part]
    if len(segments) >= 2 and segments[0].lower() == "clusters":
        return Scope(f"/clusters/{segments[1]}")
    return Scope("/")


def reaches(assignment: Assignment, target: Scope) -> bool:
    """Whether an assignment has anything to do with a target, or with part of it."""
    return assignment.scope.covers(target) or target.covers(assignment.scope)


def _names(what: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(entry, str) for entry in value):
        raise ValueError(f"{what} is not a list of strings")
    # Blanks around names come from copied lists; Azure's own portal leaves them in.
    return tuple(entry.strip() for entry in value if entry.strip())
