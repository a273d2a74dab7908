"""What ``aksp lint`` does: read the workspace, look for what is not meant, scan where it is asked, and print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from aksp.assigned import references_of
from aksp.catalog.folder import is_bundled
from aksp.cli.ci import note, say
from aksp.cli.clusters import ClusterChoice
from aksp.cli.listing import print_document
from aksp.cli.manifests import ManifestOptions
from aksp.cli.options import ListFormat
from aksp.compliance.plan import Plan
from aksp.engine import Engine
from aksp.errors import ExitCode, InvalidInput, InvalidPolicy
from aksp.lint.conflicts import conflicts
from aksp.lint.exempting import covers_nothing
from aksp.lint.finding import LintFinding, Severity, located
from aksp.lint.reading import misread
from aksp.lint.scanned import matched_nothing
from aksp.lint.selecting import judges_system_namespaces, selects_nothing, unknown_kinds
from aksp.lint.values import doubtful_values
from aksp.model.assignment import PRINTED_VERSION, Assignment
from aksp.model.compliance import Report
from aksp.model.scope import Scope
from aksp.report.figures import plural
from aksp.report.text import safe
from aksp.scan import Scan
from aksp.workspace import Workspace, check_regexes, prepare


def lint_workspace(
    manifests: ManifestOptions, where: ClusterChoice, *, as_json: bool, workspace: str | None
) -> ExitCode:
    """Print the findings; 0 for none, 1 for any, 4 for none where something could not be judged."""
    if not manifests.files and not where.cluster and where.given:
        raise InvalidInput(
            "--context and --kubeconfig name a cluster, and none is asked for", hint="add --cluster, or leave them out"
        )
    opened = Workspace.open(workspace)
    now = datetime.now(UTC).replace(microsecond=0)
    assignments = {one.name: one for one in opened.store.assignments()}
    with Engine() as engine:
        found = list(_of_workspace(opened, assignments, engine, now))
        gaps: Sequence[str] = ()
        if manifests.files or where.cluster:
            plan, report, notes = _scanned(manifests, where, opened, engine, now)
            gaps = [gap.message for gap in report.gaps]
            found += matched_nothing(plan, report, assignments)
            for told in notes:
                note(told)
    _print(found, as_json=as_json)
    for gap in gaps:
        note(f"not judged: {gap}")
    if gaps:
        note("what matches or waives nothing is not told, since something could not be judged")
    if found:
        return ExitCode.NON_COMPLIANT
    return ExitCode.INCONCLUSIVE if gaps else ExitCode.OK


def _of_workspace(
    opened: Workspace, assignments: Mapping[str, Assignment], engine: Engine, now: datetime
) -> Iterator[LintFinding]:
    """Findings in the documents themselves. Raises InvalidInput for a document that cannot be read."""
    plan = opened.plan(None, now)
    for broken in opened.catalog.broken:
        raise broken.error
    for each in plan.broken:
        if each.unavailable and not each.disabled:
            note(f"not checked: assignment {each.assignment.full_name}: {each.problem}")
        elif not each.disabled:
            raise InvalidPolicy(each.problem, where=each.assignment.origin)
    check_regexes(engine, [(one.assignment, one.definition) for one in plan.ready])
    ready = [*plan.ready, *plan.disabled]
    for one in ready:
        yield from doubtful_values(one, assignments)
        yield from selects_nothing(one, assignments)
        yield from unknown_kinds(one, assignments)
    references = {}
    for assignment in assignments.values():
        assignable = opened.definition_of(assignment)
        references[assignment.name] = references_of(assignable)
        if own := [one for one in ready if one.assignment.name == assignment.name]:
            yield from judges_system_namespaces(assignment, assignable, own[0])
    for exemption in opened.store.exemptions():
        yield from covers_nothing(exemption, assignments, references, ready, now)
    yield from conflicts(plan.ready, assignments)
    for definition in opened.catalog:
        if not is_bundled(definition):
            yield from misread(engine, definition)


def _scanned(
    manifests: ManifestOptions, where: ClusterChoice, opened: Workspace, engine: Engine, now: datetime
) -> tuple[Plan, Report, Sequence[str]]:
    """The plan and the report of the manifests or the cluster, and what their reader tells besides."""
    if not manifests.files:
        from aksp.sources.cluster import Cluster

        with where.connected() as connection:
            target = where.target(connection)
            plan = prepare(engine, opened.plan(Scope(target.scope), now))
            outcome = Scan(plan, engine).run(Cluster(engine, connection), target, now)
            notes: Sequence[str] = ()
    else:
        scope = Scope.cluster(where.name()) if where.cluster else None
        plan = prepare(engine, opened.plan(scope, now))
        objects = manifests.read(engine, opened.root)
        target = manifests.target(scope)
        outcome = Scan(plan, engine).run(objects, target, now)
        notes = objects.notes
    if outcome.interrupted:
        raise KeyboardInterrupt
    return plan, outcome.report, notes


def _print(found: Sequence[LintFinding], *, as_json: bool) -> None:
    places = located(found)
    if as_json:
        findings = [
            {
                "rule": one.rule, "severity": one.severity.value, "file": _shown(one.file), "line": line,
                "message": one.what, "next": one.next,
            }
            for one, line in places
        ]  # fmt: skip
        document = {"apiVersion": PRINTED_VERSION, "kind": "LintReport", "findings": findings}
        print_document(ListFormat.JSON, document)
        return
    for one, line in places:
        where = _shown(one.file) if line is None else f"{_shown(one.file)}:{line}"
        say(safe(f"{where}: {one.severity.value}: {one.what} [{one.rule}]"))
        say(safe(f"  {one.next}"))
    errors = sum(one.severity is Severity.ERROR for one, _ in places)
    say(f"{plural(errors, 'error')}, {plural(len(places) - errors, 'warning')}")


def _shown(file: str) -> str:
    """A file as seen from the current folder, where it lies below."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file
