"""What a catalogue is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from aksp.catalog.common import unavailable
from aksp.compliance.parameters import nearest
from aksp.errors import InvalidInput, InvalidPolicy
from aksp.model.definition import Definition


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokenDefinition:
    """A definition that cannot be loaded, by what it would be called, and why."""

    slug: str
    error: InvalidPolicy


class Catalog(Protocol):
    """A source of definitions."""

    def __iter__(self) -> Iterator[Definition | BrokenDefinition]:
        """All definitions, by slug, and those that cannot be loaded."""


class Catalogs:
    """Several catalogues as one.

    A definition may not have a name that an earlier one has: an assignment could mean either. Whatever is wrong
    with one definition concerns it alone.
    """

    def __init__(self, catalogs: Sequence[Catalog]) -> None:
        self._catalogs = catalogs
        self._all: dict[str, Definition] | None = None
        self._broken: list[BrokenDefinition] = []

    def __iter__(self) -> Iterator[Definition]:
        """The definitions that can be loaded, by slug."""
        return iter(self._load().values())

    @property
    def broken(self) -> Sequence[BrokenDefinition]:
        """The definitions that cannot be loaded."""
        self._load()
        return self._broken

    def _load(self) -> dict[str, Definition]:
        if self._all is None:
            found: dict[str, Definition] = {}
            owners: dict[str, Definition] = {}
            for one in (one for catalog in self._catalogs for one in catalog):
                if isinstance(one, BrokenDefinition):
                    self._broken.append(one)
                elif (taken := next((name for name in names_of(one) if name in owners), None)) is not None:
                    self._broken.append(BrokenDefinition(slug=one.slug, error=_taken(one, taken, owners[taken])))
                else:
                    owners.update(dict.fromkeys(names_of(one), one))
                    found[one.slug] = one
            self._all = dict(sorted(found.items()))
        return self._all

    def get(self, identifier: str) -> Definition:
        """A definition by slug, GUID, Azure id or Azure policy name, in any case.

        Raises InvalidPolicy for one that cannot be loaded, InvalidInput, naming the nearest, for one not there, and with
        the reason for one of Azure's that cannot be had.
        """
        wanted = identifier.rstrip("/").rpartition("/")[2].lower()
        definitions = self._load()
        for definition in definitions.values():
            if wanted in names_of(definition):
                return definition
        for one in self._broken:
            if wanted == one.slug.lower():
                raise one.error
        for missing in unavailable():
            if wanted in (missing["id"], missing["name"].lower()):
                raise InvalidInput(
                    f"Azure's {missing['name']} cannot be had: {missing['reason']}", hint=missing["instead"]
                )
        unknown = [one.slug for one in self._broken]
        beside = f"; {', '.join(unknown)} cannot be loaded" if unknown else ""
        near = nearest(wanted, definitions)
        # There are too many to name them all.
        hint = (
            f"{near} (`aksp definitions` lists all{beside})"
            if near.startswith("did")
            else f"`aksp definitions` lists all{beside}"
        )
        raise InvalidInput(f"there is no definition {identifier!r}", hint=hint)


def names_of(definition: Definition) -> list[str]:
    """What assignments may call a definition, in lower case."""
    of_azure = (name for one in definition.azure for name in (one.id, one.name))
    names = (definition.slug, definition.name, definition.azure_policy_id, *of_azure)
    return list(dict.fromkeys(name.lower() for name in names if name))


def _taken(definition: Definition, name: str, other: Definition) -> InvalidPolicy:
    if name == definition.slug.lower():
        return InvalidPolicy(
            f"definition {definition.slug!r} is there already, from {other.origin}",
            where=definition.origin,
            hint="rename the folder of yours",
        )
    return InvalidPolicy(
        f"its name or azurePolicyId {name!r} is that of definition {other.slug!r}, from {other.origin}",
        where=definition.origin,
        hint="give it another; without a name it is called after its folder",
    )
