"""An API server's objects as a dict, in place of aksp.kube.objects."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aksp.errors import ClusterError
from aksp.kube import errors
from tests.kube.apiserver import Reply

ROOT = "/apis/policy.aksp.io/v1alpha1/"
KINDS = {
    "policydefinitions": "PolicyDefinition",
    "policysetdefinitions": "PolicySetDefinition",
    "policyexemptions": "PolicyExemption",
    "policyassignments": "PolicyAssignment",
}

Document = dict[str, Any]


@dataclass
class Objects:
    """The functions of aksp.kube.objects that a store calls, and a connection for them.

    ``writes`` are the requests that would have changed something, dry runs apart. ``refuse`` are
    answers by verb and plural or path.
    """

    name: str = "prod"
    server: str = "https://prod.example.com"
    warnings: tuple[str, ...] = ()
    served: set[str] = field(default_factory=lambda: set(KINDS))
    stored: dict[str, Document] = field(default_factory=dict)
    refuse: dict[tuple[str, str], ClusterError] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    trials: list[str] = field(default_factory=list)
    connected: list[tuple[str | None, str | None]] = field(default_factory=list)
    _applied: dict[tuple[str, str], Document] = field(default_factory=dict)
    _version: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock)

    # A connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def connect(self, context: str | None = None, kubeconfig: str | None = None, **more: object) -> Objects:
        self.connected.append((context, kubeconfig))
        self.name = context or self.name
        return self

    def send(self, method: str, path: str, *, query: Mapping[str, str]) -> None:
        assert (method, query) == ("DELETE", {"dryRun": "All"})
        self._refuse("delete", path)
        self.trials.append(f"delete {path.removeprefix(ROOT)}")

    # aksp.kube.objects

    def get(self, connection: object, path: str = "", **asked: object) -> Any:
        if asked:
            # A connection is asked whether it is an API server's.
            return Reply(body=b"{}")
        try:
            self._refuse("get", path)
        except errors.NotServed:
            return None
        found = copy.deepcopy(self.stored.get(path))
        if (looked := getattr(connection, "looked", None)) and found is None:
            looked.wait(60)
        return found

    def list_all(self, connection: object, path: str) -> list[Document]:
        self._refuse("list", path)
        return [copy.deepcopy(one) for at, one in sorted(self.stored.items()) if at.startswith(path + "/")][::-1]

    def apply(self, connection: object, path: str, document: Document, *, manager: str, dry_run: bool) -> Document:
        assert manager == "aksp"
        self._refuse("patch", path)
        (self.trials if dry_run else self.writes).append(f"apply {path.removeprefix(ROOT)}")
        document = json.loads(json.dumps(document))
        before = self.stored.get(path, {})
        made = _merged(_without(before, self._applied.get((path, manager), {}), document), document)
        if dry_run:
            return {**made, "metadata": {**before.get("metadata", {}), **made["metadata"]}}
        self._applied[path, manager] = document
        return self._put(path, made)

    def create(self, connection: object, collection: str, document: Document, *, manager: str) -> Document:
        assert manager == "aksp"
        self._refuse("create", collection)
        path = f"{collection}/{document['metadata']['name']}"
        with self._turn:
            if path in self.stored:
                raise errors.AlreadyExists("it is there already (409)", where=path)
            self.writes.append(f"create {path.removeprefix(ROOT)}")
            return self._put(path, document)

    def set_field(self, connection: object, path: str, field: str, value: Any, *, manager: str) -> Document:
        assert manager == "aksp"
        self._refuse("patch", path)
        self.writes.append(f"set {field} of {path.removeprefix(ROOT)}")
        return self._put(path, {**self.stored[path], field: value})

    def delete(self, connection: object, path: str) -> bool:
        try:
            self._refuse("delete", path)
        except errors.NotServed:
            return False
        self.writes.append(f"delete {path.removeprefix(ROOT)}")
        return self.stored.pop(path, None) is not None

    # For tests

    def put(self, document: Document, *, by: str = "kubectl") -> None:
        """An object that somebody else has made."""
        plural = next(plural for plural, kind in KINDS.items() if kind == document["kind"])
        path = f"{ROOT}{plural}/{document['metadata']['name']}"
        self._applied[path, by] = document
        self._put(path, document)

    def document(self, path: str) -> Document:
        """One object, by plural/name."""
        return self.stored[ROOT + path]

    @property
    def names(self) -> list[str]:
        return sorted(path.removeprefix(ROOT) for path in self.stored)

    def _put(self, path: str, document: Mapping[str, Any]) -> Document:
        made: Document = json.loads(json.dumps(document))
        before = self.stored.get(path)
        if before is not None and _bare(before) == _bare(made):
            return copy.deepcopy(before)
        self._version += 1
        changed = before is None or before.get("spec") != made.get("spec")
        generation = (before or {}).get("metadata", {}).get("generation", 0) + int(changed)
        made["metadata"] |= {
            "uid": f"uid-of-{made['metadata']['name']}", "resourceVersion": str(self._version),
            "generation": generation, "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [{"manager": "aksp", "operation": "Apply"}],
        }  # fmt: skip
        self.stored[path] = made
        return copy.deepcopy(made)

    def _refuse(self, verb: str, path: str) -> None:
        plural = path.removeprefix(ROOT).partition("/")[0]
        assert path.startswith(ROOT) and plural in KINDS
        if plural not in self.served:
            raise errors.NotServed("this cluster does not serve it (404)", where=self.server + path)
        for key in ((verb, plural), (verb, path.removeprefix(ROOT))):
            if key in self.refuse:
                raise self.refuse[key]


def _bare(document: Document) -> Document:
    server_s = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")
    metadata = {key: value for key, value in document["metadata"].items() if key not in server_s}
    return {**document, "metadata": metadata}


def _without(document: Any, before: Any, now: Any) -> Any:
    """What stays of a document when its manager no longer applies some fields."""
    if not isinstance(document, dict) or not isinstance(before, dict) or not isinstance(now, dict):
        return document
    return {
        key: _without(value, before.get(key), now.get(key))
        for key, value in document.items()
        if key not in before or key in now
    }


def _merged(one: Any, other: Any) -> Any:
    if not isinstance(one, dict) or not isinstance(other, dict):
        return copy.deepcopy(other)
    return {**one, **{key: _merged(one.get(key), value) for key, value in other.items()}}
