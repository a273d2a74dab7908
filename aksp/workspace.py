"""The composition root: from settings to catalogue, store, engine and inventories."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from aksp.assigned import ending, idle, judged_for, problem_of, references_of
from aksp.catalog.folder import Folder, bundled_folder
from aksp.catalog.interface import Assignable, Catalogs
from aksp.compliance import parameters
from aksp.compliance.comparing import UNKNOWN, compared_kinds, misplaced, nonexistent
from aksp.compliance.exemptions import by_assignment
from aksp.compliance.expressions import resolve
from aksp.compliance.judgement import Audit
from aksp.compliance.nothing import ADMISSION_ONLY
from aksp.compliance.placing import Undecided, at_place, located, waiving_at
from aksp.compliance.plan import AssignedInitiative, BrokenAssignment, Plan, Ready
from aksp.engine import Engine
from aksp.engine.records import PolicyFault
from aksp.errors import InvalidInput, InvalidPolicy
from aksp.model.assignment import Assignment, Exemption
from aksp.model.definition import Definition, RegoModule
from aksp.model.effect import MIXED_EFFECT, Effect
from aksp.model.initiative import Initiative
from aksp.model.scope import Scope
from aksp.model.scope_tree import ClusterPlace, ScopeTree
from aksp.store.files import Files
from aksp.workspace_folder import workspace_root

_DEFINITIONS = "definitions"


def catalog_of(root: Path) -> Catalogs:
    """The definitions and initiatives that come with aksp, and those of a workspace."""
    bundled, own = bundled_folder(), Folder(root / _DEFINITIONS)
    # They are read when they are asked for. What comes with aksp has its names before all of a workspace.
    bundled_sets = (one for folder in (bundled,) for one in folder.initiatives())
    return Catalogs([bundled, bundled_sets, own], own.initiatives(), first=bundled.get)


class Workspace(Struct, frozen=True, kw_only=True):
    """One workspace: its documents, and the definitions that they may name."""

    root: Path
    store: Files
    catalog: Catalogs
    assumed: Assignment | None = None
    """An assignment that is taken for all that there is."""

    @classmethod
    def open(cls, given: str | None = None, *, new: bool = False) -> Workspace:
        """The workspace that the options and the place name. Nothing is made or read yet.

        Raises InvalidInput when the one that is named is not there, except for ``new``.
        """
        root = workspace_root(given, new=new)
        return cls(root=root, store=Files(root), catalog=catalog_of(root))

    def plan(self, target: Scope | None, now: datetime) -> Plan:
        """The assignments that reach a target, checked and resolved; None is files without a cluster.

        Assignments of a definition that cannot be loaded, or cannot be understood, are broken. Raises InvalidInput for
        an assignment or an exemption that is wrong.
        """
        assignments, exemptions = self._documents()
        ready: list[Ready] = []
        broken: list[BrokenAssignment] = []
        initiatives: list[AssignedInitiative] = []
        tree = self.scope_tree()
        place = tree.place(target) if target is not None else None
        target = place.scope if place is not None else None
        in_force, doubts = waiving(exemptions, place)
        waived = by_assignment(in_force)
        for written in assignments:
            try:
                assignment = at_place(written, place, tree) if place is not None else located(written, None)
            except Undecided as doubt:
                broken.append(_broken(written, str(doubt), unplaced=True))
                continue
            if assignment is None:
                continue
            try:
                found = self.definition_of(assignment)
                one = judged_for(assignment, found, self.catalog, waived.get(assignment.name, ()), target, now)
                ready += one.ready
                broken += one.broken
                initiatives += [one.initiative] if one.initiative else []
            except InvalidPolicy as error:
                broken.append(_broken(assignment, problem_of(error)))
        told = {each.problem for each in broken}
        # Those that come with aksp can all be loaded.
        unloaded = self.catalog.broken if (self.root / _DEFINITIONS).is_dir() else ()
        unused = [text for one in unloaded if (text := problem_of(one.error)) not in told]
        return plan_of(
            target or Scope("/"),
            ready,
            broken=broken,
            initiatives=initiatives,
            notes=[
                *(f"a definition cannot be loaded: {text}" for text in unused),
                *doubts,
                *self._exempt_notes(exemptions, assignments, now),
            ],
        )

    def scope_tree(self) -> ScopeTree:
        """Where clusters lie. Raises InvalidInput for an entry that is wrong."""
        return ScopeTree(entries=self.store.scopes())

    def assuming(self, assignment: Assignment) -> Workspace:
        """The workspace as it would be with one assignment alone."""
        return replace(self, assumed=assignment)

    def _documents(self) -> tuple[Sequence[Assignment], Sequence[Exemption]]:
        exemptions = self.store.exemptions()
        if self.assumed is None:
            return self.store.assignments(), exemptions
        return [self.assumed], [one for one in exemptions if one.assignment == self.assumed.name]

    def _exempt_notes(
        self, exemptions: Sequence[Exemption], assignments: Sequence[Assignment], now: datetime
    ) -> list[str]:
        """Notes on the exemptions that do nothing, or soon will not."""
        references = {one.name: self._references(one) for one in assignments}
        return [note for one in exemptions if (note := idle(one, references, now) or ending(one, now))]

    def _references(self, assignment: Assignment) -> Collection[str] | None:
        """The reference ids of the initiative that is assigned; None where it cannot be loaded."""
        try:
            found = self.catalog.find(assignment.definition_id)
        except InvalidInput:
            return None
        return references_of(found)

    def effect_of(self, assignment: Assignment) -> str:
        """An assignment's effect, to be shown; ``?`` when its definition cannot tell."""
        try:
            found = self.definition_of(assignment)
            if isinstance(found, Initiative):
                # Overrides are of members, which may differ: what the initiative's own parameter says is shown.
                return str(parameters.effective(found, assignment.parameters).get("effect", MIXED_EFFECT))
            if assignment.overridden_effect is not None:
                return assignment.overridden_effect
            return str(resolve(found.effect, parameters.effective(found, assignment.parameters)))
        except (InvalidInput, ValueError):
            return "?"

    def definition_of(self, assignment: Assignment) -> Assignable:
        """An assignment's definition or initiative. Raises InvalidInput when it is gone."""
        try:
            return self.catalog.find(assignment.definition_id)
        except InvalidPolicy:
            raise
        except InvalidInput as error:
            raise InvalidInput(
                f"assignment {assignment.name!r}: {error.what}", where=assignment.origin or None, hint=error.hint
            ) from error


def waiving(exemptions: Sequence[Exemption], place: ClusterPlace | None) -> tuple[list[Exemption], list[str]]:
    """The exemptions that hold at a place, and a note for each of which nobody can tell: such a one waives nothing."""
    found: list[Exemption] = []
    doubts: list[str] = []
    for one in exemptions:
        try:
            if waiving_at(one, place):
                found.append(one)
        except Undecided as doubt:
            doubts.append(f"exemption {one.name} waives nothing here: {doubt}")
    return found, doubts


def _broken(assignment: Assignment, problem: str, *, unplaced: bool = False) -> BrokenAssignment:
    """An assignment whose definition cannot be loaded, or cannot be understood with its parameters.

    ``unplaced``: the scope tree cannot tell whether it reaches a cluster.
    """
    return BrokenAssignment(
        assignment=assignment,
        definition=assignment.definition_id,
        problem=problem,
        effect=Effect.named(assignment.parameters.get("effect")),
        unplaced=unplaced,
    )


def plan_of(
    target: Scope,
    ready: Sequence[Ready],
    notes: Sequence[str] = (),
    broken: Sequence[BrokenAssignment] = (),
    initiatives: Sequence[AssignedInitiative] = (),
) -> Plan:
    """The plan of assignments that were made ready, those whose effect judges nothing apart."""
    return Plan(
        target=target,
        ready=[one for one in ready if one.effect.judges],
        disabled=[one for one in ready if not one.effect.judges],
        broken=broken,
        notes=notes,
        initiatives=initiatives,
    )


def check_regexes(engine: Engine, checked: Sequence[tuple[Assignment, Definition]]) -> None:
    """Raise InvalidInput for a parameter that is no RE2 regular expression."""
    patterns = [
        (assignment, name, pattern)
        for assignment, definition in checked
        for name, pattern in parameters.regexes(definition, assignment.parameters)
    ]
    if not patterns:
        return
    for (assignment, name, pattern), fault in zip(
        patterns, engine.regex_faults([p for *_, p in patterns]), strict=True
    ):
        if fault is not None:
            raise InvalidInput(
                f"assignment {assignment.full_name!r}: parameter {name!r}: {pattern!r} is no RE2 regular expression: {fault}",
                where=assignment.origin or None,
                hint="RE2 has no look-around and no back-references",
            )


def prepare(engine: Engine, plan: Plan) -> Plan:
    """The plan with its definitions compiled; assignments of those that do not compile are broken."""
    check_regexes(engine, [(one.assignment, one.definition) for one in plan.ready])
    compiled: dict[str, Definition] = {}
    faults: dict[str, str] = {}
    definitions = {one.definition.slug: one.definition for one in plan.ready}
    engine.compile_ahead({slug: definition.modules for slug, definition in definitions.items()})
    for definition in definitions.values():
        try:
            compiled[definition.slug] = compile_definition(engine, definition)
        except InvalidPolicy as error:
            faults[definition.slug] = problem_of(error)
    broken = [
        BrokenAssignment(
            assignment=one.assignment,
            definition=one.definition.slug,
            problem=faults[one.definition.slug],
            effect=one.effect,
        )
        for one in plan.ready
        if one.definition.slug in faults
    ]
    ready = [
        replace(one, definition=compiled[one.definition.slug], not_started=admission_only(engine, one.definition.slug))
        for one in plan.ready
        if one.definition.slug in compiled
    ]
    notes = [
        f"assignment {one.key.name}: the rule asks for the admission request, which a scan does not know, so it may find"
        " more at admission"
        for one in ready
        if engine.audit(one.definition.slug) is Audit.PART
    ]
    return replace(plan, ready=ready, broken=[*plan.broken, *broken], notes=[*plan.notes, *notes])


def admission_only(engine: Engine, policy: str) -> str:
    """Why no scan can judge by a compiled policy; empty where one can."""
    return ADMISSION_ONLY if engine.audit(policy) is Audit.NEVER else ""


def compile_definition(engine: Engine, definition: Definition, policy: str | None = None) -> Definition:
    """One definition, compiled under its slug or another id, with all kinds that its rule compares with.

    Where these cannot be told it is not asked. Raises InvalidPolicy with file, line and column.
    """
    policy = policy or definition.slug
    faults = engine.compile(policy, definition.modules)
    if faults:
        first = faults[0]
        indent = _indent(definition.modules, first["file"], first["row"])
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise InvalidPolicy(
            f"definition {definition.slug!r} does not compile: {first['message']}{more}",
            # OPA counts columns from 1, and calls the end of a file column 0.
            where=f"{first['file']}:{first['row']}:{max(first['col'], 1) + indent}",
            hint=_of_version_0(definition.modules, faults),
        )
    lookups = engine.lookups(policy)
    if lookups is None and not definition.requires_inventory:
        engine.withhold(policy, UNKNOWN)
    kinds = compared_kinds(lookups or (), definition.requires_inventory)
    if why := nonexistent(kinds) or misplaced(lookups or ()):
        engine.withhold(policy, why)
    return replace(definition, requires_inventory=kinds)


def _of_version_0(modules: Sequence[RegoModule], faults: Sequence[PolicyFault]) -> str | None:
    """What to do about a file in Rego v0, of which OPA says that keywords are missing; None for another fault."""
    newer = {one.name for one in modules if one.version == "v1"}
    if not any(one["file"] in newer and "keyword is required" in one["message"] for one in faults):
        return None
    return (
        'this is Rego v0: write `violation contains {"msg": msg} if { … }`, or put it into a ConstraintTemplate,'
        " whose Rego is v0 unless it says version: v1"
    )


def _indent(modules: Sequence[RegoModule], file: str, row: int) -> int:
    """By how many columns the Rego at a row of a file is indented there."""
    found = [one for one in modules if one.name == file and one.line <= row]
    return max(found, key=lambda one: one.line).indent if found else 0
