"""Which store a command means: the workspace's files, or a cluster's custom resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aksp.cli.ci import say
from aksp.cli.clusters import ClusterChoice
from aksp.cli.listing import print_document
from aksp.cli.options import ListFormat, StoreKind

if TYPE_CHECKING:
    from aksp.model.definition import Definition
    from aksp.store.cluster import ClusterStore


@contextmanager
def cluster_store(choice: ClusterChoice) -> Iterator[ClusterStore]:
    """The custom resources of a cluster. Raises ClusterError."""
    from aksp.store.cluster import ClusterStore

    with choice.connected() as connection:
        yield ClusterStore(connection)


def refuse_cluster_options(store: StoreKind, context: str | None, kubeconfig: str | None) -> None:
    """Raise InvalidInput for options that name a cluster where files are meant."""
    from aksp.errors import InvalidInput

    if store is StoreKind.FILES and (context or kubeconfig):
        raise InvalidInput(
            f"{'--context' if context else '--kubeconfig'} names a cluster, and the store is the workspace's files",
            hint="add --store cluster",
        )


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
            say(label(document))
    elif len(documents) == 1:
        print_document(output, documents[0], label(documents[0]))
    else:
        print_document(output, {"apiVersion": "v1", "kind": "List", "items": list(documents)}, "")
