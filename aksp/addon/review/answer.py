"""An answer to the API server, as HTTP carries it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

#: metav1.StatusReason of an HTTP status (k8s.io/apimachinery/pkg/apis/meta/v1/types.go).
_REASONS: Final[Mapping[int, str]] = {
    400: "BadRequest",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "Timeout",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class Answer(Struct, frozen=True, kw_only=True, gc=False):
    """An answer to a review: the HTTP status and a body of JSON."""

    status: int
    body: bytes


def failure(status: int, message: str) -> Answer:
    """An answer that is not a review: a metav1.Status, which the API server quotes to the user."""
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": _REASONS.get(status, ""),
        "code": status,
    }
    return Answer(status=status, body=json.dumps(document).encode())
