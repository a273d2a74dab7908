"""What a catalogue is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from aksp.catalog.common import unavailable
from aksp.catalog.mutations import mutation_named
from aksp.compliance.parameters import nearest
from aksp.errors import InvalidInput, InvalidPolicy
from aksp.model.definition import Definition
from aksp.model.initiative import Initiative

#: What an assignment may name.
Assignable = Definition | Initiative


class BrokenDefinition(Struct, frozen=True, kw_only=True):
    """A definition or an initiative that cannot be loaded: the name that it would have, and why."""

    slug: str
    error: InvalidPolicy


class NotHad(InvalidInput):
    """A definition of Azure's that cannot be had here, with the reason."""


class Catalogs:
    """Several catalogues as one, with the initiatives of their definitions.

    A definition or an initiative may not have a name that an earlier one has: an assignment could mean either. An error
    in one does not affect the others. ``first`` finds one of the first catalogue by its slug, before anything else is read,
    so that nine assignments do not read a hundred definitions; it must give the same object each time.
    """

    def __init__(
        self,
        catalogs: Sequence[Iterable[Assignable | BrokenDefinition]],
        initiatives: Iterable[Initiative | BrokenDefinition] = (),
        first: Callable[[str], Assignable | None] = lambda slug: None,
    ) -> None:
        self._catalogs = catalogs
        self._sets = initiatives
        self._first = first
        self._all: dict[str, Definition] | None = None
        self._initiatives: dict[str, Initiative] = {}
        self._owners: dict[str, Assignable] = {}
        self._broken: list[BrokenDefinition] = []

    def __iter__(self) -> Iterator[Definition]:
        """The definitions that can be loaded, by slug."""
        return iter(self._load().values())

    @property
    def initiatives(self) -> Sequence[Initiative]:
        """The initiatives that can be loaded, by slug."""
        self._load()
        return tuple(self._initiatives.values())

    @property
    def names(self) -> Mapping[str, Definition]:
        """The definitions that can be loaded, by all that they may be called, in lower case."""
        return {name: one for one in self for name in names_of(one)}

    @property
    def broken(self) -> Sequence[BrokenDefinition]:
        """The definitions and the initiatives that cannot be loaded."""
        self._load()
        return self._broken

    def _load(self) -> dict[str, Definition]:
        if self._all is None:
            found: dict[str, Definition] = {}
            sets: dict[str, Initiative] = {}
            owners = self._owners
            for one in (*(one for catalog in self._catalogs for one in catalog), *self._sets):
                if isinstance(one, BrokenDefinition):
                    self._broken.append(one)
                    continue
                names = names_of(one)
                if (taken := next((name for name in names if name in owners), None)) is not None:
                    self._broken.append(BrokenDefinition(slug=one.slug, error=_taken(one, taken, owners[taken])))
                    continue
                owners.update(dict.fromkeys(names, one))
                if isinstance(one, Initiative):
                    sets[one.slug] = one
                else:
                    found[one.slug] = one
            self._all, self._initiatives = dict(sorted(found.items())), dict(sorted(sets.items()))
        return self._all

    def get(self, identifier: str) -> Definition:
        """A definition by slug, GUID, Azure id or Azure policy name, in any case.

        Raises InvalidPolicy for one that cannot be loaded, InvalidInput, naming the nearest, for one not there, and with
        the reason for one of Azure's that cannot be had.
        """
        found = self.find(identifier, "definition")
        if isinstance(found, Initiative):
            raise InvalidInput(
                f"{identifier!r} is an initiative, and a definition is asked for",
                hint=f"`aksp initiatives show {found.slug}` shows it and its definitions",
            )
        return found

    def find(self, identifier: str, wanted_kind: str = "definition or initiative") -> Assignable:
        """A definition or an initiative, as get() finds a definition. ``wanted_kind`` is what an error calls it."""
        wanted = identifier.rstrip("/").rpartition("/")[2].lower()
        if self._all is None and (known := self._first(wanted)) is not None:
            return known
        definitions = self._load()
        if wanted in self._owners:
            return self._owners[wanted]
        for broken in self._broken:
            if wanted == broken.slug.lower():
                raise broken.error
        for missing in unavailable():
            if wanted in (missing["id"], missing["name"].lower()):
                raise NotHad(f"Azure's {missing['name']} cannot be had: {missing['reason']}", hint=missing["instead"])
        if (mutation := mutation_named(wanted)) is not None:
            raise NotHad(
                f"Azure's {mutation.name} changes objects, and nothing is judged by it",
                hint=f"`aksp mutate --mutation {mutation.name} -f PATH` shows what it would set",
            )
        unknown = [one.slug for one in self._broken]
        beside = f"; {', '.join(unknown)} cannot be loaded" if unknown else ""
        near = nearest(wanted, [*definitions, *self._initiatives])
        # There are too many to name them all.
        listing = " and ".join(f"`aksp {one}s`" for one in wanted_kind.split(" or "))
        all_of_them = f"{listing} {'list' if ' and ' in listing else 'lists'} all{beside}"
        hint = f"{near} ({all_of_them})" if near.startswith("did") else all_of_them
        raise InvalidInput(f"there is no {wanted_kind} {identifier!r}", hint=hint)


def names_of(one: Assignable) -> list[str]:
    """What assignments may call a definition or an initiative, in lower case."""
    of_azure = (name for each in one.azure for name in (each.id, each.name))
    names = (one.slug, one.name, one.azure_policy_id, *of_azure)
    return list(dict.fromkeys(name.lower() for name in names if name))


def _taken(one: Assignable, name: str, other: Assignable) -> InvalidPolicy:
    what, place = ("initiative", "file") if isinstance(one, Initiative) else ("definition", "folder")
    whose = "initiative" if isinstance(other, Initiative) else "definition"
    if name == one.slug.lower():
        # Of the same kind it has the same slug, which need not be said twice.
        there = f"{what} {one.slug!r} is there already" if what == whose else f"{whose} {other.slug!r} has its name"
        return InvalidPolicy(f"{there}, from {other.origin}", where=one.origin, hint=f"rename the {place} of yours")
    return InvalidPolicy(
        f"its name or azurePolicyId {name!r} is that of {whose} {other.slug!r}, from {other.origin}",
        where=one.origin,
        hint=f"give it another; without a name it is called after its {place}",
    )
