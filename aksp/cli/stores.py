"""Which store a command means: the workspace's files, or a cluster's custom resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Struct

from aksp.cli.ci import say
from aksp.cli.clusters import ClusterChoice
from aksp.cli.listing import print_document, print_shown
from aksp.cli.options import (
    KubeconfigOption,
    ListFormat,
    StoreContextOption,
    StoreKind,
    StoreOption,
    TimeoutOption,
    WorkspaceOption,
)

if TYPE_CHECKING:
    from aksp.catalog.interface import Assignable
    from aksp.store.cluster import ClusterStore
    from aksp.store.files import Files


@contextmanager
def cluster_store(choice: ClusterChoice) -> Iterator[ClusterStore]:
    """The custom resources of a cluster. Raises ClusterError."""
    from aksp.store.cluster import ClusterStore

    with choice.connected() as connection:
        yield ClusterStore(connection)


class StoreChoice(Struct, frozen=True, kw_only=True):
    """The options of a command that name a store, as they were given."""

    kind: StoreKind = StoreKind.FILES
    where: ClusterChoice = ClusterChoice()
    workspace: str | None = None

    @property
    def in_cluster(self) -> bool:
        """Whether it is a cluster's, and not the workspace's files."""
        return self.kind is StoreKind.CLUSTER

    def check(self) -> None:
        """Raise InvalidInput for options that name a cluster where files are meant."""
        from aksp.errors import InvalidInput

        named = "--context" if self.where.context else "--kubeconfig" if self.where.kubeconfig else None
        if named and not self.in_cluster:
            raise InvalidInput(
                f"{named} names a cluster, and the store is the workspace's files", hint="add --store cluster"
            )

    @contextmanager
    def opened(self) -> Iterator[Files | ClusterStore]:
        """The store. Raises InvalidInput for a workspace that is named and not there, or ClusterError."""
        from aksp.workspace import Workspace

        with (
            cluster_store(self.where) if self.in_cluster else nullcontext(Workspace.open(self.workspace).store) as store
        ):
            yield store


def _stored(
    store: StoreOption = StoreKind.FILES,
    context: StoreContextOption = None,
    kubeconfig: KubeconfigOption = None,
    request_timeout: TimeoutOption = 60,
    workspace: WorkspaceOption = None,
) -> StoreChoice:
    where = ClusterChoice(context=context, kubeconfig=kubeconfig, request_timeout=request_timeout)
    return StoreChoice(kind=store, where=where, workspace=workspace)


#: The options of the commands about what a store keeps.
StoreOptions = Annotated[StoreChoice, _stored]


def show(kind: str, names: Sequence[str], output: ListFormat, chosen: StoreChoice) -> None:
    """Print the documents of a kind by their names, which may be as -o name prints them. Raises InvalidInput when one is not there."""
    from aksp.compliance.parameters import nearest
    from aksp.errors import InvalidInput
    from aksp.store.cluster import without_server_fields
    from aksp.store.documents import WORDS, document_of
    from aksp.workspace import Workspace

    chosen.check()
    found: dict[str, Any]
    if chosen.in_cluster:
        with cluster_store(chosen.where) as cluster:
            found = {d["metadata"]["name"]: without_server_fields(d) for d in cluster.documents(kind)}
            place = f"cluster {cluster.name}"
    else:
        opened = Workspace.open(chosen.workspace)
        found = {one.name: document_of(one) for one in opened.store.listed(kind)}
        place = str(opened.root)
    wanted = _untyped(kind, names)
    for name in wanted:
        if name not in found:
            raise InvalidInput(f"there is no {WORDS[kind]} {name!r} in {place}", hint=nearest(name, found))
    print_documents(output, [found[name] for name in wanted])


def _untyped(kind: str, names: Sequence[str]) -> list[str]:
    """Names that may be as -o name prints them, each once."""
    from aksp.store.cluster import type_of

    return list(dict.fromkeys(name.removeprefix(f"{type_of(kind)}/") for name in names))


def delete(kind: str, names: Sequence[str], chosen: StoreChoice, *, every: bool) -> None:
    """Delete those of a kind that are named, or every one; a name that is not there is told before any is deleted."""
    from aksp.compliance.parameters import nearest
    from aksp.errors import InvalidInput
    from aksp.store.cluster import type_of
    from aksp.store.documents import WORDS

    chosen.check()
    word, typed = WORDS[kind], type_of(kind)
    if bool(names) == every:
        raise InvalidInput(f"give the names of {word}s, or --all" if not names else "--all needs no names")
    with chosen.opened() as kept:
        wanted = _untyped(kind, names)
        # For a single name the store itself tells if it is missing, and the right to list is not needed.
        if len(wanted) != 1:
            known = [one.name for one in kept.listed(kind)]
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

    if len(documents) == 1 or output is ListFormat.NAME:
        print_shown(output, documents, [label(document) for document in documents])
    else:
        print_document(output, {"apiVersion": "v1", "kind": "List", "items": list(documents)})
