"""Statuses written to the custom resources of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from aksp.addon.checkins.status import Status, patch_of
from aksp.addon.in_force.documents import Seen
from aksp.addon.in_force.problems import sentence
from aksp.addon.names import collection
from aksp.errors import ClusterError
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.errors import Conflict, NotServed, ServerError, Unreachable
from aksp.model.fields import status_of

#: Writes in a row that met no working API server; the others are left for the next check-in.
PATIENCE = 3
#: Times that a status is written while others change the object.
TRIES = 3


class StatusWriter:
    """Writes statuses one by one. What could not be written is a sentence in ``problems``, and stops no other."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._silent = 0
        self._left_out = 0
        self._problems: list[str] = []

    @property
    def problems(self) -> list[str]:
        """What could not be written."""
        if not self._left_out:
            return list(self._problems)
        return [
            *self._problems,
            f"{self._left_out} more statuses were not tried, since the API server does not answer: the next check-in writes them",
        ]

    def write(self, plural: str, document: Mapping[str, Any], status: Status) -> Mapping[str, Any]:
        """Write the status of one object. Returns the document as it is then, as far as known."""
        if self._silent >= PATIENCE:
            self._left_out += 1
            return document
        seen = Seen.of(document)
        try:
            written = self._patched(plural, seen, document, status)
        except NotServed:
            return document  # deleted meanwhile
        except ClusterError as error:
            self._silent = self._silent + 1 if isinstance(error, ServerError | Unreachable) else 0
            self._problems.append(f"the status of {plural}/{seen.name} could not be written: {sentence(error)}")
            return document
        self._silent = 0
        # Only the status: what else has changed since is for the next check-in.
        metadata = {**document.get("metadata", {}), "resourceVersion": _version(written)}
        return {**document, "metadata": metadata, "status": written.get("status") or status}

    def _patched(self, plural: str, seen: Seen, document: Mapping[str, Any], status: Status) -> Mapping[str, Any]:
        """The object with its new status, unless another object has taken its name: then that one as it is."""
        path = f"{collection(plural)}/{quote(seen.name, safe='')}"
        for _ in range(TRIES - 1):
            try:
                return objects.merge_patch(self._connection, f"{path}/status", _patch(document, status))
            except Conflict:
                current = objects.get(self._connection, path)
                if current is None or Seen.of(current).uid != seen.uid:
                    return current or document
                document = current
        return objects.merge_patch(self._connection, f"{path}/status", _patch(document, status))


def _patch(document: Mapping[str, Any], status: Status) -> dict[str, Any]:
    """The version is what keeps a status off an object of the same name that was made anew.

    The API server passes over the uid in a patch of a custom resource's status.
    """
    patch: dict[str, Any] = {"status": patch_of(status_of(document), status)}
    if version := _version(document):
        patch["metadata"] = {"resourceVersion": version}
    return patch


def _version(document: Mapping[str, Any]) -> Any:
    return (document.get("metadata") or {}).get("resourceVersion")
