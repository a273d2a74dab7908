"""Objects as documents (dicts): read, applied, created, replaced, patched, deleted, listed.

What may be repeated after an error::

    no connection was made; 429; 503 with Retry-After    everything: the server has done nothing
    another 5xx, a broken or silent connection           everything but `create`: the server may have done it

Doing a second time what `apply`, `merge_patch` and `delete` ask for changes nothing. `replace` with a resourceVersion
that has been done already is answered with Conflict, as if somebody else had been first: read again, as always then.
A second `create` would meet AlreadyExists, or with generateName make a second object; so the error is raised, and the
caller, who knows the name, looks whether it is there. client-go repeats no write but after Retry-After.

Server-side apply: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace as changed

from aksp.errors import InvalidInput
from aksp.kube import errors
from aksp.kube.connection import Connection, Response
from aksp.kube.fetch import PATIENT, Backoff, decoded, get_json, repeated, untouched
from aksp.kube.kinds import Discovery, Kind, list_path
from aksp.kube.lists import list_pages
from aksp.model.fields import metadata_of

APPLY = "application/apply-patch+yaml"
"""JSON is YAML; the API server takes no other type for server-side apply."""
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


def collection_path(discovery: Discovery, document: Mapping[str, Any]) -> str:
    """Where an object like this is created: in its apiVersion and its namespace. Raises as `object_path` does."""
    api_version, kind = document.get("apiVersion"), document.get("kind")
    if not (isinstance(api_version, str) and api_version and isinstance(kind, str) and kind):
        raise InvalidInput("an object needs apiVersion and kind", hint="e.g. apiVersion: v1, kind: ConfigMap")
    group, _, version = api_version.rpartition("/")
    # The plural and whether there are namespaces are the same in all versions of a kind; the version is the document's.
    served = changed(discovery.find(group, kind), version=version)
    namespace = metadata_of(document).get("namespace")
    if served.namespaced and not (isinstance(namespace, str) and namespace):
        raise InvalidInput(f"a {kind} needs metadata.namespace", where=metadata_of(document).get("name"))
    return list_path(served, namespace)


def object_path(discovery: Discovery, document: Mapping[str, Any]) -> str:
    """Where the object is.

    Raises NotServed when the cluster does not know the kind (a new `Discovery` after its CustomResourceDefinition has
    been installed), InvalidInput for a document without apiVersion, kind, metadata.name or a namespace that it needs.
    """
    name = metadata_of(document).get("name")
    if not (isinstance(name, str) and name):
        raise InvalidInput(f"a {document.get('kind') or 'document'} needs metadata.name")
    return f"{collection_path(discovery, document)}/{quote(name, safe='')}"


def object_path_of(kind: Kind, name: str, namespace: str | None = None) -> str:
    """Where an object of a kind is, by its name; ``namespace`` is not minded for a kind without."""
    return f"{list_path(kind, namespace)}/{quote(name, safe='')}"


def get(connection: Connection, path: str, *, backoff: Backoff = PATIENT) -> dict[str, Any] | None:
    """The object at `path`; None when it, its namespace or its kind is not there (404)."""
    try:
        return get_json(connection, path, backoff=backoff)
    except errors.NotServed:
        return None


def apply(
    connection: Connection,
    path: str,
    document: Mapping[str, Any],
    *,
    manager: str = "aksp",
    dry_run: bool = False,
    backoff: Backoff = PATIENT,
) -> dict[str, Any]:
    """Server-side apply: the object as it then is. `path` may be that of a subresource, e.g. "…/status".

    The fields of `document` belong to `manager` from then on, whose ever they were; fields that it applied before and
    that are missing now are removed. Unknown fields are refused, not dropped: BadRequest. `dry_run`: everything is checked, nothing stored.
    """
    query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"}
    if dry_run:
        query["dryRun"] = "All"
    # The managed fields of an object that was read are not ours to send; the API server refuses them.
    metadata = {name: value for name, value in metadata_of(document).items() if name != "managedFields"}
    body = _encoded({**document, "metadata": metadata})
    return _written(connection, "PATCH", path, body=body, content_type=APPLY, query=query, backoff=backoff)


def create(
    connection: Connection,
    collection: str,
    document: Mapping[str, Any],
    *,
    manager: str | None = None,
    backoff: Backoff = PATIENT,
) -> dict[str, Any]:
    """The new object, as stored. Raises AlreadyExists, and ServerError when it may or may not have been created.

    With `manager` unknown fields are refused, not dropped, as in `apply`: BadRequest.
    """
    query = {"fieldManager": manager, "fieldValidation": "Strict"} if manager else None
    return _written(connection, "POST", collection, body=_encoded(document), query=query, backoff=backoff, twice=False)


def replace(
    connection: Connection, path: str, document: Mapping[str, Any], *, backoff: Backoff = PATIENT
) -> dict[str, Any]:
    """PUT: the object as stored. With metadata.resourceVersion: Conflict when it is no longer that one."""
    return _written(connection, "PUT", path, body=_encoded(document), backoff=backoff)


def merge_patch(
    connection: Connection, path: str, patch: Mapping[str, Any], *, backoff: Backoff = PATIENT
) -> dict[str, Any]:
    """RFC 7386: fields are set, null removes one, lists are replaced. The object as it then is."""
    return _written(connection, "PATCH", path, body=_encoded(patch), content_type=MERGE, backoff=backoff)


def set_field(connection: Connection, path: str, field: str, value: Any, *, manager: str) -> dict[str, Any]:
    """RFC 6902: a field of the top level becomes the value, nulls in it included. The object as it then is."""
    body = json.dumps([{"op": "replace", "path": f"/{field}", "value": value}]).encode()
    query = {"fieldManager": manager, "fieldValidation": "Strict"}
    return _written(connection, "PATCH", path, body=body, content_type=JSON_PATCH, query=query, backoff=PATIENT)


def delete(connection: Connection, path: str, *, backoff: Backoff = PATIENT) -> bool:
    """Delete it, with what it owns, in the background. False when it was not there.

    True also when it is gone after an attempt whose answer was lost. It may still be seen while finalizers work.
    """
    unclear = False
    query = {"propagationPolicy": "Background"}

    def attempt() -> Response:
        nonlocal unclear
        try:
            return connection.send("DELETE", path, query=query)
        except errors.ServerError as error:
            unclear = unclear or not untouched(error)
            raise

    try:
        repeated(attempt, path=path, backoff=backoff)
    except errors.NotServed:
        return unclear
    return True


def list_all(connection: Connection, path: str, *, label_selector: str | None = None) -> list[dict[str, Any]]:
    """All objects of the list at `path`, from all its pages, each with apiVersion and kind. Raises as `list_pages`."""
    objects: list[dict[str, Any]] = []
    with contextlib.closing(list_pages(connection, path, label_selector=label_selector)) as pages:
        for page in pages:
            if page.restart:
                objects.clear()
            objects += page.objects(connection.server + path)
    return objects


def _written(
    connection: Connection,
    method: str,
    path: str,
    *,
    body: bytes,
    backoff: Backoff,
    content_type: str = "application/json",
    query: Mapping[str, str] | None = None,
    twice: bool = True,
) -> dict[str, Any]:
    where = connection.server + path

    def attempt() -> dict[str, Any]:
        answer = connection.send(method, path, body=body, content_type=content_type, query=query)
        return decoded(answer.body, where=where)

    return repeated(attempt, path=path, backoff=backoff, twice=twice)


def _encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
