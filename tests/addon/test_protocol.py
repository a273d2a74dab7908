"""What a connection writes, and when; and what it does not forget."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from aksp.addon.webhook.protocol import Application, Connections, Exchange, Http, Limits
from tests.replacing import replace
from tests.waiting import PATIENCE

LIMITS = Limits(head_seconds=0.2, linger_seconds=PATIENCE, idle_seconds=PATIENCE)


class Transport:
    """Takes note of what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = self.aborted = False
        self.reading = True

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


def connected(application: Application, limits: Limits = LIMITS) -> tuple[Http, Transport]:
    connection, transport = Http(application, Connections(limits), None, lambda transport: True), Transport()
    connection.connection_made(cast(asyncio.Transport, transport))
    return connection, transport


def at_once(exchange: Exchange) -> None:
    exchange.answer(200, b"body", b"text/plain")


async def later(exchange: Exchange) -> None:
    while await exchange.read():
        pass
    at_once(exchange)


def asked(size: int = 0, *headers: str, method: str = "POST") -> bytes:
    lines = [f"{method} / HTTP/1.1", "host: a", f"content-length: {size}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def runs(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(test())

    run.__name__ = test.__name__
    return run


@runs
async def test_head_and_body_of_an_answer_go_out_as_one_in_the_moment_of_the_request() -> None:
    connection, transport = connected(at_once)
    connection.data_received(asked() + asked())
    assert len(transport.written) == 2
    for each in transport.written:
        assert each.startswith(b"HTTP/1.1 200 OK\r\ndate: ") and each.endswith(b"\r\n\r\nbody")
        assert b"content-length: 4\r\n" in each and b"connection" not in each
    assert not transport.closed
    connection.data_received(asked(0, method="HEAD"))
    assert transport.written[-1].endswith(b"content-length: 4\r\n\r\n")


@runs
async def test_who_waits_to_be_told_to_send_is_told_once_and_only_if_the_body_is_read() -> None:
    connection, transport = connected(later)
    connection.data_received(asked(4, "expect: 100-Continue"))
    await asyncio.sleep(0)
    assert transport.written == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    connection.data_received(b"bo")
    connection.data_received(b"dy")
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(transport.written) == 2 and transport.written[1].startswith(b"HTTP/1.1 200 OK")
    connection, transport = connected(at_once)
    connection.data_received(asked(4, "expect: 100-continue"))
    assert len(transport.written) == 1 and transport.written[0].startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "sent",
    [
        asked(0, "connection: close"),
        asked(0, "connection: close") + b"\x00 this is no HTTP",
        asked(0).replace(b"1.1", b"1.0"),
        asked(0, "connection: upgrade", "upgrade: h2c"),
    ],
    ids=["close", "close, and more", "1.0", "upgrade"],
)
def test_the_last_answer_says_so_and_is_written_before_the_connection_is_closed(sent: bytes) -> None:
    async def run() -> None:
        connection, transport = connected(later)
        connection.data_received(sent)
        for _ in range(3):
            await asyncio.sleep(0)
        (written,) = transport.written
        assert b"\r\nconnection: close\r\n" in written and transport.closed

    asyncio.run(run())


@runs
async def test_a_client_that_reads_no_answers_is_not_read_from_either_and_ends_in_time() -> None:
    connection, transport = connected(at_once)
    connection.data_received(asked())
    connection.pause_writing()
    # The connection is idle, but what it owes is to be taken within the time of a head.
    assert not transport.reading
    connection.resume_writing()
    assert transport.reading
    await asyncio.sleep(2 * LIMITS.head_seconds)
    assert not transport.aborted
    connection.data_received(asked())
    connection.pause_writing()
    while not transport.aborted:
        await asyncio.sleep(0.01)


@runs
async def test_a_body_is_read_as_fast_as_the_application_takes_it() -> None:
    taken: list[int] = []
    go = asyncio.Event()

    async def slowly(exchange: Exchange) -> None:
        await go.wait()
        while part := await exchange.read():
            taken.append(len(part))
        at_once(exchange)

    connection, transport = connected(slowly)
    connection.data_received(asked(200_000) + b"x" * 60_000)
    assert transport.reading
    connection.data_received(b"x" * 60_000)
    assert not transport.reading
    go.set()
    while not transport.reading:
        await asyncio.sleep(0)
    connection.data_received(b"x" * 80_000)
    while not transport.written:
        await asyncio.sleep(0)
    assert taken == [120_000, 80_000]


@runs
async def test_an_application_that_fails_answers_500_and_the_connection_ends() -> None:
    def fails(exchange: Exchange) -> None:
        raise RuntimeError("details")

    async def fails_later(exchange: Exchange) -> None:
        fails(exchange)

    for application in (fails, fails_later):
        connection, transport = connected(application)
        connection.data_received(asked())
        for _ in range(3):
            await asyncio.sleep(0)
        (written,) = transport.written
        assert written.startswith(b"HTTP/1.1 500 ") and b"details" not in written and transport.closed


@runs
async def test_a_connection_that_is_busy_again_and_again_is_not_taken_for_an_idle_one() -> None:
    connection, transport = connected(at_once, replace(LIMITS, idle_seconds=0.3))
    clock = asyncio.get_running_loop().time
    for _ in range(8):
        last = clock()
        connection.data_received(asked())
        await asyncio.sleep(0.05)
    while not transport.closed:
        await asyncio.sleep(0.01)
    assert clock() - last >= 0.29


@pytest.mark.parametrize(
    "begun",
    [b"POST / HT", asked(9) + b"x", asked(0, "connection: close")],
    ids=["half a head", "half of a body that nobody reads", "the last answer"],
)
def test_who_takes_answers_late_does_not_get_all_the_time_for_the_rest(begun: bytes) -> None:
    async def run() -> None:
        connection, transport = connected(at_once, replace(LIMITS, linger_seconds=0.2))
        connection.data_received(asked() + begun)
        connection.pause_writing()
        connection.resume_writing()
        transport.closed = False  # what is left to be written keeps it open
        async with asyncio.timeout(PATIENCE):
            while not transport.closed:
                await asyncio.sleep(0.01)

    asyncio.run(run())


@runs
async def test_what_follows_a_body_is_no_header() -> None:
    asked_with: list[dict[bytes, bytes]] = []

    def note(exchange: Exchange) -> None:
        asked_with.append(exchange.headers)
        at_once(exchange)

    connection, _ = connected(note)
    begun = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    connection.data_received(begun + b"content-type: text/plain\r\n\r\n" + asked(0, "content-type: text/html"))
    assert [each.get(b"content-type") for each in asked_with] == [None, b"text/html"]
