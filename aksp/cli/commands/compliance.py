"""``aksp compliance``: judge a live cluster, or manifests, and report."""

from __future__ import annotations

from typing import Annotated

import typer

from aksp.cli import candidates
from aksp.cli.clusters import ClusterChoice
from aksp.cli.groups import with_shared_options
from aksp.cli.options import (
    AllNamespacesOption,
    ClustersOption,
    ColorOption,
    ColorWhen,
    ContextOption,
    FailOn,
    KubeconfigOption,
    OnlyAssignmentsOption,
    OnlyDefinitionsOption,
    OnlyNamespacesOption,
    OnlySeveritiesOption,
    ReadingOptions,
    ReportSource,
    TimeoutOption,
    WorkspaceOption,
    files_option,
)
from aksp.report.interface import GroupBy, Show
from aksp.report.registry import FORMATS

PLACE = 30


def _formats() -> str:
    default, *others, last = FORMATS
    return f"{default} (default), {', '.join(others)} or {last}"


@with_shared_options
def compliance(
    *,
    path: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Manifests to judge, as with -f.", show_default=False),
    ] = None,
    cluster: ClustersOption = None,
    all_clusters: Annotated[
        bool,
        typer.Option(
            "--all-clusters",
            help="All clusters of the scope tree, or, without any there, of the kubeconfig, in one report.",
        ),
    ] = False,
    scope: Annotated[
        str | None,
        typer.Option(
            metavar="SCOPE",
            help="The clusters below a scope of the scope tree, by its id or its name there, in one report.",
            autocompletion=candidates.scopes,
        ),
    ] = None,
    at_once: Annotated[
        int, typer.Option("--at-once", min=1, metavar="N", help="How many of several clusters are judged at once.")
    ] = 4,
    filename: Annotated[
        list[str] | None, files_option("Judge manifests: a file, a folder or - for standard input; repeatable.")
    ] = None,
    manifests: ReadingOptions,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FORMAT[=FILE]",
            autocompletion=candidates.formats,
            help=f"{_formats()}; ci: what the pipeline reads. Repeatable.",
        ),
    ] = None,
    source: Annotated[
        ReportSource,
        typer.Option(
            "--from",
            help="scan: judge the cluster now. addon: the last report of the add-on in the cluster. gatekeeper: judge it by the"
            " constraints of its Gatekeeper, beside what Gatekeeper's audit says.",
        ),
    ] = ReportSource.SCAN,
    namespace: OnlyNamespacesOption = None,
    all_namespaces: AllNamespacesOption = False,
    selector: Annotated[
        str | None,
        typer.Option("--selector", "-l", metavar="SELECTOR", help="Only objects with these labels, as for kubectl -l."),
    ] = None,
    assignment: OnlyAssignmentsOption = None,
    definition: OnlyDefinitionsOption = None,
    severity: OnlySeveritiesOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    show: Annotated[
        Show,
        typer.Option(help="What the report lists; counts are always complete. new: without what the baseline knows."),
    ] = Show.NON_COMPLIANT,
    group_by: Annotated[GroupBy, typer.Option(help="How the table groups its rows.")] = GroupBy.OWNER,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="List only the N worst findings in the table and in Markdown, by severity."
        ),
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option(help="Which violations make the exit code 1; enforced: those that would be refused.")
    ] = FailOn.ANY,
    require_match: Annotated[
        bool, typer.Option("--require-match", help="Exit 4 when nothing was there to judge.")
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Known violations. Default, with the options below: the workspace's baseline.json."
        ),
    ] = None,
    fail_on_new: Annotated[
        bool,
        typer.Option("--fail-on-new", help="Only violations that the baseline does not know make the exit code 1."),
    ] = False,
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Write the violations found to the baseline, and exit with 0.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Say what has changed since the last scan of the same target.")
    ] = False,
    history: Annotated[
        bool, typer.Option("--history/--no-history", help="Remember this scan for `aksp history` and --diff.")
    ] = True,
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="Follow a cluster: a live table, or a line for each change when piped."),
    ] = False,
    color: ColorOption = ColorWhen.AUTO,
    chunk_size: Annotated[int, typer.Option(min=1, metavar="N", help="Objects per page of a cluster's lists.")] = 500,
    request_timeout: TimeoutOption = 60,
    summary: Annotated[bool, typer.Option("--summary", help="One line instead of the table: -o summary.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress and no notes, and no table where no -o is given.")
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Judge a live cluster, or manifests with -f.

    Everything is judged by the assignments of the workspace. Without -f it is the current cluster. With --from addon
    nothing is judged: the report is the one that the add-on wrote, by the assignments in the cluster. With --from
    gatekeeper the assignments are the cluster's constraints, those of Azure's add-on among them. Several clusters, by
    --cluster given again, --scope or --all-clusters, are judged side by side; one that cannot be reached is a gap.

    Example: `aksp compliance -n shop --severity high,critical -o table -o html=report.html`
    """
    from aksp.cli.comparison import BaselineOptions
    from aksp.cli.evaluation import ComplianceRequest, judge
    from aksp.cli.filters import Filters

    request = ComplianceRequest(
        where=ClusterChoice(
            cluster=cluster[0] if cluster else None, context=context, kubeconfig=kubeconfig, request_timeout=request_timeout
        ),
        manifests=manifests(
            (*(filename or ()), *(path or ())), None if all_namespaces else next(iter(namespace or ()), None)
        ),
        outputs=tuple(output or (["summary"] if summary else [] if quiet and not watch else ["table"])),
        source=source,
        filters=Filters(
            namespaces=() if all_namespaces else tuple(namespace or ()), selector=selector,
            assignments=tuple(assignment or ()), definitions=tuple(definition or ()), severities=tuple(severity or ()),
        ),
        show=show, group_by=group_by, limit=limit, fail_on=fail_on, require_match=require_match,
        color=color, chunk_size=chunk_size, quiet=quiet, workspace=workspace,
        compared=BaselineOptions(
            baseline=baseline, fail_on_new=fail_on_new, write_baseline=write_baseline, diff=diff, history=history,
            only_new=show is Show.NEW, fails=fail_on is FailOn.ANY,
        ),
    )  # fmt: skip
    if all_clusters or scope is not None or len(set(cluster or ())) > 1:
        from aksp.cli.fleet import FleetChoice, judge_clusters
        from aksp.errors import InvalidInput

        if watch:
            raise InvalidInput("--watch follows one cluster", hint="watch each in a window of its own")
        several = FleetChoice(clusters=tuple(cluster or ()), scope=scope, every=all_clusters, at_once=at_once)
        raise typer.Exit(judge_clusters(request, several))
    if watch:
        from aksp.cli import watch as watching

        raise typer.Exit(watching.follow(request))
    raise typer.Exit(judge(request)[0])
