"""`show` and `delete` for documents that a store keeps: the same for assignments and exemptions."""

# No annotations from the future: typer reads those of functions that are made here.

from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from aksp.cli.clusters import ClusterChoice
from aksp.cli.options import (
    KubeconfigOption,
    ListFormat,
    OutputOption,
    StoreContextOption,
    StoreKind,
    StoreOption,
    TimeoutOption,
    WorkspaceOption,
)
from aksp.cli.stores import delete, refuse_cluster_options, show

#: Names that begin with what was typed, each with a word about it.
Completion = Callable[[typer.Context, str], Iterable[tuple[str, str]]]


def add_document_commands(app: typer.Typer, kind: str, word: str, names_of: Completion) -> None:
    """Add both to the commands of a kind. ``word`` is what users call one, ``names_of`` completes its name."""
    shown = typer.Argument(metavar="NAME...", help=f"The {word}s' names.", autocompletion=names_of)
    several = typer.Argument(
        metavar="[NAME]...", help=f"The {word}s' names.", autocompletion=names_of, show_default=False
    )
    every_one = typer.Option("--all", help=f"Delete every {word} there is.")

    typed = f"Names may be as `aksp {word}s -o name` prints them."

    @app.command("show", help=f"Show the documents of {word}s.\n\n{typed}\n\nExample: `aksp {word}s show NAME -o json`")
    def show_some(
        names: Annotated[list[str], shown],
        output: OutputOption = ListFormat.YAML,
        store: StoreOption = StoreKind.FILES,
        context: StoreContextOption = None,
        kubeconfig: KubeconfigOption = None,
        request_timeout: TimeoutOption = 60,
        workspace: WorkspaceOption = None,
    ) -> None:
        refuse_cluster_options(store, context, kubeconfig)
        show(
            kind,
            names,
            output,
            store,
            ClusterChoice(context=context, kubeconfig=kubeconfig, request_timeout=request_timeout),
            workspace,
        )

    told = "A name that is not there is told before any is deleted."

    @app.command("delete", help=f"Delete {word}s.\n\n{told} {typed}\n\nExample: `aksp {word}s delete NAME`")
    def delete_some(
        names: Annotated[list[str] | None, several] = None,
        every: Annotated[bool, every_one] = False,
        store: StoreOption = StoreKind.FILES,
        context: StoreContextOption = None,
        kubeconfig: KubeconfigOption = None,
        request_timeout: TimeoutOption = 60,
        workspace: WorkspaceOption = None,
    ) -> None:
        refuse_cluster_options(store, context, kubeconfig)
        choice = ClusterChoice(context=context, kubeconfig=kubeconfig, request_timeout=request_timeout)
        delete(kind, names or (), store, choice, workspace, every=every)
