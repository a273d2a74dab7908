"""Attempts, pauses and what each refusal becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from aksp.errors import ClusterError, Forbidden
from aksp.kube.config import connect
from aksp.kube.errors import BadRequest, NotServed, ServerError
from aksp.kube.fetch import Backoff, Retry, fetch, get_json
from tests.kube.apiserver import ApiServer, Authority, Reply, answering, kubeconfig, status

WHOLE = Reply(body=b'{"items": [1, 2, 3, 4, 5, 6, 7, 8]}')


class Clock:
    """Notes the pauses instead of making them."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    @property
    def backoff(self) -> Backoff:
        return Backoff(first=1.0, sleep=self.pauses.append)


def test_too_many_requests_are_repeated_when_the_server_wants(tmp_path: Path) -> None:
    clock, notes = Clock(), list[Retry]()
    replies = [status(429, "too busy", Retry_After="7"), status(429, "too busy", Retry_After="3600"), WHOLE]
    with answering(tmp_path, replies) as (connection, _):
        assert fetch(connection, "/x", backoff=clock.backoff, on_retry=notes.append) == WHOLE.body
    assert clock.pauses == [7.0, 30.0]
    assert [(note.path, note.attempt, note.seconds) for note in notes] == [("/x", 1, 7.0), ("/x", 2, 30.0)]
    assert "too busy (429): too busy" in notes[0].reason


def test_a_retry_after_that_means_nothing_is_overlooked(tmp_path: Path) -> None:
    clock = Clock()
    with answering(tmp_path, [status(503, "soon", Retry_After="later"), WHOLE]) as (connection, _):
        fetch(connection, "/x", backoff=clock.backoff)
    assert 0.5 <= clock.pauses[0] <= 1.0


def test_pauses_grow_and_vary() -> None:
    backoff = Backoff(first=1.0, longest=5.0)
    first, third = ({backoff.pause(attempt, None) for _ in range(50)} for attempt in (1, 3))
    assert len(first) > 1
    assert max(first) <= 1.0
    assert 2.0 <= min(third) <= max(third) <= 4.0
    assert backoff.pause(9, None) == 5.0


def test_two_failures_of_the_server_are_got_over(tmp_path: Path) -> None:
    clock = Clock()
    with answering(tmp_path, [status(500, "etcd"), status(500, "etcd"), WHOLE]) as (connection, server):
        assert fetch(connection, "/x", backoff=clock.backoff) == WHOLE.body
        assert len(server.requests) == 3


def test_a_server_that_keeps_failing_is_given_up_after_five_attempts(tmp_path: Path) -> None:
    clock = Clock()
    with answering(tmp_path, [status(503, "etcd leader changed")]) as (connection, server):
        with pytest.raises(ServerError, match=r"failed \(503\): etcd leader changed \(5 attempts\)") as raised:
            fetch(connection, "/x", backoff=clock.backoff)
        assert (raised.value.status, len(server.requests)) == (503, 5)
        assert raised.value.where == f"{server.url}/x"


@pytest.mark.parametrize(
    "broken",
    [
        Reply(body=WHOLE.body, cut=10),
        Reply(body=WHOLE.body, cut=10, chunked=True),
        Reply(body=WHOLE.body[:-1]),
        Reply(body=b""),
        Reply(body=b'{"a": 1}', headers={"Content-Encoding": "gzip"}),
    ],
    ids=["fewer bytes than announced", "chunks cut", "no last brace", "empty", "not gzip"],
)
def test_half_an_answer_is_asked_for_again_and_never_used(tmp_path: Path, broken: Reply) -> None:
    clock = Clock()
    with answering(tmp_path, [broken, WHOLE]) as (connection, _):
        assert fetch(connection, "/x", backoff=clock.backoff) == WHOLE.body
    with answering(tmp_path, [broken]) as (connection, server):
        with pytest.raises(ServerError, match=r"\(5 attempts\)") as raised:
            fetch(connection, "/x", backoff=clock.backoff)
        assert (raised.value.status, len(server.requests)) == (None, 5)
        assert "0x" not in str(raised.value)


def test_half_an_answer_is_noticed_under_tls_too(tmp_path: Path, authority: Authority) -> None:
    left = [Reply(body=WHOLE.body, cut=10), Reply(body=WHOLE.body, cut=10, chunked=True), WHOLE]
    trust = {"certificate-authority-data": authority.base64}
    with (
        ApiServer(lambda _: left.pop(0), authority=authority) as server,
        connect(None, kubeconfig(tmp_path, server.url, cluster=trust)) as connection,
    ):
        assert fetch(connection, "/x", backoff=Clock().backoff) == WHOLE.body
        assert len(server.requests) == 3


def test_a_body_in_chunks_and_with_a_last_line_end_is_whole(tmp_path: Path) -> None:
    with answering(tmp_path, [Reply(body=WHOLE.body + b"\n", chunked=True)]) as (connection, _):
        assert fetch(connection, "/x") == WHOLE.body + b"\n"


def test_rbac_is_told_in_the_words_of_the_server_and_not_repeated(tmp_path: Path) -> None:
    words = 'pods is forbidden: User "viewer" cannot list resource "pods" in API group "" at the cluster scope'
    with answering(tmp_path, [status(403, words)]) as (connection, server):
        with pytest.raises(Forbidden) as raised:
            fetch(connection, "/api/v1/pods")
        assert (raised.value.what, len(server.requests)) == (words, 1)


def test_other_refusals_have_their_own_kinds(tmp_path: Path) -> None:
    with (
        answering(tmp_path, [status(404, "the server could not find the requested resource")]) as (connection, _),
        pytest.raises(NotServed, match="does not serve it"),
    ):
        fetch(connection, "/apis/x/v1/ys")
    with (
        answering(tmp_path, [status(400, "unable to parse requirement")]) as (connection, _),
        pytest.raises(BadRequest, match="unable to parse requirement"),
    ):
        fetch(connection, "/x")
    with (
        answering(tmp_path, [Reply(status=406, body=b"only\nprotobuf")]) as (connection, _),
        pytest.raises(ClusterError, match=r"refused the request \(406\): only protobuf"),
    ):
        fetch(connection, "/x")


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"\n\tnothing here", b"[1]"])
def test_what_is_no_json_object_is_not_taken_for_half_of_one(tmp_path: Path, body: bytes) -> None:
    with answering(tmp_path, [Reply(body=body)]) as (connection, server):
        with pytest.raises(ServerError, match="not a JSON object") as raised:
            fetch(connection, "/x", backoff=Clock().backoff)
        assert len(server.requests) == 1
        assert "proxy" in (raised.value.hint or "")


def test_a_body_that_only_looks_like_json_is_no_document(tmp_path: Path) -> None:
    with (
        answering(tmp_path, [Reply(body=b"{nothing}")]) as (connection, _),
        pytest.raises(ServerError, match="not JSON"),
    ):
        get_json(connection, "/version")
