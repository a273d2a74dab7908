"""All commands, as one application of typer."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from aksp import __version__
from aksp.cli import commands

#: The modules of the commands by name, in the order in which help lists them.
COMMANDS = {
    module.__name__.rpartition(".")[2]: module
    for module in sorted(
        (import_module(f"{commands.__name__}.{found.name}") for found in iter_modules(commands.__path__)),
        key=lambda module: module.PLACE,
    )
}


class OrderedGroup(TyperGroup):
    """Lists the commands as they are used, not as they are made."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the commands."""
        return list(COMMANDS)


app = typer.Typer(
    name="aksp",
    cls=OrderedGroup,
    help="Azure Policy for AKS on any terminal, for any Kubernetes cluster.",
    no_args_is_help=True,
    # Rich help would cost a third of a second for no more words.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _module in COMMANDS.items():
    if hasattr(_module, "app"):
        app.add_typer(_module.app, name=_name)
    else:
        app.command(_name)(getattr(_module, _name))


def _version(value: bool) -> None:
    if value:
        typer.echo(f"aksp {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of internal errors.")] = False,
) -> None:
    """Azure Policy for AKS on any terminal, for any Kubernetes cluster."""


@cache
def command() -> Any:
    """The application as a click command, made once for a process: that takes most of a short command's time."""
    return typer.main.get_command(app)
