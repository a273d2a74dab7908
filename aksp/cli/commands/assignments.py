"""``aksp assignments``: what is assigned, in the workspace or in a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import replace

from aksp.cli import candidates
from aksp.cli.ci import note
from aksp.cli.clusters import ClusterChoice
from aksp.cli.document_commands import add_document_commands
from aksp.cli.groups import list_command, with_shared_options
from aksp.cli.listing import print_list
from aksp.cli.options import ListFormat, OutputOption, cluster_option
from aksp.cli.stores import StoreOptions, cluster_store

if TYPE_CHECKING:
    from aksp.model.assignment import Assignment
    from aksp.workspace import Workspace

PLACE = 22

app = typer.Typer(invoke_without_command=True)

ReachedOption = Annotated[
    str | None,
    cluster_option("What reaches this cluster, from where, and what leaves it out; without NAME the current one."),
]

_HEADERS = ("NAME", "DEFINITION", "EFFECT", "SCOPE", "MODE", "SELECTS")


@list_command(app, "The assignments of the workspace, or of a cluster.\n\nExample: `aksp assignments --cluster prod`")
@with_shared_options
def list_assignments(
    *,
    cluster: ReachedOption = None,
    output: OutputOption = ListFormat.TABLE,
    chosen: StoreOptions,
) -> None:
    """List the assignments; with --cluster those that reach it, from where, and what leaves it out of them.

    Example: `aksp assignments --cluster prod`

    Example: `aksp assignments list -o wide`
    """
    from aksp.errors import InvalidInput
    from aksp.store.cluster import label
    from aksp.store.documents import assignment_document
    from aksp.workspace import Workspace

    if cluster is not None:
        if chosen.in_cluster:
            raise InvalidInput(
                "--cluster asks what of the workspace reaches a cluster", hint="leave out --store cluster"
            )
        if chosen.where.context:
            raise InvalidInput("--cluster and --context are two ways to name a cluster", hint="leave out --context")
        from aksp.cli.reaching import print_reaching

        name = replace(chosen.where, cluster=cluster).name()
        print_reaching(Workspace.open(chosen.workspace), name, output)
        return
    chosen.check()
    opened = Workspace.open(chosen.workspace)
    if chosen.in_cluster:
        _list_cluster(opened, output, chosen.where)
        return
    found = opened.store.assignments()
    documents = [assignment_document(a) for a in found]
    wide = output is ListFormat.WIDE

    print_list(
        output,
        headers=[*_HEADERS, *(["DISPLAY NAME", "FILE"] if wide else [])],
        rows=(
            [
                a.name,
                a.definition_id,
                opened.effect_of(a),
                str(a.scope),
                a.enforcement_mode.value,
                _selects(a, opened),
                *([a.display_name, a.origin] if wide else []),
            ]
            for a in found
        ),
        documents=documents,
        names=[label(document) for document in documents],
        empty=f"Nothing is assigned in {opened.root}. `aksp assign` lists what can be.",
    )


def _selects(assignment: Assignment, opened: Workspace) -> str:
    """The namespaces and labels that an assignment chooses beside what its definition does; ``-`` for none."""
    from aksp.compliance.selection import Selector
    from aksp.errors import InvalidInput

    try:
        parameter = opened.definition_of(assignment).parameters.get("excludedNamespaces")
        always = (parameter.default if parameter else None) or []
    except InvalidInput:
        always = []  # the definitions of a cluster may not be in the workspace

    def names(parameter: str) -> list[str]:
        value = assignment.parameters.get(parameter)
        return [str(one) for one in value] if isinstance(value, list) else []

    try:
        selector = Selector.parse(assignment.parameters.get("labelSelector")).text()
    except ValueError:
        selector = "?"  # the scan says what is wrong
    left_out = [one for one in names("excludedNamespaces") if one not in always] + list(map(str, assignment.not_scopes))
    chosen = [",".join(names("namespaces")), f"-l {selector}" if selector else "", *(f"not {one}" for one in left_out)]
    return " ".join(filter(None, chosen)) or "-"


def _list_cluster(opened: Workspace, output: ListFormat, choice: ClusterChoice) -> None:
    from aksp.store.cluster import label, without_server_fields

    with cluster_store(choice) as store:
        found = store.documents("PolicyAssignment")
        name = store.name
    wide = output is ListFormat.WIDE
    print_list(
        output,
        headers=[*_HEADERS, *(["DISPLAY NAME", "STATE", "LAST CHECK-IN"] if wide else [])],
        rows=(_row(document, opened, wide=wide) for document in found),
        documents=[without_server_fields(document) for document in found],
        names=[label(document) for document in found],
        empty=f"Nothing is assigned in cluster {name}. `aksp sync` writes what the workspace assigns to it.",
    )


def _row(document: Mapping[str, Any], opened: Workspace, *, wide: bool) -> Sequence[str]:
    """One assignment of a cluster. One that is wrong is listed too, since the add-on's status tells why."""
    from aksp.errors import InvalidInput
    from aksp.model.compliance import ComplianceState
    from aksp.store.cluster import label
    from aksp.store.documents import assignment_from

    status = document.get("status") or {}
    name = document["metadata"]["name"]
    try:
        one = assignment_from(document, label(document))
    except InvalidInput as error:
        note(f"{error}")
        cells = [name, "?", "?", "?", "?", "?"]
        title = ""
    else:
        # The add-on knows the definitions of the cluster, which the workspace may not have.
        effect = status.get("effect") or opened.effect_of(one)
        cells = [name, one.definition_id, effect, str(one.scope), one.enforcement_mode.value, _selects(one, opened)]
        title = one.display_name
    if wide:
        cells += [title, status.get("state") or ComplianceState.NOT_STARTED, status.get("lastCheckIn") or "never"]
    return cells


add_document_commands(app, "PolicyAssignment", "assignment", candidates.assignments)
