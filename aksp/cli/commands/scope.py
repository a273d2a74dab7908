"""``aksp scope``: the scope tree, which says where clusters lie."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from aksp.cli import candidates
from aksp.cli.ci import say, tell
from aksp.cli.clusters import unknown_cluster
from aksp.cli.groups import list_command
from aksp.cli.listing import print_list
from aksp.cli.options import ListFormat, OutputOption, WorkspaceOption
from aksp.cli.stores import StoreChoice, delete, print_documents, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aksp.model.scope import Scope
    from aksp.model.scope_tree import PlacedScope, ScopeTree

PLACE = 28

app = typer.Typer(invoke_without_command=True)
NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]...", help="The entries' names.", autocompletion=candidates.scopes, show_default=False
    ),
]


@app.command("add")
def add(
    scope_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="The ARM id of a management group, a subscription, a resource group or a cluster, or /clusters/CONTEXT.",
        ),
    ],
    parent: Annotated[
        str | None,
        typer.Option(
            metavar="SCOPE",
            help="What it lies in, by its name in the tree or its id. Ids of resource groups and of Azure's clusters say it.",
            autocompletion=candidates.scopes,
        ),
    ] = None,
    context: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="A cluster's kubeconfig context. Default: the last part of ID.",
            autocompletion=candidates.contexts,
        ),
    ] = "",
    location: Annotated[str, typer.Option(metavar="REGION", help="Where a cluster runs, as Azure writes it.")] = "",
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", metavar="KEY=VALUE", help="A cluster's label; repeatable.")
    ] = None,
    display_name: Annotated[str, typer.Option(metavar="TEXT", help="A title for reports.")] = "",
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The entry's name. Default: the last part of ID.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite an entry of the same name.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the document, and keep nothing.")] = False,
    output: Annotated[
        ListFormat | None,
        typer.Option("--output", "-o", metavar="FORMAT", help="Print the document: yaml, json or name."),
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Say where a cluster, a resource group, a subscription or a management group lies.

    Assignments and exemptions at a scope then hold for all clusters below it.

    Example: `aksp scope add /clusters/prod --parent /subscriptions/1111 --location westeurope -l tier=prod`
    """
    from aksp.model.scope import Scope
    from aksp.model.scope_tree import PlacedScope, ScopeTree, resource_type
    from aksp.store.cluster import label as labelled
    from aksp.store.documents import document_of
    from aksp.store.scope_documents import check_tree, scope_from
    from aksp.workspace import Workspace

    opened = Workspace.open(workspace, new=True)
    tree = ScopeTree(entries=opened.store.scopes())
    at = _parsed("ID", scope_id)
    last = at.cluster_name or at.path.rpartition("/")[2]
    given = PlacedScope(
        name=name or re.sub(r"[^a-z0-9.]+", "-", last.lower()).strip("-.") or "scope",
        scope=at,
        parent=_parent(parent, tree),
        context=context or (last if resource_type(at) is not None else ""),
        location=location,
        labels=_labels(label or ()),
        display_name=display_name,
    )
    document = document_of(given)
    one = scope_from(document, "aksp scope add")
    check_tree([*(each for each in tree.entries if each.name != one.name), one])
    if one.cluster and (warning := unknown_cluster(Scope.cluster(one.cluster), None)):
        tell(f"aksp: warning: {'; '.join(warning)}: --context names the one that connects to it")
    if dry_run:
        print_documents(output or ListFormat.YAML, [document])
        return
    change, where = opened.store.save(one, replace=replace)
    if output is not None:
        print_documents(output, [document])
    else:
        say(f"{labelled(document)} {change} ({where})")


@list_command(
    app,
    "The scope tree: management groups, subscriptions, resource groups and clusters.\n\nExample: `aksp scope -o wide`",
)
def list_scopes(output: OutputOption = ListFormat.TABLE, workspace: WorkspaceOption = None) -> None:
    """List the scope tree, what lies in something below it.

    Example: `aksp scope list -o yaml`
    """
    from aksp.store.cluster import label
    from aksp.store.documents import document_of
    from aksp.workspace import Workspace

    opened = Workspace.open(workspace)
    tree = opened.scope_tree()
    rows = _ordered(tree)
    documents = [document_of(one) for _, one in rows]
    wide = output is ListFormat.WIDE
    print_list(
        output,
        headers=["NAME", "KIND", "CONTEXT", "LOCATION", "LABELS", "SCOPE", *(["DISPLAY NAME", "FILE"] if wide else [])],
        rows=(
            [
                f"{'· ' * depth}{one.name}",
                one.kind.value,
                one.cluster,
                one.location,
                ",".join(f"{key}={value}" for key, value in one.labels.items()),
                str(one.scope),
                *([one.display_name, one.origin] if wide else []),
            ]
            for depth, one in rows
        ),
        documents=documents,
        names=[label(document) for document in documents],
        empty=f"The scope tree of {opened.root} is empty. `aksp scope add` says where clusters lie.",
    )


@app.command("show")
def show_scope(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="The entries' names.", autocompletion=candidates.scopes)
    ],
    output: OutputOption = ListFormat.YAML,
    workspace: WorkspaceOption = None,
) -> None:
    """Show the documents of entries.

    Example: `aksp scope show prod`
    """
    show("PolicyScope", names, output, StoreChoice(workspace=workspace))


@app.command("remove")
def remove(
    names: NamesArgument = None,
    every: Annotated[bool, typer.Option("--all", help="Remove the whole tree.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Remove entries that nothing which stays lies in.

    Example: `aksp scope remove prod`
    """
    from aksp.errors import InvalidInput
    from aksp.workspace import Workspace

    opened = Workspace.open(workspace)
    going = {name.rpartition("/")[2] for name in names or ()}
    entries = opened.store.scopes()
    parents = {one.scope.key: one for one in entries if one.name in going}
    for one in entries:
        if not every and one.name not in going and one.parent is not None and one.parent.key in parents:
            raise InvalidInput(
                f"{one.name} lies in {parents[one.parent.key].name}, so none was removed",
                where=one.origin,
                hint=f"name {one.name} as well, or give it another parent",
            )
    delete("PolicyScope", names or (), StoreChoice(workspace=workspace), every=every)


def _ordered(tree: ScopeTree) -> list[tuple[int, PlacedScope]]:
    """The entries, each after the one that it lies in, with its depth."""
    by_key = {one.scope.key: one for one in tree.entries}

    def path(one: PlacedScope) -> list[str]:
        return [*(by_key[each.key].name for each in tree.above(one.scope) if each.key in by_key), one.name]

    paths = sorted((path(one), one.name) for one in tree.entries)
    named = {one.name: one for one in tree.entries}
    return [(len(way) - 1, named[name]) for way, name in paths]


def _parent(text: str | None, tree: ScopeTree) -> Scope | None:
    """What --parent names: an entry, or an id. Raises InvalidInput."""
    from aksp.compliance.parameters import nearest
    from aksp.errors import InvalidInput

    if text is None:
        return None
    if (found := tree.find(text)) is not None:
        return found.scope
    if not text.startswith("/"):
        raise InvalidInput(
            f"--parent {text!r}: the scope tree has no such name",
            hint=nearest(text, [one.name for one in tree.entries]) or "add it first, or give its id",
        )
    return _parsed("--parent", text)


def _parsed(what: str, text: str) -> Scope:
    from aksp.errors import InvalidInput
    from aksp.model.scope import Scope
    from aksp.store.scope_documents import EXPECTED

    try:
        return Scope.parse(text)
    except ValueError as error:
        raise InvalidInput(f"{what} {text!r}: {error}", hint=f"expected {EXPECTED}") from error


def _labels(given: Sequence[str]) -> dict[str, str]:
    from aksp.errors import InvalidInput

    found: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise InvalidInput(f"-l {text!r} is not KEY=VALUE")
        found[key] = value
    return found
