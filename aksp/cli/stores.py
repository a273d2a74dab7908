"""Which store a command means: the workspace's files, or a cluster's custom resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from aksp.cli.ci import say
from aksp.cli.clusters import ClusterChoice
from aksp.cli.listing import print_document
from aksp.cli.options import ListFormat, StoreKind

if TYPE_CHECKING:
    from aksp.catalog.interface import Assignable
    from aksp.store.cluster import ClusterStore
    from aksp.store.interface import Store


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


@contextmanager
def store_of(kind: StoreKind, choice: ClusterChoice, workspace: str | None) -> Iterator[Store]:
    """The store that is meant. Raises InvalidInput for a workspace that is named and not there, or ClusterError."""
    from aksp.workspace import Workspace

    with ExitStack() as stack:
        if kind is StoreKind.CLUSTER:
            yield stack.enter_context(cluster_store(choice))
        else:
            yield Workspace.open(workspace).store


def show(
    kind: str, names: Sequence[str], output: ListFormat, store: StoreKind, choice: ClusterChoice, workspace: str | None
) -> None:
    """Print the documents of a kind by their names, which may be as -o name prints them. Raises InvalidInput when one is not there."""
    from aksp.compliance.parameters import nearest
    from aksp.errors import InvalidInput
    from aksp.store.cluster import without_server_fields
    from aksp.store.documents import WORDS, document_of
    from aksp.store.interface import listed
    from aksp.workspace import Workspace

    found: dict[str, Any]
    if store is StoreKind.CLUSTER:
        with cluster_store(choice) as cluster:
            found = {d["metadata"]["name"]: without_server_fields(d) for d in cluster.documents(kind)}
            place = f"cluster {cluster.name}"
    else:
        opened = Workspace.open(workspace)
        found = {one.name: document_of(one) for one in listed(opened.store, kind)}
        place = str(opened.root)
    wanted = _untyped(kind, names)
    for name in wanted:
        if name not in found:
            raise InvalidInput(f"there is no {WORDS[kind]} {name!r} in {place}", hint=nearest(name, found))
    print_documents(output, [found[name] for name in wanted])


def _type_of(kind: str) -> str:
    """A kind as -o name and kubectl write it."""
    from aksp.model.assignment import API_VERSION

    return f"{kind.lower()}.{API_VERSION.partition('/')[0]}"


def _untyped(kind: str, names: Sequence[str]) -> list[str]:
    """Names that may be as -o name prints them, each once."""
    return list(dict.fromkeys(name.removeprefix(f"{_type_of(kind)}/") for name in names))


def delete(
    kind: str,
    names: Sequence[str],
    store: StoreKind,
    choice: ClusterChoice,
    workspace: str | None,
    *,
    every: bool,
) -> None:
    """Delete those of a kind that are named, or every one; a name that is not there is told before any is deleted."""
    from aksp.compliance.parameters import nearest
    from aksp.errors import InvalidInput
    from aksp.store.documents import WORDS
    from aksp.store.interface import listed

    word, typed = WORDS[kind], _type_of(kind)
    if bool(names) == every:
        raise InvalidInput(f"give the names of {word}s, or --all" if not names else "--all needs no names")
    with store_of(store, choice, workspace) as kept:
        wanted = _untyped(kind, names)
        # For a single name the store itself tells if it is missing, and the right to list is not needed.
        if len(wanted) != 1:
            known = [one.name for one in listed(kept, kind)]
            for name in wanted:
                if name not in known:
                    hint = nearest(name, known)
                    raise InvalidInput(f"there is no {word} {name!r}, so none was deleted", hint=hint)
            wanted = wanted or known
        for name in wanted:
            say(f'{typed} "{name}" deleted ({kept.delete(name, kind)})')
        if not wanted:
            say(f"there is no {word}, so nothing was deleted")


def own_resource(definition: Assignable) -> dict[str, Any] | None:
    """The custom resource of a workspace's own definition or initiative; None for one that comes with aksp.

    Raises InvalidPolicy for one that a cluster cannot hold.
    """
    from pathlib import Path

    from aksp.catalog import custom, initiatives
    from aksp.catalog.folder import as_json, initiative_as_json, is_bundled
    from aksp.model.initiative import Initiative

    if is_bundled(definition):
        return None
    if isinstance(definition, Initiative):
        return initiatives.resource_of(definition, initiative_as_json(Path(definition.origin)))
    return custom.resource_of(definition, as_json(Path(definition.origin)))


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
