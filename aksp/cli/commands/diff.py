"""``aksp diff``: what changed between two scans, or between two reports."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from aksp.cli.options import (
    AllClustersOption,
    ClustersOption,
    ColorOption,
    ColorWhen,
    KubeconfigOption,
    NamedContextOption,
    WorkspaceOption,
    files_option,
)

PLACE = 36


def diff(
    reports: Annotated[
        list[str] | None,
        typer.Argument(metavar="BEFORE.json AFTER.json", help="Two reports of -o json.", show_default=False),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Compare with the last scan at this moment or before it: yesterday, 2026-11-28, a time as `aksp history`"
            " lists them, or 7d. Default: the scan before the last.",
        ),
    ] = None,
    cluster: ClustersOption = None,
    all_clusters: AllClustersOption = False,
    filename: Annotated[list[str] | None, files_option("Scans of these manifests, named as they were then.")] = None,
    output: Annotated[
        Literal["table", "markdown", "html", "json", "yaml"],
        typer.Option("--output", "-o", help="Output format."),
    ] = "table",
    fail_on_new: Annotated[bool, typer.Option("--fail-on-new", help="Exit 1 when there are new violations.")] = False,
    color: ColorOption = ColorWhen.AUTO,
    context: NamedContextOption = None,
    kubeconfig: KubeconfigOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """What is new, what is resolved and what changed its state, per workload.

    It compares the last remembered scan of a target with an earlier one, or two reports in files. Nothing is scanned. A
    finding whose assignment has judged nothing since is not resolved: it is told apart. Several clusters, by --cluster
    given again or --all-clusters, are compared each with itself, in one report.

    Example: `aksp diff --cluster prod --since yesterday -o markdown`
    """
    from aksp.cli.differing import DiffRequest, differ

    raise typer.Exit(
        differ(
            DiffRequest(
                reports=tuple(reports or ()), since=since, clusters=(*(cluster or ()), *([context] if context else [])), every=all_clusters, files=tuple(filename or ()),
                output=output, fail_on_new=fail_on_new, color=color, kubeconfig=kubeconfig, workspace=workspace,
            )
        )
    )  # fmt: skip
