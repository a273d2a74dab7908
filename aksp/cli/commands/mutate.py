"""``aksp mutate``: what Azure's mutations would set in manifests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from msgspec.structs import replace

from aksp.cli.ci import note, say
from aksp.cli.clusters import ClusterChoice
from aksp.cli.options import KubeconfigOption, NamedContextOption, WorkspaceOption, cluster_option, files_option
from aksp.errors import ExitCode
from aksp.model.fields import mapping

if TYPE_CHECKING:
    from aksp.azure.mutating import MutationInForce

PLACE = 66


def mutate(
    filename: Annotated[list[str], files_option("Manifests: files, folders, or -; repeatable.")],
    mutation: Annotated[
        list[str] | None,
        typer.Option("--mutation", metavar="NAME", help="One of Azure's or of the workspace, by name or GUID; repeatable. Default: what is assigned."),
    ] = None,
    mutator: Annotated[
        list[str] | None,
        typer.Option("--mutator", metavar="PATH", help="A file or folder with mutators of Gatekeeper; repeatable."),
    ] = None,
    cluster: Annotated[
        str | None,
        cluster_option("Only what is assigned at this cluster; it is not asked. Default: all that is assigned."),
    ] = None,
    context: NamedContextOption = None,
    kubeconfig: KubeconfigOption = None,
    output: Annotated[Literal["yaml", "patch"], typer.Option("--output", "-o", help="Output format.")] = "yaml",
    workspace: WorkspaceOption = None,
) -> ExitCode:  # fmt: skip
    """Show what definitions of effect Mutate, or mutators of Gatekeeper, would make of manifests. Nothing is changed.

    They change Pods as these are made: a workload is shown with the template that its Pods would have. -o yaml prints the
    documents that would change, -o patch what would change in each as JSON patches. What Gatekeeper would refuse with an
    error is told, and the exit code is 4.

    Example: `aksp mutate -f deploy --mutation MutateReadOnlyRootFilesystem -o patch`
    """
    from aksp.catalog.mutating import NotMutated, difference
    from aksp.catalog.mutator_match import labels_of
    from aksp.report.figures import plural
    from aksp.report.text import safe

    changed = lost = 0
    choice = ClusterChoice(cluster=cluster, context=context, kubeconfig=kubeconfig)
    chosen = [*_of_files(mutator or []), *_chosen(mutation or [], workspace, choice, needed=not mutator)]
    documents = list(_documents(filename))
    spaces = {
        mapping(one.get("metadata")).get("name", ""): labels_of(one)
        for one, _ in documents
        if one.get("kind") == "Namespace"
    }
    for document, where in documents:
        now, by = document, []
        metadata = mapping(document.get("metadata"))
        named = {
            "apiVersion": document.get("apiVersion"), "kind": document.get("kind"),
            "namespace": metadata.get("namespace"), "name": metadata.get("name"),
        }  # fmt: skip
        for one in chosen:
            try:
                made = one.changed(now, spaces)
            except NotMutated as error:
                lost += 1
                note(safe(f"not previewed: {one.by} on {named['kind']} {named['name']} ({where}): {error}"))
                continue
            if made != now:
                by.append(one.by)
            now = made
        patch = difference(document, now)
        if not patch:
            continue
        changed += 1
        if output == "patch":
            operations = [each.document() for each in patch]
            say(json.dumps({"object": named, "file": where, "by": by, "patch": operations}, ensure_ascii=False))
        else:
            _print(now, changed > 1)
    note(f"{plural(changed, 'document')} would be changed by {plural(len(chosen), 'mutation')}")
    return ExitCode.INCONCLUSIVE if lost else ExitCode.OK


def _print(document: Any, more: bool) -> None:
    from aksp.runners import as_it_is
    from aksp.yaml_writer import to_yaml

    say(f"{'---' + chr(10) if more else ''}{to_yaml(document, literal=True)}".removesuffix("\n"), as_it_is)


def _of_files(paths: list[str]) -> Iterator[MutationInForce]:
    """The mutators in files, in the order of their kinds and names, as Gatekeeper applies them."""
    from aksp.azure.mutating import MutationInForce
    from aksp.catalog.mutating import GROUP, Mutator
    from aksp.catalog.mutator_match import check_match
    from aksp.errors import InvalidInput

    found = []
    for one, where in _documents(paths):
        if not str(one.get("apiVersion")).startswith(f"{GROUP}/"):
            note(f"left out, no mutator: {one.get('kind')} ({where})")
            continue
        read = Mutator.read(one, where)
        check_match(one, where)
        found.append((read.kind, read.name, one))
    if paths and not found:
        raise InvalidInput("has no mutator of Gatekeeper", where=paths[0])
    for kind, name, one in sorted(found, key=lambda each: each[:2]):
        yield MutationInForce(by=f"{kind} {name}", documents=[one])


def _chosen(
    named: list[str], workspace: str | None, choice: ClusterChoice, *, needed: bool
) -> Iterator[MutationInForce]:
    """The mutations that are named, or those that the workspace assigns where they are ``needed``."""
    from aksp.azure.custom_mutations import custom_mutations
    from aksp.azure.mutating import Mutating, MutationInForce, in_force, left_out_of, mutations_of
    from aksp.catalog.mutations import mutation_named, mutations
    from aksp.compliance.parameters import nearest
    from aksp.compliance.plan import reaches
    from aksp.errors import InvalidInput, NothingToJudge
    from aksp.model.assignment import Assignment
    from aksp.model.scope import Scope
    from aksp.workspace import Workspace

    if not named:
        if not needed:
            return
        opened = Workspace.open(workspace)
        assigned = mutations_of(opened.root)
        where = ""
        if choice.cluster or choice.context:
            place = opened.scope_tree().place(Scope.cluster(choice.name())).scope
            assigned = [each for each in assigned if reaches(each[1], place) and not left_out_of(each[1], place)]
            where = f" that reaches {place}"
        found = list(in_force(assigned))
        if not found:
            raise NothingToJudge(
                f"no mutation is assigned in {opened.root}{where}",
                hint="`aksp import azure` reads those of Azure; --mutation NAME takes one as it is",
            )
        yield from found
    own = custom_mutations(Workspace.open(workspace).root) if named else {}
    for name in named:
        one: Mutating | None = own.get(name) or mutation_named(name)
        if one is None:
            raise InvalidInput(
                f"there is no mutation {name!r}", hint=nearest(name, [*own, *(each.name for each in mutations())])
            )
        try:
            made = MutationInForce.of(one, Assignment(name=name, definition_id=name))
        except ValueError as error:
            raise InvalidInput(f"--mutation {name}: {error}", hint="assign it with values") from error
        if made is not None:
            yield replace(made, by=f"mutation {one.name}")


def _documents(paths: list[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects of manifests, those within lists too, each with its file."""
    import sys

    from aksp.errors import InvalidInput
    from aksp.sources.folders import Folders
    from aksp.sources.paths import refuse_empty
    from aksp.yaml_reader import read_file, read_yaml

    refuse_empty(paths)
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
