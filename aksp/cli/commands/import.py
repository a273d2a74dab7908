"""``aksp import``: definitions and assignments from other systems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aksp.cli.ci import note, say
from aksp.cli.clusters import ClusterChoice, ClusterOptions
from aksp.cli.groups import with_shared_options
from aksp.cli.options import WorkspaceOption
from aksp.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aksp.gatekeeper.documents import Documents
    from aksp.model.assignment import Assignment, Exemption
    from aksp.model.scope import Scope
    from aksp.workspace import Workspace

PLACE = 62

app = typer.Typer(no_args_is_help=True)


@app.callback()
def import_() -> None:
    """Read definitions and assignments of other systems into the workspace.

    Example: `aksp import gatekeeper policies --dry-run`
    """


@app.command("gatekeeper")
@with_shared_options
def import_gatekeeper(
    *,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...", help="Files and folders with templates and constraints; - is standard input."
        ),
    ] = None,
    where: ClusterOptions,
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

    from aksp.catalog.mutating import MUTATORS
    from aksp.engine import Engine
    from aksp.errors import InvalidInput, NothingToJudge
    from aksp.gatekeeper.importing import read_import
    from aksp.model.scope import EVERYWHERE
    from aksp.workspace import Workspace

    if bool(paths) == where.given:
        raise InvalidInput(
            "give paths, or --cluster, not both" if paths else "nothing is named to import",
            hint="e.g. aksp import gatekeeper library/, or aksp import gatekeeper --cluster",
        )
    found, scope = _found(paths, where)
    opened = Workspace.open(workspace, new=True)
    with Engine() as engine:
        made = read_import(engine, found, opened.catalog, scope or EVERYWHERE, datetime.now(UTC))
    if found.others:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(found.others.items()))
        mutators = " (mutators: see `aksp mutate --mutator`)" if set(found.others) & set(MUTATORS) else ""
        note(f"left out, neither templates nor constraints: {kinds}{mutators}")
    for text in made.notes:
        note(text)
    for text in made.lost:
        note(f"not the same here: {text}")
    if not made.definitions and not made.assignments:
        raise NothingToJudge("no ConstraintTemplate that can be imported was found")
    files = {
        (folder := opened.root / "definitions" / one.slug): {
            folder / "template.yaml": one.template,
            folder / "definition.json": _json(one.document),
        }
        for one in made.definitions
    }
    _write(opened, files, made.assignments, replace=replace, dry_run=dry_run)
    return ExitCode.INCONCLUSIVE if made.lost else ExitCode.OK


@app.command("azure")
def import_azure(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Files, folders with *.json, or - for standard input.")
    ],
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster", metavar="NAME", help="The cluster that all scopes are taken for that no --scope-map says."
        ),
    ] = None,
    scope_map: Annotated[
        list[str] | None,
        typer.Option(
            "--scope-map", metavar="ARMID=SCOPE", help="The scope here of what has an ARM id; may be given again."
        ),
    ] = None,
    templates: Annotated[
        Path | None,
        typer.Option("--templates", metavar="DIR", help="A folder with the templates of URLs, by the paths of these."),
    ] = None,
    allow_fetch: Annotated[
        bool, typer.Option("--allow-fetch", help="Fetch templates of URLs over HTTPS that are not in --templates.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite documents that are there with other content.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, and write nothing.")] = False,
    workspace: WorkspaceOption = None,
) -> ExitCode:
    """Read Azure's policy definitions, initiatives, assignments and exemptions, as Azure prints them.

    ARM REST, az with -o json, the portal's export and ARM templates are read. What cannot be had is told, and the exit code
    is 4; all else is imported.

    Example: `az policy assignment list -o json | aksp import azure - --cluster prod`
    """
    from datetime import UTC, datetime

    from aksp.azure.custom_mutations import custom_mutations, folder_of
    from aksp.azure.documents import from_paths
    from aksp.azure.importing import read_import
    from aksp.azure.scopes import scope_map as read_map
    from aksp.azure.templates import TemplateUrls
    from aksp.catalog.folder import bundled_folder
    from aksp.catalog.interface import Catalogs
    from aksp.engine import Engine
    from aksp.errors import InvalidInput, NothingToJudge
    from aksp.workspace import Workspace

    scopes = read_map(scope_map or [], cluster)
    if templates is not None and not templates.is_dir():
        raise InvalidInput(f"--templates {templates} is no folder")
    found = from_paths(paths)
    opened = Workspace.open(workspace, new=True)
    own = bundled_folder()
    with Engine() as engine:
        bundled = Catalogs([own], own.initiatives())
        urls = TemplateUrls(folder=templates, fetch=allow_fetch)
        made = read_import(
            engine, found, bundled, opened.catalog, scopes, datetime.now(UTC), urls, opened.scope_tree(),
            custom_mutations(opened.root),
        )  # fmt: skip
    if made.others:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(made.others.items()))
        note(f"left out, not for Kubernetes: {kinds}")
    for text in made.notes:
        note(text)
    for text in made.lost:
        note(f"not the same here: {text}")
    folder = opened.root / "definitions"
    files = {folder / slug: {folder / slug / "definition.json": _json(one)} for slug, one in made.definitions.items()}
    for slug, one in made.initiatives.items():
        path = folder / "initiatives" / f"{slug}.json"
        files[path] = {path: _json(one)}
    for slug, one in made.mutating.items():
        place = folder_of(opened.root) / slug
        files[place] = {place / "definition.json": _json(one)}
    mutations = [one.assignment for one in made.mutations]
    if not files and not made.documents and not mutations and made.lost:
        raise NothingToJudge("nothing that can be imported was found")
    _write(opened, files, made.documents, mutations, replace=replace, dry_run=dry_run)
    return ExitCode.INCONCLUSIVE if made.lost else ExitCode.OK


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _found(paths: list[str] | None, choice: ClusterChoice) -> tuple[Documents, Scope | None]:
    from aksp.gatekeeper.documents import from_cluster, from_paths
    from aksp.model.scope import Scope

    if paths:
        return from_paths(paths), None
    with choice.connected() as connection:
        return from_cluster(connection, others=True), Scope.cluster(choice.name_of(connection))


def _write(
    opened: Workspace,
    files: Mapping[Path, Mapping[Path, str]],
    documents: Sequence[Assignment | Exemption],
    mutations: Sequence[Assignment] = (),
    *,
    replace: bool,
    dry_run: bool,
) -> None:
    """Write definitions and initiatives, then the rest. When one file may not be overwritten, nothing is written.

    ``files``: those of each definition, by its folder, and the file of each initiative. ``mutations``: assignments of
    definitions that change objects, which have a folder of their own.
    """
    from aksp.catalog.mutations import MUTATIONS
    from aksp.errors import InvalidInput
    from aksp.model.assignment import Assignment
    from aksp.store.files import Files, write_beside
    from aksp.store.interface import ApplyResult

    changing = Files(opened.root / MUTATIONS)
    saved: list[Assignment | Exemption] = [*opened.store.assignments(), *opened.store.exemptions()]
    there = {(type(one), one.name): one for one in saved}
    mutating = {one.name: one for one in changing.assignments()}
    differing = [
        *(str(place) for place, texts in files.items() if any(_differs(path, text) for path, text in texts.items())),
        *(old.origin for one in documents if (old := there.get((type(one), one.name))) and _changed(old, one)),
        *(old.origin for one in mutations if (old := mutating.get(one.name)) and _changed(old, one)),
    ]
    if differing and not replace:
        raise InvalidInput(
            f"there with other content, so nothing was imported: {', '.join(differing)}",
            hint="--replace overwrites them; or name another --workspace",
        )
    suffix = " (dry run)" if dry_run else ""
    for place, texts in files.items():
        new = {path: text for path, text in texts.items() if not path.is_file() or _differs(path, text)}
        change = ApplyResult.UNCHANGED if not new else ApplyResult.CONFIGURED
        change = change if place.exists() else ApplyResult.CREATED
        for path, text in new.items() if not dry_run else ():
            write_beside(path, text)
        kind = "policysetdefinition" if place in texts else "policydefinition"
        say(f"{kind}.policy.aksp.io/{place.stem if place in texts else place.name} {change} ({place}){suffix}")
    for one, store in [*((one, opened.store) for one in documents), *((one, changing) for one in mutations)]:
        called = f"{'policyassignment' if isinstance(one, Assignment) else 'policyexemption'}.policy.aksp.io/{one.name}"
        if dry_run:
            old = mutating.get(one.name) if store is changing else there.get((type(one), one.name))
            change = ApplyResult.CREATED if old is None else ApplyResult.UNCHANGED
            change = ApplyResult.CONFIGURED if old and _changed(old, one) else change
            say(f"{called} {change}{suffix}")
        else:
            change, where = store.save(one, replace=replace)
            say(f"{called} {change} ({where})")


def _differs(path: Path, text: str) -> bool:
    """Whether there is such a file with another text."""
    return path.is_file() and path.read_bytes() != text.encode()


def _changed(there: Assignment | Exemption, one: Assignment | Exemption) -> bool:
    from aksp.store.documents import document_of

    return document_of(there) != document_of(one)
