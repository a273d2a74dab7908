"""``aksp exempt``: waive findings of an assignment, for a reason and until a date."""

from __future__ import annotations

from typing import Annotated

import typer

from aksp.cli import candidates
from aksp.cli.ci import tell
from aksp.cli.clusters import ClusterChoice, scope_of
from aksp.cli.options import (
    ClusterOption,
    ContextOption,
    KubeconfigOption,
    ListFormat,
    StoreKind,
    StoreOption,
    TimeoutOption,
    WorkspaceOption,
)
from aksp.model.assignment import ExemptionCategory

PLACE = 24


def exempt(
    subject: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KIND/NAME",
            help="What is exempt, as for kubectl: deploy/payments, pod/web-1, 'sts/db-*'. A workload stands for its Pods.",
            show_default=False,
        ),
    ] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Only in this namespace; repeatable, patterns."),
    ] = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="KIND/NAME in whichever namespace.")
    ] = False,
    container: Annotated[
        list[str] | None,
        typer.Option("--container", "-c", metavar="NAME", help="Only this container; repeatable, patterns."),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(metavar="IMAGE", help="Only containers of this image, as it is written; repeatable, patterns."),
    ] = None,
    assignment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The assignment, or NAME/REFERENCE: a member of an initiative.",
            autocompletion=candidates.assignments,
        ),
    ] = None,
    category: Annotated[
        ExemptionCategory | None,
        typer.Option(
            case_sensitive=False, help="Waiver: the risk is accepted. Mitigated: it is met in another way. Required."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="When it ends: 2027-01-31 (at 00:00 UTC), 2027-01-31T18:00:00Z or 30d."),
    ] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why.")] = "",
    ticket: Annotated[str, typer.Option(metavar="TEXT", help="The ticket that has more.")] = "",
    requested_by: Annotated[str, typer.Option(metavar="TEXT", help="Who asked for it; reports name them.")] = "",
    display_name: Annotated[str, typer.Option(metavar="TEXT", help="A title for reports.")] = "",
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The exemption's name. Default: one by what is exempt.")
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option(metavar="SCOPE", help="Where it holds: /, /clusters/NAME, … Default: everywhere."),
    ] = None,
    cluster: ClusterOption = None,
    resource_selectors: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@FILE", help="Only in clusters that one of these selects, as for az: by location or type."
        ),
    ] = None,
    from_report: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Waive violations of this report (of -o json; - is standard input)."),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=PATTERN[,…]",
            help="Which of them: by assignment, definition, severity, namespace, kind, name, container or image;"
            " repeatable: all fields must match, of one field any.",
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite the exemption of this name.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and print, write nothing.")] = False,
    output: Annotated[
        ListFormat | None,
        typer.Option("--output", "-o", metavar="FORMAT", help="Print the document: yaml, json or name."),
    ] = None,
    store: StoreOption = StoreKind.FILES,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    request_timeout: TimeoutOption = 60,
    workspace: WorkspaceOption = None,
) -> None:
    """Waive findings of an assignment: for a workload, a namespace, a container, an image or a scope.

    What is exempt is still judged, counts as Exempt and is listed with the reason. Of the options that say what is
    exempt all must match. With --from-report there is an exemption for each assignment of the violations selected.

    Example: `aksp exempt deploy/web -n shop -c proxy --assignment allowed-images --category Waiver --until 30d`
    """
    from datetime import UTC, datetime

    from aksp.cli.assignment_options import selectors_of
    from aksp.cli.covered import Covered
    from aksp.cli.exempting import ExemptRequest, Grounds, end_of
    from aksp.cli.exempting import exempt as run
    from aksp.cli.stores import StoreChoice
    from aksp.errors import InvalidInput

    where = ClusterChoice(cluster=cluster, context=context, kubeconfig=kubeconfig, request_timeout=request_timeout)
    chosen = StoreChoice(kind=store, where=where, workspace=workspace)
    chosen.check()
    if category is None:
        raise InvalidInput("--category is missing", hint=f"{' or '.join(ExemptionCategory)}")
    now = datetime.now(UTC).replace(microsecond=0)
    metadata = {"requestedBy": requested_by, "ticketRef": ticket}
    selectors = selectors_of(resource_selectors)
    # A selector without conditions selects every cluster.
    some = bool(selectors) and all(one.conditions for one in selectors)
    run(
        ExemptRequest(
            grounds=Grounds(
                category=category, scope=scope_of(scope, where), expires_on=end_of(until, now) if until else None,
                display_name=display_name, description=reason,
                metadata={key: text for key, text in metadata.items() if text},
                resource_selectors=selectors,
            ),
            covered=Covered(
                subjects=subject or (), namespaces=namespace or (), every_namespace=all_namespaces,
                containers=container or (), images=image or (),
            ),
            assignment=assignment, name=name, anywhere=bool(scope or cluster or some), report=from_report, select=select or (),
            replace=replace, dry_run=dry_run, output=output, chosen=chosen,
        )
    )  # fmt: skip
    if until is None:
        tell("aksp: warning: without --until the exemption has no end")
