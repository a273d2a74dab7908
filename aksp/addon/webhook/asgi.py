"""The webhook as an ASGI application: what is asked, within which limits, and a clean answer whatever comes.

::

    POST /v1/admit    an AdmissionReview, as bytes, to the reviewer; its Answer
    GET  /healthz     200 while the event loop lives
    GET  /readyz      200 when all checks pass, else 500 with what is missing

A review that is not judged (too large, too many, too late, failed) is answered by ``unjudged``, with a warning or a
refusal, when its first bytes tell who asks for what. Whatever else is wrong, and a review of which they do not tell,
is answered with a metav1.Status, which the API server shows to users:

====  =================================================================
 400  the reviewer cannot read the review
 404  another path                         405  another method
 408  the body does not come in time       413  it is too large
 415  it is not JSON
 500  the reviewer has failed, a bug
 503  too many reviews wait already, or too much of large bodies is held
 504  no answer within the time that the API server waits
====  =================================================================
"""

from __future__ import annotations

import asyncio
import io
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from aksp.addon.names import ADMIT_PATH
from aksp.addon.review.answer import Answer, failure
from aksp.addon.review.asking import HEAD_BYTES, Unjudged

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_LOG = logging.getLogger("aksp.addon.webhook.asgi")
_JSON: Final = b"application/json"
_TEXT: Final = b"text/plain; charset=utf-8"
_MANY_LARGE: Final = "aksp: too many large reviews at once"
_READING: Final = 0.4
"""Seconds that it takes to read the largest body, and what of it rules read: who has less left need not begin."""
_SMALL: Final = 64 * 1024
"""Bodies up to this many bytes count towards no budget, so that large ones never keep them out."""
_TIMEOUT = re.compile(rb"(?:^|&)timeout=(?:(\d{1,3})m)?(?:(\d{1,3}(?:\.\d{1,9})?)s)?(?:&|$)")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewLimits:
    """What one replica takes on. Sizes in bytes, times in seconds.

    ``max_body``: etcd takes objects of up to 1.5 MiB, an API server writes a byte in up to six (``\\u003c``), and sends an
    UPDATE with both versions. ``held``: of all bodies over 64 KiB together. Of those over ``whole`` one is read to its end
    at a time, and held until its answer; it must come in ``whole_seconds`` then. ``body_seconds``: for a body to come. ``review_seconds``: from the request's headers to its
    answer, under the 3 s that the webhook configuration gives; when the request itself says how long the API server
    waits (``?timeout=``), 9/10 of that, if it is less. ``judging_seconds``: from the headers until judging ends, so that
    the answer comes within half of the 3 s; likewise 4/10. ``reviews`` at once are given to the reviewer; ``waiting`` more
    wait for their turn, which is better than an error under `failurePolicy: Fail`; further ones are answered at once.
    """

    max_body: int = 20 * 1024 * 1024
    held: int = 48 * 1024 * 1024
    whole: int = 1024 * 1024
    whole_seconds: float = 1.0
    body_seconds: float = 2.0
    review_seconds: float = 2.7
    judging_seconds: float = 1.2
    reviews: int = 32
    waiting: int = 256


@dataclass(kw_only=True, slots=True)
class _Hold:
    """What a body holds: bytes of the budget for large ones, and whether it is the one over ``whole``."""

    held: int = 0
    alone: bool = False


class Refused(Exception):
    """A request that is answered without a review. ``unread``: whether some of its body may still come.

    ``reason``: it may be a review that is not judged; ``head``: what has come of it.
    """

    def __init__(self, status: int, message: str, *, unread: bool = False, reason: Unjudged | None = None) -> None:
        super().__init__(message)
        self.answer = failure(status, message)
        self.unread = unread
        self.reason = reason
        self.head = b""


class Gone(Exception):
    """The client has hung up: there is nobody to answer."""


class Health:
    """Whether this replica lives, and whether it should be asked.

    ``checks``: by name; each gives None, or a few words on what is missing. ``stopping``: once set, a replica that
    still answers is no longer ready, so that it is asked no more before it stops.
    """

    def __init__(self, checks: Mapping[str, Callable[[], str | None]], stopping: asyncio.Event | None = None) -> None:
        self._checks = dict(checks)
        if stopping is not None:
            self._checks["shutdown"] = lambda: "stopping" if stopping.is_set() else None

    def ready(self) -> tuple[int, bytes]:
        """A status and a text like that of the API server's /readyz?verbose."""
        found = {name: _checked(check) for name, check in self._checks.items()}
        lines = [f"[-]{name} failed: {lack}" if lack else f"[+]{name} ok" for name, lack in found.items()]
        passed = not any(found.values())
        lines.append("readyz check passed" if passed else "readyz check failed")
        return (200 if passed else 500), "\n".join([*lines, ""]).encode()

    async def answer(self, scope: Scope, send: Send) -> bool:
        """Answer a probe; False when it is none."""
        if scope["path"] not in ("/healthz", "/livez", "/readyz"):
            return False
        if scope["method"] not in ("GET", "HEAD"):
            await send_failure(send, 405, "only GET", extra=((b"allow", b"GET, HEAD"),))
            return True
        status, text = self.ready() if scope["path"] == "/readyz" else (200, b"ok")
        await respond(send, status, text, _TEXT)
        return True


class Webhook:
    """The application behind TLS. ``observe`` hears of every answer to /v1/admit: its status.

    ``review`` is given a body, and the moment of `time.monotonic` at which judging ends.
    """

    def __init__(
        self,
        review: Callable[[bytes, float], Awaitable[Answer]],
        *,
        health: Health,
        limits: ReviewLimits | None = None,
        observe: Callable[[int], None] = lambda status: None,
        unjudged: Callable[[bytes, Unjudged], Answer | None] = lambda head, reason: None,
    ) -> None:
        self._review = review
        self._unjudged = unjudged
        self._health = health
        self._limits = limits or ReviewLimits()
        self._observe = observe
        self._turns = asyncio.Semaphore(self._limits.reviews)
        #: Held for the one body over ``whole``.
        self._whole = asyncio.Lock()
        self._inside = 0
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == ADMIT_PATH:
            await self._admit(scope, receive, send)
        elif not await self._health.answer(scope, send):
            await send_failure(send, 404, f"there is nothing but {ADMIT_PATH}, /healthz and /readyz")

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        extra: tuple[tuple[bytes, bytes], ...] = ()
        try:
            answer = await self._answered(scope, receive)
        except Refused as refused:
            answer = self._without(refused.head, refused.reason, refused.answer)
            if refused.unread:
                extra += ((b"connection", b"close"),)
            if answer.status == 405:
                extra += ((b"allow", b"POST"),)
            if answer.status == 503:
                extra += ((b"retry-after", b"1"),)
        except Gone:
            return
        self._observe(answer.status)
        await respond(send, answer.status, answer.body, _JSON, extra)

    async def _answered(self, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] != "POST":
            raise Refused(405, "reviews are sent with POST", unread=True)
        large_one = self._check_headers(scope)
        clock = asyncio.get_running_loop().time
        patience = _patience(scope["query_string"])
        deadline = clock() + min(self._limits.review_seconds, 0.9 * patience)
        until = time.monotonic() + min(self._limits.judging_seconds, 0.4 * patience)
        whole, hold = False, _Hold()
        try:
            # One timer for both: a request costs 0.1 ms in all, and timers are not free.
            async with asyncio.timeout_at(min(deadline, clock() + self._limits.body_seconds)) as limit:
                if large_one:
                    raise self._too_large(await _head(receive))
                body = await self._body(receive, hold, limit, until)
                whole = True
                limit.reschedule(deadline)
                return await self._reviewed(body, until)
        except TimeoutError:
            if not whole:
                raise Refused(408, "the body of the review did not come in time", unread=True) from None
            late = failure(504, "aksp: the review could not be answered in time")
            return self._without(body, Unjudged.TIMEOUT, late)
        finally:
            self._held -= hold.held
            if hold.alone:
                self._whole.release()

    def _check_headers(self, scope: Scope) -> bool:
        """Refuse what cannot be a review, before its body is read; whether it is too large."""
        length, content, encoding, expects = 0, b"", b"", False
        for name, value in scope["headers"]:
            if name == b"content-length":
                # The parser has seen to it that it is one number.
                length = int(value)
            elif name == b"content-type":
                content = value
            elif name == b"content-encoding":
                encoding = value
            elif name == b"expect":
                expects = True  # It sends nothing before it is told to.
        if content.partition(b";")[0].strip().lower() != _JSON:
            raise Refused(415, "a review has the content type application/json", unread=True)
        if encoding.strip().lower() not in (b"", b"identity"):
            raise Refused(415, "a review is not compressed", unread=True)
        if length > self._limits.max_body and expects:
            raise self._too_large(b"")
        return length > self._limits.max_body

    async def _body(self, receive: Receive, hold: _Hold, limit: asyncio.Timeout, until: float) -> bytes:
        """The body. What it holds is given back by the caller, who ends waiting with ``limit``."""
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            if len(body) > self._limits.max_body:
                raise self._too_large(body)
            return body
        # Its value is what was written into it, not a copy.
        whole = io.BytesIO()
        while message["type"] == "http.request":
            whole.write(message.get("body", b""))
            if (size := whole.tell()) > self._limits.max_body:
                raise self._too_large(_begin(whole))
            if size > self._limits.whole and not hold.alone:
                await self._alone(hold, limit, until, whole)
            if (more := max(0, size - _SMALL) - hold.held) > 0:
                if self._held + more > self._limits.held:
                    raise _refused(503, _MANY_LARGE, _begin(whole), Unjudged.TOO_MANY)
                self._held += more
                hold.held += more
            if not message.get("more_body"):
                return whole.getvalue()
            message = await receive()
        raise Gone

    async def _alone(self, hold: _Hold, limit: asyncio.Timeout, until: float, head: io.BytesIO) -> None:
        """Wait to be the one body that is read to its end: several of the largest at once would not fit in memory."""
        try:
            async with asyncio.timeout(max(0.0, until - _READING - time.monotonic())):
                await self._whole.acquire()
        except TimeoutError:
            raise _refused(503, _MANY_LARGE, _begin(head), Unjudged.TOO_MANY) from None
        hold.alone = True
        last = asyncio.get_running_loop().time() + self._limits.whole_seconds
        limit.reschedule(min(last, limit.when() or last))

    async def _reviewed(self, body: bytes, until: float) -> Answer:
        if self._inside >= self._limits.reviews + self._limits.waiting:
            raise _refused(503, "aksp: too many reviews at once", body, Unjudged.TOO_MANY, unread=False)
        self._inside += 1
        try:
            async with self._turns:
                return await self._review(body, until)
        except Exception:  # noqa: BLE001 - whatever it is, the API server gets an answer and the process lives on
            _LOG.exception("a review has failed")
            return self._without(
                body, Unjudged.FAILED, failure(500, "aksp: the review has failed; see the add-on's log")
            )
        finally:
            self._inside -= 1

    def _too_large(self, head: bytes) -> Refused:
        return _refused(413, f"a review has at most {self._limits.max_body} bytes", head, Unjudged.TOO_LARGE)

    def _without(self, head: bytes, reason: Unjudged | None, otherwise: Answer) -> Answer:
        """The answer to a review that is not judged."""
        try:
            found = self._unjudged(head, reason) if reason is not None else None
        except Exception:  # noqa: BLE001 - as above: there is an answer, whatever happens
            _LOG.exception("a review that is not judged cannot be answered as one")
            found = None
        return found or otherwise


def _refused(status: int, message: str, head: bytes, reason: Unjudged, *, unread: bool = True) -> Refused:
    """A review that is not judged, and what has come of it."""
    made = Refused(status, message, unread=unread, reason=reason)
    made.head = head[:HEAD_BYTES]
    return made


def _begin(body: io.BytesIO) -> bytes:
    return bytes(body.getbuffer()[:HEAD_BYTES])


async def _head(receive: Receive) -> bytes:
    """The first bytes of a body that is not read to its end."""
    head = bytearray()
    while len(head) < HEAD_BYTES:
        message = await receive()
        if message["type"] != "http.request":
            raise Gone
        head += message.get("body", b"")
        if not message.get("more_body"):
            break
    return bytes(head)


async def send_failure(send: Send, status: int, message: str, extra: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    await respond(send, status, failure(status, message).body, _JSON, extra)


async def respond(
    send: Send, status: int, body: bytes, content: bytes, extra: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    headers = [(b"content-type", content), (b"content-length", b"%d" % len(body)), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _checked(check: Callable[[], str | None]) -> str | None:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a check that fails is a check that is not passed
        return f"{type(error).__name__}: {error}"


def _patience(query: bytes) -> float:
    """How long the API server waits, in seconds: it says so in the URL, as Go writes durations."""
    found = _TIMEOUT.search(query)
    seconds = 60 * float(found[1] or 0) + float(found[2] or 0) if found else 0.0
    return seconds or float("inf")
