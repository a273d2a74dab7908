"""What a review tells: by its first bytes, and by either answer of the engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs

from aksp.addon.review.asking import HEAD_BYTES, admitted, loaded, request_of
from aksp.engine import AdmissionRecord, Engine, RegisteredTask
from tests.engine.hostile import HONEST, compile_rule
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


OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d", "uid": "u-1", "controller": True}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop", "uid": "u-2"},
    "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": pod()["spec"]}},
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as running:
        compile_rule(running, "honest", HONEST)
        yield running


@pytest.mark.parametrize(
    "body",
    [
        review(pod(privileged=True, uid="u-0", labels={"app": "web", "pod-template-hash": "7d"}, ownerReferences=[OWNER])),
        review(pod("", generateName="web-"), subResource="ephemeralcontainers", dryRun=True),
        review(pod(labels={"app": "ü \ud800"}), pod(ownerReferences=[OWNER])),
        review(DEPLOYMENT, DEPLOYMENT),
        review({**DEPLOYMENT, "metadata": {**DEPLOYMENT["metadata"], "ownerReferences": [OWNER]}}),
        review({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        review(pod(labels={"app": 7}, annotations=[])),
        review(None, pod()),
    ],
)  # fmt: skip
def test_a_review_is_the_same_whether_it_is_admitted_at_once_or_loaded(body: bytes, engine: Engine) -> None:
    name = engine.register([RegisteredTask(policy="honest", parameters={}, kinds=["*/*"])])
    answer = asyncio.run(_answer(engine, name, body))
    record, _ = engine.admitted(answer)
    batch = engine.loaded(engine.begin_review(body))
    engine.release(batch)
    engine.forget(name)

    mine, other = admitted(answer, record), loaded(batch)
    assert mine == structs.replace(other, documents=list(other.documents), old=set(other.old))


async def _answer(engine: Engine, name: str, body: bytes) -> AdmissionRecord:
    answer: asyncio.Future[AdmissionRecord] = asyncio.get_running_loop().create_future()
    assert engine.begin_admission(name, body, answer, seconds=5.0) is not None
    return await asyncio.wait_for(answer, 10)
