"""A cluster for the tests: objects that come and go, told as the watches of a real one would."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aksp.compliance.plan import Plan
from aksp.engine import Engine
from aksp.live.updates import Key, ObjectsChanged, Update
from aksp.model.compliance import Gap
from aksp.model.definition import ResourceKind
from aksp.scan import wanted_of
from aksp.sources.interface import Page, Wanted, documents_of
from aksp.sources.listings import WantedList
from aksp.sources.texts import list_of

Thing = Mapping[str, Any]


def kind_of(thing: Thing) -> ResourceKind:
    return ResourceKind(group=thing["apiVersion"].rpartition("/")[0], kind=thing["kind"])


def key_of(thing: Thing) -> Key:
    return thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


class Cluster:
    """What there is. It is a source for a watcher, and an inventory for a scan of the same."""

    def __init__(self, engine: Engine, plan: Plan, besides: Sequence[WantedList] = ()) -> None:
        self._engine = engine
        wanted = wanted_of(plan)
        self._whole = [WantedList(kind=kind, compared=kind in wanted.whole) for kind in wanted.kinds]
        self.listings = [*self._whole, *besides]
        self.objects: dict[tuple[ResourceKind, Key], Thing] = {}
        self.waiting: list[Update] = []
        self.unnamed: Sequence[Update] = ()

    def listing(self, kind: ResourceKind) -> WantedList:
        (found,) = [one for one in self._whole if one.kind == kind]
        return found

    # As a source

    def take(self, seconds: float) -> Sequence[Update]:
        taken, self.waiting = self.waiting, []
        return taken

    def tell(self, update: Update) -> None:
        self.waiting.append(update)

    def put(self, *things: Thing) -> None:
        """Objects are added or modified, and the watches say so."""
        for thing in things:
            self.objects[kind_of(thing), key_of(thing)] = copy.deepcopy(thing)
            self.waiting.append(self.told(self.listing(kind_of(thing)), [thing]))

    def delete(self, *things: Thing) -> None:
        for thing in things:
            if self.objects.pop((kind_of(thing), key_of(thing)), None) is not None:
                self.waiting.append(ObjectsChanged(listing=self.listing(kind_of(thing)), gone=[key_of(thing)]))

    def relist(self, *kinds: ResourceKind, pages: int = 1, gaps: Sequence[Gap] = ()) -> None:
        """The lists are read, of all kinds or of some."""
        for listing in self._whole:
            if kinds and listing.kind not in kinds:
                continue
            things = [thing for (kind, _), thing in self.objects.items() if kind == listing.kind]
            for number in range(pages):
                self.waiting.append(
                    self.told(listing, things[number::pages], begins=number == 0, ends=number == pages - 1, gaps=gaps)
                )

    def told(self, listing: WantedList, things: Sequence[Thing], **more: Any) -> ObjectsChanged:
        texts = [json.dumps(thing).encode() for thing in things]
        batch = self._engine.load_list(list_of(texts))
        return ObjectsChanged(listing=listing, batch=batch, documents=documents_of(batch.documents), **more)

    # As an inventory

    def pages(self, wanted: Wanted) -> Iterator[Page]:
        for kind in wanted.kinds:
            of_kind = [thing for (one, _), thing in self.objects.items() if one == kind]
            batch = self._engine.load_list(
                list_of([json.dumps(thing).encode() for thing in of_kind]), whole_kinds=wanted.whole_names
            )
            yield Page(listing=kind.kind, batch=batch, documents=documents_of(batch.documents))
