"""``aksp assign``: one command per definition or initiative, its options made from the parameters."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from aksp.cli import candidates
from aksp.cli.groups import sign
from aksp.cli.options import (
    COMMON_PARAMETERS,
    ClusterOption,
    ContextOption,
    KubeconfigOption,
    RecursiveOption,
    StoreKind,
    StoreOption,
    TimeoutOption,
    WorkspaceOption,
    files_option,
    long_default,
    option_of,
)
from aksp.model.effect import Effect

if TYPE_CHECKING:
    from aksp.catalog.interface import Assignable
    from aksp.model.definition import Parameter
    from aksp.workspace import Workspace

PLACE = 20
_TITLES_ONLY = f"{__name__}:titles"


class AssignGroup(TyperGroup):
    """Makes the command of a definition when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The slugs of the catalogue."""
        if ctx.resilient_parsing:
            # For completion, which must also work when a definition is broken.
            return [one.slug for one in candidates.assignable(ctx)]
        catalog = _workspace(ctx).catalog
        return [one.slug for one in (*catalog, *catalog.initiatives)]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The definitions with their titles. Their options are not made: that takes longer than anything else."""
        ctx.meta[_TITLES_ONLY] = True
        try:
            super().format_commands(ctx, formatter)
        finally:
            del ctx.meta[_TITLES_ONLY]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of one definition, by any of its names."""
        from aksp.errors import InvalidInput

        workspace = _workspace(ctx)
        if cmd_name == "list" or cmd_name.startswith("-"):
            return None
        if _TITLES_ONLY in ctx.meta:
            return TyperCommand(cmd_name, short_help=f"{workspace.catalog.find(cmd_name).display_name}.")
        try:
            found = workspace.catalog.find(cmd_name)
        except InvalidInput:
            if not ctx.resilient_parsing:
                raise
            return next((command_of(one) for one in candidates.assignable(ctx) if one.slug == cmd_name), None)
        return command_of(found)


def _workspace(ctx: Any) -> Workspace:
    """The workspace, opened once for a context: help asks for the command of each definition."""
    from aksp.workspace import Workspace

    given = ctx.params.get("workspace")
    key = f"{__name__}:{given}"
    if key not in ctx.meta:
        ctx.meta[key] = Workspace.open(given, new=True)
    found: Workspace = ctx.meta[key]
    return found


app = typer.Typer(
    cls=AssignGroup,
    no_args_is_help=True,
    subcommand_metavar="SLUG [OPTIONS]",
)


@app.callback()
def assign(workspace: WorkspaceOption = None) -> None:
    """Assign a definition or an initiative.

    `aksp assign SLUG --help` shows its options. With --what-if nothing is assigned: it says what would become non-compliant.

    Example: `aksp assign allowed-images --registry contoso.azurecr.io --what-if -f deploy`
    """


def command_of(definition: Assignable) -> Any:
    """The command of one definition or initiative. typer makes it from a function whose signature is made here."""
    from aksp.model.initiative import Initiative

    names = {
        _identifier(parameter.name): parameter
        for parameter in definition.parameters.values()
        if parameter.name not in COMMON_PARAMETERS
    }

    def run(ctx: typer.Context, **options: Any) -> None:
        given = {parameter.name: options.pop(name) for name, parameter in names.items()}
        from aksp.cli.assigning import assign_found

        assign_found(definition, given, options, (ctx.parent.params if ctx.parent else {}).get("workspace"))

    annotations = get_type_hints(_common, include_extras=True)
    if (effect := definition.parameters.get("effect")) is not None:
        annotations["effect"] = _annotation(effect)
    common = inspect.signature(_common)
    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(parameter))
        for name, parameter in names.items()
    ]
    if isinstance(definition, Initiative):
        own.append(inspect.Parameter("override", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_OVERRIDE))
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    shared = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=annotations[p.name])
        for p in common.parameters.values()
    ]
    sign(run, [context, *own, *shared])
    run.__doc__ = _help(definition)
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(definition.slug)(run)
    return typer.main.get_command(single)


_OVERRIDE = Annotated[
    list[str] | None,
    typer.Option(
        "--override",
        metavar="REFERENCE=EFFECT",
        help=f"Another effect for the member with this reference id; repeatable. {Effect.DISABLED.value} leaves it out.",
    ),
]


def _help(one: Assignable) -> str:
    return f"{one.display_name}.\n\n{one.description}"


def _effects() -> str:
    first, *more, last = Effect
    return f"{first} (default), {', '.join(more)} or {last}."


def _common(
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The assignment's name. Default: the definition's.")
    ] = None,
    display_name: Annotated[str, typer.Option(metavar="TEXT", help="A title for reports.")] = "",
    description: Annotated[str, typer.Option(metavar="TEXT", help="Why it is assigned.")] = "",
    message: Annotated[str, typer.Option(metavar="TEXT", help="What a developer reads who is refused.")] = "",
    effect: Annotated[str | None, typer.Option(metavar="EFFECT", help=_effects())] = None,
    enforcement_mode: Annotated[
        str,
        typer.Option(
            metavar="MODE",
            help="Default, or DoNotEnforce: report, refuse nothing.",
            autocompletion=candidates.one_of(["Default", "DoNotEnforce"]),
        ),
    ] = "Default",
    scope: Annotated[
        str | None, typer.Option(metavar="SCOPE", help="Where it applies: /, /clusters/NAME, … Default: everywhere.")
    ] = None,
    cluster: ClusterOption = None,
    not_scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="A scope below to leave out; repeatable.")
    ] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Only this namespace; repeatable, patterns."),
    ] = None,
    exclude_namespace: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMESPACE", help="Leave this namespace out, besides the defaults; repeatable, patterns."),
    ] = None,
    no_default_exclusions: Annotated[
        bool,
        typer.Option(
            "--no-default-exclusions", help="Judge kube-system and the other namespaces that are left out by default."
        ),
    ] = False,
    selector: Annotated[
        str | None,
        typer.Option("--selector", "-l", metavar="SELECTOR", help="Only objects with these labels, as for kubectl -l."),
    ] = None,
    resource_selectors: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@FILE", help="Only clusters that one of these selects, as for az: by location or type."
        ),
    ] = None,
    overrides: Annotated[
        str | None,
        typer.Option(metavar="JSON|@FILE", help="Other effects, as for az: for some members, or in some locations."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite the assignment of this name.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and print, write nothing.")] = False,
    what_if: Annotated[
        bool,
        typer.Option(
            "--what-if",
            help="Assign nothing: judge the cluster, or -f, by it alone, and end as a scan would (exit 0 or 1).",
        ),
    ] = False,
    filename: Annotated[list[str] | None, files_option("With --what-if: judge manifests; repeatable.")] = None,
    recursive: RecursiveOption = False,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FORMAT",
            help="Print the document: yaml, json or name. With --what-if: a report, FORMAT[=FILE] as of"
            " `aksp compliance`, repeatable.",
            autocompletion=candidates.formats,
        ),
    ] = None,
    store: StoreOption = StoreKind.FILES,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    request_timeout: TimeoutOption = 60,
    workspace: WorkspaceOption = None,
) -> None:
    """The options that every definition's command has; never called."""


def _identifier(name: str) -> str:
    """camelCase as a Python name that no common option has."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return "p_" + re.sub(r"\W", "_", snake)


def _annotation(parameter: Parameter) -> Any:
    from aksp.model.definition import ParameterType

    option = option_of(parameter)
    kinds: dict[ParameterType, Any] = {
        ParameterType.ARRAY: list[str],
        ParameterType.BOOLEAN: bool,
        ParameterType.INTEGER: int,
        ParameterType.FLOAT: float,
    }
    kind = kinds.get(parameter.type, str)
    if kind is bool and "/" not in option:
        option = f"{option}/--no-{option.removeprefix('--')}"
    notes = []
    if parameter.allowed_values:
        notes.append("one of " + ", ".join(map(str, parameter.allowed_values)))
    if parameter.required:
        notes.append("required")
    elif not parameter.has_default:
        notes.append("optional")
    elif parameter.default not in ("", [], {}, None):
        notes.append(long_default(parameter) or f"default {_shown_default(parameter)}")
    if parameter.type is ParameterType.ARRAY:
        notes.append("repeatable")
    metavar = (parameter.metavar or parameter.type.upper()) if kind is not bool else None
    told = " ".join(filter(None, [parameter.description, f"({'; '.join(notes)})" if notes else ""]))
    values = candidates.one_of(parameter.allowed_values) if parameter.allowed_values else None
    return Annotated[
        kind | None, typer.Option(option, metavar=metavar, help=told, show_default=False, autocompletion=values)
    ]


def _shown_default(parameter: Parameter) -> str:
    import json

    if parameter.default is True or parameter.default is False:
        return "yes" if parameter.default else "no"
    return json.dumps(parameter.default) if not isinstance(parameter.default, str) else parameter.default
