"""The composition root: from settings to catalogue, store, engine and inventories."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from aksp.catalog.common import BUNDLED
from aksp.catalog.folder import Folder
from aksp.catalog.interface import Catalogs
from aksp.compliance import parameters
from aksp.compliance.comparing import UNKNOWN, compared_kinds, misplaced, nonexistent
from aksp.compliance.exemptions import SOON, by_assignment, ends_within
from aksp.compliance.expressions import resolve
from aksp.compliance.judgement import Audit
from aksp.compliance.nothing import ADMISSION_ONLY
from aksp.compliance.plan import BrokenAssignment, Plan, Ready, make_ready, reaches
from aksp.compliance.reach import check_scope, check_selection
from aksp.compliance.template_values import values_problem
from aksp.engine import Engine
from aksp.errors import InvalidInput, InvalidPolicy
from aksp.model.assignment import Assignment, Exemption
from aksp.model.definition import Definition, RegoModule
from aksp.model.effect import Effect
from aksp.model.scope import Scope
from aksp.model.times import rfc3339
from aksp.store.files import Files
from aksp.store.interface import Store

WORKSPACE_FOLDER = ".aksp"


def workspace_root(
    given: str | None = None,
    *,
    new: bool = False,
    cwd: Path | None = None,
) -> Path:
    """The workspace directory: --workspace, AKSP_WORKSPACE, the nearest .aksp/ upward, the user's data.

    Raises InvalidInput when the one that is named is not there, except for ``new``: whoever writes makes it.
    """
    if chosen := given or os.environ.get("AKSP_WORKSPACE"):
        named = Path(chosen).expanduser()
        if not new and not named.is_dir():
            what = "is no folder" if named.exists() else "is not there"
            raise InvalidInput(
                f"{'--workspace' if given else 'AKSP_WORKSPACE'} {named}: the workspace {what}",
                hint="`aksp assign` makes the folder that is named; check the name if there should be one",
            )
        return named
    here = cwd or Path.cwd()
    for folder in (here, *here.parents):
        if (folder / WORKSPACE_FOLDER).is_dir():
            return folder / WORKSPACE_FOLDER
    from platformdirs import user_data_path

    return user_data_path("aksp", appauthor=False)


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """One workspace: its documents, and the definitions that they may name."""

    root: Path
    store: Store
    catalog: Catalogs
    assumed: Assignment | None = None
    """An assignment that is taken for all that there is."""

    @classmethod
    def open(cls, given: str | None = None, *, new: bool = False) -> Workspace:
        """The workspace that the options and the place name. Nothing is made or read yet.

        Raises InvalidInput when the one that is named is not there, except for ``new``.
        """
        root = workspace_root(given, new=new)
        return cls(root=root, store=Files(root), catalog=Catalogs([Folder(BUNDLED), Folder(root / "definitions")]))

    def plan(self, target: Scope | None, now: datetime) -> Plan:
        """The assignments that reach a target, checked and resolved; None is files without a cluster.

        Assignments of a definition that cannot be loaded, or cannot be understood, are broken. Raises InvalidInput for
        an assignment or an exemption that is wrong.
        """
        assignments, exemptions = self._documents()
        names = {assignment.name for assignment in assignments}
        waived = by_assignment(exemptions)
        ready, broken = [], []
        for assignment in assignments:
            if target is not None and not reaches(assignment, target):
                continue
            try:
                definition = self.definition_of(assignment)
                ready.append(ready_for(assignment, definition, waived.get(assignment.name, ()), target, now))
            except InvalidPolicy as error:
                broken.append(_broken(assignment, error))
        told = {one.problem for one in broken}
        unused = [text for one in self.catalog.broken if (text := problem_of(one.error)) not in told]
        return plan_of(
            target or Scope("/"),
            ready,
            broken=broken,
            notes=[
                *(f"a definition cannot be loaded: {text}" for text in unused),
                *(note for one in exemptions if (note := idle(one, names, now) or ending(one, now))),
            ],
        )

    def assuming(self, assignment: Assignment) -> Workspace:
        """The workspace as it would be with one assignment alone."""
        return replace(self, assumed=assignment)

    def _documents(self) -> tuple[Sequence[Assignment], Sequence[Exemption]]:
        exemptions = self.store.exemptions()
        if self.assumed is None:
            return self.store.assignments(), exemptions
        return [self.assumed], [one for one in exemptions if one.assignment == self.assumed.name]

    def effect_of(self, assignment: Assignment) -> str:
        """An assignment's effect, to be shown; ``?`` when its definition cannot tell."""
        try:
            definition = self.definition_of(assignment)
            return str(resolve(definition.effect, parameters.effective(definition, assignment.parameters)))
        except (InvalidInput, ValueError):
            return "?"

    def definition_of(self, assignment: Assignment) -> Definition:
        """An assignment's definition. Raises InvalidInput when it is gone."""
        try:
            return self.catalog.get(assignment.definition_id)
        except InvalidPolicy:
            raise
        except InvalidInput as error:
            raise InvalidInput(
                f"assignment {assignment.name!r}: {error.what}", where=assignment.origin or None, hint=error.hint
            ) from error


def problem_of(error: InvalidPolicy) -> str:
    """What is wrong with a definition, and what may help."""
    return f"{error} ({error.hint})" if error.hint else str(error)


def _broken(assignment: Assignment, error: InvalidPolicy) -> BrokenAssignment:
    """An assignment whose definition cannot be loaded, or cannot be understood with its parameters."""
    effect = Effect.named(assignment.parameters.get("effect"))
    return BrokenAssignment(
        assignment=assignment, definition=assignment.definition_id, problem=problem_of(error), effect=effect
    )


def plan_of(
    target: Scope, ready: Sequence[Ready], notes: Sequence[str] = (), broken: Sequence[BrokenAssignment] = ()
) -> Plan:
    """The plan of assignments that were made ready, those whose effect judges nothing apart."""
    return Plan(
        target=target,
        ready=[one for one in ready if one.effect.judges],
        disabled=[one for one in ready if not one.effect.judges],
        broken=broken,
        notes=notes,
    )


def ready_for(
    assignment: Assignment,
    definition: Definition,
    exemptions: Sequence[Exemption],
    target: Scope | None,
    now: datetime,
) -> Ready:
    """One assignment, checked and resolved.

    Raises InvalidInput for parameters that are wrong, and of it InvalidPolicy where a definition that takes them cannot
    be understood with them.
    """
    check_parameters(assignment, definition)
    try:
        return make_ready(assignment, definition, exemptions, target, now)
    except ValueError as error:
        raise InvalidPolicy(str(error), where=definition.origin or assignment.origin or assignment.name) from error


def idle(exemption: Exemption, assignments: Collection[str], now: datetime) -> str | None:
    """Why an exemption does nothing, as a note, or None. ``assignments`` are the names that there are."""
    if exemption.assignment not in assignments:
        return f"exemption {exemption.name}: there is no assignment {exemption.assignment!r}, so it does nothing"
    if exemption.expired(now):
        assert exemption.expires_on is not None
        return f"exemption {exemption.name} expired on {exemption.expires_on:%Y-%m-%d}, so it does nothing"
    return None


def ending(exemption: Exemption, now: datetime) -> str | None:
    """That an exemption ends soon, as a note, or None."""
    if exemption.expires_on is None or not ends_within(exemption, SOON, now):
        return None
    days = (exemption.expires_on - now).days
    left = "today" if not days else f"in {days} day{'s' if days > 1 else ''}"
    return (
        f"exemption {exemption.name} of {exemption.assignment} ends {left}, on {rfc3339(exemption.expires_on)}:"
        " what it waives counts again from then on"
    )


def check_parameters(assignment: Assignment, definition: Definition) -> None:
    """Raise InvalidInput for parameters that a definition does not take."""
    found = parameters.faults(definition, assignment.parameters)
    if found:
        raise InvalidInput(
            f"assignment {assignment.name!r}: " + "; ".join(map(str, found)),
            where=assignment.origin or None,
            hint="; ".join(fault.hint for fault in found if fault.hint) or None,
        )


def check_resolves(assignment: Assignment, definition: Definition, now: datetime) -> Ready:
    """The assignment made ready. Raises InvalidInput when it cannot be, which is best known when it is made.

    So are one that can reach nothing, and values that the definition's template does not take.
    """
    try:
        ready = make_ready(assignment, definition, (), None, now)
    except ValueError as error:
        raise InvalidInput(f"assignment {assignment.name!r}: {error}", where=definition.origin) from error
    try:
        check_scope(assignment)
        check_selection(ready)
    except ValueError as error:
        raise InvalidInput(f"assignment {assignment.name!r} would reach nothing: {error}") from error
    if definition.values_schema is not None and (found := values_problem(definition.values_schema, ready.values)):
        problem, hint = found
        raise InvalidInput(f"assignment {assignment.name!r}: {problem}", where=definition.origin, hint=hint or None)
    return ready


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
                f"assignment {assignment.name!r}: parameter {name!r}: {pattern!r} is no RE2 regular expression: {fault}",
                where=assignment.origin or None,
                hint="RE2 has no look-around and no back-references",
            )


def prepare(engine: Engine, plan: Plan) -> Plan:
    """The plan with its definitions compiled; assignments of those that do not compile are broken."""
    check_regexes(engine, [(one.assignment, one.definition) for one in plan.ready])
    compiled: dict[str, Definition] = {}
    faults: dict[str, str] = {}
    for definition in {one.definition.slug: one.definition for one in plan.ready}.values():
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
        )
    lookups = engine.lookups(policy)
    if lookups is None and not definition.requires_inventory:
        engine.withhold(policy, UNKNOWN)
    kinds = compared_kinds(lookups or (), definition.requires_inventory)
    if why := nonexistent(kinds) or misplaced(lookups or ()):
        engine.withhold(policy, why)
    return replace(definition, requires_inventory=kinds)


def _indent(modules: Sequence[RegoModule], file: str, row: int) -> int:
    """By how many columns the Rego at a row of a file is indented there."""
    found = [one for one in modules if one.name == file and one.line <= row]
    return max(found, key=lambda one: one.line).indent if found else 0
