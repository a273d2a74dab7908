"""What a source of objects is: pages of documents, parsed in the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from sys import intern
from typing import Protocol

from msgspec import Struct, structs

from aksp.compliance.judgement import Place
from aksp.engine import Batch, DocumentRecord
from aksp.model.compliance import Gap, SourceLocation
from aksp.model.definition import ResourceKind
from aksp.model.resource import Container, Document, Problem, Resource, workload_of

NAMESPACE = ResourceKind(group="", kind="Namespace")


class Page(Struct, frozen=True, kw_only=True):
    """Some documents, the batch of the engine that holds them, and what could not be read.

    ``listing`` names the list that the page is a part of. A page with ``restart`` set has nothing
    in it: the list begins anew, and its pages so far do not count. ``failed`` is the kind whose list
    broke off here, as the gaps tell; ``unserved`` is one that the cluster does not know. ``located`` takes the places of
    what was found, so that ``sources`` need not look them up.
    """

    listing: str
    batch: Batch | None = None
    documents: Sequence[Document] = ()
    sources: Sequence[SourceLocation | None] | None = None
    gaps: Sequence[Gap] = ()
    restart: bool = False
    remaining: int | None = None
    failed: ResourceKind | None = None
    unserved: ResourceKind | None = None
    located: Callable[[Mapping[int, Mapping[str, Place]]], None] | None = None


class Wanted(Struct, frozen=True, kw_only=True):
    """Which objects to get: kinds, and those that are needed entire, whatever else leaves out some of them.

    Those needed entire may be of any group (``*``).
    """

    kinds: Sequence[ResourceKind]
    whole: Sequence[ResourceKind] = ()

    @property
    def whole_names(self) -> list[str]:
        """The kinds to keep entire, as the engine writes them."""
        return names_of(self.whole)

    def needs_whole(self, group: str, kind: str) -> bool:
        """Whether a kind is needed entire."""
        return any(one.covers(group, kind) for one in self.whole)


NOTHING = Wanted(kinds=())


def names_of(kinds: Sequence[ResourceKind]) -> list[str]:
    """Kinds as the engine writes them."""
    return [f"{kind.group}/{kind.kind}" for kind in kinds]


class ObjectSource(Protocol):
    """A source of objects."""

    def pages(self, wanted: Wanted) -> Iterator[Page]:
        """All pages of the kinds wanted. Raises ClusterError when nothing can be had at all."""


def documents_of(records: Sequence[DocumentRecord]) -> list[Document]:
    """The engine's records as documents.

    Words that many of them have are one text each: a report of a large cluster would keep a hundred thousand of every one.
    """
    documents: list[Document] = []
    for record in records:
        labels = record.get("labels") or {}
        owner = record.get("owner")
        parent = record.get("parent")
        name = record["name"]
        if not name and (generated := record.get("generateName")):
            name = generated + "*"
        documents.append(
            Document(
                resource=Resource(
                    api_version=intern(record["apiVersion"]),
                    kind=intern(record["kind"]),
                    namespace=intern(record["namespace"]),
                    name=name,
                    uid=record.get("uid", ""),
                ),
                labels=labels,
                owner=workload_of(owner["kind"], owner["name"], labels) if owner else None,
                containers=tuple(
                    [
                        Container(name=intern(c["name"]), type=intern(c["type"]), image=c["image"])
                        for c in record.get("containers") or ()
                    ]
                ),
                problems=tuple([Problem(**wrong) for wrong in record.get("problems") or ()]),
                template=record.get("template", ""),
                reviewed=record.get("reviewed", False),
                parent=documents[parent].resource if parent is not None else None,
            )
        )
    return documents


def namespace_labels(records: Sequence[DocumentRecord]) -> dict[str, Mapping[str, str]]:
    """The labels of the Namespaces among records, by name."""
    return {
        record["name"]: record.get("labels") or {}
        for record in records
        if record["kind"] == "Namespace" and record["apiVersion"] == "v1"
    }


def within_namespaces(documents: Sequence[Document], labels: Mapping[str, Mapping[str, str]]) -> list[Document]:
    """The documents, each with the labels of the Namespace that it lies in, where they are known."""
    return [
        structs.replace(document, namespace_labels=labels[document.resource.namespace])
        if document.resource.namespace in labels
        else document
        for document in documents
    ]
