"""Azure's built-in definitions that change objects, each described by what it sets. Nothing is judged by them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any, Final

from msgspec import Struct, convert

from aksp.catalog.rego_files import BUNDLED
from aksp.model.json_text import decode_held
from aksp.yaml_reader import read_file

#: The folder of a workspace with the assignments of mutations, beside the one of those that judge.
MUTATIONS: Final = "mutations"
#: The parameters that all of them have.
PARAMETERS: Final = ("effect", "source", "namespaces", "excludedNamespaces")
#: The namespaces that they leave out unless an assignment says otherwise.
EXCLUDED: Final = ("kube-system", "gatekeeper-system", "azure-arc")


class MutationOperation(StrEnum):
    """What is done at a location: a value is set, or entries are put into a list, or taken out of it."""

    ASSIGN = "assign"
    MERGE = "merge"
    PRUNE = "prune"


class Mutation(Struct, frozen=True, kw_only=True, rename="camel"):
    """One of them. ``location`` is a path as Gatekeeper writes it; with ``only_absent`` a value that is there is kept."""

    id: str
    name: str
    version: str
    group: str
    api_version: str
    kind: str
    location: str
    operation: MutationOperation
    value: Any
    only_absent: bool = False
    label_selector: Mapping[str, Any] = {}


@cache
def mutations() -> tuple[Mutation, ...]:
    """All of them, by name."""
    written = decode_held(read_file(BUNDLED / "lib" / "mutations.json"))
    return convert(written, tuple[Mutation, ...])


def mutation_named(identifier: str) -> Mutation | None:
    """The one of a GUID, a resource id or Azure's name, in any case; None for anything else."""
    wanted = identifier.rstrip("/").rpartition("/")[2].lower()
    return next((one for one in mutations() if wanted in (one.id, one.name.lower())), None)
