"""What the engine says of documents, policies and reviews (engine/README.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Literal, NotRequired, TypedDict

import msgspec
from msgspec import Struct

from aksp.compliance.judgement import Fault, FindingRecord, Hit
from aksp.model.resource import Container, Problem


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


class RequestRecord(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What an AdmissionReview says besides its objects; texts are empty where it is silent.

    group, version and kind_name are the object's, api_version and kind the review's own. ``user`` is
    a name.
    """

    api_version: str
    kind: str
    uid: str
    operation: str
    group: str
    version: str
    kind_name: str
    resource: str
    sub_resource: str
    namespace: str
    name: str
    user: str
    dry_run: bool
    has_object: bool
    has_old_object: bool


class IdentityRecord(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What is a document's alone: not what follows from it (engine/README.md, admit)."""

    name: str
    generate_name: str = ""
    uid: str = ""
    owner_uid: str = ""


class DisagreementRecord(Struct, frozen=True, kw_only=True, gc=False):
    """What OPA's own evaluator found otherwise: task, document, and a message (engine/README.md, admit)."""

    t: int
    d: int
    m: str


class AdmissionRecord(Struct, frozen=True, kw_only=True, gc=False):
    """The answer to a review: who asks for what, and in ``body``, as JSON, what follows.

    Equal bodies mean that the same follows, whatever the names.
    """

    request: RequestRecord
    names: list[IdentityRecord]
    disagreements: list[DisagreementRecord] = []
    body: bytes = b""


class AdmittedOwner(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The controller of an object in a review, without its uid."""

    api_version: str
    kind: str
    name: str


class AdmittedDocument(Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """An object of a review as in DocumentRecord, without what is its alone."""

    api_version: str
    kind: str
    namespace: str
    labels: dict[str, str] = {}
    owner: AdmittedOwner | None = None
    containers: tuple[Container, ...] = ()
    parent: int | None = None
    template: str = ""
    old: bool = False
    problems: tuple[Problem, ...] = ()


class AdmittedRecord(Struct, frozen=True, kw_only=True, gc=False):
    """What follows from a review: the body of an AdmissionRecord."""

    operation: str
    documents: list[AdmittedDocument]
    findings: list[FindingRecord]
    hits: list[Hit]
    faults: list[Fault]
    evaluations: int


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


class Batch(Struct, kw_only=True):
    """Documents that the engine holds, and what it takes to give them to a new engine.

    ``request`` is set when they are of an AdmissionReview. ``generation`` numbers the process that
    holds them; 0 is none.
    """

    id: str
    documents: list[DocumentRecord]
    problems: list[ProblemRecord]
    header: dict[str, Any]
    body: bytes | memoryview
    generation: int
    request: RequestRecord | None = None
    inventory_kinds: tuple[str, ...] = ()
    #: Tasks of the judgement under way that were not asked, since they bring the engine down, and how.
    skipped: Mapping[int, str] = {}


class Loading(Struct, frozen=True, kw_only=True):
    """A load under way; answer is None when the engine could not take it."""

    header: dict[str, Any]
    body: bytes | memoryview
    generation: int
    answer: Future[Any] | None


class RegisteredTask(Struct, frozen=True, kw_only=True):
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


class Admission(Struct, frozen=True, kw_only=True, gc=False):
    """A review under way by a set of tasks. ``skipped``: those that were not asked, since they bring the engine down."""

    body: bytes
    skipped: Mapping[int, str]


def batch_of(loading: Loading, answer: Mapping[str, Any], generation: int) -> Batch:
    """The batch of a load and the engine's answer to it."""
    return Batch(
        id=loading.header["batch"],
        documents=answer["documents"],
        problems=answer["problems"],
        header=loading.header,
        body=loading.body,
        generation=generation,
        request=None if (request := answer.get("request")) is None else msgspec.convert(request, RequestRecord),
    )
