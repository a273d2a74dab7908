"""``aksp explain``: why a resource is in its state, or how an assignment stands."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from aksp.cli import candidates
from aksp.cli.clusters import ClusterChoice
from aksp.cli.groups import with_shared_options
from aksp.cli.options import (
    ClusterOption,
    ColorOption,
    ColorWhen,
    ContextOption,
    KubeconfigOption,
    ReadingOptions,
    TimeoutOption,
    WorkspaceOption,
    files_option,
)

PLACE = 32


@with_shared_options
def explain(
    *,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="RESOURCE|ASSIGNMENT",
            help="KIND/NAME, with kubectl's short names, as in pod/web-1 or deploy/web; or the name of an assignment.",
            autocompletion=candidates.assignments,
        ),
    ],
    cluster: ClusterOption = None,
    filename: Annotated[
        list[str] | None,
        files_option("In these manifests, not in a cluster: a file, a folder or - for standard input; repeatable."),
    ] = None,
    manifests: ReadingOptions,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            metavar="NAMESPACE",
            help="The resource's namespace. Default: the context's; in manifests any.",
        ),
    ] = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="The resource in whichever namespace it lies.")
    ] = False,
    container: Annotated[
        str | None, typer.Option("--container", "-c", metavar="NAME", help="Only this container of a Pod or workload.")
    ] = None,
    output: Annotated[
        Literal["table", "json", "yaml"], typer.Option("--output", "-o", help="Output format.")
    ] = "table",
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    color: ColorOption = ColorWhen.AUTO,
    request_timeout: TimeoutOption = 60,
    workspace: WorkspaceOption = None,
) -> None:
    """Say why a resource is in its state, or how an assignment stands.

    For a resource: the assignments that judge it with their scopes and parameters, what they found and where, the change
    that would comply, what exempts it; and the assignments that leave it out, and by what. A workload is explained by its
    Pods. It is looked for in the current cluster, in --cluster's or, with -f, in manifests. The exit code is 0 whatever
    the state is.

    Example: `aksp explain deploy/web -n shop -c proxy`
    """
    from aksp.cli.explain_context import ExplainRequest
    from aksp.cli.explaining import answer

    answer(
        ExplainRequest(
            subject=subject,
            where=ClusterChoice(
                cluster=cluster, context=context, kubeconfig=kubeconfig, request_timeout=request_timeout
            ),
            manifests=manifests(filename or (), None if all_namespaces else namespace),
            namespace=None if all_namespaces else namespace, every_namespace=all_namespaces, container=container, output=output, color=color, workspace=workspace,
        )
    )  # fmt: skip
