"""The custom resources of a cluster: the same documents, kept by its API server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

from aksp.compliance.parameters import nearest
from aksp.errors import ClusterError, Forbidden, InvalidInput
from aksp.kube import errors, objects
from aksp.kube.connection import Connection
from aksp.kube.kinds import refuse_other_servers
from aksp.model.assignment import API_GROUP, API_VERSION, Assignment, Exemption
from aksp.store.documents import (
    WORDS,
    assignment_document,
    assignment_from,
    document_of,
    exemption_document,
    exemption_from,
)
from aksp.store.interface import ApplyResult, Stored

#: The kinds of documents and their plurals.
PLURALS = {
    "PolicyDefinition": "policydefinitions",
    "PolicySetDefinition": "policysetdefinitions",
    "PolicyExemption": "policyexemptions",
    "PolicyAssignment": "policyassignments",
}
#: Who applies: the field manager of `aksp`'s commands.
MANAGER = "aksp"

T = TypeVar("T")


class ClusterStore:
    """The documents of one cluster.

    Every method raises ClusterError when the cluster cannot be reached or refuses, also when it
    does not have the add-on's resources.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.name = connection.name

    def assignments(self) -> list[Assignment]:
        """All assignments, by name. Raises InvalidInput for one that is wrong."""
        return self._read("PolicyAssignment", assignment_from)

    def exemptions(self) -> list[Exemption]:
        """All exemptions, by name. Raises InvalidInput for one that is wrong."""
        return self._read("PolicyExemption", exemption_from)

    def listed(self, kind: str) -> Sequence[Assignment | Exemption]:
        """All of a kind, by name; only a workspace says where clusters lie."""
        return self.assignments() if kind == "PolicyAssignment" else self.exemptions()

    def _read(self, kind: str, read: Callable[[Any, str], T]) -> list[T]:
        return [read(document, label(document)) for document in self.documents(kind)]

    def documents(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind as the API server has them, by name."""
        with self._refusals(kind, None, "list"):
            listed = objects.list_all(self._connection, _path(kind))
        found = [{"apiVersion": API_VERSION, "kind": kind, **one} for one in listed]
        return sorted(found, key=_name)

    def document(self, kind: str, name: str) -> dict[str, Any] | None:
        """One object as the API server has it; None when there is none."""
        with self._refusals(kind, name, "get"):
            found = objects.get(self._connection, _path(kind, name))
            if found is None:
                # The answer is the same for a kind that is not served.
                objects.list_all(self._connection, _path(kind))
        return found

    def save(self, one: Stored, *, replace: bool) -> tuple[ApplyResult, str]:
        """Keep an assignment or an exemption; what became of it, and in which cluster.

        The same content again changes nothing; other content needs replace, else InvalidInput.
        """
        document = document_of(one)
        (change,) = self.save_all([document], replace=replace)
        return change, f"cluster {self.name}"

    def save_all(self, documents: Sequence[Mapping[str, Any]], *, replace: bool) -> list[ApplyResult]:
        """Keep several documents, in their order, after a look at all of them. As `save`."""
        known = [self.document(document["kind"], _name(document)) for document in documents]
        for document, there in zip(documents, known, strict=True):
            if there is not None and not replace and not alike(there, document):
                raise self._taken(document)
        return [
            self._create(document) if there is None and not replace else self.apply(document, there)
            for document, there in zip(documents, known, strict=True)
        ]

    def _create(self, document: Mapping[str, Any]) -> ApplyResult:
        """Of several that keep a new name at once one is first, and it is there to the others."""
        kind, name = document["kind"], _name(document)
        with self._refusals(kind, name, "create"):
            try:
                objects.create(self._connection, _path(kind), document, manager=MANAGER)
                return ApplyResult.CREATED
            except errors.AlreadyExists:
                there = objects.get(self._connection, _path(kind, name))
        if there is None or not alike(there, document):
            raise self._taken(document)
        return ApplyResult.UNCHANGED

    def _taken(self, document: Mapping[str, Any]) -> InvalidInput:
        return InvalidInput(
            f"{WORDS[document['kind']]} {_name(document)!r} is in cluster {self.name} with other content",
            where=label(document),
            hint="give --replace to overwrite it"
            + ("" if document["kind"] == "PolicyDefinition" else ", or another --name"),
        )

    def delete(self, name: str, kind: str = "PolicyAssignment") -> str:
        """Remove a document and say where it was. Raises InvalidInput when there is none."""
        if not self.remove(kind, name):
            known = [_name(document) for document in self.documents(kind)]
            raise InvalidInput(f"there is no {WORDS[kind]} {name!r} in cluster {self.name}", hint=nearest(name, known))
        return f"cluster {self.name}"

    def apply(
        self, document: Mapping[str, Any], known: Mapping[str, Any] | None, *, dry_run: bool = False
    ) -> ApplyResult:
        """Make an object be as the document says; `known` is the one that is there.

        Labels that the document gives are part of it. With dry_run the API server checks and
        keeps nothing. Raises InvalidInput when it finds the document invalid.
        """
        if known is not None and alike(known, document) and _labels(document).items() <= _labels(known).items():
            return ApplyResult.UNCHANGED
        kind, name = document["kind"], _name(document)
        with self._refusals(kind, name, "patch"):
            path = _path(kind, name)
            kept = objects.apply(self._connection, path, document, manager=MANAGER, dry_run=dry_run)
            if not dry_run and not alike(kept, document):
                # Fields that others had set, or `_create`, stay when one applies; they would be in force unseen.
                kept = objects.set_field(self._connection, path, "spec", document["spec"], manager=MANAGER)
        if known is None:
            return ApplyResult.CREATED
        same = kept["metadata"].get("resourceVersion") == known["metadata"].get("resourceVersion")
        return ApplyResult.UNCHANGED if same and not dry_run else ApplyResult.CONFIGURED

    def remove(self, kind: str, name: str, *, dry_run: bool = False) -> bool:
        """Delete an object; False when it was not there. With dry_run the API server only checks."""
        path = _path(kind, name)
        with self._refusals(kind, name, "delete"):
            if dry_run:
                self._connection.send("DELETE", path, query={"dryRun": "All"})
                return True
            deleted = objects.delete(self._connection, path)
            if not deleted:
                objects.list_all(self._connection, _path(kind))
        return deleted

    @contextmanager
    def _refusals(self, kind: str, name: str | None, verb: str) -> Iterator[None]:
        """What the API server says no with, in our words."""
        place = type_of(kind) + (f"/{name}" if name else "")
        try:
            yield
        except errors.NotServed as error:
            refuse_other_servers(self._connection)
            raise ClusterError(
                "the add-on's resources are not in this cluster",
                where=self._connection.server,
                hint=f"`aksp addon enable` puts them there (is {self.name} the cluster you mean?)",
            ) from error
        except (errors.Invalid, errors.BadRequest) as error:
            raise InvalidInput(error.what, where=place, hint=error.hint) from error
        except Forbidden as error:
            raise Forbidden(
                error.what,
                where=place,
                hint=f"ask for the right to {verb} {PLURALS[kind]}.{API_GROUP}",
            ) from error


def type_of(kind: str) -> str:
    """A kind as -o name and kubectl write it."""
    return f"{kind.lower()}.{API_GROUP}"


def label(document: Mapping[str, Any]) -> str:
    """An object as kubectl names it: ``policyassignment.policy.aksp.io/x``."""
    return f"{type_of(document['kind'])}/{_name(document)}"


def alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two documents of one kind say the same, whatever else the API server adds."""
    return bool(_content(one) == _content(other))


def _content(document: Mapping[str, Any]) -> Any:
    """A document's spec, with what its reader takes for granted made explicit."""
    try:
        if document["kind"] == "PolicyAssignment":
            return assignment_document(assignment_from(document, ""))["spec"]
        if document["kind"] == "PolicyExemption":
            return exemption_document(exemption_from(document, ""))["spec"]
    except InvalidInput:
        # One that cannot be read is like none but its copy.
        pass
    return document.get("spec")


def without_server_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """An object as a person would write it, and its status."""
    labels = _labels(document)
    kept: dict[str, Any] = {
        "apiVersion": document["apiVersion"],
        "kind": document["kind"],
        "metadata": {"name": _name(document), **({"labels": labels} if labels else {})},
        "spec": document.get("spec"),
    }
    if document.get("status"):
        kept["status"] = document["status"]
    return kept


def _name(document: Mapping[str, Any]) -> str:
    return str(document["metadata"]["name"])


def _labels(document: Mapping[str, Any]) -> dict[str, str]:
    return dict(document["metadata"].get("labels") or {})


def _path(kind: str, name: str | None = None) -> str:
    path = f"/apis/{API_VERSION}/{PLURALS[kind]}"
    return f"{path}/{quote(name, safe='')}" if name else path
