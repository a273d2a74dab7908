"""``aksp fix``: make manifests comply where the rules say how."""

from __future__ import annotations

from typing import Annotated

import typer

from aksp.cli.clusters import ClusterChoice
from aksp.cli.options import (
    ClusterOption,
    CustomWorkloadsOption,
    ExcludeOption,
    KubeconfigOption,
    NamedContextOption,
    OnlyAssignmentsOption,
    OnlyDefinitionsOption,
    OnlySeveritiesOption,
    RecursiveOption,
    WorkspaceOption,
    files_option,
)

PLACE = 42


def fix(
    path: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH]...", help="Files or folders of manifests.", show_default=False)
    ] = None,
    filename: Annotated[list[str] | None, files_option("The same as PATH; repeatable.")] = None,
    recursive: RecursiveOption = False,
    exclude: ExcludeOption = None,
    custom_workloads: CustomWorkloadsOption = True,
    diff: Annotated[bool, typer.Option("--diff", help="Print what would change, and write nothing.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 when something would change, or is left.")
    ] = False,
    assignment: OnlyAssignmentsOption = None,
    definition: OnlyDefinitionsOption = None,
    severity: OnlySeveritiesOption = None,
    cluster: ClusterOption = None,
    context: NamedContextOption = None,
    kubeconfig: KubeconfigOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Change manifests so that they comply, where a rule says the one change that does.

    Only the fields in question change: comments, order, quotes and anchors stay. Before anything is written the new texts
    are judged: a change stays only if its finding is gone and no other has come. What has no single right fix is left and
    listed. The exit code is 0 when nothing is left, 1 when something is.

    Example: `aksp fix deploy --diff`
    """
    from aksp.cli.filters import Filters
    from aksp.cli.fixing import FixRequest, fix_files
    from aksp.cli.manifests import ManifestOptions

    raise typer.Exit(
        fix_files(
            FixRequest(
                manifests=ManifestOptions(
                    files=(*(filename or ()), *(path or ())), recursive=recursive, exclude=tuple(exclude or ()),
                    custom_workloads=custom_workloads,
                ),
                diff=diff, check=check,
                filters=Filters(
                    assignments=tuple(assignment or ()), definitions=tuple(definition or ()),
                    severities=tuple(severity or ()),
                ),
                where=ClusterChoice(cluster=cluster, context=context, kubeconfig=kubeconfig), workspace=workspace,
            )
        )
    )  # fmt: skip
