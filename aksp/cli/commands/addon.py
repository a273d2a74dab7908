"""``aksp addon``: put the add-on into a cluster, look after it, take it away."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from msgspec.structs import replace

from aksp.addon.names import EngineName
from aksp.cli import addon_process
from aksp.cli.addon_process import (
    ClientCaOption,
    ClientNameOption,
    ControllerAccountOption,
    EngineOption,
    ExcludeNamespaceOption,
    SyncIntervalOption,
)
from aksp.cli.clusters import ClusterOptions
from aksp.cli.groups import with_shared_options
from aksp.cli.options import ListFormat, OutputOption, WorkspaceOption
from aksp.model.effect import Effect

PLACE = 52


app = typer.Typer(
    help="The add-on: refuses at admission, and reports states to the cluster.\n\n"
    "Example: `aksp addon enable --cluster prod --dry-run`",
    no_args_is_help=True,
)
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Where the add-on is. Default: where it is found."),
]


@app.command("enable")
@with_shared_options
def enable(
    *,
    where: ClusterOptions,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Where it runs.")
    ] = "kube-system",
    create_namespace: Annotated[
        bool, typer.Option("--create-namespace", help="Make the namespace, with Pod Security restricted.")
    ] = False,
    image: Annotated[str | None, typer.Option(metavar="IMAGE", help="Its image. Default: aksp:VERSION.")] = None,
    replicas: Annotated[int, typer.Option(min=1, metavar="N", help="How many replicas answer reviews.")] = 2,
    cluster_name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="NAME in scopes /clusters/NAME. Default: --cluster's, else the context's."),
    ] = None,
    engine: EngineOption = EngineName.AKSP,
    failure_policy: Annotated[
        Literal["Ignore", "Fail"], typer.Option(help="What becomes of requests while the add-on does not answer.")
    ] = "Ignore",
    unjudged: Annotated[
        Literal["warn", "refuse"] | None,
        typer.Option(
            help=f"What becomes of what {Effect.DENY} cannot judge, in time or at all. Default: warn, refuse with Fail.",
        ),
    ] = None,
    exclude_namespace: ExcludeNamespaceOption = None,
    sync_interval: SyncIntervalOption = "5m",
    webhook_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The add-on runs there, outside the cluster: no Deployment.")
    ] = None,
    cert_secret: Annotated[
        str | None, typer.Option(metavar="NAME", help="A TLS Secret that somebody else makes, such as cert-manager.")
    ] = None,
    inject_ca_from: Annotated[
        str | None, typer.Option(metavar="NAMESPACE/NAME", help="cert-manager's Certificate, for the webhook's CA.")
    ] = None,
    client_ca: ClientCaOption = None,
    client_name: ClientNameOption = None,
    api_server_cidr: Annotated[
        list[str] | None,
        typer.Option(metavar="CIDR", help="The NetworkPolicy lets only these addresses ask. Repeatable. Default: all."),
    ] = None,
    open_metrics: Annotated[
        bool, typer.Option("--open-metrics", help="Let everybody in the cluster read /metrics.")
    ] = False,
    controller_account: ControllerAccountOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the documents; needs no cluster.")] = False,
    output: Annotated[Literal["yaml", "json"], typer.Option("--output", "-o", help="How --dry-run prints.")] = "yaml",
    workspace: WorkspaceOption = None,
) -> None:
    """Put the add-on into a cluster, or change how it is set up.

    The same again changes nothing. Run it again after a definition about another kind is added or assigned: the add-on
    may list just the usual kinds, and those that definitions of your own or assigned ones are about.

    With --engine gatekeeper no webhook of the add-on is asked: it keeps ConstraintTemplates, constraints and a SyncSet of the
    cluster's Gatekeeper in step with what is assigned, and goes on checking in.

    Example: `aksp addon enable --cluster prod --dry-run`
    """
    from aksp.addon.settings import Settings
    from aksp.cli.addon_install import enable_in, read_ca

    # Errors in these options are told before the cluster is asked.
    settings = Settings(
        namespace=namespace, create_namespace=create_namespace, engine=engine, replicas=replicas, failure_policy=failure_policy,
        exclude_namespaces=tuple(exclude_namespace or ()), sync_interval=sync_interval, webhook_url=webhook_url,
        cert_secret=cert_secret, inject_ca_from=inject_ca_from, client_ca=read_ca(client_ca),
        client_names=tuple(client_name or ()), api_server_cidrs=tuple(api_server_cidr or ()), open_metrics=open_metrics,
        controller_accounts=tuple(controller_account or ()), unjudged=unjudged,
    )  # fmt: skip
    if image:
        settings = replace(settings, image=image)
    enable_in(settings, where, cluster_name, dry_run=dry_run, as_json=output == "json", workspace=workspace)


@app.command("disable")
@with_shared_options
def disable(
    *,
    where: ClusterOptions,
    namespace: NamespaceOption = None,
    keep_data: Annotated[
        bool, typer.Option("--keep-data", help="Keep assignments, exemptions, definitions, denials and reports.")
    ] = False,
) -> None:
    """Take the add-on out of a cluster: the webhook first, then all else, custom resources included.

    Example: `aksp addon disable --cluster prod`
    """
    from aksp.cli.addon_install import disable_in

    disable_in(where, namespace, keep_data=keep_data)


@app.command("status")
@with_shared_options
def status(
    *,
    where: ClusterOptions,
    namespace: NamespaceOption = None,
    output: OutputOption = ListFormat.TABLE,
) -> None:
    """Show how the add-on is, and what became of each assignment.

    Exit code 4 when an assignment is not in force as wanted, when it has not been judged yet, or when nobody leads.

    Example: `aksp addon status --cluster prod -o wide`
    """
    from aksp.cli.addon_status import show

    raise typer.Exit(show(where, namespace, output))


app.command("run")(addon_process.run)
app.command("check-in", hidden=True)(addon_process.check_in)
