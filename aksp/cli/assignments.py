"""``aksp assignments``: what is assigned."""

from __future__ import annotations

from typing import Annotated

import typer

from aksp.cli.listing import print_document, print_list
from aksp.cli.options import ListFormat, OutputOption, WorkspaceOption, refuse_ignored

app = typer.Typer(help="The assignments of the workspace.", invoke_without_command=True)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The assignment's name.")]


@app.callback()
def assignments(ctx: typer.Context, output: OutputOption = ListFormat.TABLE, workspace: WorkspaceOption = None) -> None:
    """The assignments of the workspace."""
    refuse_ignored(ctx)
    if ctx.invoked_subcommand is None:
        list_assignments(output, workspace)


@app.command("list")
def list_assignments(output: OutputOption = ListFormat.TABLE, workspace: WorkspaceOption = None) -> None:
    """List the assignments."""
    from aksp.store.documents import assignment_document
    from aksp.workspace import Workspace

    opened = Workspace.open(workspace)
    found = opened.store.assignments()
    wide = output is ListFormat.WIDE

    print_list(
        output,
        headers=["NAME", "DEFINITION", "EFFECT", "SCOPE", "MODE", *(["DISPLAY NAME", "FILE"] if wide else [])],
        rows=[
            [
                a.name,
                a.definition_id,
                opened.effect_of(a),
                str(a.scope),
                a.enforcement_mode.value,
                *([a.display_name, a.origin] if wide else []),
            ]
            for a in found
        ]
        if output in (ListFormat.TABLE, ListFormat.WIDE)
        else [],
        documents=[assignment_document(a) for a in found],
        names=[f"policyassignment.policy.aksp.io/{a.name}" for a in found],
        empty=f"Nothing is assigned in {opened.root}. `aksp assign` lists what can be.",
    )


@app.command("show")
def show_assignment(
    name: NameArgument, output: OutputOption = ListFormat.YAML, workspace: WorkspaceOption = None
) -> None:
    """Show one assignment's document."""
    from aksp.compliance.parameters import nearest
    from aksp.errors import InvalidInput
    from aksp.store.documents import assignment_document
    from aksp.workspace import Workspace

    opened = Workspace.open(workspace)
    found = {a.name: a for a in opened.store.assignments()}
    if name not in found:
        raise InvalidInput(f"there is no assignment {name!r} in {opened.root}", hint=nearest(name, found))
    print_document(output, assignment_document(found[name]), f"policyassignment.policy.aksp.io/{name}")


@app.command("delete")
def delete_assignment(name: NameArgument, workspace: WorkspaceOption = None) -> None:
    """Delete one assignment."""
    from aksp.workspace import Workspace

    where = Workspace.open(workspace).store.delete(name)
    typer.echo(f'policyassignment.policy.aksp.io "{name}" deleted ({where})')
