"""A small raw HTTP client over TLS, and a server to talk to: what real HTTP clients hide is what is tested."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aksp.addon.review.answer import Answer
from aksp.addon.review.asking import Unjudged
from aksp.addon.webhook import certificates
from aksp.addon.webhook.application import Health, ReviewLimits, Webhook
from aksp.addon.webhook.protocol import Limits
from aksp.addon.webhook.server import Listener, serve
from aksp.addon.webhook.tls import server_context
from tests.replacing import replace
from tests.waiting import PATIENCE

NAME = "aksp.kube-system.svc"
NOW = datetime.now(UTC)
AUTHORITY = certificates.make_authority(NOW)
SERVING = certificates.issue(AUTHORITY, [NAME, "127.0.0.1"], NOW)
CONTEXT = server_context(SERVING)
#: For clients that are to be answered, however busy the machine is.
PATIENT = Limits(
    handshake_seconds=PATIENCE,
    head_seconds=PATIENCE,
    linger_seconds=0.3,
    idle_seconds=2 * PATIENCE,
    shutdown_delay=0.0,
    drain_seconds=PATIENCE,
)
#: For clients that are to be sent away.
QUICK = replace(PATIENT, handshake_seconds=0.4, head_seconds=0.4)


def trusting(*authorities: bytes) -> ssl.SSLContext:
    """A client's context as the API server's: strict about what an authority and a server's certificate say."""
    context = ssl.create_default_context(cadata=b"".join(authorities).decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


TRUST = trusting(AUTHORITY.certificate)


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, *, trust: ssl.SSLContext | None = TRUST) -> Client:
        name = NAME if trust else None
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 20, ssl=trust, server_hostname=name))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self) -> Reply:
        """The next answer; raises IncompleteReadError when the connection ends before."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Reply(status=int(head[0].split()[1]), headers=headers, body=body)

    async def post(self, body: bytes = b"{}", **headers: str) -> Reply:
        await self.send(request(body, **headers))
        return await self.reply()

    async def get(self, path: str, method: str = "GET") -> Reply:
        await self.send(f"{method} {path} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        return await self.reply()

    async def ended(self, within: float = PATIENCE) -> bool:
        """Whether the server ends the connection in time; what it says before is thrown away."""
        try:
            async with asyncio.timeout(within):
                while await self.reader.read(65536):
                    pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True

    async def close(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def certificate(self) -> bytes:
        found: bytes = self.writer.get_extra_info("ssl_object").getpeercert(True)
        return found


def request(body: bytes = b"{}", *, path: str = "/v1/admit?timeout=3s", method: str = "POST", **headers: str) -> bytes:
    """A request; headers by keyword, with _ for -, and "" for none."""
    every = {"host": NAME, "content-type": "application/json", "content-length": str(len(body))}
    every |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in every.items() if value)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def echo(body: bytes, until: float) -> Answer:
    """A review that answers with the body's length."""
    return Answer(status=200, body=b'{"length": %d}' % len(body))


@dataclass(frozen=True, kw_only=True)
class Server:
    ports: Sequence[int]
    stopping: asyncio.Event
    done: asyncio.Task[bool]

    @property
    def port(self) -> int:
        return self.ports[0]

    async def stop(self) -> bool:
        self.stopping.set()
        return await self.done


@contextlib.asynccontextmanager
async def serving(
    review: Callable[[bytes, float], Any] = echo,
    *,
    limits: Limits = PATIENT,
    reviews: ReviewLimits | None = None,
    context: Callable[[], ssl.SSLContext] = lambda: CONTEXT,
    client_names: frozenset[str] = frozenset(),
    checks: dict[str, Callable[[], str | None]] | None = None,
    plain: Any = None,
    unjudged: Callable[[bytes, Unjudged], Answer | None] = lambda head, reason: None,
) -> AsyncIterator[Server]:
    """A webhook that listens; stopped at the end."""
    stopping = asyncio.Event()
    health = Health({**(checks or {}), "shutdown": lambda: "stopping" if stopping.is_set() else None})
    webhook = Webhook(review, health=health, limits=reviews, unjudged=unjudged)
    listeners = [Listener(app=webhook, address=("127.0.0.1", 0), context=context, client_names=client_names)]
    if plain is not None:
        listeners.append(Listener(app=plain, address=("127.0.0.1", 0)))
    ports: asyncio.Future[Sequence[int]] = asyncio.get_running_loop().create_future()
    done = asyncio.create_task(serve(listeners, limits=limits, stopping=stopping, on_listening=ports.set_result))
    try:
        yield Server(ports=await ports, stopping=stopping, done=done)
    finally:
        stopping.set()
        await done
