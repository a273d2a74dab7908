"""Which Rego the engine holds under which id, from one standing to the next.

A policy's id is its definition's slug. A definition that changes gets another id (``slug@2``): the
reviews under way go on with the Rego that they began with, and assignments whose parameters do not
fit the new version stay with the old one.
"""

from __future__ import annotations

from itertools import count

from msgspec import Struct

from aksp.engine import Engine
from aksp.model.definition import Definition, RegoModule, ResourceKind
from aksp.workspace import compile_definition


class _Held(Struct, frozen=True, kw_only=True):
    """The Rego of one id, and the kinds that it compares with, as they are declared and as they are."""

    modules: tuple[RegoModule, ...]
    declared: tuple[ResourceKind, ...]
    compared: tuple[ResourceKind, ...]


class Compiled:
    """The ids of one standing; ``before`` are those of the last one, in the same engine."""

    def __init__(self, engine: Engine, before: Compiled | None = None) -> None:
        self._engine = engine
        #: All that the engine holds: it forgets nothing by itself.
        self._held: dict[str, _Held] = dict(before._held) if before else {}
        self._used: set[str] = set()
        # Reviews may still be judged by the last standing, or by the one before it.
        self._busy: frozenset[str] = frozenset(before._used | before._last) if before else frozenset()
        self._last: frozenset[str] = frozenset(before._used) if before else frozenset()

    def compared(self, policy: str) -> tuple[ResourceKind, ...]:
        """The kinds that the Rego of an id compares with."""
        return self._held[policy].compared

    def id_of(self, definition: Definition) -> str:
        """The id of a definition's Rego, compiled unless it is already. Raises InvalidPolicy."""
        slug = definition.slug
        for policy, held in self._held.items():
            same = held.modules == definition.modules and held.declared == definition.requires_inventory
            if policy.partition("@")[0] == slug and same:
                self._used.add(policy)
                return policy
        names = (slug if number == 1 else f"{slug}@{number}" for number in count(1))
        policy = next(name for name in names if name not in self._used and name not in self._busy)
        made = compile_definition(self._engine, definition, policy)
        self._held[policy] = _Held(
            modules=definition.modules, declared=definition.requires_inventory, compared=made.requires_inventory
        )
        self._used.add(policy)
        return policy

    def keep(self, policy: str) -> None:
        """Go on using an id of the standing before."""
        self._used.add(policy)
