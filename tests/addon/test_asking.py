"""What the first bytes of a review tell."""

from __future__ import annotations

import json

import pytest

from aksp.addon.review.asking import HEAD_BYTES, request_of
from tests.engine.reviews import pod, review

WHOLE = review(pod())


def test_the_first_bytes_tell_who_asks_for_what() -> None:
    document = json.loads(WHOLE)["request"]
    found = request_of(WHOLE)
    assert found is not None
    assert (found.uid, found.operation) == (document["uid"], document["operation"])
    assert found.resource.kind == "Pod" and found.resource.namespace == document["namespace"]


def test_it_tells_the_same_however_little_of_the_object_has_come() -> None:
    begin = WHOLE.index(b'"object"')
    assert {request_of(WHOLE[:cut]) for cut in range(begin, len(WHOLE), 7)} == {request_of(WHOLE)}


def test_less_than_that_tells_nothing_wrong() -> None:
    whole = request_of(WHOLE)
    assert whole is not None
    found = [request_of(WHOLE[:cut]) for cut in range(WHOLE.index(b'"object"'))]
    assert {one.uid for one in found if one is not None} <= {whole.uid}
    assert found[0] is None


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\x00\xff", b"[" * HEAD_BYTES, b'{"request": {"uid": "u"}}', b'{"kind": "AdmissionReview", "request": 1}',
        WHOLE.replace(b"admission.k8s.io/v1", b"admission.k8s.io/v9"), json.dumps([1]).encode(), b"x" * (HEAD_BYTES * 2),
    ],
)  # fmt: skip
def test_what_is_no_review_tells_nothing(body: bytes) -> None:
    assert request_of(body) is None
