"""The file that each exported document belongs in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aksp.azure.documents import AzureKind
from aksp.azure.naming import numbered, valid

_FOLDERS: Final = {
    AzureKind.DEFINITION: "definitions",
    AzureKind.INITIATIVE: "initiatives",
    AzureKind.ASSIGNMENT: "assignments",
    AzureKind.EXEMPTION: "exemptions",
}


def by_file(documents: Sequence[tuple[AzureKind, Mapping[str, Any]]]) -> dict[str, Mapping[str, Any]]:
    """Documents by path, each kind in a folder of its own."""
    files: dict[str, Mapping[str, Any]] = {}
    for kind, document in documents:
        folder = _FOLDERS[kind]
        taken = {path.removesuffix(".json") for path in files}
        name = f"{folder}/{valid(document['name'])}"
        files[f"{numbered(name, taken)}.json"] = document
    return files
