"""What a catalogue is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from aksp.compliance.parameters import nearest
from aksp.errors import InvalidInput
from aksp.model.definition import Definition


class Catalog(Protocol):
    """A source of definitions."""

    def __iter__(self) -> Iterator[Definition]:
        """All definitions, by slug. Raises InvalidPolicy for one that is wrong."""


class Catalogs:
    """Several catalogues as one; a later one may not redefine what an earlier one has."""

    def __init__(self, catalogs: Sequence[Catalog]) -> None:
        self._catalogs = catalogs
        self._all: dict[str, Definition] | None = None

    def __iter__(self) -> Iterator[Definition]:
        return iter(self._load().values())

    def _load(self) -> dict[str, Definition]:
        if self._all is None:
            found: dict[str, Definition] = {}
            for catalog in self._catalogs:
                for definition in catalog:
                    if (other := found.get(definition.slug)) is not None:
                        raise InvalidInput(
                            f"definition {definition.slug!r} is there already, from {other.origin}",
                            where=definition.origin,
                            hint="rename the folder of yours",
                        )
                    found[definition.slug] = definition
            self._all = dict(sorted(found.items()))
        return self._all

    def get(self, identifier: str) -> Definition:
        """A definition by slug, GUID, Azure id or Azure policy name, in any case.

        Raises InvalidInput, naming the nearest.
        """
        wanted = identifier.rstrip("/").rpartition("/")[2].lower()
        definitions = self._load()
        for definition in definitions.values():
            names = (definition.slug, definition.name, definition.azure_policy_id or "")
            if wanted in (name.lower() for name in names):
                return definition
        raise InvalidInput(
            f"there is no definition {identifier!r}",
            hint=f"{nearest(wanted, definitions)} (`aksp definitions` lists all)",
        )
