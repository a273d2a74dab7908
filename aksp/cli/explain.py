"""``aksp explain``: why a resource is in its state, or how an assignment stands."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from aksp.cli import completion
from aksp.cli.options import (
    ClusterOption,
    ColorWhen,
    ContextOption,
    KubeconfigOption,
    RecursiveOption,
    WorkspaceOption,
)


class ExplainFormat(StrEnum):
    """The outputs of an explanation."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def explain(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="RESOURCE|ASSIGNMENT",
            help="KIND/NAME, with kubectl's short names, as in pod/web-1 or deploy/web; or the name of an assignment.",
            autocompletion=completion.assignments,
        ),
    ],
    cluster: ClusterOption = None,
    filename: Annotated[
        list[str] | None,
        typer.Option(
            "--filename",
            "-f",
            metavar="PATH",
            help="In these manifests, not in a cluster: a file, a folder or - for standard input; repeatable.",
        ),
    ] = None,
    recursive: RecursiveOption = False,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            metavar="NAMESPACE",
            help="The resource's namespace. Default: the context's; in manifests any.",
        ),
    ] = None,
    container: Annotated[
        str | None, typer.Option("--container", "-c", metavar="NAME", help="Only this container of a Pod or workload.")
    ] = None,
    output: Annotated[ExplainFormat, typer.Option("--output", "-o", help="Output format.")] = ExplainFormat.TABLE,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    color: Annotated[ColorWhen, typer.Option(help="Colour; auto minds NO_COLOR and the terminal.")] = ColorWhen.AUTO,
    request_timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How long to wait for the API server.")
    ] = 60.0,
    workspace: WorkspaceOption = None,
) -> None:
    """Say why a resource is in its state, or how an assignment stands.

    For a resource: the assignments that judge it with their scopes and parameters, what they found and where, the change
    that would comply, what exempts it; and the assignments that leave it out, and by what. A workload is explained by its
    Pods. It is looked for in the current cluster, in --cluster's or, with -f, in manifests. The exit code is 0 whatever
    the state is.
    """
    from aksp.cli.explaining import Question, answer

    answer(
        Question(
            subject=subject, cluster=cluster, files=tuple(filename or ()), recursive=recursive, namespace=namespace,
            container=container, output=output, context=context, kubeconfig=kubeconfig, color=color,
            request_timeout=request_timeout, workspace=workspace,
        )
    )  # fmt: skip
