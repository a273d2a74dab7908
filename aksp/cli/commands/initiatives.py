"""``aksp initiatives``: the sets of definitions that can be assigned as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aksp.cli import candidates
from aksp.cli.ci import note, say
from aksp.cli.groups import list_command
from aksp.cli.listing import print_list, print_shown
from aksp.cli.options import ListFormat, OutputOption, WorkspaceOption

PLACE = 12

app = typer.Typer(invoke_without_command=True)

SearchOption = Annotated[
    str | None,
    typer.Option(metavar="WORDS", help="Only initiatives in whose names, texts, ids and members all the words are."),
]


@list_command(
    app,
    "The initiatives of the catalogue: definitions that are assigned as one.\n\nExample: `aksp initiatives -o wide`",
)
def list_initiatives(
    search: SearchOption = None,
    output: OutputOption = ListFormat.TABLE,
    workspace: WorkspaceOption = None,
) -> None:
    """List the initiatives.

    Example: `aksp initiatives list -o name`
    """
    from aksp.assigned import problem_of
    from aksp.catalog.folder import initiative_as_json
    from aksp.compliance.members import unavailable_members
    from aksp.workspace import Workspace

    catalog = Workspace.open(workspace).catalog
    for broken in catalog.broken:
        note(f"{broken.slug} cannot be loaded: {problem_of(broken.error)}")
    known = catalog.names
    found = [one for one in catalog.initiatives if search is None or one.says(search)]
    wide = output is ListFormat.WIDE
    rows = []
    for one in found:
        gone = len(unavailable_members(one, known))
        members = str(len(one.members)) + (f" ({gone} not available)" if gone else "")
        rows.append([one.slug, members, one.display_name, *([one.category, one.version, one.name] if wide else [])])
    print_list(
        output,
        headers=["NAME", "MEMBERS", "DISPLAY NAME", *(["CATEGORY", "VERSION", "ID"] if wide else [])],
        rows=rows,
        documents=(initiative_as_json(Path(one.origin)) for one in found),
        names=[one.slug for one in found],
        empty="No initiative matches.",
    )


@app.command("show")
def show_initiative(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="SLUG...",
            help="Initiatives' names, as -o name prints them, GUIDs or Azure names.",
            autocompletion=candidates.initiatives,
        ),
    ],
    output: OutputOption = ListFormat.TABLE,
    workspace: WorkspaceOption = None,
) -> None:
    """Show the members of initiatives, those that are not available, and their options.

    Example: `aksp initiatives show pod-security-baseline`
    """
    from aksp.catalog.folder import initiative_as_json
    from aksp.cli.describe import describe_initiative
    from aksp.errors import InvalidInput
    from aksp.model.initiative import Initiative
    from aksp.workspace import Workspace

    catalog = Workspace.open(workspace).catalog
    found: dict[str, Initiative] = {}
    for name in names:
        one = catalog.find(name, "initiative")
        if not isinstance(one, Initiative):
            raise InvalidInput(
                f"{one.slug!r} is a definition, and an initiative is asked for",
                hint=f"`aksp definitions show {one.slug}` shows it",
            )
        found[one.slug] = one
    if output in (ListFormat.TABLE, ListFormat.WIDE):
        say("\n\n".join(describe_initiative(one, catalog.names) for one in found.values()))
    else:
        print_shown(output, [initiative_as_json(Path(one.origin)) for one in found.values()], list(found))
