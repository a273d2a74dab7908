"""What is assigned, as one bundle for Gatekeeper: templates, constraints, and what those need besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aksp.compliance.plan import MatchSource, Plan
from aksp.engine import Engine
from aksp.errors import InvalidPolicy
from aksp.gatekeeper.constraints import Exported, InexpressibleError, constraint
from aksp.gatekeeper.names import EXPANSIONS, MANAGED_BY
from aksp.gatekeeper.synced import computed, sync_set, synced
from aksp.gatekeeper.templates import constraint_template
from aksp.model.definition import Definition
from aksp.model.kinds import WORKLOADS
from aksp.model.scope import Scope

Object = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedBundle:
    """Objects of Gatekeeper by the file that each belongs in, in the order in which they are applied.

    ``lost`` is what they do not say of the assignments, ``notes`` what is left out as it should be. It is ``whole`` when
    no assignment is missing that should be there.
    """

    files: Mapping[str, Object]
    lost: Sequence[str]
    notes: Sequence[str]
    whole: bool


def bundle(engine: Engine, plan: Plan, cluster: Scope | None) -> ExportedBundle:
    """The bundle of a plan whose definitions are compiled. Raises InvalidPolicy for two templates of one name."""
    lost = [f"assignment {one.assignment.full_name}: {one.problem}" for one in plan.broken]
    notes = [
        f"assignment {one.assignment.full_name}: not exported, its effect is {one.effect}" for one in plan.disabled
    ]
    whole = not plan.broken
    constraints: list[Object] = []
    used: dict[str, Definition] = {}
    expanded = False
    for one in sorted(plan.ready, key=lambda ready: ready.assignment.full_name):
        try:
            found = constraint(one, cluster)
            if isinstance(found, Exported):
                constraint_template(one.definition)  # Rego of several versions makes none
        except (InexpressibleError, InvalidPolicy) as error:
            lost.append(f"assignment {one.assignment.full_name}: not exported: {error}")
            whole = False
            continue
        if not isinstance(found, Exported):
            notes.append(f"assignment {one.assignment.full_name}: not exported: {found}")
            continue
        constraints.append(found.document)
        used[one.definition.slug] = one.definition
        expanded = expanded or one.source is not MatchSource.ORIGINAL
        lost += found.lost
    objects = list(_templates(used, lost))
    requirements = []
    for definition in used.values():
        kinds, untold = synced(definition)
        requirements += [kind for alternatives in kinds for kind in alternatives]
        lost += untold
        if not definition.requires_inventory and engine.lookups(definition.slug) is None:
            lost.append(computed(definition))
    objects += [sync_set(requirements)] if requirements else []
    objects += _expansions() if expanded else []
    return ExportedBundle(files=_by_file([*objects, *constraints]), lost=lost, notes=[*plan.notes, *notes], whole=whole)


def _templates(used: Mapping[str, Definition], lost: list[str]) -> Iterator[Object]:
    names: dict[str, str] = {}
    for slug, definition in sorted(used.items()):
        template = constraint_template(definition)
        name = template["metadata"]["name"]
        if name in names:
            raise InvalidPolicy(
                f"definitions {names[name]!r} and {slug!r} would have one ConstraintTemplate {name!r}",
                where=definition.origin,
                hint="rename one of their folders",
            )
        names[name] = slug
        yield template


def _expansions() -> list[Object]:
    """What has Gatekeeper judge the Pods of workloads, for assignments whose ``source`` asks for them."""
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


def _by_file(objects: Sequence[Object]) -> dict[str, Object]:
    """Each object with a file of its own. Folders are by what may be applied together: a kind of constraints is there
    only once Gatekeeper has its template."""
    files: dict[str, Object] = {}
    for one in objects:
        kind, name = one["kind"], one["metadata"]["name"]
        path = {
            "ConstraintTemplate": f"templates/{name}.yaml",
            "SyncSet": "syncset.yaml",
            "ExpansionTemplate": f"expansions/{name}.yaml",
        }.get(kind, f"constraints/{kind.lower()}.{name}.yaml")
        if path in files:
            raise InvalidPolicy(f"two assignments would have one constraint {kind} {name}", hint="rename one of them")
        files[path] = one
    return files
