"""HTTP/1.1 on one connection: uvicorn's httptools protocol, with the limits that it lacks.

uvicorn bounds neither headers nor trailers nor pipelining, waits for a first request for ever, and closes a connection
with unread data in it, which resets it before the client has read why. Here a connection always waits for something
that ends in time::

    the head of a request   from the connection or its first byte on   head_seconds    408
    its body                from the head on                           the application (Webhook: 408)
    the application         as long as it likes (Webhook: 504)
    the next request        from the answer on                         idle_seconds    closed
    the rest of a body that nobody reads, after the answer             linger_seconds  closed
    the client to take an answer                                       head_seconds    aborted

`ConnectionLimit` bounds how many connections there are. Those that owe us something are kept in the order of their last whole
request; when there are too many, the first of them goes: an attacker's, or one that is idle, which HTTP clients bear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

_PIPELINED = 8
"""Requests that may wait behind another one on a connection. Go's client sends none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
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


class ConnectionLimit:
    """The connections of one listener, those in the TLS handshake included.

    ``waiting``: those that we wait for, the one that has completed nothing for longest first, with how to end them.
    ``leaving``: every answer from now on is the last of its connection.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.leaving = False
        self.open: set[object] = set()
        self.waiting: dict[object, Callable[[], object]] = {}

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


class LingeringTransport:
    """A transport whose `close` leaves the client time to read, and ends in time whatever the client does.

    RFC 9112, 9.6: a server that closes with data unread lingers, else the answer may be lost in a reset.
    uvicorn writes head and body of an answer one after the other: here they go out as one, which is one record of TLS,
    one system call, and the client is woken once.
    """

    def __init__(self, transport: asyncio.Transport, limits: Limits, unread: Callable[[], bool]) -> None:
        self._transport = transport
        self._seconds = limits.linger_seconds
        self._unread = unread
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._head = b""
        self.abort = transport.abort
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
            self._transport.write(data)
        elif data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def _flush(self) -> None:
        """Write a head whose body has not followed at once."""
        if self._head:
            data, self._head = self._head, b""
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._flush()
        if self._unread():
            self._transport.resume_reading()
            self._later(self._end)
        else:
            self._end()

    def lost(self) -> None:
        """The connection is no more: nothing is left to be done."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        self._transport.close()
        self._later(self.abort)

    def _later(self, call: Callable[[], object]) -> None:
        self._timer = self._loop.call_later(self._seconds, call)


class Http(HttpToolsProtocol):
    """One connection of ``connection_limit``, where it takes the place of ``greeting``, which has accepted it.

    ``admits`` tells, after the TLS handshake, whether it may go on.
    """

    def __init__(
        self,
        config: Config,
        state: ServerState,
        connection_limit: ConnectionLimit,
        greeting: object,
        admits: Callable[[asyncio.BaseTransport], bool],
    ) -> None:
        super().__init__(config, state, {})
        self.connection_limit = connection_limit
        self.greeting = greeting
        self._admits = admits
        self._limits = connection_limit.limits
        self._incoming = False
        """A request has begun and has not come whole."""
        self._headed = False
        self._late = False
        """A timer runs for the head of a request."""
        self._overhead = 0
        """Bytes of this request that are not body: head, chunk sizes, trailers."""
        self._allowed = 0

    @property
    def busy(self) -> bool:
        """Whether a request has begun that is not answered yet."""
        return self._incoming or (self.cycle is not None and not self.cycle.response_complete)

    @property
    def new(self) -> bool:
        """Whether nothing has been asked yet on this connection."""
        return self.cycle is None and not self._incoming

    # asyncio's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        lingering = LingeringTransport(transport, self._limits, lambda: self._incoming)
        super().connection_made(cast(asyncio.Transport, lingering))
        self._lingering = lingering
        self.connection_limit.gone(self.greeting)
        self.connection_limit.open.add(self)
        self.connection_limit.waiting[self] = transport.abort
        self._after(self._limits.head_seconds, self.timeout_keep_alive_handler)
        if not self._admits(transport):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset_keepalive_if_required()
        self._lingering.lost()
        self.connection_limit.gone(self)
        # Requests that wait behind another one can no longer be answered.
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return  # What comes after the last answer is thrown away.
        self._overhead += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self._refuse(400, "this is not HTTP/1.1")
            return
        if self._overhead > self._limits.head_bytes + self._allowed // 4:
            # Before a body there is only the head; later it takes chunks of a few bytes or endless trailers.
            self._refuse(431 if not self._headed else 400, "the headers are too large")
        elif self._incoming and not self._headed and not self._late:
            self._late = True
            self._after(self._limits.head_seconds, lambda: self._refuse(408, "the headers did not come in time"))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._after(self._limits.head_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unset_keepalive_if_required()

    # the parser's side

    def on_message_begin(self) -> None:
        self._incoming, self._headed = True, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._headed, self._late = True, False
        self._unset_keepalive_if_required()
        if len(self.pipeline) >= _PIPELINED:
            raise ValueError("too many requests at once")  # to the parser, which makes it its own error
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > self._limits.head_bytes:
            self._refuse(431, "the headers are too large")
            raise ValueError("the headers are too large")
        super().on_headers_complete()
        if self.connection_limit.leaving:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._overhead -= len(body)
        self._allowed += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._incoming = False
        self._overhead = self._allowed = 0
        self.connection_limit.waiting.pop(self, None)
        super().on_message_complete()
        if self.cycle.response_complete:
            # The rest of a body that was answered unread: now the connection is idle.
            self._idle()

    # uvicorn's side

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._incoming and self._headed:
            self._after(self._limits.linger_seconds, self.transport.close)
        elif not self.busy:
            self._idle()

    def shutdown(self) -> None:
        """Close an idle connection now, a busy one with its answer."""
        if not self.busy:
            self.transport.close()
        elif self.cycle is not None:
            self.cycle.keep_alive = False

    def _idle(self) -> None:
        self.connection_limit.waiting[self] = self.transport.abort
        self._after(self._limits.idle_seconds, self.timeout_keep_alive_handler)

    def _after(self, seconds: float, call: Callable[[], object]) -> None:
        """Set the connection's one timer, uvicorn's for keep-alive."""
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(seconds, call)

    def _refuse(self, status: int, message: str) -> None:
        """End the connection; say why unless an answer is on its way, which that would spoil."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            text = message.encode()
            head = b"content-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(text)
            self.transport.write(STATUS_LINE[status] + head + text)
        self._incoming = True  # whatever is left unread
        self.transport.close()
