"""Gatekeeper's documents, from files or a cluster, sorted by what they are."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from aksp.errors import Forbidden, InvalidInput
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.errors import NotServed, ServerError
from aksp.kube.fetch import get_json
from aksp.kube.kinds import refuse_other_servers
from aksp.model.fields import mapping
from aksp.sources.folders import Folders
from aksp.sources.paths import refuse_empty
from aksp.yaml_reader import read_file, read_yaml

Object = Mapping[str, Any]

#: What the API server and kubectl add to an object; its author did not write it.
_ADDED: Final = (
    "managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink", "finalizers", "ownerReferences",
)  # fmt: skip
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_CONSTRAINTS: Final = "constraints.gatekeeper.sh"
#: What Gatekeeper has that judges nothing here.
_OTHERS: Final = (
    *(("mutations.gatekeeper.sh", one) for one in ("assign", "assignmetadata", "modifyset", "assignimage")),
    ("externaldata.gatekeeper.sh", "providers"),
)  # fmt: skip
_VERSIONS: Final = ("v1", "v1beta1", "v1alpha1")


class Written(Struct, frozen=True, kw_only=True):
    """A document, where it was read, and what Gatekeeper says of it."""

    document: Object
    origin: str
    status: Object = {}

    @property
    def name(self) -> str:
        """Its name; empty where it has none."""
        name = mapping(self.document.get("metadata")).get("name")
        return name if isinstance(name, str) else ""

    @property
    def annotations(self) -> Mapping[str, str]:
        """Its annotations that are texts."""
        found = mapping(mapping(self.document.get("metadata")).get("annotations"))
        return {key: text for key, text in found.items() if isinstance(text, str)}


class Documents(Struct, kw_only=True):
    """What was found. ``unread`` tells what could not be recognized; ``others`` counts the documents of other kinds."""

    templates: list[Written] = []
    constraints: list[Written] = []
    configs: list[Written] = []
    expansions: list[Written] = []
    unread: list[str] = []
    others: dict[str, int] = {}

    def add(self, document: Any, origin: str) -> None:
        """Sort a document in, or those of a list."""
        if not isinstance(document, Mapping):
            self.others["no object"] = self.others.get("no object", 0) + 1
            return
        kind, group = str(document.get("kind")), str(document.get("apiVersion")).partition("/")[0]
        if kind.endswith("List") and isinstance(document.get("items"), list):
            for one in document["items"]:
                self.add(one, origin)
            return
        found = Written(document=_own(document), origin=origin, status=mapping(document.get("status")))
        match kind, group:
            case "ConstraintTemplate", "templates.gatekeeper.sh":
                self.templates.append(found)
            case "Config", "config.gatekeeper.sh":
                self.configs.append(found)
            case "ExpansionTemplate", "expansion.gatekeeper.sh":
                self.expansions.append(found)
            case "SyncSet", "syncset.gatekeeper.sh":
                pass  # aksp finds what rules compare with without it
            case _, "constraints.gatekeeper.sh":
                self.constraints.append(found)
            case _:
                self.others[kind] = self.others.get(kind, 0) + 1


def from_paths(paths: Sequence[str]) -> Documents:
    """The documents of files, of folders and what is below them, and of ``-``.

    Raises InvalidInput for a path that is named and cannot be read; what cannot be read in a folder is told.
    """
    refuse_empty(paths)
    found = Documents()
    for path in paths:
        if path == "-":
            for document, _ in read_yaml(sys.stdin.buffer.read().decode(errors="replace"), "standard input"):
                found.add(document, "standard input")
        elif Path(path).is_dir():
            for file in Folders(recursive=True).files(Path(path)):
                try:
                    _read(file, found)
                except InvalidInput as error:
                    found.unread.append(str(error))
        else:
            _read(path, found)
    return found


def _read(path: str, found: Documents) -> None:
    for document, _ in read_yaml(read_file(Path(path)), path):
        if document is not None:
            found.add(document, path)


def from_cluster(connection: Connection, *, others: bool = False) -> Documents:
    """The templates, constraints, Config and ExpansionTemplates of a cluster. Raises ClusterError.

    With ``others`` also Gatekeeper's other objects: mutators and providers of external data.
    """
    found = Documents()
    origin = f"cluster {connection.name}"
    for group, plural in (
        ("templates.gatekeeper.sh", "constrainttemplates"),
        ("config.gatekeeper.sh", "configs"),
        ("expansion.gatekeeper.sh", "expansiontemplate"),
    ):
        for one in _listed(connection, group, plural):
            found.add(one, origin)
    for one in constraints_of(connection):
        found.add(one, origin)
    for group, plural in _OTHERS if others else ():
        try:
            for one in _listed(connection, group, plural):
                found.add(one, origin)
        except (Forbidden, ServerError) as error:
            found.unread.append(f"{plural}.{group} could not be listed: {error.what}")
    return found


def constraints_of(connection: Connection) -> Iterator[dict[str, Any]]:
    """All constraints of a cluster, with their statuses. Raises ClusterError."""
    for version in _VERSIONS:
        path = f"/apis/{_CONSTRAINTS}/{version}"
        try:
            resources = get_json(connection, path).get("resources") or []
        except NotServed:
            continue
        for resource in resources:
            if "/" not in resource["name"]:
                yield from objects.list_all(connection, f"{path}/{resource['name']}")
        return
    refuse_other_servers(connection)


def _listed(connection: Connection, group: str, plural: str) -> Iterable[dict[str, Any]]:
    """All objects of a kind in the newest version that is served; none where none is."""
    for version in _VERSIONS:
        try:
            return objects.list_all(connection, f"/apis/{group}/{version}/{plural}")
        except NotServed:
            continue
    refuse_other_servers(connection)
    return ()


def _own(document: Object) -> dict[str, Any]:
    """A document as its author wrote it."""
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        return dict(document)
    kept = {key: value for key, value in metadata.items() if key not in _ADDED}
    if isinstance(annotations := kept.get("annotations"), Mapping):
        kept["annotations"] = {key: value for key, value in annotations.items() if key != _LAST_APPLIED}
    rest = {key: value for key, value in document.items() if key not in ("metadata", "status")}
    return {
        "apiVersion": rest.pop("apiVersion", None), "kind": rest.pop("kind", None), "metadata": kept, **rest,
    }  # fmt: skip
