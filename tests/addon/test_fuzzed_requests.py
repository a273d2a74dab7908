"""Whatever comes to the webhook over a real socket and TLS, honest reviews beside it are answered rightly.

Hypothesis makes the requests: ``pytest --hypothesis-seed=N`` makes those of a run again, and ``make fuzz`` makes others
each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import logging
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aksp.addon.in_force.policies import stand
from aksp.addon.review.owners import Owners
from aksp.addon.review.reviewer import Reviewer
from aksp.addon.webhook.application import ReviewLimits
from aksp.addon.webhook.server import loop_factory
from aksp.engine import Engine
from aksp.kube.connection import Connection
from aksp.model.scope import Scope
from bench.measure import resident
from tests.addon.custom import Memory, assigned
from tests.addon.https import NAME, QUICK, TRUST, Client, request, serving
from tests.engine.reviews import pod, review
from tests.places import places
from tests.replacing import replace

#: Times in seconds: short for who is slow, and long enough for who is honest on a machine that has more to do.
LIMITS: Final = replace(QUICK, handshake_seconds=2.0, head_seconds=2.0, idle_seconds=2.0, connections=40)
REVIEWS: Final = ReviewLimits(
    max_body=1 << 20, body_seconds=2.0, review_seconds=30.0, judging_seconds=20.0, whole=1 << 18, held=3 << 20
)
PATIENCE: Final = 60.0
#: Bytes by which all of it may grow, the requests that are made here included.
GROWTH: Final = 150 << 20

BAD: Final = review(pod(privileged=True))


def _client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        TRUST.wrap_bio(incoming, outgoing, server_hostname=NAME).do_handshake()
    return outgoing.read()


CLIENT_HELLO: Final = _client_hello()

# fmt: off
#: What means something in HTTP, alone or in the wrong place.
PIECES: Final = st.sampled_from([
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\0", b"\x80\xff", b" ", b"\t", b":", b"POST /v1/admit HTTP/1.1\r\n",
    b"content-length: 5\r\n", b"content-length: -1\r\n", b"content-length: 99999999999999999999\r\n",
    b"transfer-encoding: chunked\r\n", b"transfer-encoding: gzip, chunked\r\n", b"expect: 100-continue\r\n",
    b"connection: close\r\n", b"connection: upgrade\r\nupgrade: h2c\r\n", b"connection: upgrade\r\nupgrade: websocket\r\n",
    b"HTTP/1.0", b"HTTP/2.0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"x: " + b"y" * 20_000 + b"\r\n", b"a: b\r\n" * 3_000,
    b"GET / HTTP/1.1\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"content-type: text/plain\r\n", b"host: \r\n", b"{", b"0\r\n\r\n",
])
LENGTHS: Final = st.sampled_from([
    b"0", b"5", b"-1", b"+5", b"0x5", b"g", b"", b" 5", b"5 ", b"ffffffffffffffff", b"fffffffffffffffff", b"00000000000000000005",
    b"5;a=b", b"5;" + b"a" * 20_000, b"100000", b"5\n", b"5\r",
])
#: What a field of a review may be that should be another.
ODD: Final = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8), st.just([]), st.just({}),
    st.sampled_from(["CREATE", "UPDATE", "DELETE", "CONNECT", "\x00", "\ud800", "a" * 10_000, 10**400, [[]], [{}], {"": ""}]),
    st.integers(1, 2_000).map(lambda levels: json.loads("[" * levels + "]" * levels) if levels < 900 else levels),
)
# fmt: on


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One connection: what is sent over it, piece by piece, with a pause in seconds after each, and how it ends."""

    tls: bool
    pieces: tuple[bytes, ...]
    pause: float
    end: str
    review: bool = False
    """It is HTTP as it should be, so that there is an answer to it."""


@st.composite
def _cut(draw: st.DrawFn, data: st.SearchStrategy[bytes], *, tls: bool = True) -> Attack:
    """Bytes in a few pieces or many, fast or slowly, to the end of them or not."""
    whole = draw(data)
    if draw(st.booleans()):
        whole = whole[: draw(st.integers(0, len(whole)))]
    slow = draw(st.integers(0, 4)) == 0
    size = max(1, len(whole) // draw(st.sampled_from([1, 2, 10]))) if not slow else max(1, len(whole) // 40)
    return Attack(
        tls=tls,
        pieces=tuple(whole[at : at + size] for at in range(0, len(whole), size)),
        pause=0.1 if slow else 0.0,
        end=draw(st.sampled_from(["close", "wait", "half"])),
    )


@st.composite
def _mutated(draw: st.DrawFn, made: bytes) -> bytes:
    text = bytearray(made)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.sampled_from([0, 0, 1, 5, 50]))] = draw(PIECES | st.binary(max_size=4))
    return bytes(text)


@st.composite
def _chunked(draw: st.DrawFn) -> bytes:
    head = request(b"", transfer_encoding="chunked", content_length="")
    chunks = draw(st.lists(st.tuples(LENGTHS, st.binary(max_size=8) | st.just(b"x" * 70_000)), max_size=5))
    return head + b"".join(length + b"\r\n" + data + b"\r\n" for length, data in chunks) + draw(PIECES)


@st.composite
def _sized(draw: st.DrawFn) -> bytes:
    """A body that is shorter or longer than is said."""
    body = b"x" * draw(st.sampled_from([0, 1, 1_000, 70_000, 300_000, 1_100_000]))
    said = draw(st.sampled_from([0, 1, len(body) // 2, len(body) + 1, 1 << 21, 10**13]))
    return request(body, content_length=str(said))


@st.composite
def _review(draw: st.DrawFn) -> bytes:
    """A review with values that should be others, in up to three places, or no review."""
    made = json.loads(BAD)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(made))))
        inner: Any = made
        for key in path[:-1]:
            inner = inner[key]
        if isinstance(inner, dict) and draw(st.booleans()):
            inner[draw(st.text(max_size=3)) if draw(st.booleans()) else path[-1]] = copy.deepcopy(draw(ODD))
        elif draw(st.booleans()):
            inner[path[-1]] = draw(ODD)
        else:
            del inner[path[-1]]
    text = json.dumps(made).encode()
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.binary(max_size=3)) + text[at + draw(st.integers(0, 3)) :]
    return text


ATTACKS: Final = st.one_of(
    _cut(st.binary(max_size=64), tls=False),
    _cut(_mutated(CLIENT_HELLO), tls=False),
    _cut(st.just(request(BAD)), tls=False),
    _cut(_mutated(request(BAD))),
    _cut(_chunked()),
    _cut(_sized()),
    _cut(st.lists(st.sampled_from([request(BAD), request(b"{}"), b"\r\n"]), min_size=2, max_size=20).map(b"".join)),
    st.builds(
        Attack, tls=st.just(True), pieces=_review().map(lambda body: (request(body),)), pause=st.just(0.0),
        end=st.just("close"), review=st.just(True),
    ),
)  # fmt: skip


async def attacked(port: int, attack: Attack) -> None:
    try:
        client = await Client.connect(port, trust=TRUST if attack.tls else None)
    except OSError:
        return  # more connections than there may be
    # Event loops keep their own sockets to themselves.
    twin = socket.socket(fileno=os.dup(client.writer.get_extra_info("socket").fileno()))
    try:
        # uvloop: RuntimeError for a transport that the other end has closed.
        with contextlib.suppress(OSError, RuntimeError):
            for piece in attack.pieces:
                await client.send(piece)
                await asyncio.sleep(attack.pause)
        if attack.review:
            reply = await client.reply()
            assert reply.status in (200, 400), reply
            document = json.loads(reply.body)
            assert document["kind"] == ("AdmissionReview" if reply.status == 200 else "Status")
        elif attack.end == "half":
            with contextlib.suppress(OSError):
                twin.shutdown(socket.SHUT_WR)
        if attack.end != "close":
            # However it began, it ends: what is slow, and what waits for more.
            assert await client.ended(PATIENCE)
    finally:
        twin.close()
        await client.close()


async def honest(client: Client) -> None:
    reply = await client.post(BAD, path="/v1/admit?timeout=30s")
    assert reply.status == 200, reply
    response = json.loads(reply.body)["response"]
    assert (response["uid"], response["allowed"]) == (json.loads(BAD)["request"]["uid"], False)
    assert "[one] container web" in response["status"]["message"]


class Complaints(logging.Handler):
    """What the add-on and the event loop say that went wrong."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))


@pytest.fixture(scope="module")
def reviewer() -> Iterator[Reviewer]:
    with Engine() as engine:
        standing = stand(
            engine, definitions=[], assignments=[assigned(parameters={"effect": "Deny"})], exemptions=[],
            cluster=Scope.cluster("c"), now=datetime(2026, 6, 1, tzinfo=UTC),
        )  # fmt: skip
        made = Reviewer(
            engine,
            owners=Owners(cast(Connection, Memory())),
            fail_closed=True,
            decided=lambda decision: None,
            disagreed=lambda one: pytest.fail(one.message),
        )
        made.use(standing.plan)
        yield made


@pytest.fixture(scope="module")
def complaints() -> Iterator[list[str]]:
    handler = Complaints()
    logging.getLogger("aksp").addHandler(handler)
    logging.getLogger("asyncio").addHandler(handler)
    yield handler.said
    for name in ("aksp", "asyncio"):
        logging.getLogger(name).removeHandler(handler)


@pytest.fixture(scope="module")
def held() -> list[int]:
    """Bytes of this process and the engine after each example."""
    return []


# Few examples of many attacks each: all of one are under way at once, and an example lasts as long as the slowest.
@given(attacks=st.lists(ATTACKS, min_size=6, max_size=24), crowd=st.sampled_from([0, 0, 0, 60]))
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_honest_reviews_are_answered_whatever_else_comes(
    reviewer: Reviewer, complaints: list[str], held: list[int], attacks: list[Attack], crowd: int
) -> None:
    async def main() -> None:
        async with (
            asyncio.timeout(4 * PATIENCE),
            serving(reviewer, unjudged=reviewer.unjudged, limits=LIMITS, reviews=REVIEWS) as server,
        ):
            async with asyncio.TaskGroup() as group:
                idle = [group.create_task(_idle(server.port)) for _ in range(crowd)]
                tried = [group.create_task(attacked(server.port, one)) for one in attacks]
                while True:
                    client = await Client.connect(server.port)
                    await honest(client)
                    await client.close()
                    if all(task.done() for task in (*tried, *idle)):
                        break
                    await asyncio.sleep(0.2)
            # And once more when all is over.
            client = await Client.connect(server.port)
            await honest(client)
            await client.close()

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main())
    assert complaints == []
    held.append(resident(os.getpid()))
    assert held[-1] - held[0] < GROWTH, f"{held[-1] >> 20} MiB, {held[0] >> 20} MiB at first"


async def _idle(port: int) -> None:
    """A connection over which nothing is asked."""
    with contextlib.suppress(OSError):
        client = await Client.connect(port, trust=None)
        await client.ended(PATIENCE)
        await client.close()
