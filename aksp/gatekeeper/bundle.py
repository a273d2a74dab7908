"""What is assigned, as one bundle for Gatekeeper: templates, constraints, and other objects that these need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aksp.compliance.plan import MatchSource, Plan, Ready
from aksp.engine import Engine
from aksp.errors import InvalidPolicy
from aksp.gatekeeper.constraints import Exported, InexpressibleError, constraint
from aksp.gatekeeper.names import EXPANSIONS, MANAGED_BY
from aksp.gatekeeper.synced import computed, sync_set, synced
from aksp.gatekeeper.templates import constraint_template
from aksp.model.assignment import Assignment
from aksp.model.definition import Definition
from aksp.model.kinds import WORKLOADS
from aksp.model.scope import Scope

Object = Mapping[str, Any]


class ExportedAssignment(Struct, frozen=True, kw_only=True):
    """What becomes of one assignment, or of one member of an initiative.

    Without a ``constraint`` either ``problem`` says why there should be one, or ``note`` why it is right that there is none.
    ``lost`` is what the constraint does not say. ``template`` is the name of the constraint's template.
    """

    assignment: Assignment
    constraint: Object | None = None
    template: str = ""
    lost: Sequence[str] = ()
    problem: str = ""
    note: str = ""


class ExportedBundle(Struct, frozen=True, kw_only=True):
    """Objects of Gatekeeper by the file that each belongs in, in the order in which they are applied.

    ``untold`` is what a template does not say of what its rule compares with, by the template's name.
    """

    files: Mapping[str, Object]
    assignments: Sequence[ExportedAssignment]
    untold: Mapping[str, Sequence[str]]
    remarks: Sequence[str]

    @property
    def whole(self) -> bool:
        """Whether no assignment is missing that should be there."""
        return not any(one.problem for one in self.assignments)

    @property
    def lost(self) -> list[str]:
        """What the objects do not say of the assignments."""
        problems = [f"assignment {one.assignment.full_name}: {one.problem}" for one in self.assignments if one.problem]
        lost = [f"assignment {one.assignment.full_name}: {text}" for one in self.assignments for text in one.lost]
        return [*problems, *lost, *(text for texts in self.untold.values() for text in texts)]

    @property
    def notes(self) -> list[str]:
        """What is left out as it should be."""
        left_out = [f"assignment {one.assignment.full_name}: {one.note}" for one in self.assignments if one.note]
        return [*self.remarks, *left_out]


def bundle(engine: Engine, plan: Plan, cluster: Scope | None, *, kept: bool = False) -> ExportedBundle:
    """The bundle of a plan whose definitions are compiled. ``kept``: it is made again when an exemption ends."""
    made = [ExportedAssignment(assignment=one.assignment, problem=one.problem) for one in plan.broken]
    made += [
        ExportedAssignment(assignment=one.assignment, note=f"not exported, its effect is {one.effect}")
        for one in plan.disabled
    ]
    files: dict[str, Object] = {}
    templates: dict[str, tuple[Definition, Object]] = {}
    expanded = False
    for one in sorted(plan.ready, key=lambda ready: ready.assignment.full_name):
        try:
            found = constraint(one, cluster, kept=kept)
            if not isinstance(found, Exported):
                made.append(ExportedAssignment(assignment=one.assignment, note=f"not exported: {found}"))
                continue
            name = found.document["kind"].lower()
            known, template = templates.get(name) or (one.definition, _template(one))
            if known != one.definition:
                raise InexpressibleError(_same_template(name, known, one.definition))
            path = f"constraints/{name}.{found.document['metadata']['name']}.yaml"
            if path in files:
                raise InexpressibleError(
                    f"another assignment has the constraint {found.document['kind']} {found.document['metadata']['name']}:"
                    " rename one of them"
                )
        except (InexpressibleError, InvalidPolicy) as error:
            made.append(ExportedAssignment(assignment=one.assignment, problem=f"not exported: {error}"))
            continue
        files[path] = found.document
        templates[name] = known, template
        expanded = expanded or one.source is not MatchSource.ORIGINAL
        made.append(
            ExportedAssignment(
                assignment=one.assignment, constraint=found.document, template=name, lost=tuple(found.lost)
            )
        )
    requirements = []
    untold: dict[str, Sequence[str]] = {}
    for name, (definition, _) in sorted(templates.items()):
        kinds, texts = synced(definition)
        requirements += [kind for alternatives in kinds for kind in alternatives]
        if not definition.requires_inventory and engine.lookups(definition.slug) is None:
            texts = [*texts, computed(definition)]
        untold[name] = texts
    first = {f"templates/{name}.yaml": template for name, (_, template) in sorted(templates.items())}
    first |= {"syncset.yaml": sync_set(requirements)} if requirements else {}
    first |= {f"expansions/{one['metadata']['name']}.yaml": one for one in _expansions()} if expanded else {}
    return ExportedBundle(files={**first, **files}, assignments=made, untold=untold, remarks=plan.notes)


def _template(ready: Ready) -> Object:
    # The slug of a compiled definition may be the id of one of its versions.
    return constraint_template(replace(ready.definition, slug=ready.key.definition))


def _same_template(name: str, one: Definition, other: Definition) -> str:
    """Why a template cannot be another one's too."""
    if one.name == other.name:
        return "other assignments have another version of its definition, and a template has one"
    return f"the ConstraintTemplate {name} is also that of the definition {one.slug}: rename the folder of one of them"


def _expansions() -> list[Object]:
    """ExpansionTemplates, by which Gatekeeper judges the Pods of workloads, for assignments whose ``source`` asks for them."""
    return [
        {
            "apiVersion": EXPANSIONS,
            "kind": "ExpansionTemplate",
            "metadata": {"name": f"aksp-{one.kind.lower()}", "labels": dict(MANAGED_BY)},
            "spec": {
                "applyTo": [{"groups": [one.group], "versions": [one.version], "kinds": [one.kind]}],
                "templateSource": one.template,
                "generatedGVK": {"group": "", "version": "v1", "kind": "Pod"},
            },
        }
        for one in WORKLOADS.values()
    ]
