"""What was decided before, for reviews from which the same follows: replicas are created by the hundred.

The engine's answer has a part that is the same text for all of them (engine/README.md, admit). While
the same assignments are in force it decides, but for exemptions and assignments that name objects and for
rules about Namespaces, which are selected by their name.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

import msgspec
from msgspec import Struct, structs

from aksp.addon.review.asking import named
from aksp.addon.review.decision import Outcome, ReviewRequest
from aksp.compliance.plan import Plan
from aksp.engine import AdmissionRecord, IdentityRecord, RequestRecord
from aksp.model.resource import Owner

#: How many decisions are remembered (those used last), and the longest key in bytes.
KEPT = 1000
LONGEST = 16 << 10


class CachedDecision(Struct, frozen=True, kw_only=True, gc=False):
    """A decision, and the request that it was first made for. ``answer`` is what follows its uid."""

    outcome: Outcome
    request: ReviewRequest
    answer: bytes

    def applied(self, record: RequestRecord, names: list[IdentityRecord]) -> ReviewRequest:
        """Another request from which the same follows."""
        first = self.request
        name = named(names[0]) if names else record.name
        return ReviewRequest(
            uid=record.uid,
            operation=first.operation,
            user=record.user,
            resource=structs.replace(first.resource, name=name, uid=names[0].uid if names else ""),
            sub_resource=record.sub_resource,
            dry_run=record.dry_run,
            owner=structs.replace(first.owner, uid=names[0].owner_uid) if first.owner else None,
            workload=first.workload
            if first.owner or first.workload is None
            else Owner(kind=first.workload.kind, name=name),
        )


class DecisionCache:
    """The decisions by one plan."""

    def __init__(self, plan: Plan) -> None:
        self._by_name = any(
            ready.exemptions or ready.selection.name or ready.selection.about_kind("", "Namespace")
            for ready in plan.ready
        )
        self._known: OrderedDict[Any, CachedDecision] = OrderedDict()

    def find(self, answer: AdmissionRecord, *, trusted: bool) -> CachedDecision | None:
        """The decision for a review that the engine has judged. ``trusted``: whether the owner that is written counts."""
        key = self._key(answer, trusted)
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def keep(
        self, answer: AdmissionRecord, request: ReviewRequest, outcome: Outcome, rest: bytes, *, trusted: bool
    ) -> None:
        """Remember a decision that followed from the answer alone. Without an object the answer does not tell its kind."""
        if not answer.names or len(answer.body) > LONGEST:
            return
        if len(self._known) >= KEPT:
            self._known.popitem(last=False)
        self._known[self._key(answer, trusted)] = CachedDecision(outcome=outcome, request=request, answer=rest)

    def _key(self, answer: AdmissionRecord, trusted: bool) -> Any:
        if not self._by_name:
            return answer.body, trusted
        return answer.body, trusted, *((named(name), name.owner_uid) for name in answer.names)


_ENCODER = msgspec.json.Encoder()
_HEAD = b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":'


def response(uid: str, rest: bytes) -> bytes:
    """The AdmissionReview that answers (Kubernetes: "Dynamic Admission Control", response)."""
    return b"%s%s%s" % (_HEAD, encoded(uid), rest)


def ending(outcome: Outcome) -> bytes:
    """All of the response after its uid."""
    fields: dict[str, Any] = {"allowed": outcome.allowed}
    if not outcome.allowed:
        fields["status"] = {"code": 403, "reason": "Forbidden", "message": outcome.message}
        names = sorted({violation.assignment.name for violation in outcome.refused_by})
        if names:
            fields["auditAnnotations"] = {"refused-by": ",".join(names)}
    if outcome.warnings:
        fields["warnings"] = outcome.warnings
    return b",%s}" % encoded(fields)[1:]


def encoded(value: Any) -> bytes:
    """A value as JSON. A lone surrogate, which JSON of an object may hold, is written as its escape."""
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")
