"""What a review asks: by the engine's records, or by what stands before its object.

The second is enough to answer a review that is too large, or too late, to be judged.

An API server writes uid, kind, name, namespace, operation and user before the object (k8s.io/api/admission/v1,
AdmissionRequest), so the first bytes tell who asks for what.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any

from msgspec import Struct

from aksp.addon.review.decision import ReviewRequest
from aksp.engine import AdmissionRecord, AdmittedRecord, Batch, IdentityRecord, RequestRecord
from aksp.model import fields
from aksp.model.kinds import api_version
from aksp.model.resource import Document, Owner, Resource, workload_of
from aksp.sources.interface import documents_of

#: Bytes of a review that are read for this. A user with many groups takes some thousands.
HEAD_BYTES = 64 << 10


class Unjudged(StrEnum):
    """Why a whole review was not judged."""

    TIMEOUT = "timeout"
    TOO_LARGE = "too-large"
    TOO_MANY = "too-many"
    UNREADABLE = "unreadable"
    FAILED = "failed"


#: How an answer says it.
WORDS = {
    Unjudged.TIMEOUT: "the review could not be answered in time",
    Unjudged.TOO_LARGE: "the review is too large",
    Unjudged.TOO_MANY: "too many reviews at once",
    Unjudged.UNREADABLE: "the review cannot be read",
    Unjudged.FAILED: "the review has failed; see the add-on's log",
}


def request_of(head: bytes) -> ReviewRequest | None:
    """The request by the first bytes of a review; None when they do not tell its uid, operation and kind."""
    text = head[:HEAD_BYTES].decode("utf-8", "replace")
    whole = _members(text, 0, within="request")
    if (whole.get("apiVersion"), whole.get("kind")) != ("admission.k8s.io/v1", "AdmissionReview"):
        return None
    found = whole.get("request")
    if not isinstance(found, dict):
        return None
    kind, user = fields.mapping(found.get("kind")), fields.mapping(found.get("userInfo"))
    uid, operation, name = found.get("uid"), found.get("operation"), kind.get("kind")
    if not (fields.text(uid) and fields.text(operation) and fields.text(name)):
        return None
    group = fields.text(kind.get("group"))
    resource = Resource(
        api_version=api_version(group, fields.text(kind.get("version"))),
        kind=fields.text(name),
        namespace=fields.text(found.get("namespace")) if name != "Namespace" or group else "",
        name=fields.text(found.get("name")),
    )
    return ReviewRequest(
        uid=fields.text(uid),
        operation=fields.text(operation),
        user=fields.text(user.get("username")),
        resource=resource,
        sub_resource=fields.text(found.get("subResource")),
        workload=itself(resource),
    )


class Reviewed(Struct, frozen=True, kw_only=True, gc=False):
    """A review as the engine has read it. ``old`` are the numbers of what was there before, ``owner`` the new object's
    controller as it is written, with its uid.
    """

    request: RequestRecord
    documents: Sequence[Document]
    old: Collection[int]
    owner: Resource | None


def admitted(answer: AdmissionRecord, record: AdmittedRecord) -> Reviewed:
    """By the engine's answer, which has the documents' names apart from all else."""
    documents: list[Document] = []
    old: set[int] = set()
    owner: Resource | None = None
    for at, (name, one) in enumerate(zip(answer.names, record.documents, strict=True)):
        resource = Resource(
            api_version=one.api_version, kind=one.kind, namespace=one.namespace, name=named(name), uid=name.uid
        )
        above = one.owner
        documents.append(
            Document(
                resource=resource,
                labels=one.labels,
                owner=None if above is None else workload_of(above.kind, above.name, one.labels),
                containers=one.containers,
                problems=one.problems,
                template=one.template,
                parent=None if one.parent is None else documents[one.parent].resource,
            )
        )
        if one.old:
            old.add(at)
        elif above is not None and at == len(old):
            owner = Resource(
                api_version=above.api_version, kind=above.kind, namespace=one.namespace, name=above.name,
                uid=name.owner_uid,
            )  # fmt: skip
    return Reviewed(request=answer.request, documents=documents, old=old, owner=owner)


def loaded(batch: Batch) -> Reviewed:
    """By a batch that was loaded of it."""
    assert batch.request is not None
    old = {at for at, record in enumerate(batch.documents) if record.get("old")}
    first = next((record for at, record in enumerate(batch.documents) if at not in old), None)
    owner = None
    if first is not None and (above := first.get("owner")) is not None:
        owner = Resource(
            api_version=above["apiVersion"],
            kind=above["kind"],
            namespace=first["namespace"],
            name=above["name"],
            uid=above.get("uid", ""),
        )
    return Reviewed(request=batch.request, documents=documents_of(batch.documents), old=old, owner=owner)


def named(record: IdentityRecord) -> str:
    """The object's name; before the API server has made the name, its generateName with a ``*`` behind it."""
    return record.name or (f"{record.generate_name}*" if record.generate_name else "")


def request_from(reviewed: Reviewed, new: Document | None, trusted: bool) -> ReviewRequest:
    """The request by the whole review. ``new`` is the object.

    Its owner counts only when who asks is ``trusted`` to write owners.
    """
    record, owner = reviewed.request, reviewed.owner if trusted else None
    if new is None:
        owner, workload = None, None
        resource = Resource(
            api_version=api_version(record.group, record.version),
            kind=record.kind_name,
            namespace=record.namespace,
            name=record.name,
        )
    else:
        resource = new.resource
        workload = new.owner if owner is not None else itself(resource)
    return ReviewRequest(
        uid=record.uid,
        operation=record.operation,
        user=record.user,
        resource=resource,
        sub_resource=record.sub_resource,
        dry_run=record.dry_run,
        owner=owner,
        workload=workload,
    )


def itself(resource: Resource) -> Owner:
    """An object that nobody else has made, as a workload."""
    return Owner(kind=resource.kind, name=resource.name)


_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


def _members(text: str, at: int, within: str = "") -> dict[str, Any]:
    """The members of a JSON object up to the first that is not whole; the one named ``within`` is read likewise."""
    found: dict[str, Any] = {}
    try:
        at = _skip(text, at)
        if text[at] != "{":
            return found
        while text[at] in "{,":
            name, at = _DECODER.raw_decode(text, _skip(text, at + 1))
            at = _skip(text, at)
            if text[at] != ":" or not isinstance(name, str):
                return found
            at = _skip(text, at + 1)
            if name == within:
                found[name] = _members(text, at)
                return found
            if name in ("object", "oldObject"):
                return found
            found[name], at = _DECODER.raw_decode(text, at)
            at = _skip(text, at)
    except (ValueError, IndexError, RecursionError):
        pass
    return found


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
