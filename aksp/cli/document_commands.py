"""`show` and `delete` for documents that a store keeps: the same for assignments and exemptions."""

# No annotations from the future: typer reads those of functions that are made here.

from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from aksp.cli.groups import with_shared_options
from aksp.cli.options import ListFormat, OutputOption
from aksp.cli.stores import StoreOptions, delete, show

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
    @with_shared_options
    def show_some(
        *,
        names: Annotated[list[str], shown],
        output: OutputOption = ListFormat.YAML,
        chosen: StoreOptions,
    ) -> None:
        show(kind, names, output, chosen)

    told = "A name that is not there is told before any is deleted."

    @app.command("delete", help=f"Delete {word}s.\n\n{told} {typed}\n\nExample: `aksp {word}s delete NAME`")
    @with_shared_options
    def delete_some(
        *,
        names: Annotated[list[str] | None, several] = None,
        every: Annotated[bool, every_one] = False,
        chosen: StoreOptions,
    ) -> None:
        delete(kind, names or (), chosen, every=every)
