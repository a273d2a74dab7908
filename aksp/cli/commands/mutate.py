"""``aksp mutate``: what Azure's mutations would set in manifests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aksp.cli.ci import note, say
from aksp.cli.options import WorkspaceOption
from aksp.errors import ExitCode

if TYPE_CHECKING:
    from aksp.azure.mutating import MutationInForce

PLACE = 66


class MutateFormat(StrEnum):
    """The outputs of a preview."""

    YAML = "yaml"
    PATCH = "patch"


def mutate(
    filename: Annotated[
        list[str], typer.Option("--filename", "-f", metavar="PATH", help="Manifests: files, folders, or -; repeatable.")
    ],
    mutation: Annotated[
        list[str] | None,
        typer.Option("--mutation", metavar="NAME", help="One of Azure's, by name or GUID; repeatable. Default: what is assigned."),
    ] = None,
    output: Annotated[MutateFormat, typer.Option("--output", "-o", help="Output format.")] = MutateFormat.YAML,
    workspace: WorkspaceOption = None,
) -> ExitCode:  # fmt: skip
    """Show what Azure's definitions of effect Mutate would make of manifests. Nothing is changed.

    They change Pods as these are made: a workload is shown with the template that its Pods would have. -o yaml prints the
    documents that would change, -o patch what would change in each as JSON patches.

    Example: `aksp mutate -f deploy --mutation MutateReadOnlyRootFilesystem -o patch`
    """
    from aksp.catalog.mutating import applied
    from aksp.report.figures import plural

    changed = 0
    chosen = list(_chosen(mutation or [], workspace))
    for document, where in _documents(filename):
        patch, now, by = [], document, []
        for one in chosen:
            if found := one.patch(now):
                now = applied(now, found)
                patch += found
                by.append(one.by)
        if not patch:
            continue
        changed += 1
        metadata = document.get("metadata") or {}
        named = {
            "apiVersion": document.get("apiVersion"), "kind": document.get("kind"),
            "namespace": metadata.get("namespace"), "name": metadata.get("name"),
        }  # fmt: skip
        if output is MutateFormat.PATCH:
            operations = [each.document() for each in patch]
            say(json.dumps({"object": named, "file": where, "by": by, "patch": operations}, ensure_ascii=False))
        else:
            _print(now, changed > 1)
    note(f"{plural(changed, 'document')} would be changed by {plural(len(chosen), 'mutation')}")
    return ExitCode.OK


def _print(document: Any, more: bool) -> None:
    from aksp.runners import as_it_is
    from aksp.yaml_writer import to_yaml

    say(f"{'---' + chr(10) if more else ''}{to_yaml(document, literal=True)}".removesuffix("\n"), as_it_is)


def _chosen(named: list[str], workspace: str | None) -> Iterator[MutationInForce]:
    """The mutations that are named, or those that the workspace assigns."""
    from aksp.azure.mutating import MutationInForce, in_force, mutations_of
    from aksp.catalog.mutations import mutation_named, mutations
    from aksp.compliance.parameters import nearest
    from aksp.errors import InvalidInput, NothingToJudge
    from aksp.workspace import Workspace

    if not named:
        root = Workspace.open(workspace).root
        found = list(in_force(mutations_of(root)))
        if not found:
            raise NothingToJudge(
                f"no mutation is assigned in {root}",
                hint="`aksp import azure` reads those of Azure; --mutation NAME takes one as it is",
            )
        yield from found
    for name in named:
        if (one := mutation_named(name)) is None:
            raise InvalidInput(
                f"there is no mutation {name!r}", hint=nearest(name, [each.name for each in mutations()])
            )
        yield MutationInForce(mutation=one, by=f"mutation {one.name}")


def _documents(paths: list[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects of manifests, those within lists too, each with its file."""
    import sys

    from aksp.errors import InvalidInput
    from aksp.sources.folders import Folders
    from aksp.yaml_reader import read_file, read_yaml

    for path in paths:
        if path == "-":
            texts = [("-", sys.stdin.buffer.read().decode("utf-8-sig", "replace"))]
        elif Path(path).is_dir():
            texts = [(one, read_file(Path(one))) for one in Folders(recursive=True).files(Path(path))]
        else:
            texts = [(path, read_file(Path(path)))]
        for where, text in texts:
            for document, _ in read_yaml(text, where):
                if document is None:
                    continue
                if not isinstance(document, dict):
                    raise InvalidInput("is no mapping, expected an object of Kubernetes", where=where)
                items = document.get("items")
                if str(document.get("kind")).endswith("List") and isinstance(items, list):
                    yield from ((one, where) for one in items if isinstance(one, dict))
                else:
                    yield document, where
