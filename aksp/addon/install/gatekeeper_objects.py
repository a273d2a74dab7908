"""Gatekeeper's objects that the add-on wrote, taken away again when it is disabled or has a webhook of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aksp.addon.gatekeeper.live_objects import Object, by_path, is_ours
from aksp.addon.gatekeeper.wanted import SYNC_SETS_PATH, TEMPLATES_PATH, constraints_path
from aksp.errors import Forbidden
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.errors import NotServed


def is_installed(connection: Connection) -> bool:
    """Whether the cluster serves Gatekeeper's templates. Raises ClusterError."""
    return objects.get(connection, TEMPLATES_PATH.rpartition("/")[0]) is not None


def written_objects(connection: Connection) -> dict[str, Object]:
    """The add-on's own among Gatekeeper's objects by path, constraints before their templates. Raises ClusterError."""
    templates = _ours(connection, TEMPLATES_PATH)
    found: dict[str, Object] = {}
    for path in templates:
        found |= _ours(connection, constraints_path(path.rpartition("/")[2]))
    return found | templates | _ours(connection, SYNC_SETS_PATH)


def remove(connection: Connection, tell: Callable[[str], None]) -> None:
    """Delete what the add-on wrote. A template stays while there are constraints of it that others wrote. Raises ClusterError."""
    try:
        found = written_objects(connection)
    except Forbidden as error:
        tell(f"whether there are objects of Gatekeeper that the add-on wrote may not be looked up: {error.what}")
        return
    for path, one in found.items():
        called = f"{one['kind'].lower()}.{one['apiVersion'].partition('/')[0]}/{one['metadata']['name']}"
        collection, _, name = path.rpartition("/")
        if collection == TEMPLATES_PATH and any(each not in found for each in _all(connection, constraints_path(name))):
            tell(f"{called} kept: there are constraints of it that the add-on did not make")
        elif objects.delete(connection, path):
            tell(f"{called} deleted")


def _ours(connection: Connection, collection: str) -> dict[str, Object]:
    return {path: one for path, one in _all(connection, collection).items() if is_ours(one)}


def _all(connection: Connection, collection: str) -> Mapping[str, Object]:
    """The objects of a list by path; none where the kind is not served."""
    try:
        return by_path(collection, objects.list_all(connection, collection))
    except NotServed:
        return {}
