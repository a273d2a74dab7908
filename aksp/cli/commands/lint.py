"""``aksp lint``: what is likely not meant in a workspace."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from aksp.cli.clusters import ClusterChoice
from aksp.cli.options import (
    ClusterOption,
    ContextOption,
    ExcludeOption,
    KubeconfigOption,
    RecursiveOption,
    TimeoutOption,
    WorkspaceOption,
    files_option,
)

PLACE = 40


def lint(
    filename: Annotated[
        list[str] | None, files_option("Also tell what matches or waives nothing in these manifests; repeatable.")
    ] = None,
    recursive: RecursiveOption = False,
    exclude: ExcludeOption = None,
    cluster: ClusterOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    request_timeout: TimeoutOption = 30,
    output: Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="Output format.")] = "text",
    workspace: WorkspaceOption = None,
) -> None:
    """Check the workspace's assignments, exemptions and own definitions for what is likely not meant.

    Nothing is judged or changed without -f or --cluster; with one of them it also tells which assignments match nothing
    there, and which exemptions waive nothing. Each finding has a rule, a severity, a file and line, and what to do. The exit
    code is 0 when nothing is found, 1 when something is, 2 when a document is invalid.

    Example: `aksp lint -f deploy`
    """
    from aksp.cli.linting import lint_workspace
    from aksp.cli.manifests import ManifestOptions
    from aksp.sources.rendering.options import Rendering

    raise typer.Exit(
        lint_workspace(
            ManifestOptions(
                files=tuple(filename or ()), recursive=recursive, exclude=tuple(exclude or ()), rendering=Rendering()
            ),
            ClusterChoice(cluster=cluster, context=context, kubeconfig=kubeconfig, request_timeout=request_timeout),
            as_json=output == "json",
            workspace=workspace,
        )
    )
