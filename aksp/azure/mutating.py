"""Assignments of Azure's mutations: checked, and the objects that they concern."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aksp.azure.definitions import NotImported
from aksp.catalog.mutating import PatchOperation, patch_of
from aksp.catalog.mutations import EXCLUDED, MUTATIONS, PARAMETERS, Mutation, mutation_named
from aksp.compliance.globs import matches_glob
from aksp.compliance.selection import Selector
from aksp.errors import InvalidInput
from aksp.model.assignment import Assignment
from aksp.model.kinds import WORKLOADS
from aksp.store.files import Files

_EFFECTS: Final = ("mutate", "disabled")


def check_mutation(mutation: Mutation, assignment: Assignment) -> None:
    """Raise NotImported for parameters that a mutation has not."""
    for name, value in assignment.parameters.items():
        if name not in PARAMETERS:
            raise NotImported(f"{mutation.name} has no parameter {name}")
        listed = isinstance(value, list) and all(isinstance(one, str) for one in value)
        if not (listed if name.endswith("amespaces") else isinstance(value, str)):
            raise NotImported(f"the parameter {name} is {value!r}")
    if str(assignment.parameters.get("effect", _EFFECTS[0])).lower() not in _EFFECTS:
        raise NotImported(f"{mutation.name} has no effect {assignment.parameters['effect']}")


@dataclass(frozen=True, kw_only=True, slots=True)
class MutationInForce:
    """A mutation and where it holds; ``by`` is what it is told by."""

    mutation: Mutation
    by: str
    namespaces: tuple[str, ...] = ()
    excluded: tuple[str, ...] = EXCLUDED

    @classmethod
    def of(cls, mutation: Mutation, assignment: Assignment) -> MutationInForce | None:
        """The one of an assignment; None where its effect switches it off."""
        values = assignment.parameters
        if str(values.get("effect", _EFFECTS[0])).lower() != _EFFECTS[0]:
            return None
        scopes = [one.key[3] for one in assignment.not_scopes if one.key[2:3] == ("namespaces",)]
        within = (assignment.scope.key[3],) if assignment.scope.key[2:3] == ("namespaces",) else ()
        return cls(
            mutation=mutation, by=f"assignment {assignment.name}",
            namespaces=within or tuple(values.get("namespaces", ())),
            excluded=tuple(dict.fromkeys([*values.get("excludedNamespaces", EXCLUDED), *scopes])),
        )  # fmt: skip

    def patch(self, document: Mapping[str, Any]) -> list[PatchOperation]:
        """What it changes in an object of a manifest: of a workload in the template, as its Pods would be."""
        metadata = document.get("metadata")
        given = metadata if isinstance(metadata, Mapping) else {}
        namespace = str(given.get("namespace") or "default")
        if self.namespaces and not any(matches_glob(one, namespace) for one in self.namespaces):
            return []
        if self.mutation.kind != "Node" and any(matches_glob(one, namespace) for one in self.excluded):
            return []
        kind, version = document.get("kind"), str(document.get("apiVersion"))
        found, at = document, ""
        if kind != self.mutation.kind:
            workload = WORKLOADS.get(str(kind))
            if workload is None or self.mutation.kind != "Pod" or version.rpartition("/")[0] != workload.group:
                return []
            for part in workload.template.split("."):
                at, inner = f"{at}/{part}", found.get(part)
                if not isinstance(inner, Mapping):
                    return []
                found = inner
        elif version.rpartition("/")[0] != self.mutation.group:
            return []
        labels = given.get("labels")
        selector = Selector.parse(self.mutation.label_selector or None)
        if not selector.matches(labels if isinstance(labels, dict) else {}):
            return []
        return patch_of(self.mutation, found, at)


def mutations_of(root: Path) -> list[tuple[Mutation, Assignment]]:
    """The assignments of mutations in a workspace, by name. Raises InvalidInput for one that is wrong."""
    found = []
    for one in Files(root / MUTATIONS).assignments():
        mutation = mutation_named(one.definition_id)
        if mutation is None:
            raise InvalidInput(f"{one.definition_id!r} is none of Azure's mutations", where=one.origin)
        try:
            check_mutation(mutation, one)
        except NotImported as error:
            raise InvalidInput(str(error), where=one.origin) from error
        found.append((mutation, one))
    return found


def in_force(assignments: Sequence[tuple[Mutation, Assignment]]) -> Iterator[MutationInForce]:
    """Those that are not switched off."""
    for mutation, assignment in assignments:
        if (found := MutationInForce.of(mutation, assignment)) is not None:
            yield found
