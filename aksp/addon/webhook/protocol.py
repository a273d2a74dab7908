"""HTTP/1.1 on one connection, read by httptools' parser, with limits.

Longer than other modules: nearly all of it is one class, since each state of a connection leads to the others.

A connection always waits for something that ends in time::

    the head of a request   from the connection or its first byte on   head_seconds    408
    its body                from the head on                           the application (Webhook: 408)
    the application         as long as it likes (Webhook: 504)
    the next request        from the answer on                         idle_seconds    closed
    the rest of a body that nobody reads, after the answer             linger_seconds  closed
    the client to take an answer                                       head_seconds    aborted

RFC 9112, 9.6: a server that closes with data unread lingers, else the answer may be lost in a reset.

`Connections` bounds how many there are. Those that owe us something are kept in the order of their last whole
request; when there are too many, the first of them goes: an attacker's, or one that is idle, which HTTP clients bear.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httptools
from msgspec import Struct

_LOG = logging.getLogger("aksp.addon.webhook.protocol")
_PIPELINED = 8
"""Requests that may wait behind another one on a connection. Go's client sends none."""
_UNREAD = 64 * 1024
"""Bytes of a body that are kept for the application before the client has to wait."""
_STATUS = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus}
TEXT = b"text/plain; charset=utf-8"


class Limits(Struct, frozen=True, kw_only=True):
    """What a listener bears. Times in seconds, sizes in bytes.

    ``idle_seconds`` is longer than the API server keeps a connection (90 s, client-go's default), so that it is never
    we who close one while a request is on its way. ``head_bytes``: request line and headers. ``shutdown_delay``: how
    long requests are still taken when the process is to stop, while the endpoints of the Service learn it.
    ``drain_seconds``: for the answers after that.
    """

    connections: int = 512
    handshake_seconds: float = 5.0
    head_seconds: float = 5.0
    head_bytes: int = 16 * 1024
    idle_seconds: float = 150.0
    linger_seconds: float = 1.0
    shutdown_delay: float = 5.0
    drain_seconds: float = 10.0


class Gone(Exception):
    """The client has hung up: there is nobody to answer."""


class Connections:
    """The connections of one listener, those in the TLS handshake included.

    ``waiting``: those that we wait for, the one that has completed nothing for longest first, with how to end them.
    ``leaving``: every answer from now on is the last of its connection. ``tasks``: of applications at work.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.leaving = False
        self.open: set[object] = set()
        self.waiting: dict[object, Callable[[], object]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self._second, self._date = 0, b""

    def admits(self) -> bool:
        """Whether one more connection may come in, after another has had to go if need be."""
        if len(self.open) < self.limits.connections:
            return True
        for someone in self.waiting:
            end = self.waiting[someone]
            self.gone(someone)
            end()
            return True
        return False

    def gone(self, someone: object) -> None:
        self.open.discard(someone)
        self.waiting.pop(someone, None)

    def taken(self) -> list[Http]:
        """Those that are through the handshake."""
        return [each for each in self.open if isinstance(each, Http)]

    def response(self, status: int, body: bytes, content: bytes, extra: bytes = b"", *, last: bool) -> bytes:
        """A response as it is sent. RFC 9110, 6.6.1: it says when it was made."""
        if (second := int(time.time())) != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True).encode()
        return b"%sdate: %s\r\ncontent-type: %s\r\ncontent-length: %d\r\n%s%s\r\n%s" % (
            _STATUS[status], self._date, content, len(body), extra, b"connection: close\r\n" if last else b"", body,
        )  # fmt: skip


class Exchange:
    """One request, and how to answer it. Of headers that come twice the last one counts; names are in lower case.

    ``complete``: the body has come to its end. ``client``: the other end's address, where it has one.
    """

    __slots__ = (
        "_connection", "_expecting", "_more", "_parts", "answered", "client", "complete", "gone", "headers", "keeps", "method", "path",
        "query", "size",
    )  # fmt: skip

    def __init__(
        self, connection: Http, url: bytes, method: bytes, headers: dict[bytes, bytes], *, keeps: bool
    ) -> None:
        self.path, self.query = _split(url)
        self.method, self.headers = method, headers
        #: Whether the connection goes on after the answer.
        self.keeps = keeps
        self.complete = self.answered = self.gone = False
        #: Bytes of the body that were not taken yet.
        self.size = 0
        self._parts: list[bytes] = []
        self._connection, self.client = connection, connection.client
        self._expecting = b"expect" in headers and headers[b"expect"].lower() == b"100-continue"
        self._more: asyncio.Future[None] | None = None

    def take(self) -> bytes:
        """What has come of the body since it was taken last."""
        parts, self._parts, self.size = self._parts, [], 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def read(self) -> bytes:
        """What comes of the body, sooner or later; nothing at its end. Raises Gone."""
        if self._expecting:
            self._expecting = False
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (self._parts or self.complete or self.gone):
            self._connection.go_on()
            self._more = asyncio.get_running_loop().create_future()
            await self._more
        if self.gone:
            raise Gone
        return self.take()

    def feed(self, part: bytes) -> None:
        """A part of the body has come."""
        self._parts.append(part)
        self.size += len(part)
        self.wake()

    def wake(self) -> None:
        """Let the application see that something has changed."""
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    def answer(self, status: int, body: bytes, content: bytes, extra: bytes = b"") -> None:
        """Answer, once; whoever is gone is not told. ``extra``: header lines with their ends."""
        if not (self.answered or self.gone):
            self.answered = True
            self._connection.answer(self, status, body, content, extra)


#: What answers: at once, or by a coroutine that is to be run.
Application = Callable[[Exchange], Coroutine[Any, Any, None] | None]


class Http(asyncio.Protocol):
    """One connection of ``connections``, where it takes the place of ``greeting``, which has accepted it.

    ``admits`` tells, after the TLS handshake, whether it may go on.
    """

    def __init__(
        self,
        application: Application,
        connections: Connections,
        greeting: object,
        admits: Callable[[asyncio.BaseTransport], bool],
    ) -> None:
        self._application = application
        self._connections = connections
        self._greeting = greeting
        self._admits = admits
        self._limits = connections.limits
        self._loop = asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        # What comes after a last request must not keep its answer back.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.client: str | None = None
        self._asked: deque[Exchange] = deque()
        """Requests that are not answered yet; the application has the first of them, when it is ``_at_work``."""
        self._at_work = False
        self._coming: Exchange | None = None
        """The request that the parser is at, or was at last."""
        self._url, self._headers, self._head_size = b"", dict[bytes, bytes](), 0
        self._incoming = False
        """A request has begun and has not come whole."""
        self._headed = False
        self._late = False
        """The timer is for the head of a request."""
        self._overhead = 0
        """Bytes of this request that are not body: head, chunk sizes, trailers."""
        self._allowed = 0
        self._paused = False
        self._full = False
        """The client has not taken what was written."""
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._rings = self._until = 0.0
        self._call: Callable[[], object] | None = None

    @property
    def busy(self) -> bool:
        """Whether a request has begun that is not answered yet."""
        return self._incoming or bool(self._asked)

    @property
    def new(self) -> bool:
        """Whether nothing has been asked yet on this connection."""
        return self._coming is None and not self._incoming

    # asyncio's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self.abort = transport.abort
        peer = transport.get_extra_info("peername")
        self.client = str(peer[0]) if isinstance(peer, tuple) else None
        self._connections.gone(self._greeting)
        self._connections.open.add(self)
        self._connections.waiting[self] = self.abort
        self._after(self._limits.head_seconds, self.close)
        if not self._admits(transport):
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing, self._call = True, None
        if self._timer is not None:
            self._timer.cancel()
        self._connections.gone(self)
        for each in self._asked:
            each.gone = True
            each.wake()
        # Each of them holds the connection.
        self._parser = self._coming = None

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return  # What comes after the last answer is thrown away.
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # The answer is the connection's last.
        except httptools.HttpParserError:
            self._begin()
            if self._head_size > self._limits.head_bytes:
                self._refuse(431, "the headers are too large")
            self._refuse(400, "this is not HTTP/1.1")
            return
        if self._overhead > self._limits.head_bytes + self._allowed // 4:
            # Before a body there is only the head; later it takes chunks of a few bytes or endless trailers.
            self._refuse(431 if not self._headed else 400, "the headers are too large")
        elif self._incoming and not self._headed and not self._late:
            self._await_head()
        self._begin()

    def pause_writing(self) -> None:
        self._full = True
        self._pause()
        self._after(self._limits.head_seconds, self.abort)

    def resume_writing(self) -> None:
        self._full, self._call = False, None
        self.go_on()
        # The timer was for what is taken now: it is set again for what it was for before.
        if self._closing:
            self._after(self._limits.linger_seconds, self._end)
        elif not self.busy:
            self._idle()
        elif self._incoming and not self._headed:
            self._await_head()
        elif self._incoming and self._coming is not None and self._coming.answered:
            self._after(self._limits.linger_seconds, self.close)

    # the parser's side

    def on_message_begin(self) -> None:
        self._incoming, self._headed = True, False
        self._url, self._headers, self._head_size = b"", {}, 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._head_size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._headed:  # what comes after a body is no header of the request: RFC 9110, 6.5.1
            self._headers[name.lower()] = value
        self._head_size += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        self._headed, self._late = True, False
        if not self._full:
            self._call = None
        # What is raised here the parser makes its own error.
        if len(self._asked) > _PIPELINED:
            raise ValueError("too many requests at once")
        if self._head_size > self._limits.head_bytes:
            raise ValueError("the headers are too large")
        parser = self._parser
        self._coming = Exchange(
            self,
            self._url,
            parser.get_method(),
            self._headers,
            keeps=parser.should_keep_alive() and not parser.should_upgrade() and parser.get_http_version() != "1.0",
        )
        self._asked.append(self._coming)
        if len(self._asked) > 1:
            self._pause()

    def on_body(self, body: bytes) -> None:
        self._overhead -= len(body)
        self._allowed += len(body)
        if (coming := self._coming) is not None and not coming.answered:
            coming.feed(body)
            if coming.size > _UNREAD:
                self._pause()

    def on_message_complete(self) -> None:
        self._incoming = False
        self._overhead = self._allowed = 0
        self._connections.waiting.pop(self, None)
        if (coming := self._coming) is not None:
            coming.complete = True
            coming.wake()
            if coming.answered:
                # The rest of a body that was answered unread: now the connection is idle.
                self._idle()

    # the application's side

    def _begin(self) -> None:
        """Give the application the first request, unless it is at work."""
        if self._at_work or self._closing or not self._asked:
            return
        self._at_work = True
        exchange = self._asked[0]
        try:
            work = self._application(exchange)
        except Exception:  # noqa: BLE001 - whatever it is, there is an answer
            _failed(exchange)
            return
        if work is not None:
            task = self._loop.create_task(_done(work, exchange))
            self._connections.tasks.add(task)
            task.add_done_callback(self._connections.tasks.discard)

    def write(self, data: bytes) -> None:
        """Say something, unless the client is gone."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def answer(self, exchange: Exchange, status: int, body: bytes, content: bytes, extra: bytes) -> None:
        """Answer the first request."""
        keeps = exchange.keeps and not self._connections.leaving
        whole = self._connections.response(status, body, content, extra, last=not keeps)
        # Head and body in one: one record of TLS, one system call, and the client is woken once.
        self.write(whole[: len(whole) - len(body)] if exchange.method == b"HEAD" else whole)
        self._asked.popleft()
        self._at_work = False
        if not keeps:
            self.close()
        elif not exchange.complete:
            self._after(self._limits.linger_seconds, self.close)
        elif self._asked:
            self._begin()
        elif not self._incoming:
            self._idle()
        self.go_on()

    def go_on(self) -> None:
        """Read again."""
        if self._paused and not self._full and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    # the end

    def close(self) -> None:
        """Close it; the client has time to read what was said, and all of it ends in time whatever it does."""
        if self._closing:
            return
        self._closing = True
        if self._incoming:
            self.go_on()
            self._after(self._limits.linger_seconds, self._end)
        else:
            self._end()

    def _end(self) -> None:
        self._transport.close()
        self._after(self._limits.linger_seconds, self.abort)

    def _refuse(self, status: int, message: str) -> None:
        """End the connection; say why unless an answer is on its way, which that would spoil."""
        if self._closing:
            return
        if not self._asked:
            self.write(self._connections.response(status, message.encode(), TEXT, last=True))
        self._incoming = True  # whatever is left unread
        self.close()

    def _await_head(self) -> None:
        self._late = True
        self._after(self._limits.head_seconds, lambda: self._refuse(408, "the headers did not come in time"))

    def _idle(self) -> None:
        if not (self._closing or self._full):
            self._connections.waiting[self] = self.abort
            self._after(self._limits.idle_seconds, self.close)

    def _after(self, seconds: float, call: Callable[[], object]) -> None:
        """Set the connection's one timer.

        Most of what it is set for does not happen: it is not armed anew for what comes later than it rings.
        """
        self._call, self._until = call, self._loop.time() + seconds
        if self._timer is None or self._until < self._rings:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings = self._until
        self._timer = self._loop.call_at(self._rings, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if (call := self._call) is None:
            return
        if self._until > self._rings:
            self._arm()
        else:
            self._call = None
            call()


async def _done(work: Coroutine[Any, Any, None], exchange: Exchange) -> None:
    try:
        await work
    except Gone:
        pass
    except Exception:  # noqa: BLE001 - whatever it is, there is an answer
        _failed(exchange)


def _failed(exchange: Exchange) -> None:
    _LOG.exception("a request could not be answered")
    exchange.keeps = False
    exchange.answer(500, b"internal error", TEXT)


@lru_cache(maxsize=64)
def _split(url: bytes) -> tuple[str, bytes]:
    """The path and the query: an API server asks for the same again and again. Raises what is an error to the parser."""
    parsed = httptools.parse_url(url)
    return unquote(parsed.path.decode("ascii")), parsed.query or b""
