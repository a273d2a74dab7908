"""What Gatekeeper is to have of what is in force, and what of it cannot be said in its objects."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from aksp.addon.in_force.policies import Standing
from aksp.addon.in_force.problems import Reason
from aksp.addon.names import MANAGED_BY
from aksp.compliance.plan import MatchSource
from aksp.engine import Engine
from aksp.gatekeeper.bundle import ExportedAssignment, bundle
from aksp.gatekeeper.names import CONSTRAINTS, OURS, SYNC_SETS, TEMPLATES
from aksp.model.assignment import full_name

Object = Mapping[str, Any]
TEMPLATES_PATH: Final = f"/apis/{TEMPLATES}/constrainttemplates"
SYNC_SETS_PATH: Final = f"/apis/{SYNC_SETS}/syncsets"
_EXPANSIONS: Final = (
    "Pods of workloads are judged by it only with ExpansionTemplates, which the add-on does not write:"
    " `aksp export gatekeeper` does"
)
_OLDER: Final = (
    "an older version of its definition is in force, and a ConstraintTemplate has the newest one alone;"
    " the constraint stays as it is"
)


class WantedObjects(Struct, frozen=True, kw_only=True):
    """Gatekeeper's objects by path, templates first, and what becomes of each assignment, by its name.

    ``untold`` is what templates do not say of what they compare with, by the template's name. The constraints of what is
    ``held``, by name or full name of the assignment, stay as they are: what is wrong now may not have them go.
    """

    templates: Mapping[str, Object]
    sync_sets: Mapping[str, Object]
    constraints: Mapping[str, Object]
    exported: Mapping[str, Sequence[ExportedAssignment]]
    untold: Mapping[str, Sequence[str]]
    held: frozenset[str]

    def holds(self, constraint: Object) -> bool:
        """Whether a constraint that is not wanted is to stay."""
        told = (constraint.get("metadata") or {}).get("annotations") or {}
        name = str(told.get(f"{OURS}assignment"))
        return bool({name, full_name(name, str(told.get(f"{OURS}reference-id") or ""))} & self.held)


def constraints_path(template: str) -> str:
    """The list of the constraints of a template: their plural is its name."""
    return f"/apis/{CONSTRAINTS}/{template}"


def constraint_path(constraint: Object) -> str:
    """Where a constraint is."""
    return f"{constraints_path(constraint['kind'].lower())}/{constraint['metadata']['name']}"


def wanted_objects(engine: Engine, standing: Standing, left_out: Collection[str] = ()) -> WantedObjects:
    """What follows from what is in force. ``engine`` is the one that it is compiled in.

    ``left_out`` are the namespaces in which nothing is refused, whatever is assigned.
    """
    plan = standing.plan
    newest = {one.policy for one in standing.definitions if one.definition is not None and one.policy}
    own = {policy.partition("@")[0] for policy in newest}
    older = [one for one in plan.ready if one.key.definition in own and one.definition.slug not in newest]
    made = bundle(engine, replace(plan, ready=[one for one in plan.ready if one not in older]), plan.target, kept=True)
    exported: dict[str, list[ExportedAssignment]] = {}
    stale = [ExportedAssignment(assignment=one.assignment, problem=_OLDER) for one in older]
    for one in [*made.assignments, *stale]:
        exported.setdefault(one.assignment.name, []).append(_without_expansions(one))
    held = {one.name for one in standing.assignments if one.judged is None and one.reason is not Reason.NOT_IN_SCOPE}
    held |= {one.assignment.full_name for each in exported.values() for one in each if one.problem}
    ours = {file: _ours(document) for file, document in made.files.items()}
    return WantedObjects(
        templates=dict(_by_path(ours, "templates/", TEMPLATES_PATH)),
        sync_sets=dict(_by_path(ours, "syncset.yaml", SYNC_SETS_PATH)),
        constraints={
            constraint_path(one): _leaving_out(one, left_out)
            for file, one in ours.items()
            if file.startswith("constraints/")
        },
        exported=exported,
        untold=made.untold,
        held=frozenset(held),
    )


def _without_expansions(one: ExportedAssignment) -> ExportedAssignment:
    if one.constraint is None or one.constraint["spec"]["match"].get("source") == MatchSource.ORIGINAL:
        return one
    return replace(one, lost=(*one.lost, _EXPANSIONS))


def _ours(document: Object) -> Object:
    return {**document, "metadata": {**document["metadata"], "labels": dict(MANAGED_BY)}}


def _leaving_out(constraint: Object, namespaces: Collection[str]) -> Object:
    match = constraint["spec"]["match"]
    excluded = [*match.get("excludedNamespaces", ()), *namespaces]
    if not excluded:
        return constraint
    match = {**match, "excludedNamespaces": list(dict.fromkeys(excluded))}
    return {**constraint, "spec": {**constraint["spec"], "match": match}}


def _by_path(files: Mapping[str, Object], prefix: str, collection: str) -> Iterator[tuple[str, Object]]:
    for file, document in files.items():
        if file.startswith(prefix):
            yield f"{collection}/{document['metadata']['name']}", document
