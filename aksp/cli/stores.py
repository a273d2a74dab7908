"""Which store a command means: the workspace's files, or a cluster's custom resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from aksp.cli.listing import print_document
from aksp.cli.options import CURRENT, ListFormat, StoreKind

if TYPE_CHECKING:
    from aksp.model.definition import Definition
    from aksp.store.cluster import ClusterStore


@contextmanager
def cluster_store(context: str | None, kubeconfig: str | None) -> Iterator[ClusterStore]:
    """The custom resources of the cluster of a context. Raises ClusterError."""
    from aksp.kube.config import connect
    from aksp.store.cluster import ClusterStore

    with connect(context, kubeconfig) as connection:
        for warning in connection.warnings:
            note(warning)
        yield ClusterStore(connection)


def refuse_cluster_options(store: StoreKind, context: str | None, kubeconfig: str | None) -> None:
    """Raise InvalidInput for options that name a cluster where files are meant."""
    from aksp.errors import InvalidInput

    if store is StoreKind.FILES and (context or kubeconfig):
        raise InvalidInput(
            f"{'--context' if context else '--kubeconfig'} names a cluster, and the store is the workspace's files",
            hint="add --store cluster",
        )


def named_cluster(cluster: str | None) -> str | None:
    """The name that --cluster gives; None without a name."""
    return None if cluster == CURRENT else cluster


def own_resource(definition: Definition) -> dict[str, Any] | None:
    """The custom resource of a workspace's own definition; None for one that comes with aksp.

    Raises InvalidPolicy for one that a cluster cannot hold.
    """
    from pathlib import Path

    from aksp.catalog.custom import resource_of
    from aksp.catalog.folder import as_json, is_bundled

    return None if is_bundled(definition) else resource_of(definition, as_json(Path(definition.origin)))


def print_documents(output: ListFormat, documents: Sequence[Mapping[str, Any]]) -> None:
    """Print documents so that ``kubectl apply -f -`` takes them, or their names."""
    from aksp.store.cluster import label

    if output is ListFormat.NAME:
        for document in documents:
            typer.echo(label(document))
    elif len(documents) == 1:
        print_document(output, documents[0], label(documents[0]))
    else:
        print_document(output, {"apiVersion": "v1", "kind": "List", "items": list(documents)}, "")


def note(text: str) -> None:
    """Tell the user something besides the result."""
    from aksp.report.text import safe

    typer.echo(f"aksp: note: {safe(text)}", err=True)
