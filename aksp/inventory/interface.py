"""What an inventory is: pages of documents, parsed in the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aksp.engine import Batch, DocumentRecord
from aksp.model.compliance import Gap, Source
from aksp.model.definition import ResourceKind
from aksp.model.resource import Container, Document, Resource, workload_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Some documents, the batch of the engine that holds them, and what could not be read.

    ``listing`` names the list that the page is a part of. A page with ``restart`` set has nothing
    in it: the list begins anew, and its pages so far do not count. ``failed`` is the kind whose list
    broke off here, as the gaps tell.
    """

    listing: str
    batch: Batch | None = None
    documents: Sequence[Document] = ()
    sources: Sequence[Source | None] | None = None
    gaps: Sequence[Gap] = ()
    restart: bool = False
    remaining: int | None = None
    failed: ResourceKind | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which objects to get: kinds, and those that referential rules need entire."""

    kinds: Sequence[ResourceKind]
    whole: Sequence[ResourceKind] = field(default=())

    @property
    def whole_names(self) -> list[str]:
        """The kinds to keep entire, as the engine writes them."""
        return [f"{kind.group}/{kind.kind}" for kind in self.whole]


class Inventory(Protocol):
    """A source of objects."""

    def pages(self, wanted: Wanted) -> Iterator[Page]:
        """All pages of the kinds wanted. Raises ClusterError when nothing can be had at all."""


def documents_of(records: Sequence[DocumentRecord]) -> list[Document]:
    """The engine's records as documents."""
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
                    api_version=record["apiVersion"],
                    kind=record["kind"],
                    namespace=record["namespace"],
                    name=name,
                    uid=record.get("uid", ""),
                ),
                labels=labels,
                owner=workload_of(owner["kind"], owner["name"], labels) if owner else None,
                containers=tuple(
                    [
                        Container(name=c["name"], type=c["type"], image=c["image"])
                        for c in record.get("containers") or ()
                    ]
                ),
                problems=tuple(record.get("problems") or ()),
                template=record.get("template", ""),
                parent=documents[parent].resource if parent is not None else None,
            )
        )
    return documents
