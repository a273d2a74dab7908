"""``aksp compare``: what others found beside what is found here."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from aksp.cli.ci import note, say
from aksp.cli.options import WorkspaceOption
from aksp.errors import ExitCode

if TYPE_CHECKING:
    from aksp.azure.comparing import StateComparison

PLACE = 64

app = typer.Typer(no_args_is_help=True)


class CompareFormat(StrEnum):
    """The outputs of a comparison."""

    TABLE = "table"
    JSON = "json"


@app.callback()
def compare() -> None:
    """Hold what others found against what is found here.

    Example: `aksp compare azure --states states.json`
    """


@app.command("azure")
def compare_azure(
    states: Annotated[
        list[str], typer.Option("--states", metavar="FILE", help="Azure's records as JSON; may be given again.")
    ],
    report: Annotated[
        str, typer.Option("--report", metavar="FILE", help="The report: of aksp compliance --show all -o json.")
    ],
    resource: Annotated[
        str | None,
        typer.Option("--resource", metavar="ARMID", help="The cluster at Azure, where the records are of several."),
    ] = None,
    output: Annotated[CompareFormat, typer.Option("--output", "-o", help="Output format.")] = CompareFormat.TABLE,
    workspace: WorkspaceOption = None,
) -> ExitCode:
    """Hold Azure's compliance records against a report, and tell why they differ.

    The exit code is 0 when nothing differs, 1 when something does, and 4 when something could not be compared and nothing
    else differs.

    Example: `aksp compare azure --states states.json --report report.json`
    """
    from aksp.azure.comparing import compare as compare_states
    from aksp.azure.states import states_from
    from aksp.errors import InvalidInput
    from aksp.report.parse import read_report
    from aksp.workspace import Workspace

    found = states_from(states)
    ours = read_report(report)
    clusters = sorted({one.resource for one in found.found if one.resource})
    if resource is None and len(clusters) > 1:
        raise InvalidInput(
            f"the records are of {len(clusters)} clusters: {', '.join(clusters[:3])}", where=states[0],
            hint="--resource ARMID says which of them the report is of",
        )  # fmt: skip
    records = [one for one in found.found if resource is None or one.resource == resource.rstrip("/").lower()]
    opened = Workspace.open(workspace)
    definitions = {one.slug: one for one in opened.catalog}
    made = compare_states(ours, records, list(opened.store.assignments()), definitions)
    made.left_out += [f"{path}: the list goes on at its nextLink" for path in found.more]
    made.left_out += [f"the report has a gap: {gap.message}" for gap in ours.gaps]
    for text in made.left_out:
        note(f"not compared: {text}")
    _print(made, output)
    if made.differences:
        return ExitCode.NON_COMPLIANT
    return ExitCode.INCONCLUSIVE if made.left_out or not made.same else ExitCode.OK


def _print(made: StateComparison, output: CompareFormat) -> None:
    import json
    from dataclasses import asdict

    from aksp.cli.listing import print_list
    from aksp.cli.options import ListFormat
    from aksp.runners import in_json

    if output is CompareFormat.JSON:
        document = {
            "same": made.same,
            "differences": [asdict(one) for one in made.differences],
            "notCompared": made.left_out,
        }
        say(json.dumps(document, indent=2, ensure_ascii=False), in_json)
        return
    print_list(
        ListFormat.TABLE,
        headers=("ASSIGNMENT", "OBJECT", "AZURE", "HERE", "CAUSE", "WHY"),
        rows=[
            (one.assignment, f"{one.kind} {one.component}".strip() or "(the cluster)", one.azure or "-", one.here or "-",
             one.cause or "unknown", one.text)
            for one in made.differences
        ],
        documents=(), names=(), empty=f"{made.same} records say the same",
    )  # fmt: skip
