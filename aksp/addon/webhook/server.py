"""The listeners of the add-on: sockets, TLS, a bound on connections, and an orderly end.

They accept by themselves, for what asyncio's servers have not: a time limit and a bound that count the TLS handshake
too, and a certificate that is chosen anew for every connection. `Listener.context`
is asked at each handshake, so that a new certificate is one assignment, checked before, and half of one is never
served. (Loading into a context in use keeps the old certificate beside the new one when the kind of key changes.)
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Sequence

from msgspec import Struct

from aksp.addon.webhook.protocol import Application, Connections, Http, Limits
from aksp.addon.webhook.tls import client_names
from aksp.errors import InvalidInput

_LOG = logging.getLogger("aksp.addon.webhook.server")
_BACKLOG = 1024
_NAMES_LOGGED = 10


class Listener(Struct, frozen=True, kw_only=True):
    """One address and the application behind it.

    ``address``: host ("" for all, IPv6 too) and port (0: any that is free). ``context``: gives the TLS context for the
    next connection; None: plain HTTP. ``client_names``: who shows a certificate with none of these is not answered;
    none: whoever the context lets in is.
    """

    app: Application
    address: tuple[str, int]
    context: Callable[[], ssl.SSLContext] | None = None
    client_names: frozenset[str] = frozenset()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's event loop where it is installed, else asyncio's: for `asyncio.Runner`."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def serve(
    listeners: Sequence[Listener],
    *,
    limits: Limits,
    stopping: asyncio.Event,
    on_listening: Callable[[Sequence[int]], None] = lambda ports: None,
) -> bool:
    """Serve until ``stopping`` is set and what was asked by then is answered; whether all of it was.

    From then on each answer is the last of its connection. For `shutdown_delay` new connections still come in; then
    those that are idle are closed, and the others have `drain_seconds`. ``on_listening`` is told the ports.
    Raises InvalidInput when an address cannot be had.
    """
    async with contextlib.AsyncExitStack() as stack:
        acceptors = []
        for listener in listeners:
            acceptors.append(acceptor := _Acceptor(listener, limits))
            stack.callback(acceptor.close)
        on_listening([acceptor.port for acceptor in acceptors])
        work = [asyncio.create_task(acceptor.accept()) for acceptor in acceptors]
        try:
            await stopping.wait()
            for acceptor in acceptors:
                acceptor.connections.leaving = True
            await asyncio.sleep(limits.shutdown_delay)
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
        return all(await asyncio.gather(*(acceptor.drain() for acceptor in acceptors)))


class _Acceptor:
    """A listening socket and its connections."""

    def __init__(self, listener: Listener, limits: Limits) -> None:
        self.connections = Connections(limits)
        self._limits = limits
        self._listener = listener
        self._socket = _listening(listener.address)
        self._socket.setblocking(False)
        self._greetings: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    async def accept(self) -> None:
        """Take connections, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._socket)
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    _LOG.error("no connection can be accepted: %s", error.strerror)
                    await asyncio.sleep(0.5)
                continue
            self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        if not self.connections.admits():
            connection.close()
            return
        # Answers are small and written at once.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.get_running_loop().create_task(self._greet(connection))
        self._greetings.add(task)
        self.connections.open.add(task)
        self.connections.waiting[task] = task.cancel
        task.add_done_callback(self._greeted)

    async def _greet(self, connection: socket.socket) -> None:
        """The TLS handshake; then the connection is the protocol's."""
        context = self._listener.context() if self._listener.context else None
        greeting = asyncio.current_task()
        seconds = {
            "ssl_handshake_timeout": self._limits.handshake_seconds,
            "ssl_shutdown_timeout": self._limits.linger_seconds,
        }
        # OSError: ssl.SSLError and time-outs too. Who cannot speak TLS, or does not trust us, knows it; the socket is
        # closed with the transport.
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Http(self._listener.app, self.connections, greeting, self._admits),
                connection,
                ssl=context,
                **(seconds if context else {}),
            )

    def _admits(self, transport: asyncio.BaseTransport) -> bool:
        """Whether the certificate that the client has shown has one of the names that are asked for."""
        if not self._listener.client_names:
            return True
        shown = client_names(transport.get_extra_info("peercert") or {})
        if shown & self._listener.client_names:
            return True
        _LOG.warning(
            "a client certificate has none of the names of --client-name",
            extra={"names": sorted(shown)[:_NAMES_LOGGED]},
        )
        return False

    def _greeted(self, task: asyncio.Task[None]) -> None:
        self._greetings.discard(task)
        self.connections.gone(task)
        if not task.cancelled() and (error := task.exception()):
            _LOG.error("a connection could not be taken", exc_info=error)

    async def drain(self) -> bool:
        """Stop listening, close what is idle, wait for the rest; whether it was answered in time.

        Who has just connected is about to ask, and gets `linger_seconds` for that.
        """
        # The kernel has accepted these connections already: closing the socket would reset them.
        with contextlib.suppress(OSError):
            while True:
                self._take(self._socket.accept()[0])
        self._socket.close()
        loop = asyncio.get_running_loop()
        new_until = loop.time() + self._limits.linger_seconds
        end = loop.time() + self._limits.drain_seconds
        while self.connections.open and loop.time() < end:
            late = loop.time() >= new_until
            if late:
                for task in list(self._greetings):
                    task.cancel()
            # Again and again: one may have become idle by an answer that was begun before.
            for connection in self.connections.taken():
                if not connection.busy and (late or not connection.new):
                    connection.close()
            await asyncio.sleep(0.02)
        left = self.connections.taken()
        answered = not any(connection.busy for connection in left)
        if not answered:
            _LOG.error("%d connections did not end in time", len(left))
        for task in list(self.connections.tasks):
            task.cancel()
        for connection in left:
            connection.abort()
        await asyncio.sleep(0)
        return answered

    def close(self) -> None:
        self._socket.close()


def _listening(address: tuple[str, int]) -> socket.socket:
    host, port = address
    try:
        if host in ("", "::") and socket.has_dualstack_ipv6():
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server(address, family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInput(f"cannot listen: {reason}", where=f"{host}:{port}", hint="choose another address") from error
