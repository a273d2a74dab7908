"""Assignments of mutations as mutators of Gatekeeper, in the files of an export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aksp.azure.mutating import Mutating, left_out_of, mutators_of
from aksp.compliance.plan import reaches
from aksp.gatekeeper.bundle import ExportedAssignment
from aksp.model.assignment import Assignment
from aksp.model.scope import EVERYWHERE, Scope


def exported_mutators(
    assigned: Sequence[tuple[Mutating, Assignment]], cluster: Scope | None
) -> tuple[dict[str, Mapping[str, Any]], list[ExportedAssignment]]:
    """The mutators in a cluster, by file, None being any; and what cannot be one."""
    files: dict[str, Mapping[str, Any]] = {}
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
