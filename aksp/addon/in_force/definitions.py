"""What assignments of a cluster may name: what comes with aksp, its PolicyDefinitions and PolicySetDefinitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aksp.addon.in_force.compiled import Compiled
from aksp.addon.in_force.documents import Seen, by_name
from aksp.addon.in_force.problems import Reason, Wrong, as_wrong, sentence
from aksp.catalog import initiatives
from aksp.catalog.custom import definition_from_resource
from aksp.catalog.folder import bundled, bundled_initiatives
from aksp.catalog.interface import Assignable, Catalogs, names_of
from aksp.errors import InvalidInput
from aksp.model.definition import Definition, ResourceKind
from aksp.model.initiative import Initiative

KIND = "PolicyDefinition"
#: Reasons that do not lie in the document itself: they may be over at the next try.
_PASSING = (Reason.NAME_TAKEN, Reason.ENGINE_FAILED)


class DefinitionInForce(Struct, frozen=True, kw_only=True):
    """One PolicyDefinition or PolicySetDefinition: the version seen, and the version in force, if any.

    ``policy`` is the id of a definition's Rego in the engine. ``problem`` says what is wrong with the version
    seen; then ``definition`` is the last good one, or None.
    """

    name: str
    uid: str
    generation: int
    spec: Any
    kind: str = KIND
    definition: Assignable | None = None
    policy: str = ""
    applied_generation: int | None = None
    applied_spec: Mapping[str, Any] | None = None
    problem: str | None = None
    reason: Reason | None = None


class Rule(Struct, frozen=True, kw_only=True):
    """A definition in force, the id of its Rego and the kinds that this compares with.

    ``note`` says what is wrong with its newest version.
    """

    definition: Definition
    policy: str
    compared: tuple[ResourceKind, ...]
    note: str = ""

    @property
    def in_engine(self) -> Definition:
        """The definition as the engine knows it: its slug is the policy's id."""
        return replace(self.definition, slug=self.policy, requires_inventory=self.compared)


class Definitions:
    """The definitions and initiatives of one standing, by what assignments call them."""

    def __init__(
        self,
        compiled: Compiled,
        documents: Sequence[Mapping[str, Any]],
        sets: Sequence[Mapping[str, Any]] = (),
        before: Sequence[DefinitionInForce] = (),
    ) -> None:
        self._compiled = compiled
        self._before = {(one.kind, one.name): one for one in before}
        #: Names, GUIDs and Azure's ids in lower case, each with the definition or initiative that has it.
        ours: list[Assignable] = [*bundled(), *bundled_initiatives()]
        self._names = {name: f"the bundled {own.slug}" for own in ours for name in names_of(own)}
        found: dict[tuple[str, str], DefinitionInForce] = {}
        for kind, listed in ((KIND, documents), (initiatives.KIND, sets)):
            # Of two with one name the older one keeps it.
            for seen in sorted(map(Seen.of, by_name(listed)), key=lambda seen: (seen.created, seen.name)):
                found[kind, seen.name] = self._claimed(self._read(kind, seen))
        self.records = [found[key] for key in sorted(found)]
        own = [one.definition for one in self.records if one.definition is not None]
        self.catalog = Catalogs(
            [bundled(), [one for one in own if not isinstance(one, Initiative)]],
            [*bundled_initiatives(), *(one for one in own if isinstance(one, Initiative))],
        )

    def _read(self, kind: str, seen: Seen) -> DefinitionInForce:
        """A document's newest version, else the last good one."""
        before = self._before.get((kind, seen.name))
        if before is not None and before.uid != seen.uid:
            before = None
        if before is not None and before.spec == seen.spec and before.reason not in _PASSING:
            self._keep(before)
            return replace(before, generation=seen.generation)
        fresh = DefinitionInForce(name=seen.name, uid=seen.uid, generation=seen.generation, spec=seen.spec, kind=kind)
        try:
            if taken := self._names.get(seen.name.lower()):
                raise Wrong(Reason.NAME_TAKEN, f"its name is that of {taken}: give it another metadata.name")
            return self._applied(fresh, seen.document(kind), seen.generation)
        except Wrong as wrong:
            fresh = replace(fresh, problem=wrong.message, reason=wrong.reason)
        if fresh.reason is Reason.NAME_TAKEN:
            return fresh
        if before is not None and before.definition is not None:
            self._keep(before)
            return replace(
                before, generation=seen.generation, spec=seen.spec, problem=fresh.problem, reason=fresh.reason
            )
        if seen.applied_spec is not None and seen.applied_spec != seen.spec:
            try:
                return self._applied(fresh, seen.document(kind, seen.applied_spec), seen.applied_generation)
            except Wrong:
                pass  # what is wrong with the newest version is told
        return fresh

    def _applied(self, fresh: DefinitionInForce, document: dict[str, Any], generation: int | None) -> DefinitionInForce:
        origin = f"{fresh.kind.lower()}/{fresh.name}"
        definition: Assignable
        policy = ""
        with as_wrong(Reason.INVALID_DEFINITION, origin):
            if fresh.kind == KIND:
                definition = definition_from_resource(document, origin)
                policy = self._compiled.id_of(definition)
            else:
                definition = initiatives.initiative_from_resource(document, origin)
        return replace(
            fresh,
            definition=definition,
            policy=policy,
            applied_generation=generation,
            applied_spec=document["spec"],
        )

    def _keep(self, before: DefinitionInForce) -> None:
        if before.policy:
            self._compiled.keep(before.policy)

    def _claimed(self, one: DefinitionInForce) -> DefinitionInForce:
        """The same, unless one of its names is another's: then an assignment could mean either."""
        if one.definition is None:
            return one
        names = names_of(one.definition)
        for name in sorted(names):
            if taken := self._names.get(name):
                problem = (
                    f"its name {name!r} is that of {taken}: give it another metadata.name, spec.name or azurePolicyId"
                )
                return replace(
                    one,
                    definition=None,
                    policy="",
                    applied_generation=None,
                    applied_spec=None,
                    problem=problem,
                    reason=Reason.NAME_TAKEN,
                )
        self._names.update(dict.fromkeys(names, f"the {one.kind} {one.name}"))
        return one

    def find(self, identifier: str) -> Assignable:
        """The definition or initiative that an assignment names. Raises Wrong."""
        try:
            return self.catalog.find(identifier)
        except InvalidInput as error:
            raise self._missing(identifier, error) from error

    def note(self, one: Assignable) -> str:
        """What is wrong with the newest version, where an older one is in force; empty when nothing is."""
        record = next((record for record in self.records if record.definition is one), None)
        if record is None or not record.problem:
            return ""
        version = f"generation {record.applied_generation}" if record.applied_generation else "the last good version"
        what = "initiative" if isinstance(one, Initiative) else "definition"
        return f"{what} {record.name} is wrong in its newest version, and {version} stays in force: {record.problem}"

    def rule(self, definition: Definition) -> Rule:
        """A definition of the catalogue, compiled. Raises Wrong."""
        record = next((one for one in self.records if one.definition is definition), None)
        with as_wrong(Reason.INVALID_DEFINITION):
            policy = self._compiled.id_of(definition) if record is None else record.policy
        note = self.note(definition)
        return Rule(definition=definition, policy=policy, compared=self._compiled.compared(policy), note=note)

    def _missing(self, identifier: str, error: InvalidInput) -> Wrong:
        wanted = identifier.rstrip("/").rpartition("/")[2].lower()
        for one in self.records:
            named = one.spec.get("name") if isinstance(one.spec, Mapping) else None
            if wanted in (one.name, str(named).lower()):
                what = "definition" if one.kind == KIND else "initiative"
                return Wrong(Reason.INVALID_DEFINITION, f"{what} {one.name} is wrong: {one.problem}")
        return Wrong(Reason.DEFINITION_NOT_FOUND, sentence(error))
