"""Assignments of mutations, Azure's and custom ones: checked, as mutators of Gatekeeper, and what these make of objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from aksp.azure.custom_mutations import CustomMutation, custom_mutations
from aksp.azure.documents import NotImported
from aksp.catalog.mutating import Mutator
from aksp.catalog.mutations import EXCLUDED, MUTATIONS, PARAMETERS, Mutation, MutationOperation, mutation_named
from aksp.catalog.mutator_match import concerns
from aksp.compliance.plan import reaches
from aksp.errors import InvalidInput
from aksp.gatekeeper.names import MANAGED_BY, OURS, legal, shortened
from aksp.model.assignment import Assignment
from aksp.model.fields import mapping, within
from aksp.model.kinds import WORKLOADS
from aksp.model.scope import EVERYWHERE, Scope
from aksp.store.files import Files

if TYPE_CHECKING:
    from aksp.gatekeeper.bundle import ExportedAssignment

_EFFECTS: Final = ("mutate", "disabled")
_MUTATIONS: Final = "mutations.gatekeeper.sh/v1"

#: What an assignment in ``mutations`` assigns.
Mutating = Mutation | CustomMutation
Object = Mapping[str, Any]


def check_mutation(mutation: Mutating, assignment: Assignment) -> None:
    """Raise NotImported for parameters that a mutation does not have."""
    if isinstance(mutation, CustomMutation):
        try:
            mutation.resolved(assignment.parameters)
        except ValueError as error:
            raise NotImported(str(error)) from error
        return
    for name, value in assignment.parameters.items():
        if name not in PARAMETERS:
            raise NotImported(f"{mutation.name} has no parameter {name}")
        listed = isinstance(value, list) and all(isinstance(one, str) for one in value)
        if not (listed if name.endswith("amespaces") else isinstance(value, str)):
            raise NotImported(f"the parameter {name} is {value!r}")
    if str(assignment.parameters.get("effect", _EFFECTS[0])).lower() not in _EFFECTS:
        raise NotImported(f"{mutation.name} has no effect {assignment.parameters['effect']}")


def mutators_of(mutation: Mutating, one: Assignment) -> list[dict[str, Any]]:
    """An assignment that was checked as mutators of Gatekeeper; none where its effect switches it off."""
    if isinstance(mutation, CustomMutation):
        effect, details = mutation.resolved(one.parameters)
        bodies = [deepcopy(dict(each)) for each in mutation.mutators]
    else:
        details = {"excludedNamespaces": list(EXCLUDED), **one.parameters}
        effect, bodies = str(details.pop("effect", _EFFECTS[0])), [_of_built_in(mutation)]
    if effect.lower() != _EFFECTS[0]:
        return []
    made = []
    for at, body in enumerate(bodies):
        name = one.name if len(bodies) == 1 else f"{one.name}-{at + 1}"
        spec = dict(body["spec"])
        match = {key: value for key, value in _match(spec.get("match") or {}, details, one).items() if value}
        spec["match"] = match
        made.append({
            "apiVersion": body["apiVersion"], "kind": body["kind"],
            "metadata": {
                "name": shortened(legal(name), name), "labels": dict(MANAGED_BY),
                "annotations": {f"{OURS}assignment": one.name, f"{OURS}definition": mutation.name},
            },
            "spec": spec,
        })  # fmt: skip
    return made


def _match(own: Object, details: Object, one: Assignment) -> dict[str, Any]:
    """The match of a mutator, narrowed by the definition's details and the assignment's scopes."""
    scopes = [each.key[3] for each in one.not_scopes if each.key[2:3] == ("namespaces",)]
    within = [one.scope.key[3]] if one.scope.key[2:3] == ("namespaces",) else []
    excluded = [*(own.get("excludedNamespaces") or []), *(details.get("excludedNamespaces") or []), *scopes]
    given = {key: details[key] for key in ("labelSelector", "scope", "source") if details.get(key)}
    match = {
        **own, **given, "namespaces": within or details.get("namespaces") or own.get("namespaces"),
        "excludedNamespaces": list(dict.fromkeys(excluded)),
    }  # fmt: skip
    if match.get("scope") == "Cluster":
        match["excludedNamespaces"] = []
    if match.get("source") == "Original":
        del match["source"]
    return match


def _of_built_in(mutation: Mutation) -> dict[str, Any]:
    parameters: dict[str, Any]
    if mutation.operation is MutationOperation.ASSIGN:
        parameters = {"assign": {"value": mutation.value}}
        if mutation.only_absent:
            parameters["pathTests"] = [{"subPath": mutation.location, "condition": "MustNotExist"}]
    else:
        parameters = {"operation": mutation.operation.value, "values": {"fromList": mutation.value}}
    return {
        "apiVersion": _MUTATIONS,
        "kind": "Assign" if mutation.operation is MutationOperation.ASSIGN else "ModifySet",
        "spec": {
            "applyTo": [{"groups": [mutation.group], "versions": [mutation.api_version], "kinds": [mutation.kind]}],
            "match": {
                "scope": "Cluster" if mutation.kind == "Node" else "Namespaced",
                "kinds": [{"apiGroups": [mutation.group], "kinds": [mutation.kind]}],
                "labelSelector": dict(mutation.label_selector),
            },
            "location": mutation.location,
            "parameters": parameters,
        },
    }


class MutationInForce(Struct, frozen=True, kw_only=True):
    """Mutators, and where they apply. ``by``: how messages call them."""

    by: str
    documents: Sequence[Object]

    @classmethod
    def of(cls, mutation: Mutating, assignment: Assignment) -> MutationInForce | None:
        """The one of an assignment; None where its effect switches it off."""
        found = mutators_of(mutation, assignment)
        return cls(by=f"assignment {assignment.name}", documents=found) if found else None

    def changed(self, document: Object, spaces: Mapping[str, Mapping[str, str]] | None = None) -> Any:
        """An object of a manifest after mutation. In a workload the template is changed as its Pods would be.

        ``spaces`` are the labels of Namespaces. Raises NotMutated.
        """
        made: Any = document
        for one in self.documents:
            mutator = Mutator.read(one, self.by)
            if concerns(one, made, spaces or {}):
                made = mutator.mutated(made)
            made = _in_template(one, mutator, made, spaces or {})
        return made


def _in_template(one: Object, mutator: Mutator, document: Object, spaces: Mapping[str, Mapping[str, str]]) -> Object:
    """A workload whose template is changed as a mutator would change its Pods."""
    workload = WORKLOADS.get(str(document.get("kind")))
    if workload is None or str(document.get("apiVersion")).rpartition("/")[0] != workload.group:
        return document
    path = workload.template.split(".")
    template = within(document, *path)
    if not isinstance(template, Mapping):
        return document
    metadata = mapping(document.get("metadata"))
    own = mapping(template.get("metadata"))
    lent = {"namespace": metadata.get("namespace") or "default", "generateName": f"{metadata.get('name')}-"}
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**own, **lent}}
    if not concerns(one, pod, spaces):
        return document
    made = mutator.mutated(pod)
    if made == pod:
        return document
    changed = {key: value for key, value in made["metadata"].items() if key not in lent or key in own}
    back = {key: made[key] for key in made if key in template or key not in ("apiVersion", "kind", "metadata")}
    if changed or "metadata" in template:
        back["metadata"] = {**changed, **{key: own[key] for key in lent if key in own}}
    return _put(document, path, back)


def _put(document: Object, path: Sequence[str], value: Any) -> dict[str, Any]:
    """An object with something else at a path of objects."""
    first, *rest = path
    return {**document, first: _put(document[first], rest, value) if rest else value}


def mutations_of(root: Path) -> list[tuple[Mutating, Assignment]]:
    """The assignments of mutations in a workspace, by name. Raises InvalidInput for one that is wrong."""
    found: list[tuple[Mutating, Assignment]] = []
    own = custom_mutations(root)
    for one in Files(root / MUTATIONS).assignments():
        mutation: Mutating | None = own.get(one.definition_id) or mutation_named(one.definition_id)
        if mutation is None:
            raise InvalidInput(
                f"{one.definition_id!r} is none of Azure's mutations, and none of the workspace", where=one.origin
            )
        try:
            check_mutation(mutation, one)
        except NotImported as error:
            raise InvalidInput(str(error), where=one.origin) from error
        found.append((mutation, one))
    return found


def left_out_of(one: Assignment, cluster: Scope) -> bool:
    """Whether the notScopes of an assignment leave out a whole cluster."""
    return any(out.covers(cluster) for out in one.not_scopes)


def in_force(assignments: Sequence[tuple[Mutating, Assignment]]) -> Iterator[MutationInForce]:
    """Those that are not switched off."""
    for mutation, assignment in assignments:
        if (found := MutationInForce.of(mutation, assignment)) is not None:
            yield found


def exported_mutators(
    assigned: Sequence[tuple[Mutating, Assignment]], cluster: Scope | None
) -> tuple[dict[str, Object], list[ExportedAssignment]]:
    """The mutators in a cluster, by the file of an export, None being any; and what cannot be one."""
    from aksp.gatekeeper.bundle import ExportedAssignment

    files: dict[str, Object] = {}
    lost = []
    for mutation, one in assigned:
        found = mutators_of(mutation, one)
        if not found or (cluster is not None and not reaches(one, cluster)):
            continue
        if cluster is None and one.scope != EVERYWHERE:
            problem = f"{one.scope} is no scope of any cluster: name the cluster with --cluster"
            lost.append(ExportedAssignment(assignment=one, problem=problem))
            continue
        if cluster is not None and left_out_of(one, cluster):
            continue
        files |= {f"mutators/{made['kind'].lower()}.{made['metadata']['name']}.yaml": made for made in found}
    return files, lost
