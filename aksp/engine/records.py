"""What the engine says of documents, policies and reviews (engine/README.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict


class ContainerRecord(TypedDict):
    """A container as the engine describes it."""

    name: str
    type: str
    image: str


class OwnerRecord(TypedDict):
    """An object's controller as the engine describes it."""

    apiVersion: str
    kind: str
    name: str
    uid: NotRequired[str]


class WrongRecord(TypedDict):
    """A field of a document that is wrong, by its path from the document's root."""

    path: str
    message: str


class DocumentRecord(TypedDict):
    """A document as the engine describes it (engine/README.md, load).

    ``old`` is set in reviews, of what is there before the change; ``reviewed`` in files, of an AdmissionReview's object.
    """

    apiVersion: str
    kind: str
    namespace: str
    name: str
    generateName: NotRequired[str]
    uid: NotRequired[str]
    labels: NotRequired[dict[str, str]]
    owner: NotRequired[OwnerRecord]
    containers: NotRequired[list[ContainerRecord]]
    part: int
    offset: int
    length: int
    line: int
    item: NotRequired[str]
    json: NotRequired[bool]
    parent: NotRequired[int]
    template: NotRequired[str]
    old: NotRequired[bool]
    reviewed: NotRequired[bool]
    problems: NotRequired[list[WrongRecord]]


class RequestRecord(TypedDict):
    """What an AdmissionReview says besides its objects; texts are empty where it is silent.

    group, version and kindName are the object's, apiVersion and kind the review's own. ``user`` is
    a name.
    """

    apiVersion: str
    kind: str
    uid: str
    operation: str
    group: str
    version: str
    kindName: str
    resource: str
    subResource: str
    namespace: str
    name: str
    user: str
    dryRun: bool
    hasObject: bool
    hasOldObject: bool


class IdentityRecord(TypedDict):
    """What is a document's alone: not what follows from it (engine/README.md, admit)."""

    name: str
    generateName: NotRequired[str]
    uid: NotRequired[str]
    ownerUid: NotRequired[str]


class DisagreementRecord(TypedDict):
    """What OPA's own evaluator found otherwise: task, document, and a message (engine/README.md, admit)."""

    t: int
    d: int
    m: str


class AdmissionRecord(TypedDict):
    """The answer to a review: who asks for what, and in ``body``, as JSON, what follows.

    Equal bodies mean that the same follows, whatever the names.
    """

    request: RequestRecord
    names: list[IdentityRecord]
    disagreements: NotRequired[list[DisagreementRecord]]
    body: bytes


class ProblemRecord(TypedDict):
    """Text that could not be read; line is counted from the first of its file.

    ``object``: what it is where it is read, and is no Kubernetes object (engine/README.md, load).
    """

    part: int
    line: int
    message: str
    object: NotRequired[Literal["partial", "foreign"]]


class PolicyFault(TypedDict):
    """One error of a compiler: file, row and col counted from 1."""

    file: str
    row: int
    col: int
    message: str


@dataclass(kw_only=True, slots=True)
class Batch:
    """Documents that the engine holds, and what it takes to give them to a new engine.

    ``request`` is set when they are of an AdmissionReview. ``generation`` numbers the process that
    holds them; 0 is none.
    """

    id: str
    documents: list[DocumentRecord]
    problems: list[ProblemRecord]
    continue_token: str
    resource_version: str
    header: dict[str, Any]
    body: bytes | memoryview
    generation: int
    request: RequestRecord | None = None
    inventory_kinds: tuple[str, ...] = ()
    #: Tasks of the judgement under way that were not asked, since they bring the engine down, and how.
    skipped: Mapping[int, str] = field(default_factory=dict)
    #: It is not wanted any more once it has been judged.
    passing: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Loading:
    """A load under way; answer is None when the engine could not take it."""

    header: dict[str, Any]
    body: bytes | memoryview
    generation: int
    answer: Future[Any] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredTask:
    """One policy with one set of parameters, over all reviews of some kinds ("group/kind", either may be *).

    With ``before``, as for tasks that refuse, it also judges what was there before an update, with
    ``before_template`` the Pod of the template that was there, too. ``enough``: violations after which more need
    not be looked for; 0 for all.
    """

    policy: str
    parameters: Any
    kinds: Sequence[str]
    before: bool = False
    before_template: bool = False
    enough: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """A review under way by a set of tasks. ``skipped``: those that were not asked, since they bring the engine down."""

    answer: Future[Any]
    body: bytes
    skipped: Mapping[int, str]


def reviewed(answer: AdmissionRecord, matter: Mapping[str, Any], body: bytes) -> Batch:
    """The batch of a review that has been judged and let go; its documents have no places."""
    documents: list[Any] = []
    for name, record in zip(answer["names"], matter["documents"], strict=True):
        documents.append({**record, **name, "part": 0, "offset": 0, "length": 0, "line": 1})
        if "ownerUid" in name:
            documents[-1]["owner"] = {**record["owner"], "uid": name["ownerUid"]}
    return Batch(
        id="",
        documents=documents,
        problems=[],
        continue_token="",
        resource_version="",
        header={"format": "review", "batch": ""},
        body=body,
        generation=0,
        request=answer["request"],
    )


def batch_of(loading: Loading, answer: Mapping[str, Any], generation: int) -> Batch:
    """The batch of a load and the engine's answer to it."""
    return Batch(
        id=loading.header["batch"],
        documents=answer["documents"],
        problems=answer["problems"],
        continue_token=answer.get("continue", ""),
        resource_version=answer.get("resourceVersion", ""),
        header=loading.header,
        body=loading.body,
        generation=generation,
        request=answer.get("request"),
    )
