"""What is in force in a cluster, made from its custom resources, and what is wrong with the rest.

Whatever is wrong with one document concerns that one alone. A PolicyAssignment or PolicyDefinition
whose newest version is wrong stays in force as in its last good version: the one in memory, else the
one that its status keeps (``appliedSpec``). A wrong PolicyExemption counts for nothing: its last good
version may be just what the new one was to narrow, and a waiver that nobody can read must not go on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aksp.addon.in_force.compiled import Compiled
from aksp.addon.in_force.definitions import DefinitionInForce, Definitions
from aksp.addon.in_force.documents import Seen, by_name
from aksp.addon.in_force.problems import Reason, Wrong, as_wrong
from aksp.assigned import (
    Judged,
    broken_member,
    check_parameters,
    check_references,
    idle,
    member_of,
    ready_for,
    references_of,
)
from aksp.compliance.exemptions import by_assignment, waives
from aksp.compliance.plan import AssignedInitiative, BrokenAssignment, Plan, Ready, reaches
from aksp.engine import Engine
from aksp.model.assignment import Assignment, EnforcementMode, Exemption
from aksp.model.definition import Definition
from aksp.model.effect import MIXED_EFFECT, UNKNOWN_EFFECT
from aksp.model.initiative import Initiative
from aksp.model.scope import Scope
from aksp.store.documents import assignment_from, exemption_from
from aksp.workspace import admission_only, check_regexes, plan_of


class InForce(Struct, frozen=True, kw_only=True):
    """One PolicyAssignment: the version seen, and what is in force of it, if anything.

    ``problem`` says what is wrong with the version seen; then ``judged`` is the last good one, or
    None. ``note`` is what to know although it is in force. Of what is ready ``key.definition`` is the
    definition's slug, ``definition.slug`` the id of its Rego in the engine: not the same
    after a definition has changed.
    """

    name: str
    uid: str
    generation: int
    applied_generation: int | None = None
    applied_spec: Mapping[str, Any] | None = None
    judged: Judged | None = None
    problem: str | None = None
    reason: Reason | None = None
    note: str = ""

    @property
    def ready(self) -> Sequence[Ready]:
        """What is judged: one, or the members of an initiative; nothing when nothing of it is in force."""
        return self.judged.ready if self.judged is not None else ()

    @property
    def broken(self) -> Sequence[BrokenAssignment]:
        """The members of an initiative that cannot be judged, and are to be."""
        return [one for one in self.judged.broken if not one.disabled] if self.judged is not None else ()

    @property
    def judges(self) -> bool:
        """Whether any of it is to be judged."""
        return any(one.effect.judges for one in self.ready) or bool(self.broken)

    @property
    def effect(self) -> str | None:
        """The effect in force; None when nothing is."""
        effects = {one.effect.value for one in self.ready} | {one.effect or UNKNOWN_EFFECT for one in self.broken}
        return next(iter(effects)) if len(effects) == 1 else MIXED_EFFECT if effects else None

    @property
    def enforcement_mode(self) -> EnforcementMode:
        """The mode of the version in force."""
        return next((one.assignment.enforcement_mode for one in self.ready), EnforcementMode.DEFAULT)


class ExemptionInForce(Struct, frozen=True, kw_only=True):
    """One PolicyExemption; with a ``problem`` it counts for nothing, and ``exemption`` is None if it cannot be read."""

    name: str
    generation: int
    exemption: Exemption | None = None
    problem: str | None = None
    reason: Reason | None = None


class Standing(Struct, frozen=True, kw_only=True):
    """What is in force, by name. After ``valid_until``, the next end of an exemption, it must be made anew."""

    plan: Plan
    assignments: Sequence[InForce]
    definitions: Sequence[DefinitionInForce]
    exemptions: Sequence[ExemptionInForce]
    valid_until: datetime | None
    compiled: Compiled


def stand(
    engine: Engine,
    *,
    definitions: Sequence[Mapping[str, Any]],
    assignments: Sequence[Mapping[str, Any]],
    exemptions: Sequence[Mapping[str, Any]],
    cluster: Scope,
    now: datetime,
    initiatives: Sequence[Mapping[str, Any]] = (),
    previous: Standing | None = None,
) -> Standing:
    """Make the custom resources ready to judge by, compiled in the engine.

    ``previous`` is the last standing of the same engine: what has not changed since is taken from
    it, and it remembers the last good versions. Documents that are wrong raise nothing.
    """
    compiled = Compiled(engine, previous.compiled if previous else None)
    known = Definitions(compiled, definitions, initiatives, previous.definitions if previous else ())
    seen = [Seen.of(document) for document in by_name(assignments)]
    names = {one.name: _references(one, known) for one in seen}
    waivers = [_exemption(Seen.of(document), names, now) for document in by_name(exemptions)]
    waiving = [one.exemption for one in waivers if one.exemption is not None and one.problem is None]
    work = _Work(
        engine=engine,
        compiled=compiled,
        definitions=known,
        exemptions=by_assignment(waiving),
        cluster=cluster,
        now=now,
        before={one.name: one for one in previous.assignments} if previous and previous.plan.target == cluster else {},
    )
    standing = [work.assignment(one) for one in seen]
    return Standing(
        plan=plan_of(
            cluster,
            [ready for one in standing for ready in one.ready],
            notes=[one.problem for one in waivers if one.problem],
            broken=[broken for one in standing if one.judged is not None for broken in one.judged.broken],
            initiatives=[one.judged.initiative for one in standing if one.judged and one.judged.initiative],
        ),
        assignments=standing,
        definitions=known.records,
        exemptions=waivers,
        valid_until=min((e.expires_on for e in waiving if e.expires_on is not None), default=None),
        compiled=compiled,
    )


def _references(seen: Seen, definitions: Definitions) -> list[str] | None:
    """The reference ids of the initiative that is assigned; None where that cannot be told."""
    try:
        found = definitions.find(str(seen.spec.get("policyDefinitionId")) if isinstance(seen.spec, Mapping) else "")
    except Wrong:
        return None
    return references_of(found)


def _exemption(seen: Seen, assignments: Mapping[str, Collection[str] | None], now: datetime) -> ExemptionInForce:
    """What becomes of one exemption."""
    one = ExemptionInForce(name=seen.name, generation=seen.generation)
    try:
        origin = f"policyexemption/{seen.name}"
        with as_wrong(Reason.INVALID, origin):
            exemption = exemption_from(seen.document("PolicyExemption"), origin)
    except Wrong as wrong:
        return replace(
            one, problem=f"exemption {seen.name} is wrong, so it does nothing: {wrong.message}", reason=wrong.reason
        )
    if exemption.resource_selectors:
        # A cluster does not know where it lies: without them it would waive more.
        return replace(
            one,
            problem=f"exemption {seen.name} has resourceSelectors, which no cluster can decide, so it does nothing",
            reason=Reason.INVALID,
        )
    problem = idle(exemption, assignments, now)
    reason = None
    if problem:
        reason = Reason.NO_SUCH_ASSIGNMENT if exemption.assignment not in assignments else Reason.EXPIRED
    return replace(one, exemption=exemption, problem=problem, reason=reason)


class _Work(Struct, frozen=True, kw_only=True):
    """The making of one standing."""

    engine: Engine
    compiled: Compiled
    definitions: Definitions
    exemptions: Mapping[str, Sequence[Exemption]]
    cluster: Scope
    now: datetime
    before: Mapping[str, InForce]

    def assignment(self, seen: Seen) -> InForce:
        """What is in force of one assignment."""
        before = self.before.get(seen.name)
        if before is not None and before.uid != seen.uid:
            before = None
        one = InForce(name=seen.name, uid=seen.uid, generation=seen.generation)
        try:
            return self._applied(one, seen.document("PolicyAssignment"), seen.generation, before)
        except Wrong as wrong:
            # The message is written to the assignment's own status, so it need not name the assignment.
            message = wrong.message.removeprefix(f"assignment {seen.name!r}: ")
            one = replace(one, problem=message, reason=wrong.reason)
        if one.reason is Reason.NOT_IN_SCOPE:
            return one
        return self._last_good(one, seen, before)

    def _last_good(self, one: InForce, seen: Seen, before: InForce | None) -> InForce:
        """The last good version, by the definition as it is now, else as it was judged before."""
        spec, generation = seen.applied_spec, seen.applied_generation
        if before is not None and before.applied_spec is not None:
            spec, generation = before.applied_spec, before.applied_generation
        if spec is not None and spec != seen.spec:
            try:
                return self._applied(one, seen.document("PolicyAssignment", spec), generation, before)
            except Wrong as wrong:
                if wrong.reason is Reason.NOT_IN_SCOPE:
                    return one
        if before is None or before.judged is None:
            return one
        return replace(
            one,
            applied_generation=before.applied_generation,
            applied_spec=before.applied_spec,
            judged=replace(before.judged, ready=[self._kept(ready) for ready in before.ready]),
        )

    def _applied(
        self, one: InForce, document: dict[str, Any], generation: int | None, before: InForce | None
    ) -> InForce:
        """A version of the document, in force. Raises Wrong."""
        origin = f"policyassignment/{one.name}"
        with as_wrong(Reason.INVALID_DOCUMENT, origin):
            assignment = assignment_from(document, origin)
        if not reaches(assignment, self.cluster):
            raise Wrong(
                Reason.NOT_IN_SCOPE,
                f"its scope {assignment.scope} does not reach this cluster, {self.cluster}: correct spec.scope, or"
                " leave it if the assignment is another cluster's",
            )
        judged, note = self._judged(assignment, before)
        return replace(one, applied_generation=generation, applied_spec=document["spec"], judged=judged, note=note)

    def _judged(self, assignment: Assignment, before: InForce | None) -> tuple[Judged, str]:
        """What is judged of an assignment, and what to know of it. Raises Wrong."""
        known = {one.assignment.reference: one for one in before.ready} if before is not None else {}
        found = self.definitions.find(assignment.definition_id)
        if not isinstance(found, Initiative):
            ready, note = self._ready(assignment, found, known.get(""))
            return Judged(ready=[ready]), note
        with as_wrong(Reason.INVALID_PARAMETERS, assignment.origin):
            check_parameters(assignment, found)
            check_references(assignment, [one.reference for one in found.members])
        members: list[Ready] = []
        broken: list[BrokenAssignment] = []
        notes = [self.definitions.note(found)]
        for member in found.members:
            try:
                with as_wrong(Reason.INVALID_DEFINITION, assignment.origin):
                    own, definition = member_of(assignment, found, member, self.definitions.catalog)
                ready, note = self._ready(own, definition, known.get(member.reference))
                members.append(ready)
                notes.append(note)
            except Wrong as wrong:
                one = broken_member(assignment, found, member, wrong.message, wrong.__cause__)
                last = known.get(member.reference)
                if last is None or one.disabled:
                    broken.append(one)
                else:
                    # As a whole assignment would: what was in force does not go because something is wrong now.
                    members.append(self._kept(last))
                    notes.append(f"member {member.reference}: {one.problem}. Its last good version stays in force")
        assigned = AssignedInitiative(assignment=assignment, initiative=found)
        told = "; ".join(dict.fromkeys(filter(None, notes)))
        return Judged(ready=members, broken=broken, initiative=assigned), told

    def _ready(self, assignment: Assignment, definition: Definition, known: Ready | None) -> tuple[Ready, str]:
        rule = self.definitions.rule(definition)
        if known is not None and known.assignment == assignment and known.definition == rule.in_engine:
            return self._waived(known), rule.note
        with as_wrong(Reason.INVALID_PARAMETERS, assignment.origin):
            ready = ready_for(assignment, rule.definition, (), self.cluster, self.now)
            check_regexes(self.engine, [(assignment, rule.definition)])
        return self._waived(
            replace(ready, definition=rule.in_engine, not_started=admission_only(self.engine, rule.policy))
        ), rule.note

    def _kept(self, ready: Ready) -> Ready:
        """What was in force before, by the Rego that it was judged by."""
        self.compiled.keep(ready.definition.slug)
        return self._waived(ready)

    def _waived(self, ready: Ready) -> Ready:
        """With the exemptions as they are now; the same object when they are the same."""
        mine = self.exemptions.get(ready.assignment.name, ())
        exemptions = tuple(one for one in mine if waives(one, ready.assignment))
        return ready if ready.exemptions == exemptions else replace(ready, exemptions=exemptions)
