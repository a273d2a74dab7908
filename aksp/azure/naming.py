"""Names that a workspace takes, of names that Azure takes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import Final

from aksp.azure.documents import AzureDocument

#: A longer name would be too long for Kubernetes once a number is added.
_LONGEST: Final = 200


def valid(name: str) -> str:
    """The name with lower-case letters, digits, - and . alone."""
    return re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-.")[:_LONGEST].rstrip("-.") or "unnamed"


def numbered(wanted: str, taken: Collection[str]) -> str:
    """The name, with a number where it is taken."""
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted}-{count}"
    return name


def distinct(found: Sequence[AzureDocument], lost: list[str]) -> list[AzureDocument]:
    """Documents in an order that does not depend on their wrapping. Of two that differ under one id the first is taken.

    A document without a scope is the same as one with a scope if all else in them is equal.
    """
    first: dict[tuple[str, str], AzureDocument] = {}
    for one in sorted(found, key=lambda each: (each.kind, each.name.lower(), each.id, _text(each))):
        key = (one.kind, one.id or one.name.lower())
        there = first.setdefault(key, one)
        if _text(there) != _text(one):
            lost.append(f"{one}: another one of its id differs, which is not imported ({one.where})")
    return list(first.values())


def _text(one: AzureDocument) -> str:
    return json.dumps(one.properties, sort_keys=True)


class Ids:
    """What documents became, found by the ids that others name them by."""

    def __init__(self) -> None:
        self._by_id: dict[str, str] = {}
        self._by_name: dict[str, list[tuple[str, str]]] = {}

    def add(self, one: AzureDocument, became: str) -> None:
        """Keep what a document became."""
        if one.id:
            self._by_id[one.id] = became
        self._by_name.setdefault(f"{one.kind}/{one.name}".lower(), []).append((one.id, became))

    def find(self, id: str) -> str | None:
        """The document that an id became. Where the scope is not known, any document of that name, if there is only one."""
        wanted = id.rstrip("/").lower()
        if wanted in self._by_id:
            return self._by_id[wanted]
        named = self._by_name.get("/".join(wanted.split("/")[-2:]), [])
        return named[0][1] if len(named) == 1 and not named[0][0] else None
