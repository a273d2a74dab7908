"""Options that several commands have, with kubectl's names."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

#: What ``--cluster`` without a value stands for.
CURRENT = "@current"


class ListFormat(StrEnum):
    """The outputs of every command that lists."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


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
        "--cluster", metavar="[NAME]", help="Cluster, by its kubeconfig context; without NAME the current one."
    ),
]
ContextOption = Annotated[
    str | None,
    typer.Option("--context", metavar="NAME", help="Kubeconfig context to connect with. Default: --cluster's."),
]
KubeconfigOption = Annotated[
    str | None,
    typer.Option("--kubeconfig", metavar="FILE", help="Kubeconfig file. Default: $KUBECONFIG, ~/.kube/config."),
]
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
