"""What becomes of one request: allowed or refused, and in which words. Pure."""

from __future__ import annotations

from msgspec import Struct

from aksp.model.compliance import AssignmentKey, Finding
from aksp.model.resource import Container, Owner, Resource

#: The reason given for a single rule that could not be judged, when the review itself could be.
RULE = "rule"


class ReviewRequest(Struct, frozen=True, kw_only=True, gc=False):
    """The parts of an AdmissionRequest that answers, logs and denials name.

    ``resource`` is the object under review. ``owner`` is its controller as written in its
    metadata, with uid (a ReplicaSet for a Deployment's Pod); ``workload`` what users call that
    (the Deployment).
    """

    uid: str
    operation: str
    user: str
    resource: Resource
    sub_resource: str = ""
    dry_run: bool = False
    owner: Resource | None = None
    workload: Owner | None = None


class Violation(Struct, frozen=True, kw_only=True, gc=False):
    """What an assignment found in the object of the request."""

    assignment: AssignmentKey
    finding: Finding


class Refusal(Struct, frozen=True, kw_only=True, gc=False):
    """One assignment's part in a refusal. ``containers`` is empty when it is about the object as a whole.

    ``definition`` is empty when the assignment refuses because it could not be judged.
    """

    assignment: str
    definition: str
    containers: tuple[Container, ...]
    message: str


class Outcome(Struct, frozen=True, kw_only=True, gc=False):
    """What follows from a request, whoever asks, and whatever the object's name: objects that are alike share one.

    ``refused_by`` are the violations for which it is refused, ``violations`` all of them, whatever
    the effect. ``errors`` are (assignment, message) pairs of what could not be judged. ``message``
    is empty when it is allowed. ``refusals`` is the same by assignment, for those that tell of it.
    """

    allowed: bool
    message: str = ""
    warnings: tuple[str, ...] = ()
    refused_by: tuple[Violation, ...] = ()
    violations: tuple[Violation, ...] = ()
    errors: tuple[tuple[str, str], ...] = ()
    refusals: tuple[Refusal, ...] = ()


class Decision(Struct, frozen=True, kw_only=True, gc=False):
    """The answer to one request, and how long it took. ``unjudged``: why nothing of it was judged."""

    request: ReviewRequest
    outcome: Outcome
    seconds: float = 0.0
    unjudged: str = ""


class Disagreement(Struct, frozen=True, kw_only=True, gc=False):
    """A policy of which OPA's own evaluator found something else in an object than its plan, or what was remembered."""

    assignment: str
    policy: str
    resource: Resource
    message: str
