"""``aksp export``: what is assigned, for other systems."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aksp.cli import candidates
from aksp.cli.ci import note, say
from aksp.cli.clusters import ClusterChoice
from aksp.cli.options import KubeconfigOption, WorkspaceOption
from aksp.errors import ExitCode

if TYPE_CHECKING:
    from aksp.gatekeeper.bundle import ExportedBundle

PLACE = 72

app = typer.Typer(help="Write what is assigned for other systems.", no_args_is_help=True)

ExportCluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="[NAME]",
        help="What reaches this cluster, with its scopes; it is not asked. Default: what is assigned everywhere.",
        autocompletion=candidates.contexts,
    ),
]


@app.callback()
def export() -> None:
    """Write what is assigned for other systems."""


@app.command("gatekeeper")
def export_gatekeeper(
    cluster: ExportCluster = None,
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

    from aksp.engine import Engine
    from aksp.errors import NothingToJudge
    from aksp.gatekeeper.bundle import bundle
    from aksp.model.scope import Scope
    from aksp.workspace import Workspace, prepare

    choice = ClusterChoice(cluster=cluster, kubeconfig=kubeconfig)
    opened = Workspace.open(workspace)
    target = opened.scope_tree().place(Scope.cluster(choice.name())).scope if cluster else None
    with Engine() as engine:
        made = bundle(engine, prepare(engine, opened.plan(target, datetime.now(UTC))), target)
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


def _write(made: ExportedBundle, output: str) -> None:
    from aksp.runners import as_it_is, in_json

    if output == "yaml":
        say("---\n".join(map(_text, made.files.values())).removesuffix("\n"), as_it_is)
    elif output == "json":
        document = {"apiVersion": "v1", "kind": "List", "items": list(made.files.values())}
        say(json.dumps(document, indent=2, ensure_ascii=False), in_json)
    else:
        _write_folder(made, Path(output))


def _write_folder(made: ExportedBundle, folder: Path) -> None:
    """A file for each object; what an earlier export left and this one has not goes.

    It stays where an assignment could not be exported: what is refused must not be allowed by a fault of a definition.
    """
    from aksp.store.files import write_beside

    written = {folder / name: document for name, document in made.files.items()}
    stale = _left(folder) - set(written)
    for path, document in written.items():
        write_beside(path, _text(document))
    for path in sorted(stale):
        if made.whole:
            path.unlink()
            note(f"removed {path}: it is no longer exported")
        else:
            note(f"kept {path} of an earlier export, since not all that is assigned could be exported now")
    note(f"{len(written)} files in {folder}")


def _left(folder: Path) -> set[Path]:
    """The files of earlier exports in a folder, by the label of what is in them."""
    from aksp.errors import InvalidInput
    from aksp.gatekeeper.names import MANAGED_BY
    from aksp.yaml_reader import read_file

    ((key, value),) = MANAGED_BY.items()
    found = set()
    for path in [*folder.glob("*.yaml"), *folder.glob("*/*.yaml")]:
        try:
            if f"\n    {key}: {value}\n" in read_file(path):
                found.add(path)
        except InvalidInput:
            continue  # it is none of ours
    return found


def _text(document: Mapping[str, Any]) -> str:
    from aksp.yaml_writer import to_yaml

    return to_yaml(document, literal=True)
