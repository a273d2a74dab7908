"""Assignments of Azure's mutations as mutators of Gatekeeper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aksp.azure.mutating import MutationInForce
from aksp.catalog.mutations import Mutation, MutationOperation
from aksp.compliance.plan import reaches
from aksp.gatekeeper.bundle import ExportedAssignment
from aksp.gatekeeper.names import MANAGED_BY, OURS, legal, shortened
from aksp.model.assignment import Assignment
from aksp.model.scope import EVERYWHERE, Scope

_MUTATIONS: Final = "mutations.gatekeeper.sh/v1"


def exported_mutators(
    assigned: Sequence[tuple[Mutation, Assignment]], cluster: Scope | None
) -> tuple[dict[str, Mapping[str, Any]], list[ExportedAssignment]]:
    """The mutators in a cluster, by file, None being any; and what cannot be one."""
    files: dict[str, Mapping[str, Any]] = {}
    lost = []
    for mutation, one in assigned:
        found = MutationInForce.of(mutation, one)
        if found is None or (cluster is not None and not reaches(one, cluster)):
            continue
        if cluster is None and one.scope != EVERYWHERE:
            problem = f"{one.scope} is no scope of any cluster: name the cluster with --cluster"
            lost.append(ExportedAssignment(assignment=one, problem=problem))
            continue
        if cluster is not None and any(out.covers(cluster) for out in one.not_scopes):
            continue
        made = _mutator(found, one)
        files[f"mutators/{made['kind'].lower()}.{made['metadata']['name']}.yaml"] = made
    return files, lost


def _mutator(found: MutationInForce, one: Assignment) -> dict[str, Any]:
    mutation = found.mutation
    in_namespaces = mutation.kind != "Node"
    match = {
        "scope": "Namespaced" if in_namespaces else "Cluster",
        "kinds": [{"apiGroups": [mutation.group], "kinds": [mutation.kind]}],
        "namespaces": list(found.namespaces),
        "excludedNamespaces": list(found.excluded) if in_namespaces else [],
        "labelSelector": dict(mutation.label_selector),
        "source": str(one.parameters.get("source", "Original")),
    }
    parameters: dict[str, Any]
    if mutation.operation is MutationOperation.ASSIGN:
        parameters = {"assign": {"value": mutation.value}}
        if mutation.only_absent:
            parameters["pathTests"] = [{"subPath": mutation.location, "condition": "MustNotExist"}]
    else:
        parameters = {"operation": mutation.operation.value, "values": {"fromList": mutation.value}}
    version = mutation.api_version
    return {
        "apiVersion": _MUTATIONS,
        "kind": "Assign" if mutation.operation is MutationOperation.ASSIGN else "ModifySet",
        "metadata": {
            "name": shortened(legal(one.name), one.name),
            "labels": dict(MANAGED_BY),
            "annotations": {f"{OURS}assignment": one.name, f"{OURS}definition": mutation.name},
        },
        "spec": {
            "applyTo": [{"groups": [mutation.group], "versions": [version], "kinds": [mutation.kind]}],
            "match": {key: value for key, value in match.items() if value and value != "Original"},
            "location": mutation.location,
            "parameters": parameters,
        },
    }
