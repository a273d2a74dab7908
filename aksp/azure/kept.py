"""Fields of Azure's documents that those of a workspace do not have: kept in their metadata, and given back at export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from aksp.errors import InvalidInput
from aksp.model.azure_ids import KEPT


class KeptOfAzure(Struct, frozen=True, kw_only=True):
    """What is kept of one document. ``scope`` is its ARM scope, empty where it did not say one.

    ``here``: the scope that it was imported to, if that is another; a document that was moved later has a new place at Azure.
    ``refersTo`` is the full id of the definition, or of the assignment, that it is about. ``fields`` are values by their
    JSON pointers within ``properties``, ``beside`` what stood beside these. ``template`` is the templateInfo of a definition
    whose template was elsewhere, and the SHA-256 of what was there; ``details`` are those of one that brought a constraint as a
    text, and the SHA-256 of what was made of them.
    """

    name: str = ""
    scope: str = ""
    here: str = ""
    refersTo: str = ""  # noqa: N815 - the fields are those of the JSON
    notScopes: Sequence[str] = ()  # noqa: N815
    beside: Mapping[str, Any] = {}
    fields: Mapping[str, Any] = {}
    template: Mapping[str, Any] = {}
    details: Mapping[str, Any] = {}

    def in_metadata(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """The metadata of a document with this in it."""
        written = {key: value for key, value in asdict(self).items() if value}
        return {**without_kept(metadata), KEPT: written}


def kept_of(metadata: Mapping[str, Any], where: str) -> KeptOfAzure:
    """What is kept in the metadata of a document; nothing where it does not come from Azure. Raises InvalidInput."""
    written = metadata.get(KEPT, {})
    shapes = {"notScopes": list, "beside": Mapping, "fields": Mapping, "template": Mapping, "details": Mapping}
    if not isinstance(written, Mapping):
        raise InvalidInput(f"metadata.{KEPT} is no object", where=where)
    for key, value in written.items():
        if key not in KeptOfAzure.__struct_fields__ or not isinstance(value, shapes.get(key, str)):
            raise InvalidInput(
                f"metadata.{KEPT}.{key} is not as `aksp import azure` writes it", where=where, hint="import it again"
            )
    return KeptOfAzure(**written)


def without_kept(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata as Azure has it."""
    return {key: value for key, value in metadata.items() if key != KEPT}


def split(value: Mapping[str, Any], known: Sequence[str], at: str, others: dict[str, Any]) -> dict[str, Any]:
    """The known members of the object at a JSON pointer; the others are added by their own pointers."""
    others |= {f"{at}/{escaped(str(key))}": entry for key, entry in value.items() if key not in known}
    return {key: entry for key, entry in value.items() if key in known}


def escaped(key: str) -> str:
    """A key as a segment of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def restore(properties: dict[str, Any], fields: Mapping[str, Any]) -> list[str]:
    """Put values back at their JSON pointers. In lists they are inserted at their index.

    Returns the pointers that lead nowhere, since what they led to was changed.
    """
    nowhere = []
    for pointer, value in fields.items():
        *path, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
        found: Any = properties
        for at, part in enumerate(path):
            if isinstance(found, dict) and part not in found and at == 0:
                found[part] = []  # all entries of this list are kept here
            found = _entry(found, part)
        if isinstance(found, list) and last.isdecimal():
            found.insert(int(last), value)
        elif isinstance(found, dict):
            found.setdefault(last, value)
        else:
            nowhere.append(pointer)
    return nowhere


def _entry(found: Any, part: str) -> Any:
    if isinstance(found, dict):
        return found.get(part)
    if isinstance(found, list) and part.isdecimal() and int(part) < len(found):
        return found[int(part)]
    return None
