"""``aksp help``: the help of a command, as its --help prints it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

PLACE = 72


def help(  # noqa: A001 - a command's function is named like it
    ctx: typer.Context,
    command: Annotated[list[str] | None, typer.Argument(metavar="[COMMAND]...", show_default=False)] = None,
) -> None:
    """Show the help of a command.

    Example: `aksp help assignments delete`
    """
    from aksp.compliance.parameters import nearest
    from aksp.errors import InvalidInput

    within: Any = ctx.parent
    for name in command or ():
        group = within.command
        found = group.get_command(within, name) if hasattr(group, "get_command") else None
        if found is None:
            known = group.list_commands(within) if hasattr(group, "list_commands") else []
            raise InvalidInput(
                f"{within.command_path} has no command {name!r}", hint=nearest(name, known) if known else None
            )
        within = typer.Context(found, info_name=name, parent=within)
    typer.echo(within.get_help())
