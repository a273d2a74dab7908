"""``aksp import``: definitions and assignments from other systems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aksp.cli.ci import note, say
from aksp.cli.clusters import ClusterChoice
from aksp.cli.options import ClusterOption, ContextOption, KubeconfigOption, WorkspaceOption
from aksp.errors import ExitCode

if TYPE_CHECKING:
    from aksp.gatekeeper.documents import Documents
    from aksp.gatekeeper.importing import Import
    from aksp.model.assignment import Assignment
    from aksp.model.scope import Scope
    from aksp.workspace import Workspace

PLACE = 74

app = typer.Typer(help="Read definitions and assignments of other systems into the workspace.", no_args_is_help=True)


@app.callback()
def import_() -> None:
    """Read definitions and assignments of other systems into the workspace."""


@app.command("gatekeeper")
def import_gatekeeper(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...", help="Files and folders with templates and constraints; - is standard input."
        ),
    ] = None,
    cluster: ClusterOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite definitions and assignments that are there with other content.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, and write nothing.")] = False,
    workspace: WorkspaceOption = None,
) -> ExitCode:
    """Read Gatekeeper's ConstraintTemplates and constraints as definitions and assignments.

    Each template is kept as it is. What cannot be had is told, and the exit code is 4; all else is imported.

    Example: `aksp import gatekeeper --cluster prod`
    """
    from datetime import UTC, datetime

    from aksp.engine import Engine
    from aksp.errors import InvalidInput, NothingToJudge
    from aksp.gatekeeper.importing import read_import
    from aksp.model.scope import EVERYWHERE
    from aksp.workspace import Workspace

    choice = ClusterChoice(cluster=cluster, context=context, kubeconfig=kubeconfig)
    if bool(paths) == choice.given:
        raise InvalidInput(
            "give paths, or --cluster, not both" if paths else "nothing is named to import",
            hint="e.g. aksp import gatekeeper library/, or aksp import gatekeeper --cluster",
        )
    found, scope = _found(paths, choice)
    opened = Workspace.open(workspace, new=True)
    with Engine() as engine:
        made = read_import(engine, found, opened.catalog, scope or EVERYWHERE, datetime.now(UTC))
    if found.others:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(found.others.items()))
        note(f"left out, neither templates nor constraints: {kinds}")
    for text in made.lost:
        note(f"not the same here: {text}")
    if not made.definitions and not made.assignments:
        raise NothingToJudge("no ConstraintTemplate that can be imported was found")
    _write(opened, made, replace=replace, dry_run=dry_run)
    return ExitCode.INCONCLUSIVE if made.lost else ExitCode.OK


def _found(paths: list[str] | None, choice: ClusterChoice) -> tuple[Documents, Scope | None]:
    from aksp.gatekeeper.documents import from_cluster, from_paths
    from aksp.model.scope import Scope

    if paths:
        return from_paths(paths), None
    with choice.connected() as connection:
        return from_cluster(connection), Scope.cluster(choice.name_of(connection))


def _write(opened: Workspace, made: Import, *, replace: bool, dry_run: bool) -> None:
    """Definitions, then assignments; when one may not be overwritten, nothing is written."""
    from aksp.errors import InvalidInput
    from aksp.store.files import write_beside
    from aksp.store.interface import ApplyResult

    files = {}
    for definition in made.definitions:
        folder = opened.root / "definitions" / definition.slug
        document = json.dumps(definition.document, indent=2, ensure_ascii=False) + "\n"
        files[folder] = {folder / "template.yaml": definition.template, folder / "definition.json": document}
    there = {one.name: one for one in opened.store.assignments()}
    differing = [
        *(str(folder) for folder, texts in files.items() if any(_differs(path, text) for path, text in texts.items())),
        *(there[one.name].origin for one in made.assignments if one.name in there and _changed(there[one.name], one)),
    ]
    if differing and not replace:
        raise InvalidInput(
            f"there with other content, so nothing was imported: {', '.join(differing)}",
            hint="--replace overwrites them; or name another --workspace",
        )
    suffix = " (dry run)" if dry_run else ""
    for folder, texts in files.items():
        new = {path: text for path, text in texts.items() if not path.is_file() or _differs(path, text)}
        change = ApplyResult.UNCHANGED if not new else ApplyResult.CONFIGURED
        change = change if folder.is_dir() else ApplyResult.CREATED
        for path, text in new.items() if not dry_run else ():
            write_beside(path, text)
        say(f"policydefinition.policy.aksp.io/{folder.name} {change} ({folder}){suffix}")
    for one in made.assignments:
        if dry_run:
            change = ApplyResult.CREATED if one.name not in there else ApplyResult.UNCHANGED
            change = ApplyResult.CONFIGURED if one.name in there and _changed(there[one.name], one) else change
            say(f"policyassignment.policy.aksp.io/{one.name} {change}{suffix}")
        else:
            change, place = opened.store.save(one, replace=replace)
            say(f"policyassignment.policy.aksp.io/{one.name} {change} ({place})")


def _differs(path: Path, text: str) -> bool:
    """Whether there is such a file with another text."""
    return path.is_file() and path.read_bytes() != text.encode()


def _changed(there: Assignment, one: Assignment) -> bool:
    from aksp.store.documents import assignment_document

    return assignment_document(there) != assignment_document(one)
