"""Options that several commands have, with kubectl's names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from aksp.cli import completion
from aksp.errors import InvalidInput

if TYPE_CHECKING:
    from aksp.model.definition import Parameter

#: What ``--cluster`` without a value stands for.
CURRENT = "@current"


class ListFormat(StrEnum):
    """The outputs of every command that lists."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


class StoreKind(StrEnum):
    """Where assignments are kept."""

    FILES = "files"
    CLUSTER = "cluster"


class ColorWhen(StrEnum):
    """When to use colour."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


WorkspaceOption = Annotated[
    str | None,
    typer.Option(
        "--workspace",
        metavar="DIR",
        help="Folder of assignments and exemptions. Default: $AKSP_WORKSPACE, the nearest .aksp/ upward, the user's data folder.",
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="[NAME]",
        help="Cluster, by its kubeconfig context; without NAME the current one.",
        autocompletion=completion.contexts,
    ),
]
ContextOption = Annotated[
    str | None,
    typer.Option(
        "--context",
        metavar="NAME",
        help="Kubeconfig context to connect with. Default: --cluster's.",
        autocompletion=completion.contexts,
    ),
]
KubeconfigOption = Annotated[
    str | None,
    typer.Option("--kubeconfig", metavar="FILE", help="Kubeconfig file. Default: $KUBECONFIG, ~/.kube/config."),
]
StoreOption = Annotated[
    StoreKind,
    typer.Option("--store", help="files: the workspace; cluster: the custom resources of a cluster with the add-on."),
]
RecursiveOption = Annotated[bool, typer.Option("--recursive", "-R", help="Look into the folders of -f's folders too.")]
OutputOption = Annotated[ListFormat, typer.Option("--output", "-o", help="Output format.")]


def with_cluster_values(arguments: Sequence[str]) -> list[str]:
    """Arguments in which a bare ``--cluster`` has its value, since option parsers know no optional values.

    It is bare when it is last or when another option follows.
    """
    filled: list[str] = []
    for at, argument in enumerate(arguments):
        if argument == "--":
            return [*filled, *arguments[at:]]
        following = arguments[at + 1] if at + 1 < len(arguments) else "-"
        filled.append(f"--cluster={CURRENT}" if argument == "--cluster" and following.startswith("-") else argument)
    return filled


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"(?:\d{1,6}[dhms])+")


def duration(option: str, text: str) -> timedelta:
    """Read 30s, 15m, 2h, 7d or 1h30m. Raises InvalidInput naming the option."""
    if not _DURATION.fullmatch(text):
        raise InvalidInput(f"{option} {text}: this is no duration", hint="e.g. 30s, 15m, 2h, 7d or 1h30m")
    parts = re.findall(r"(\d+)([dhms])", text)
    try:
        # Beyond the first year there is nothing to be found, and no datetime either.
        return min(sum((timedelta(**{_UNITS[unit]: int(n)}) for n, unit in parts), timedelta()), timedelta(days=36500))
    except OverflowError:
        return timedelta(days=36500)


def refuse_ignored(ctx: typer.Context) -> None:
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


#: Options that `aksp assign` has for every definition, by the parameters that some of them set.
COMMON_PARAMETERS = {
    "effect": "--effect",
    "excludedNamespaces": "--exclude-namespace",
    "namespaces": "--namespace",
    "labelSelector": "--selector",
}
_TAKEN = {
    *COMMON_PARAMETERS.values(), "--name", "--display-name", "--description", "--message", "--enforcement-mode",
    "--scope", "--cluster", "--not-scope", "--no-default-exclusions", "--replace", "--dry-run", "--output",
    "--workspace", "--store", "--context", "--kubeconfig", "--help", "--debug",
}  # fmt: skip


def option_of(parameter: Parameter) -> str:
    """The option of `aksp assign` that sets a parameter: its document's, or one made of its name."""
    if parameter.name in COMMON_PARAMETERS:
        return COMMON_PARAMETERS[parameter.name]
    kebab = re.sub(r"[^A-Za-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", parameter.name)).strip("-").lower()
    option = parameter.option or f"--{kebab}"
    return f"--parameter-{kebab}" if _TAKEN.intersection(option.split("/")) else option
