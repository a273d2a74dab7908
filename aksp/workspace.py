"""The composition root: from settings to catalogue, store, engine and inventories."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aksp.catalog.folder import Folder, bundled
from aksp.catalog.interface import Catalogs
from aksp.compliance import parameters
from aksp.compliance.expressions import resolve
from aksp.compliance.plan import Plan, Ready, make_ready, reaches
from aksp.engine import Engine
from aksp.errors import InvalidInput, InvalidPolicy
from aksp.model.assignment import Assignment, Exemption
from aksp.model.definition import Definition, Effect
from aksp.model.scope import Scope
from aksp.store.files import Files
from aksp.store.interface import Store

WORKSPACE_FOLDER = ".aksp"


def workspace_root(
    given: str | None = None, *, environment: Mapping[str, str] = os.environ, cwd: Path | None = None
) -> Path:
    """The workspace directory: --workspace, AKSP_WORKSPACE, the nearest .aksp/ upward, the user's data."""
    if given or environment.get("AKSP_WORKSPACE"):
        return Path(given or environment["AKSP_WORKSPACE"]).expanduser()
    here = cwd or Path.cwd()
    for folder in (here, *here.parents):
        if (folder / WORKSPACE_FOLDER).is_dir():
            return folder / WORKSPACE_FOLDER
    return _user_data(environment)


def _user_data(environment: Mapping[str, str]) -> Path:
    if sys.platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "aksp"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "aksp"
    return Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "aksp"


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """One workspace: its documents, and the definitions that they may name."""

    root: Path
    store: Store
    catalog: Catalogs

    @classmethod
    def open(cls, given: str | None = None) -> Workspace:
        """The workspace that the options and the place name. Nothing is made or read yet."""
        root = workspace_root(given)
        return cls(root=root, store=Files(root), catalog=Catalogs([bundled(), Folder(root / "definitions")]))

    def plan(self, target: Scope | None, now: datetime) -> Plan:
        """The assignments that reach a target, checked and resolved; None is files without a cluster.

        Raises InvalidInput for an assignment, an exemption or a definition that is wrong.
        """
        assignments, exemptions = self.store.assignments(), self.store.exemptions()
        names = {assignment.name for assignment in assignments}
        return plan_of(
            target or Scope("/"),
            [
                ready_for(assignment, self.definition_of(assignment), exemptions, target, now)
                for assignment in assignments
                if target is None or reaches(assignment, target)
            ],
            notes=[note for exemption in exemptions if (note := idle(exemption, names, now))],
        )

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


def plan_of(target: Scope, ready: Sequence[Ready], notes: Sequence[str] = ()) -> Plan:
    """The plan of assignments that were made ready, those with effect Disabled apart."""
    return Plan(
        target=target,
        ready=[one for one in ready if one.effect is not Effect.DISABLED],
        disabled=[one for one in ready if one.effect is Effect.DISABLED],
        notes=notes,
    )


def ready_for(
    assignment: Assignment,
    definition: Definition,
    exemptions: Sequence[Exemption],
    target: Scope | None,
    now: datetime,
) -> Ready:
    """One assignment, checked and resolved. Raises InvalidInput for parameters that are wrong."""
    check_parameters(assignment, definition)
    try:
        return make_ready(assignment, definition, exemptions, target, now)
    except ValueError as error:
        raise InvalidInput(str(error), where=assignment.origin or assignment.name) from error


def idle(exemption: Exemption, assignments: Collection[str], now: datetime) -> str | None:
    """Why an exemption does nothing, as a note, or None. ``assignments`` are the names that there are."""
    if exemption.assignment not in assignments:
        return f"exemption {exemption.name}: there is no assignment {exemption.assignment!r}, so it does nothing"
    if exemption.expired(now):
        assert exemption.expires_on is not None
        return f"exemption {exemption.name} expired on {exemption.expires_on:%Y-%m-%d}, so it does nothing"
    return None


def check_parameters(assignment: Assignment, definition: Definition) -> None:
    """Raise InvalidInput for parameters that a definition does not take."""
    found = parameters.faults(definition, assignment.parameters)
    if found:
        raise InvalidInput(
            f"assignment {assignment.name!r}: " + "; ".join(map(str, found)),
            where=assignment.origin or None,
            hint="; ".join(fault.hint for fault in found if fault.hint) or None,
        )


def check_resolves(assignment: Assignment, definition: Definition, now: datetime) -> None:
    """Raise InvalidInput when an assignment cannot be made ready, which is best known when it is made."""
    try:
        make_ready(assignment, definition, (), None, now)
    except ValueError as error:
        raise InvalidInput(f"assignment {assignment.name!r}: {error}", where=definition.origin) from error


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


def prepare(engine: Engine, plan: Plan) -> None:
    """Compile the definitions of a plan. Raises InvalidPolicy for Rego that does not compile."""
    check_regexes(engine, [(one.assignment, one.definition) for one in plan.ready])
    compiled: set[str] = set()
    for one in plan.ready:
        definition = one.definition
        if definition.slug not in compiled:
            compile_definition(engine, definition)
            compiled.add(definition.slug)


def compile_definition(engine: Engine, definition: Definition, policy: str | None = None) -> None:
    """Compile one definition, under its slug or another id. Raises InvalidPolicy with file, line and column."""
    faults = engine.compile(policy or definition.slug, definition.modules)
    if faults:
        first = faults[0]
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise InvalidPolicy(
            f"definition {definition.slug!r} does not compile: {first['message']}{more}",
            # OPA counts columns from 1, and calls the end of a file column 0.
            where=f"{first['file']}:{first['row']}:{max(first['col'], 1)}",
        )
