"""``aksp addon``: put the add-on into a cluster, look after it, take it away."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from aksp.cli import addon_process
from aksp.cli.options import ClusterOption, ContextOption, KubeconfigOption, ListFormat, OutputOption, WorkspaceOption


class FailurePolicy(StrEnum):
    """What the API server does while the add-on does not answer."""

    IGNORE = "Ignore"
    FAIL = "Fail"


class DocumentFormat(StrEnum):
    """How documents are printed."""

    YAML = "yaml"
    JSON = "json"


app = typer.Typer(help="The add-on: refuses at admission, and reports states to the cluster.", no_args_is_help=True)
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Where the add-on is. Default: where it is found."),
]


@app.command("enable")
def enable(
    cluster: ClusterOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Where it runs.")] = "kube-system",
    create_namespace: Annotated[
        bool, typer.Option("--create-namespace", help="Make the namespace, with Pod Security restricted.")
    ] = False,
    image: Annotated[str | None, typer.Option(help="Its image. Default: aksp:VERSION.")] = None,
    replicas: Annotated[int, typer.Option(min=1, help="How many replicas answer reviews.")] = 2,
    cluster_name: Annotated[
        str | None, typer.Option(help="NAME in scopes /clusters/NAME. Default: --cluster's, else the context's.")
    ] = None,
    failure_policy: Annotated[
        FailurePolicy, typer.Option(help="What becomes of requests while the add-on does not answer.")
    ] = FailurePolicy.IGNORE,
    exclude_namespace: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMESPACE", help="Never ask the add-on about this one; kube-system is one. Repeatable."),
    ] = None,
    sync_interval: Annotated[str, typer.Option(metavar="DURATION", help="Check in at least so often.")] = "5m",
    webhook_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The add-on runs there, outside the cluster: no Deployment.")
    ] = None,
    cert_secret: Annotated[
        str | None, typer.Option(metavar="NAME", help="A TLS Secret that somebody else makes, such as cert-manager.")
    ] = None,
    inject_ca_from: Annotated[
        str | None, typer.Option(metavar="NAMESPACE/NAME", help="cert-manager's Certificate, for the webhook's CA.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the documents; needs no cluster.")] = False,
    output: Annotated[
        DocumentFormat, typer.Option("--output", "-o", help="How --dry-run prints.")
    ] = DocumentFormat.YAML,
    workspace: WorkspaceOption = None,
) -> None:
    """Put the add-on into a cluster, or change how it is set up.

    The same again changes nothing. Run it again after a definition about another kind is added: the add-on may list just
    the kinds that definitions are about.
    """
    from aksp.cli.addon_install import Choices, enable_in

    enable_in(
        Choices(
            cluster=cluster, context=context, kubeconfig=kubeconfig, namespace=namespace, image=image, replicas=replicas,
            create_namespace=create_namespace, cluster_name=cluster_name, failure_policy=failure_policy,
            exclude_namespaces=tuple(exclude_namespace or ()), sync_interval=sync_interval, webhook_url=webhook_url,
            cert_secret=cert_secret, inject_ca_from=inject_ca_from, dry_run=dry_run, json=output is DocumentFormat.JSON,
            workspace=workspace,
        )
    )  # fmt: skip


@app.command("disable")
def disable(
    cluster: ClusterOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = None,
    keep_data: Annotated[
        bool, typer.Option("--keep-data", help="Keep assignments, exemptions, definitions, denials and reports.")
    ] = False,
) -> None:
    """Take the add-on out of a cluster: the webhook first, then all else, custom resources included."""
    from aksp.cli.addon_install import disable_in

    disable_in(cluster, context, kubeconfig, namespace, keep_data=keep_data)


@app.command("status")
def status(
    cluster: ClusterOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = None,
    output: OutputOption = ListFormat.TABLE,
) -> None:
    """Show how the add-on is, and what became of each assignment.

    Exit code 4 when an assignment is not in force as wanted, when it has not been judged yet, or when nobody leads.
    """
    from aksp.cli.addon_status import show

    raise typer.Exit(show(cluster, context, kubeconfig, namespace, output))


app.command("run")(addon_process.run)
app.command("check-in", hidden=True)(addon_process.check_in)
