"""What ``aksp addon enable`` and ``disable`` do."""

from __future__ import annotations

import json
from dataclasses import dataclass

import typer

from aksp.addon.settings import Listed, Settings
from aksp.cli.options import CURRENT
from aksp.cli.stores import note
from aksp.kube.connection import Connection


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """The command line of ``aksp addon enable``."""

    cluster: str | None
    context: str | None
    kubeconfig: str | None
    namespace: str
    create_namespace: bool
    image: str | None
    replicas: int
    cluster_name: str | None
    failure_policy: str
    exclude_namespaces: tuple[str, ...]
    sync_interval: str
    webhook_url: str | None
    cert_secret: str | None
    inject_ca_from: str | None
    dry_run: bool
    json: bool
    workspace: str | None


def connected(cluster: str | None, context: str | None, kubeconfig: str | None) -> Connection:
    """The cluster that the options name; its warnings are told."""
    from aksp.kube.config import connect

    connection = connect(context or _name(cluster), kubeconfig)
    for warning in connection.warnings:
        note(warning)
    return connection


def enable_in(choices: Choices) -> None:
    """Print the documents, or apply them and say what is next. Raises AkspError."""
    # What can be told from the command line alone is told before the cluster is asked.
    _settings(choices, "-", ())
    asked = choices.cluster or choices.context or choices.kubeconfig
    if choices.dry_run and not asked:
        _print(_settings(choices, choices.cluster_name or _current(), _kinds(choices, None)), choices)
        return
    with connected(choices.cluster, choices.context, choices.kubeconfig) as connection:
        name = choices.cluster_name or _name(choices.cluster) or connection.name
        settings = _settings(choices, name, _kinds(choices, connection))
        if choices.dry_run:
            _print(settings, choices)
            return
        from aksp.addon.installation import install

        install(connection, settings, typer.echo)
    note(f"the add-on judges this cluster as /clusters/{name}; assignments at that scope, and at /, reach it")
    note("`aksp addon status` tells when it has come up, and `aksp sync` gives it the workspace's assignments")


def disable_in(
    cluster: str | None, context: str | None, kubeconfig: str | None, namespace: str | None, *, keep_data: bool
) -> None:
    """Delete the add-on's objects. Raises AkspError."""
    from aksp.addon.installation import installed_in, uninstall
    from aksp.addon.names import NAMESPACE

    deleted: list[str] = []

    def tell(line: str) -> None:
        deleted.append(line)
        typer.echo(line)

    with connected(cluster, context, kubeconfig) as connection:
        place = namespace or installed_in(connection) or NAMESPACE
        uninstall(connection, place, keep_data=keep_data, tell=tell)
    if not deleted:
        note("there was nothing to delete")
    elif keep_data:
        note("the custom resources are kept; `aksp addon enable` puts them into force again")


def _settings(choices: Choices, cluster_name: str, kinds: tuple[Listed, ...]) -> Settings:
    image = {"image": choices.image} if choices.image else {}
    return Settings(
        namespace=choices.namespace, create_namespace=choices.create_namespace, replicas=choices.replicas,
        cluster_name=cluster_name, failure_policy=str(choices.failure_policy), sync_interval=choices.sync_interval,
        exclude_namespaces=choices.exclude_namespaces, webhook_url=choices.webhook_url,
        cert_secret=choices.cert_secret, inject_ca_from=choices.inject_ca_from, kinds=kinds, **image,
    )  # fmt: skip


def _kinds(choices: Choices, connection: Connection | None) -> tuple[Listed, ...]:
    """The kinds of all definitions: bundled, the workspace's and, asked for, the cluster's own."""
    from aksp.addon.installation import cluster_definitions, listed_kinds
    from aksp.kube.kinds import Discovery
    from aksp.workspace import Workspace

    definitions = [*Workspace.open(choices.workspace).catalog]
    if connection is None:
        return listed_kinds(definitions, None, note)
    definitions += cluster_definitions(connection, note)
    return listed_kinds(definitions, Discovery(connection), note)


def _print(settings: Settings, choices: Choices) -> None:
    from aksp.addon.manifests import everything
    from aksp.store.files import to_yaml

    documents = everything(settings)
    if choices.json:
        typer.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}, indent=2, ensure_ascii=False))
    else:
        # Without anchors for the parts that documents share.
        typer.echo("---\n".join(to_yaml(json.loads(json.dumps(one))) for one in documents), nl=False)


def _name(cluster: str | None) -> str | None:
    return None if cluster == CURRENT else cluster


def _current() -> str:
    """The current context's name, else the name of the cluster that a Pod runs in."""
    from aksp.kube.config import IN_CLUSTER, current_context

    return current_context(None) or IN_CLUSTER
