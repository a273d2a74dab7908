"""``aksp export``: what is assigned, for other systems."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aksp.cli.ci import note, say
from aksp.cli.clusters import ClusterChoice
from aksp.cli.options import KubeconfigOption, NamedContextOption, WorkspaceOption, cluster_option
from aksp.errors import ExitCode

if TYPE_CHECKING:
    from aksp.gatekeeper.bundle import ExportedBundle

PLACE = 60

#: The list of the files of an export, in its folder, by which a later export knows them.
LISTED = ".aksp-export"

app = typer.Typer(no_args_is_help=True)

ExportCluster = Annotated[
    str | None,
    cluster_option(
        "What reaches this cluster, with its scopes; it is not asked. Default: what is assigned everywhere."
    ),
]


@app.callback()
def export() -> None:
    """Write what is assigned for other systems.

    Example: `aksp export gatekeeper -o gatekeeper`
    """


@app.command("gatekeeper")
def export_gatekeeper(
    cluster: ExportCluster = None,
    context: NamedContextOption = None,
    kubeconfig: KubeconfigOption = None,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="yaml|json|DIR",
            help="yaml or json on standard output, or a folder in which each object has a file.",
        ),
    ] = "yaml",
    workspace: WorkspaceOption = None,
) -> ExitCode:
    """Write what is assigned as ConstraintTemplates and constraints of Gatekeeper.

    What Gatekeeper cannot do is told, and the exit code is 4. The same workspace makes the same bytes.

    Example: `aksp export gatekeeper --cluster prod -o policies/`
    """
    from datetime import UTC, datetime

    from msgspec.structs import replace

    from aksp.azure.mutating import exported_mutators, mutations_of
    from aksp.engine import Engine
    from aksp.errors import NothingToJudge
    from aksp.gatekeeper.bundle import bundle
    from aksp.model.scope import Scope
    from aksp.workspace import Workspace, prepare

    choice = ClusterChoice(cluster=cluster, context=context, kubeconfig=kubeconfig)
    opened = Workspace.open(workspace)
    target = opened.scope_tree().place(Scope.cluster(choice.name())).scope if cluster or context else None
    with Engine() as engine:
        made = bundle(engine, prepare(engine, opened.plan(target, datetime.now(UTC))), target)
    mutators, lost = exported_mutators(mutations_of(opened.root), target)
    made = replace(made, files={**made.files, **mutators}, assignments=[*made.assignments, *lost])
    for text in made.notes:
        note(text)
    for text in made.lost:
        note(f"Gatekeeper does not do it: {text}")
    if not made.files:
        raise NothingToJudge(
            f"nothing in {opened.root} that can be exported reaches {target or 'every cluster'}",
            hint="`aksp assign` assigns something; --cluster NAME takes what reaches a cluster",
        )
    _write(made, output)
    return ExitCode.INCONCLUSIVE if made.lost else ExitCode.OK


@app.command("azure")
def export_azure(
    scope_map: Annotated[
        list[str] | None,
        typer.Option(
            "--scope-map", metavar="ARMID=SCOPE", help="The ARM id that a scope here has, where the scope tree does not say it; may be given again."
        ),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="json|DIR",
            help="json on standard output, or a folder in which each document has a file.",
        ),
    ] = "json",
    workspace: WorkspaceOption = None,
) -> ExitCode:  # fmt: skip
    """Write definitions, initiatives, assignments and exemptions as Azure has them.

    What came from Azure goes back as it was. What Azure cannot do is told, and the exit code is 4.

    Example: `aksp export azure --scope-map /subscriptions/ID=/clusters/prod -o azure/`
    """
    from aksp.azure.custom_mutations import custom_mutations
    from aksp.azure.exporting import export as export_documents
    from aksp.azure.mutating import mutations_of
    from aksp.azure.scopes import ScopeMap, of_tree
    from aksp.azure.scopes import scope_map as read_map
    from aksp.engine import Engine
    from aksp.errors import NothingToJudge
    from aksp.workspace import Workspace

    opened = Workspace.open(workspace)
    scopes = ScopeMap(places=[*read_map(scope_map or [], None).places, *of_tree(opened.scope_tree())])
    store = opened.store
    assignments = [*store.assignments(), *(one for _, one in mutations_of(opened.root))]
    with Engine() as engine:
        made = export_documents(
            engine, opened.catalog, assignments, list(store.exemptions()), scopes, custom_mutations(opened.root)
        )
    for text in dict.fromkeys(made.notes):
        note(text)
    for text in made.lost:
        note(f"not the same at Azure: {text}")
    if not made.documents:
        raise NothingToJudge(f"nothing in {opened.root} that Azure can have is assigned")
    if output == "json":
        from aksp.runners import in_json

        say(_as_json({"value": [document for _, document in made.documents]}), in_json)
    else:
        files = {name: _as_json(one) + "\n" for name, one in made.by_file().items()}
        _write_folder(files, Path(output), whole=made.whole)
    return ExitCode.INCONCLUSIVE if made.lost else ExitCode.OK


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _write(made: ExportedBundle, output: str) -> None:
    from aksp.runners import as_it_is, in_json

    if output == "yaml":
        say("---\n".join(map(_text, made.files.values())).removesuffix("\n"), as_it_is)
    elif output == "json":
        say(_as_json({"apiVersion": "v1", "kind": "List", "items": list(made.files.values())}), in_json)
    else:
        _write_folder({name: _text(one) for name, one in made.files.items()}, Path(output), whole=made.whole)


def _text(document: Mapping[str, Any]) -> str:
    from aksp.yaml_writer import to_yaml

    return to_yaml(document, literal=True)


def _write_folder(files: Mapping[str, str], folder: Path, *, whole: bool) -> None:
    """Write the texts of files. Files of an earlier export that this one does not have are removed.

    If the export is not ``whole`` they stay, and are told: a policy that is in force elsewhere must not go because its
    document could not be exported this time. Raises InvalidInput.
    """
    from aksp.report.figures import plural
    from aksp.store.files import write_beside

    earlier = _listed(folder)
    for name, text in files.items():
        write_beside(folder / name, text)
    kept = []
    for name in sorted(earlier - set(files)):
        path = folder / name
        if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
            continue  # a list or a link must never remove files outside the folder
        if whole:
            path.unlink()
            note(f"removed {path}: it is no longer exported")
        else:
            kept.append(name)
            note(f"kept {path} of an earlier export, since not all that is assigned could be exported now")
    write_beside(folder / LISTED, "\n".join(sorted({*files, *kept})) + "\n")
    note(f"{plural(len(files), 'file')} in {folder}")


def _listed(folder: Path) -> set[str]:
    """The files of an earlier export in a folder."""
    from aksp.errors import InvalidInput
    from aksp.yaml_reader import read_file

    try:
        written = read_file(folder / LISTED).splitlines() if (folder / LISTED).is_file() else []
    except InvalidInput:
        return set()  # another program's file
    return {name for name in written if name.endswith((".json", ".yaml"))}
