"""Groups of commands that list when no subcommand is given."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import typer

from aksp.errors import InvalidInput


def list_command(app: typer.Typer, help: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate what lists: it is the subcommand `list`, and the whole group, with the same options. ``help`` is the group's."""

    def add(listing: Callable[..., None]) -> Callable[..., None]:
        def group(ctx: typer.Context, **given: Any) -> None:
            _refuse_ignored(ctx)
            if ctx.invoked_subcommand is None:
                listing(**given)

        # typer reads the options from the signature and the annotations.
        options = inspect.signature(listing, eval_str=True).parameters.values()
        context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        group.__signature__ = inspect.Signature([context, *options])  # type: ignore[attr-defined]
        group.__annotations__ = {one.name: one.annotation for one in (context, *options)}
        app.callback(help=help)(group)
        return app.command("list")(listing)

    return add


def _refuse_ignored(ctx: typer.Context) -> None:
    """Raise InvalidInput for a group's options before its subcommand, which would not mind them."""
    if ctx.invoked_subcommand is None:
        return
    for name in ctx.params:
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "--" + name.replace("_", "-")
            raise InvalidInput(
                f"{option} stands before {ctx.invoked_subcommand}", hint=f"give it after {ctx.invoked_subcommand}"
            )
