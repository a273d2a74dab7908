"""The webhook over a real socket and real TLS: every request gets a clean answer, in time."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, cast

import pytest

from aksp.addon.review.answer import Answer
from aksp.addon.review.asking import Unjudged
from aksp.addon.webhook.application import Health, ReviewLimits
from aksp.addon.webhook.operations import Operations
from aksp.addon.webhook.protocol import Exchange
from aksp.addon.webhook.server import loop_factory
from tests.addon.https import PATIENT, Client, Reply, echo, request, serving
from tests.replacing import replace
from tests.waiting import PATIENCE


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main())


def status_of(reply: Reply) -> dict[str, Any]:
    """The metav1.Status of an answer that is no review."""
    document: dict[str, Any] = json.loads(reply.body)
    assert document["kind"] == "Status" and document["apiVersion"] == "v1"
    assert document["status"] == "Failure" and document["code"] == reply.status and document["message"]
    return document


def test_a_review_gets_the_reviewers_answer_and_the_connection_stays() -> None:
    async def main() -> None:
        async with serving() as server:
            client = await Client.connect(server.port)
            for size in (2, 5_000, 300_000):
                reply = await client.post(b"x" * size)
                assert (reply.status, json.loads(reply.body)) == (200, {"length": size})
                assert reply.headers["content-type"] == "application/json"
                assert "connection" not in reply.headers
            await client.close()

    run(main)


def test_a_review_may_come_in_chunks() -> None:
    async def main() -> None:
        async with serving() as server:
            client = await Client.connect(server.port)
            await client.send(request(b"", transfer_encoding="chunked", content_length=""))
            for _ in range(10):
                await client.send(b"5\r\n12345\r\n")
            await client.send(b"0\r\n\r\n")
            assert json.loads((await client.reply()).body) == {"length": 50}
            await client.close()

    run(main)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request(path="/v2/admit"), 404),
        (request(path="/"), 404),
        (request(b"", method="GET"), 405),
        (request(b"", method="DELETE"), 405),
        (request(content_type="text/plain"), 415),
        (request(content_type=""), 415),
        (request(content_encoding="gzip"), 415),
        (request(content_type="Application/JSON; charset=utf-8"), 200),
        (request(content_length="99999999999999", expect="100-continue"), 413),
    ],
)
def test_what_is_no_review_is_refused_with_a_status_document(sent: bytes, status: int) -> None:
    async def main() -> None:
        async with serving() as server:
            client = await Client.connect(server.port)
            await client.send(sent)
            reply = await client.reply()
            assert reply.status == status
            if status != 200:
                status_of(reply)
            await client.close()

    run(main)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00 this is no HTTP\r\n\r\n",
        b"POST /v1/admit HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /v1/admit HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST /v1/admit HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"POST /v1/admit HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"POST http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
    ],
)
def test_malformed_http_is_answered_with_400_and_the_connection_ends(sent: bytes) -> None:
    async def main() -> None:
        async with serving() as server:
            client = await Client.connect(server.port)
            await client.send(sent)
            assert (await client.reply()).status == 400
            assert await client.ended()
            await client.close()

    run(main)


def test_an_oversized_review_gets_413_though_the_client_sends_all_of_it_before_it_reads() -> None:
    seen: list[int] = []

    async def review(body: bytes, until: float) -> Answer:
        seen.append(len(body))
        return await echo(body, until)

    async def asked(chunked: bool) -> None:
        # Long enough for the rest to come on a machine that has other things to do: whoever sends on after it is reset.
        limits = replace(PATIENT, linger_seconds=3.0)
        async with serving(review, limits=limits, reviews=ReviewLimits(max_body=100_000)) as server:
            client = await Client.connect(server.port)
            if chunked:
                await client.send(request(b"", transfer_encoding="chunked", content_length=""))
                await client.send(b"20000\r\n" + b"x" * 0x20000 + b"\r\n")
                for _ in range(24):
                    await client.send(b"20000\r\n" + b"x" * 0x20000 + b"\r\n")
            else:
                await client.send(request(b"x" * 3_000_000))
            reply = await client.reply()
            assert status_of(reply)["reason"] == "RequestEntityTooLarge", chunked
            assert reply.headers["connection"] == "close", chunked
            assert await client.ended(), chunked
            await client.close()

    async def main() -> None:
        # Each lasts as long as its connection lingers.
        async with asyncio.TaskGroup() as group:
            for chunked in (False, True):
                group.create_task(asked(chunked))

    run(main)
    assert not seen


def test_a_slow_body_gets_408_and_others_are_served_meanwhile() -> None:
    async def main() -> None:
        async with serving(reviews=ReviewLimits(body_seconds=0.3)) as server:
            slow, normal = await Client.connect(server.port), await Client.connect(server.port)
            await slow.send(request(b"", content_length="1000") + b"{")
            assert (await normal.post()).status == 200
            reply = await slow.reply()
            assert status_of(reply)["code"] == 408 and reply.headers["connection"] == "close"
            assert await slow.ended()
            assert (await normal.post()).status == 200
            await slow.close()
            await normal.close()

    run(main)


def test_a_body_that_never_ends_after_an_answer_does_not_keep_the_connection() -> None:
    async def main() -> None:
        async with serving() as server:
            client = await Client.connect(server.port)
            await client.send(request(b"", path="/healthz", method="GET", content_length="1000000"))
            assert (await client.reply()).status == 200
            assert await client.ended(1.5)
            await client.close()

    run(main)


def test_the_answer_comes_before_the_api_server_gives_up() -> None:
    async def main() -> None:
        forever = asyncio.Event()

        async def review(body: bytes, until: float) -> Answer:
            await forever.wait()
            raise AssertionError

        async with serving(review, reviews=ReviewLimits(review_seconds=0.6)) as server:
            client = await Client.connect(server.port)
            clock = asyncio.get_running_loop().time
            for path, least, most in (("/v1/admit?timeout=0.2s", 0.15, 0.2), ("/v1/admit?timeout=30s", 0.55, 0.9)):
                began = clock()
                await client.send(request(path=path))
                assert status_of(await client.reply())["code"] == 504
                assert least < clock() - began < most + 0.2
            await client.close()

    run(main)


@pytest.mark.parametrize("error", [RuntimeError("a bug, with details"), TimeoutError("its own")])
def test_a_reviewer_that_fails_gives_500_without_details_and_a_line_in_the_log(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def review(body: bytes, until: float) -> Answer:
        raise error

    async def main() -> None:
        async with serving(review) as server:
            client = await Client.connect(server.port)
            assert "details" not in str(status_of(await client.post()))
            assert (await client.post()).status == 500
            await client.close()

    with caplog.at_level(logging.ERROR):
        run(main)
    assert "a review has failed" in caplog.text and type(error).__name__ in caplog.text


def test_reviews_beyond_the_limit_wait_and_beyond_that_get_503() -> None:
    async def main() -> None:
        running = most = 0
        go = asyncio.Event()

        async def review(body: bytes, until: float) -> Answer:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await go.wait()
            running -= 1
            return await echo(body, until)

        async with serving(review, reviews=ReviewLimits(reviews=2, waiting=2)) as server:
            clients = [await Client.connect(server.port) for _ in range(6)]
            replies = [asyncio.create_task(client.post()) for client in clients]
            done, _ = await asyncio.wait(replies, return_when=asyncio.FIRST_COMPLETED)
            refused = status_of(done.pop().result())
            assert refused["code"] == 503
            go.set()
            assert sorted([(await reply).status for reply in replies]) == [200, 200, 200, 200, 503, 503]
            assert most == 2
            for client in clients:
                await client.close()

    run(main)


def test_large_bodies_share_a_budget_that_small_ones_do_not_need() -> None:
    async def main() -> None:
        async with serving(reviews=ReviewLimits(held=300_000, body_seconds=0.5)) as server:
            hoarder, large, small = [await Client.connect(server.port) for _ in range(3)]
            await hoarder.send(request(b"", content_length="400000") + b"x" * 350_000)
            await small.get("/readyz")  # What was sent before this is read.
            assert (await large.post(b"x" * 200_000)).status == 503
            assert (await small.post(b"x" * 60_000)).status == 200
            assert (await hoarder.reply()).status == 408
            again = await Client.connect(server.port)
            assert (await again.post(b"x" * 300_000)).status == 200
            for client in (hoarder, large, small, again):
                await client.close()

    run(main)


def test_of_the_largest_bodies_one_is_held_at_a_time() -> None:
    """The others wait, not read to their end, until it is answered; too long, and they are not judged."""
    held: list[int] = []

    async def main() -> None:
        go = asyncio.Event()

        async def review(body: bytes, until: float) -> Answer:
            held.append(len(body))
            await go.wait()
            held.remove(len(body))
            return await echo(body, until)

        reasons: list[Unjudged] = []

        def unjudged(head: bytes, reason: Unjudged) -> Answer | None:
            reasons.append(reason)
            return None

        async def holding(*sizes: int) -> None:
            async with asyncio.timeout(PATIENCE):
                while sorted(held) != list(sizes):
                    await asyncio.sleep(0.01)

        limits = ReviewLimits(whole=100_000, judging_seconds=1.0)
        async with serving(review, reviews=limits, unjudged=unjudged) as server:
            clients = [await Client.connect(server.port) for _ in range(4)]
            first = asyncio.create_task(clients[0].post(b"x" * 300_000))
            await holding(300_000)
            second = asyncio.create_task(clients[1].post(b"x" * 300_001))
            small = asyncio.create_task(clients[2].post(b"x" * 90_000))
            await holding(90_000, 300_000)
            await clients[3].get("/readyz")
            assert 300_001 not in held
            go.set()
            assert [(await reply).status for reply in (first, second, small)] == [200, 200, 200]
            go.clear()
            first = asyncio.create_task(clients[0].post(b"x" * 300_000))
            await holding(300_000)
            assert (await clients[3].post(b"x" * 300_001)).status == 503
            go.set()
            assert (await first).status == 200
            assert reasons == [Unjudged.TOO_MANY]
            for client in clients:
                await client.close()

    run(main)


def test_whoever_sends_a_large_body_slowly_keeps_nobody_waiting_for_long() -> None:
    async def main() -> None:
        limits = ReviewLimits(
            whole=100_000, whole_seconds=0.3, body_seconds=30.0, review_seconds=30.0, judging_seconds=20.0
        )
        async with serving(reviews=limits) as server:
            slow, other = [await Client.connect(server.port) for _ in range(2)]
            await slow.send(request(b"", path="/v1/admit", content_length="300000") + b"x" * 200_000)
            await other.get("/readyz")
            await other.send(request(b"x" * 300_000, path="/v1/admit"))
            assert (await other.reply()).status == 200
            assert (await slow.reply()).status == 408
            for client in (slow, other):
                await client.close()

    run(main)


def test_readiness_names_what_is_missing_and_health_needs_nothing() -> None:
    lacking: list[str] = ["not loaded yet"]

    def failing() -> str | None:
        raise OSError("broken")

    async def main() -> None:
        checks = {"engine": lambda: None, "policies": lambda: lacking[0] if lacking else None}
        async with serving(checks=checks) as server:
            client = await Client.connect(server.port)
            assert (await client.get("/healthz")).body == b"ok"
            reply = await client.get("/readyz")
            assert reply.status == 500
            assert reply.body.decode().splitlines() == [
                "[+]engine ok",
                "[-]policies failed: not loaded yet",
                "[+]shutdown ok",
                "readyz check failed",
            ]
            lacking.clear()
            assert (await client.get("/readyz")).status == 200
            assert (await client.get("/readyz", "DELETE")).status == 405
            await client.close()

    run(main)
    assert Health({"it": failing}).ready()[0] == 500


@pytest.mark.parametrize(
    ("client", "everybody", "status"),
    [
        ("127.0.0.1", False, 200),
        ("::1", False, 200),
        ("::ffff:127.0.0.1", False, 200),
        ("10.1.2.3", False, 403),
        ("::ffff:10.1.2.3", False, 403),
        ("fd00::1", False, 403),
        ("unknown", False, 403),
        (None, False, 403),
        ("10.1.2.3", True, 200),
    ],
)
def test_metrics_are_for_this_host_unless_told_otherwise_and_probes_are_for_all(
    client: str | None, everybody: bool, status: int
) -> None:
    operations = Operations(lambda: ("text/plain", b"aksp 1\n"), health=Health({}), everybody=everybody)

    @dataclass
    class Asked:
        path: str
        client: str | None
        method: bytes = b"GET"
        found: tuple[int, bytes] = (0, b"")

        def answer(self, status: int, body: bytes, content: bytes, extra: bytes = b"") -> None:
            self.found = status, body

    def ask(path: str) -> tuple[int, bytes]:
        asked = Asked(path, client)
        operations(cast(Exchange, asked))
        return asked.found

    assert ask("/healthz")[0] == ask("/readyz")[0] == 200
    found, body = ask("/metrics")
    assert found == status and (body == b"aksp 1\n") == (status == 200)


def test_metrics_and_probes_are_served_without_tls_and_reviews_are_not() -> None:
    async def main() -> None:
        operations = Operations(lambda: ("text/plain; version=1", b"aksp 1\n"), health=Health({}))
        async with serving(plain=operations, limits=PATIENT) as server:
            client = await Client.connect(server.ports[1], trust=None)
            reply = await client.get("/metrics")
            assert (reply.body, reply.headers["content-type"]) == (b"aksp 1\n", "text/plain; version=1")
            assert (await client.get("/readyz")).status == 200
            assert (await client.get("/healthz")).status == 200
            assert (await client.post()).status == 404
            await client.close()
            over_tls = await Client.connect(server.port)
            assert (await over_tls.get("/metrics")).status == 404
            await over_tls.close()

    run(main)


@pytest.mark.parametrize(("body", "status"), [(b"who" + b"x" * 2000, 200), (b"nobody" + b"x" * 2000, 413)])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_review_that_is_too_large_is_answered_as_one_when_its_first_bytes_tell_whose_it_is(
    body: bytes, status: int, chunked: bool
) -> None:
    async def main() -> None:
        asked: list[Unjudged] = []

        def unjudged(head: bytes, reason: Unjudged) -> Answer | None:
            asked.append(reason)
            return Answer(status=200, body=b"{}") if head.startswith(b"who") else None

        async with serving(reviews=ReviewLimits(max_body=1000), unjudged=unjudged) as server:
            client = await Client.connect(server.port)
            if chunked:
                await client.send(request(b"", transfer_encoding="chunked", content_length=""))
                await client.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            else:
                await client.send(request(body))
            assert (await client.reply()).status == status
            assert asked == [Unjudged.TOO_LARGE]
            await client.close()

    run(main)


def test_a_review_that_takes_too_long_or_fails_is_answered_as_one_that_is_not_judged() -> None:
    async def review(body: bytes, until: float) -> Answer:
        if body == b"fail":
            raise ValueError("a bug")
        await asyncio.sleep(30)
        return await echo(body, until)

    async def main() -> None:
        limits = ReviewLimits(review_seconds=0.3)

        def answer(head: bytes, reason: Unjudged) -> Answer:
            return Answer(status=200, body=reason.encode())

        async with serving(review, reviews=limits, unjudged=answer) as server:
            client = await Client.connect(server.port)
            assert (await client.post(b"slow")).body == b"timeout"
            assert (await client.post(b"fail")).body == b"failed"
            await client.close()

    run(main)
