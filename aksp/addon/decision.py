"""What becomes of one request: allowed or refused, and in which words. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from aksp.model.compliance import Result
from aksp.model.resource import Owner, Resource


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewRequest:
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
    deleting: bool = False
    owner: Resource | None = None
    workload: Owner | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The answer to one request.

    ``refused_by`` are the violations for which it is refused, ``violations`` all of them, whatever
    the effect. ``errors`` are (assignment, message) pairs of what could not be judged. ``message``
    is empty when it is allowed.
    """

    request: ReviewRequest
    allowed: bool
    message: str = ""
    warnings: tuple[str, ...] = ()
    refused_by: tuple[Result, ...] = ()
    violations: tuple[Result, ...] = ()
    errors: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
