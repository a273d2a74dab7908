"""All commands, as one application of typer."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from aksp import __version__
from aksp.cli import commands

#: The headings of help. Each begins at this PLACE of a command.
TASKS = (
    (10, "Definitions"),
    (20, "Assign"),
    (30, "Judge"),
    (40, "Improve"),
    (50, "Cluster"),
    (60, "Exchange with other systems"),
    (70, "This program"),
)


class Commands(Mapping[str, Any]):
    """The commands by name, in the order in which help lists them. Each is imported and made when it is asked for.

    A command line needs one of them; to make all takes longer than most of them run.
    """

    def __init__(self) -> None:
        self._names = frozenset(found.name for found in iter_modules(commands.__path__))

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return _made(name)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names, key=lambda name: _module(name).PLACE))

    def __len__(self) -> int:
        return len(self._names)


class CommandGroup(TyperGroup):
    """Has all commands, and makes those that are asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = Commands()  # type: ignore[assignment] # nobody adds a command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands by task, their texts one below the other."""
        by_task: dict[str, list[tuple[str, str]]] = {title: [] for _, title in TASKS}
        indent = max(map(len, self.commands))
        for name, one in self.commands.items():
            task = [title for first, title in TASKS if first <= _module(name).PLACE][-1]
            by_task[task].append((name.ljust(indent), one.get_short_help_str(len(one.help or ""))))
        for title, rows in by_task.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def _module(name: str) -> Any:
    return import_module(f"{commands.__name__}.{name}")


@cache
def _made(name: str) -> Any:
    module, one = _module(name), typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    if hasattr(module, "app"):
        one.add_typer(module.app, name=name)
    else:
        one.command(name)(getattr(module, name))
    made = typer.main.get_group(one).commands[name]
    for listed in (made, *getattr(made, "commands", {}).values()):
        # Typer would cut the first sentence at the end of its line.
        listed.short_help = listed.get_short_help_str(len(listed.help or ""))
    return made


app = typer.Typer(
    name="aksp",
    cls=CommandGroup,
    help="Azure Policy for AKS on any terminal, for any Kubernetes cluster.",
    no_args_is_help=True,
    # Rich help would take a third of a second more, and say the same.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    # As wide as the terminal: the default is 80 columns at most.
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": sys.maxsize},
)


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
