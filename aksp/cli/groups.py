"""Commands whose options do not all stand in their own signature: groups that list, and commands that share options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

import typer

from aksp.errors import InvalidInput

T = TypeVar("T")


def sign(function: Callable[..., Any], options: Iterable[inspect.Parameter]) -> None:
    """Give a function a signature and annotations, from which typer reads the options."""
    options = list(options)
    function.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    function.__annotations__ = {one.name: one.annotation for one in options}


def with_shared_options(command: Callable[..., T]) -> Callable[..., T]:
    """A command in which a parameter that is annotated with a function has the options of that, and gets what it returns.

    They stand in its place among the command's own.
    """
    options: list[inspect.Parameter] = []
    shared: dict[str, tuple[Callable[..., Any], list[str]]] = {}
    for one in inspect.signature(command, eval_str=True).parameters.values():
        make = next(filter(inspect.isfunction, getattr(one.annotation, "__metadata__", ())), None)
        own = [*inspect.signature(make, eval_str=True).parameters.values()] if make else [one]
        if make:
            shared[one.name] = make, [each.name for each in own]
        options += (each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own)

    @wraps(command)
    def run(**given: Any) -> T:
        for name, (make, names) in shared.items():
            given[name] = make(**{each: given.pop(each) for each in names})
        return command(**given)

    sign(run, options)
    return run


def list_command(app: typer.Typer, help: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function the subcommand `list`, and what the group does without a subcommand, with the same options."""

    def add(listing: Callable[..., None]) -> Callable[..., None]:
        def group(ctx: typer.Context, **given: Any) -> None:
            _refuse_ignored(ctx)
            if ctx.invoked_subcommand is None:
                listing(**given)

        context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        sign(group, [context, *inspect.signature(listing, eval_str=True).parameters.values()])
        app.callback(help=help)(group)
        return app.command("list")(listing)

    return add


def _refuse_ignored(ctx: typer.Context) -> None:
    """Raise InvalidInput for a group's options before its subcommand, which would ignore them."""
    if ctx.invoked_subcommand is None:
        return
    for name in ctx.params:
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "--" + name.replace("_", "-")
            raise InvalidInput(
                f"{option} stands before {ctx.invoked_subcommand}", hint=f"give it after {ctx.invoked_subcommand}"
            )
