"""``aksp addon run`` and ``check-in``: the add-on's own processes."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated, Literal

import typer

from aksp.addon.names import EngineName
from aksp.cli.options import ContextOption, KubeconfigOption
from aksp.errors import InvalidInput
from aksp.model.effect import Effect

NamespaceOption = Annotated[
    str, typer.Option("--namespace", metavar="NAMESPACE", help="Where its Secret and its Lease are.")
]
ClusterNameOption = Annotated[
    str | None,
    typer.Option("--cluster-name", metavar="NAME", help="NAME in scopes /clusters/NAME. Default: the context's."),
]
#: Options that `aksp addon enable` has too.
EngineOption = Annotated[
    EngineName,
    typer.Option("--engine", help="Who refuses: the add-on's own webhook, or the Gatekeeper of the cluster."),
]
ExcludeNamespaceOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAMESPACE", help="Refuse nothing in this one; kube-system is one. Repeatable."),
]
SyncIntervalOption = Annotated[str, typer.Option(metavar="DURATION", help="Check in at least so often.")]
ClientCaOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Answer only who has a certificate of these CAs: the API server.")
]
ClientNameOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="With --client-ca: the name that its certificate must have. Repeatable. Default: any."
    ),
]
ControllerAccountOption = Annotated[
    list[str] | None,
    typer.Option(metavar="USER", help="Who makes Pods for others, beside Kubernetes' controllers. Repeatable."),
]


def run(
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = "kube-system",
    cluster_name: ClusterNameOption = None,
    engine: EngineOption = EngineName.AKSP,
    exclude_namespace: ExcludeNamespaceOption = None,
    sync_interval: SyncIntervalOption = "5m",
    unjudged: Annotated[
        str,
        typer.Option(
            metavar="warn|refuse", help=f"What becomes of what {Effect.DENY} cannot judge, in time or at all."
        ),
    ] = "warn",
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where reviews are answered, with TLS.")
    ] = "0.0.0.0:8443",
    metrics_listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where /metrics, /healthz and /readyz are; empty: nowhere.")
    ] = "0.0.0.0:8080",
    cert_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="tls.crt, tls.key and ca.crt that somebody else renews.")
    ] = None,
    client_ca: ClientCaOption = None,
    client_name: ClientNameOption = None,
    open_metrics: Annotated[
        bool, typer.Option("--open-metrics", help="Let everybody read /metrics, not this host only.")
    ] = False,
    controller_account: ControllerAccountOption = None,
    shutdown_delay: Annotated[
        str, typer.Option(metavar="DURATION", help="Answer for so long after SIGTERM, until the Service knows.")
    ] = "5s",
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="How much is logged.")
    ] = "info",
) -> None:
    """Run the add-on: in its Pod, or on a host with a kubeconfig.

    Example: `aksp addon run --context prod --cluster-name prod`
    """
    from aksp.addon.settings import UNJUDGED, RunSettings, check_client_names, seconds

    if unjudged not in UNJUDGED:
        raise InvalidInput(f"--unjudged {unjudged}: expected {' or '.join(UNJUDGED)}")
    check_client_names(client_name or (), client_ca)
    interval = seconds(sync_interval, "--sync-interval", least=1)
    delay = seconds(shutdown_delay, "--shutdown-delay")
    _check_installed()
    from aksp.addon.run import run as run_addon

    if cluster_name is None:
        from aksp.kube.config import connect

        with connect(context, kubeconfig) as connection:
            cluster_name = connection.name
    code = run_addon(
        RunSettings(
            cluster_name=cluster_name, kubeconfig=kubeconfig, context=context, namespace=namespace, engine=engine,
            exclude_namespaces=tuple(exclude_namespace or ()), sync_interval=interval, unjudged=unjudged, listen=listen,
            plain_listen=metrics_listen or None, cert_dir=cert_dir, client_ca=client_ca, client_names=tuple(client_name or ()),
            open_metrics=open_metrics, controller_accounts=tuple(controller_account or ()), shutdown_delay=delay,
            # A Pod's name is its own; a host may run several.
            identity=os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}", log_level=log_level,
        )
    )  # fmt: skip
    raise typer.Exit(code)


def check_in(
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = "kube-system",
    cluster_name: ClusterNameOption = None,
    engine: EngineOption = EngineName.AKSP,
    exclude_namespace: ExcludeNamespaceOption = None,
) -> None:
    """Scan the cluster once and write statuses and reports; the leader runs it. Prints one line of JSON.

    Example: `aksp addon check-in --cluster-name prod`
    """
    from aksp.addon.checkins.checkin import run_check_in

    raise typer.Exit(
        run_check_in(
            kubeconfig=kubeconfig,
            context=context,
            cluster_name=cluster_name,
            namespace=namespace,
            gatekeeper=engine is EngineName.GATEKEEPER,
            exclude_namespaces=exclude_namespace or (),
        )
    )


def _check_installed() -> None:
    """Raise InvalidInput when the packages of the extra are not there."""
    from importlib.util import find_spec

    missing = [name for name in ("cryptography", "httptools", "prometheus_client") if find_spec(name) is None]
    if missing:
        raise InvalidInput(
            f"the add-on needs packages that are not installed: {', '.join(missing)}", hint="pip install 'aksp[addon]'"
        )
