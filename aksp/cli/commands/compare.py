"""``aksp compare``: what others found beside what is found here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from aksp.cli.ci import note, say
from aksp.cli.clusters import ClusterChoice
from aksp.cli.groups import with_shared_options
from aksp.cli.listing import print_document
from aksp.cli.options import (
    AllNamespacesOption,
    ClusterOption,
    ColorOption,
    ColorWhen,
    ContextOption,
    FailOn,
    KubeconfigOption,
    ListFormat,
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
from aksp.errors import ExitCode
from aksp.report.interface import GroupBy, Show

if TYPE_CHECKING:
    from aksp.azure.comparing import StateComparison
    from aksp.cli.evaluation import ComplianceRequest
    from aksp.model.compliance import Report
    from aksp.workspace import Workspace

PLACE = 64

app = typer.Typer(no_args_is_help=True)


@app.callback()
def compare() -> None:
    """Hold what others found against what is found here.

    Example: `aksp compare azure --states states.json`
    """


@app.command("azure")
@with_shared_options
def compare_azure(
    *,
    states: Annotated[
        list[str], typer.Option("--states", metavar="FILE", help="Azure's records as JSON; may be given again.")
    ],
    report: Annotated[
        str | None,
        typer.Option("--report", metavar="FILE", help="An earlier report, of aksp compliance --show all -o json."),
    ] = None,
    path: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Manifests to judge now, as with -f.", show_default=False),
    ] = None,
    filename: Annotated[list[str] | None, files_option("Judge manifests now: a file, a folder or -; repeatable.")] = None,
    cluster: ClusterOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    source: Annotated[
        ReportSource,
        typer.Option("--from", help="Where the report is from, as for aksp compliance: scan, addon or gatekeeper."),
    ] = ReportSource.SCAN,
    namespace: OnlyNamespacesOption = None,
    all_namespaces: AllNamespacesOption = False,
    selector: Annotated[
        str | None, typer.Option("--selector", "-l", metavar="SELECTOR", help="Only objects with these labels.")
    ] = None,
    manifests: ReadingOptions,
    assignment: OnlyAssignmentsOption = None,
    definition: OnlyDefinitionsOption = None,
    severity: OnlySeveritiesOption = None,
    chunk_size: Annotated[int, typer.Option(min=1, metavar="N", help="Objects per page of a cluster's lists.")] = 500,
    request_timeout: TimeoutOption = 60,
    resource: Annotated[
        str | None,
        typer.Option("--resource", metavar="ARMID", help="The cluster at Azure, where the records are of several."),
    ] = None,
    output: Annotated[Literal["table", "json"], typer.Option("--output", "-o", help="Output format.")] = "table",
    color: ColorOption = ColorWhen.AUTO,
    workspace: WorkspaceOption = None,
) -> ExitCode:  # fmt: skip
    """Hold Azure's compliance records against what is found now, or an earlier report, and tell why they differ.

    Without --report and manifests the current cluster is judged, with the options of `aksp compliance`. The exit code is 0
    when nothing differs, 1 when something does, and 4 when something could not be compared and nothing differs.

    Example: `aksp compare azure --states states.json --cluster prod`
    """
    from aksp.cli.comparison import BaselineOptions
    from aksp.cli.evaluation import ComplianceRequest
    from aksp.cli.filters import Filters

    request = ComplianceRequest(
        where=ClusterChoice(cluster=cluster, context=context, kubeconfig=kubeconfig, request_timeout=request_timeout),
        manifests=manifests(
            (*(filename or ()), *(path or ())), None if all_namespaces else next(iter(namespace or ()), None)
        ),
        outputs=(), source=source,
        filters=Filters(
            namespaces=() if all_namespaces else tuple(namespace or ()), selector=selector, assignments=tuple(assignment or ()),
            definitions=tuple(definition or ()), severities=tuple(severity or ()),
        ),
        show=Show.ALL, group_by=GroupBy.OWNER, fail_on=FailOn.NONE, require_match=False, color=ColorWhen.AUTO,
        chunk_size=chunk_size, quiet=False, workspace=workspace,
        compared=BaselineOptions(history=False),
    )  # fmt: skip
    from aksp.azure.comparing import compare as compare_states
    from aksp.azure.states import states_from
    from aksp.errors import InvalidInput
    from aksp.report.figures import plural
    from aksp.workspace import Workspace

    found = states_from(states)
    ours = _report(report, request)
    opened = Workspace.open(workspace)
    clusters = sorted({one.resource for one in found.found if one.resource})
    own = {ours.target.scope.lower(), _at_azure(opened, ours.target.scope).lower()} - {""}
    meant = next(iter(own.intersection(clusters)), "") if resource is None else resource.rstrip("/").lower()
    if not meant and (placed := next((one for one in own if one.startswith("/subscriptions/")), "")) and clusters:
        raise InvalidInput(
            f"the records are of {', '.join(clusters[:3])}, and the report is of {placed}", where=states[0],
            hint="`aksp scope list` shows where clusters lie; --resource ARMID says of which cluster the report is",
        )  # fmt: skip
    if not meant and len(clusters) > 1:
        raise InvalidInput(
            f"the records are of {len(clusters)} clusters: {', '.join(clusters[:3])}", where=states[0],
            hint="--resource ARMID says which of them the report is of",
        )  # fmt: skip
    records = [one for one in found.found if not meant or one.resource == meant]
    definitions = {one.slug: one for one in opened.catalog}
    made = compare_states(ours, records, list(opened.store.assignments()), definitions)
    made.left_out += [f"{path}: the list goes on at its nextLink" for path in found.more]
    made.left_out += [f"the report has a gap: {gap.message}" for gap in ours.gaps]
    for text in made.left_out:
        note(f"not compared: {text}")
    if made.unlisted:
        note(
            f"{plural(made.unlisted, 'object')} that Azure does not list: nothing violates here, and Azure lists what does"
        )
    _print(made, color, as_json=output == "json")
    if made.differences:
        return ExitCode.NON_COMPLIANT
    return ExitCode.INCONCLUSIVE if made.incomplete or not made.same else ExitCode.OK


def _at_azure(workspace: Workspace, scope: str) -> str:
    """The id of a report's cluster at Azure, as far as the scope tree knows it; else empty."""
    from aksp.model.scope import Scope

    entry = workspace.scope_tree().place(Scope.parse(scope)).entry
    return str(entry.scope) if entry is not None else ""


def _report(file: str | None, request: ComplianceRequest) -> Report:
    """An earlier report, or the one of what is judged now."""
    from aksp.cli.evaluation import judge
    from aksp.errors import InvalidInput
    from aksp.report.parse import read_report

    if file is None:
        code, report = judge(request)
        if code is ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        return report
    if request.manifests.names or request.where.given or request.source is not ReportSource.SCAN or request.words:
        raise InvalidInput("give --report, or what is to be judged now, not both")
    return read_report(file)


def _print(made: StateComparison, color: ColorWhen, *, as_json: bool) -> None:
    import io

    from msgspec.structs import asdict

    from aksp.azure.comparing import NOT_LISTED
    from aksp.cli.outputs import on_stdout
    from aksp.report.figures import plural
    from aksp.report.formats.table import draw
    from aksp.report.interface import Style
    from aksp.report.table.blocks import Column, Grid, Paragraph, Row, Tone, cell, span

    if as_json:
        document = {
            "same": made.same,
            "differences": [asdict(one) for one in made.differences],
            "oneSided": [asdict(one) for one in made.one_sided],
            "notCompared": made.left_out,
        }
        print_document(ListFormat.JSON, document)
        return
    shown = [one for one in (*made.differences, *made.one_sided) if one.azure or one.cause != NOT_LISTED]
    rows = tuple(
        Row(
            cells=tuple(cell(text) for text in (one.azure or "-", one.here or "-", one.cause or "unknown", one.text)),
            heading=((span(f"{one.assignment}: {f'{one.kind} {one.component}'.strip() or '(the cluster)'}"),),),
        )
        for one in shown
    )
    columns = tuple(Column(header=header) for header in ("AZURE", "HERE", "CAUSE", "WHY"))
    same = Paragraph(lines=((span(f"{plural(made.same, 'record')} the same on both sides.", Tone.STRONG),),))
    grid = Grid(title=(span("Not the same", Tone.STRONG),), columns=columns, rows=rows, headings="OBJECT")
    out = io.StringIO()
    style = on_stdout(color, Style())
    draw([*([grid] if rows else []), same], out, style, width=style.width)
    say(out.getvalue().removesuffix("\n"))
