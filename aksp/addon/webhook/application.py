"""The webhook's application: what is asked, within which limits, and a clean answer whatever comes.

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
import contextlib
import io
import logging
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

from aksp.addon.names import ADMIT_PATH
from aksp.addon.review.answer import Answer, failure
from aksp.addon.review.asking import HEAD_BYTES, Unjudged
from aksp.addon.webhook.protocol import TEXT, Exchange

_LOG = logging.getLogger("aksp.addon.webhook.application")
_JSON: Final = b"application/json"
_MANY_LARGE: Final = "aksp: too many large reviews at once"
_READING: Final = 0.4
"""Seconds that it takes to read the largest body, and what of it rules read: who has less left need not begin."""
_SMALL: Final = 64 * 1024
"""Bodies up to this many bytes count towards no budget, so that large ones never keep them out."""
_EXTRA: Final = {405: b"allow: POST\r\n", 503: b"retry-after: 1\r\n"}
"""Header lines of answers by their status."""
_TIMEOUT = re.compile(rb"(?:^|&)timeout=(?:(\d{1,3})m)?(?:(\d{1,3}(?:\.\d{1,9})?)s)?(?:&|$)")


class ReviewLimits(Struct, frozen=True, kw_only=True):
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


class _Hold(Struct, kw_only=True):
    """What a body holds: bytes of the budget for large ones, and whether it is the one over ``whole``."""

    held: int = 0
    alone: bool = False


class Refused(Exception):
    """A request that is answered before all of it was read. ``reason``: it may be a review that is not judged; ``head``: what has come of it."""

    def __init__(self, status: int, message: str, reason: Unjudged | None = None, head: bytes = b"") -> None:
        super().__init__(message)
        self.answer = failure(status, message)
        self.reason = reason
        self.head = head[:HEAD_BYTES]


class Health:
    """Whether this replica lives, and whether it should be asked.

    ``checks``: by name; each gives None, or a few words on what is missing.
    """

    def __init__(self, checks: Mapping[str, Callable[[], str | None]]) -> None:
        self._checks = checks

    def ready(self) -> tuple[int, bytes]:
        """A status and a text like that of the API server's /readyz?verbose."""
        found = {name: _checked(check) for name, check in self._checks.items()}
        lines = [f"[-]{name} failed: {lack}" if lack else f"[+]{name} ok" for name, lack in found.items()]
        passed = not any(found.values())
        lines.append("readyz check passed" if passed else "readyz check failed")
        return (200 if passed else 500), "\n".join([*lines, ""]).encode()

    def answer(self, exchange: Exchange) -> bool:
        """Answer a probe; False when it is none."""
        if exchange.path not in ("/healthz", "/livez", "/readyz"):
            return False
        if exchange.method not in (b"GET", b"HEAD"):
            answer_failure(exchange, 405, "only GET", b"allow: GET, HEAD\r\n")
            return True
        status, text = self.ready() if exchange.path == "/readyz" else (200, b"ok")
        exchange.answer(status, text, TEXT)
        return True


class _SmallReview:
    """A review that needs no task: what it waits for goes on with its coroutine."""

    __slots__ = ("_awaited", "_coroutine", "_webhook", "body", "deadline", "ended", "exchange")

    def __init__(
        self, webhook: Webhook, exchange: Exchange, body: bytes, coroutine: Coroutine[Any, Any, Answer], deadline: float
    ) -> None:
        self._webhook, self._coroutine = webhook, coroutine
        self.exchange, self.body = exchange, body
        self.deadline = deadline
        self.ended = False
        self._awaited: asyncio.Future[Any] | None = None

    def go_on(self, done: object = None) -> None:
        """Let the coroutine run until it waits, or to its end."""
        if self.ended:
            return
        try:
            self._awaited = self._coroutine.send(None)
        except StopIteration as end:
            self.ended = True
            self._webhook.ended(self, end.value)
        except asyncio.CancelledError:
            # What it waits for was given up, as at the end of the process.
            self.ended = True
            self._webhook.ended(self, failure(500, "aksp: the review was not judged to its end"))
        else:
            if self._awaited is None:  # asyncio.sleep(0)
                asyncio.get_running_loop().call_soon(self.go_on)
            else:
                self._awaited.add_done_callback(self.go_on)

    def stop(self) -> None:
        """End the coroutine as the end of a task would."""
        self.ended = True
        if self._awaited is not None:
            self._awaited.cancel()
        with contextlib.suppress(asyncio.CancelledError, StopIteration):
            self._coroutine.throw(asyncio.CancelledError())


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
        #: Small reviews under way, the one that began first at the beginning; and when the first of them must end.
        self._small: dict[_SmallReview, None] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._rings = float("inf")

    def __call__(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        if exchange.path != ADMIT_PATH:
            if not self._health.answer(exchange):
                answer_failure(exchange, 404, f"there is nothing but {ADMIT_PATH}, /healthz and /readyz")
            return None
        headers = exchange.headers
        if (
            exchange.complete
            and exchange.size <= min(_SMALL, self._limits.max_body)
            and exchange.method == b"POST"
            and headers.get(b"content-type") == _JSON
            and b"content-encoding" not in headers
        ):
            # Nearly all reviews: there is nothing to wait for but the reviewer, and that costs no task and no timer.
            patience, now, body = _patience(exchange.query), time.monotonic(), exchange.take()
            judging = self._reviewed(body, now + min(self._limits.judging_seconds, 0.4 * patience))
            review = _SmallReview(self, exchange, body, judging, now + min(self._limits.review_seconds, 0.9 * patience))
            review.go_on()
            if not review.ended:
                self._small[review] = None
                if review.deadline < self._rings:
                    self._wake_at(review.deadline)
            return None
        return self._admit(exchange)

    def ended(self, review: _SmallReview, answer: Answer) -> None:
        """A small review has its answer."""
        self._small.pop(review, None)
        self._answer(review.exchange, answer)

    def _wake_at(self, moment: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._rings = moment
        self._alarm = asyncio.get_running_loop().call_later(moment - time.monotonic(), self._late)

    def _late(self) -> None:
        """End the small reviews whose time is over. One timer for all: hardly any review needs it."""
        now, self._alarm = self._rings, None
        for review in [each for each in self._small if each.deadline <= now]:
            review.stop()
            self.ended(review, self._too_late(review.body))
        self._rings = float("inf")
        if self._small:
            self._wake_at(min(each.deadline for each in self._small))

    async def _admit(self, exchange: Exchange) -> None:
        try:
            answer = await self._answered(exchange)
        except Refused as refused:
            answer = self._without(refused.head, refused.reason, refused.answer)
            exchange.keeps = False
        self._answer(exchange, answer)

    def _answer(self, exchange: Exchange, answer: Answer) -> None:
        self._observe(answer.status)
        exchange.answer(answer.status, answer.body, _JSON, _EXTRA.get(answer.status, b""))

    async def _answered(self, exchange: Exchange) -> Answer:
        if exchange.method != b"POST":
            raise Refused(405, "reviews are sent with POST")
        large_one = self._check_headers(exchange)
        clock = asyncio.get_running_loop().time
        patience = _patience(exchange.query)
        deadline = clock() + min(self._limits.review_seconds, 0.9 * patience)
        until = time.monotonic() + min(self._limits.judging_seconds, 0.4 * patience)
        whole, hold = False, _Hold()
        try:
            # One timer for both: a request costs 0.1 ms in all, and timers are not free.
            async with asyncio.timeout_at(min(deadline, clock() + self._limits.body_seconds)) as limit:
                if large_one:
                    raise self._too_large(await _head(exchange))
                body = await self._body(exchange, hold, limit, until)
                whole = True
                limit.reschedule(deadline)
                return await self._reviewed(body, until)
        except TimeoutError:
            if not whole:
                raise Refused(408, "the body of the review did not come in time") from None
            return self._too_late(body)
        finally:
            self._held -= hold.held
            if hold.alone:
                self._whole.release()

    def _check_headers(self, exchange: Exchange) -> bool:
        """Refuse what cannot be a review, before its body is read; whether it is too large."""
        headers = exchange.headers
        # The parser has seen to it that it is one number.
        too_large = int(headers.get(b"content-length", 0)) > self._limits.max_body
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != _JSON:
            raise Refused(415, "a review has the content type application/json")
        if headers.get(b"content-encoding", b"").strip().lower() not in (b"", b"identity"):
            raise Refused(415, "a review is not compressed")
        if too_large and b"expect" in headers:
            # It sends nothing before it is told to.
            raise self._too_large(b"")
        return too_large

    async def _body(self, exchange: Exchange, hold: _Hold, limit: asyncio.Timeout, until: float) -> bytes:
        """The body. What it holds is given back by the caller, who ends waiting with ``limit``."""
        # Its value is what was written into it, not a copy.
        whole = io.BytesIO()
        while part := await exchange.read():
            whole.write(part)
            if (size := whole.tell()) > self._limits.max_body:
                raise self._too_large(_begin(whole))
            if size > self._limits.whole and not hold.alone:
                await self._alone(hold, limit, until, whole)
            if (more := max(0, size - _SMALL) - hold.held) > 0:
                if self._held + more > self._limits.held:
                    raise Refused(503, _MANY_LARGE, Unjudged.TOO_MANY, _begin(whole))
                self._held += more
                hold.held += more
        return whole.getvalue()

    async def _alone(self, hold: _Hold, limit: asyncio.Timeout, until: float, head: io.BytesIO) -> None:
        """Wait to be the one body that is read to its end: several of the largest at once would not fit in memory."""
        try:
            async with asyncio.timeout(max(0.0, until - _READING - time.monotonic())):
                await self._whole.acquire()
        except TimeoutError:
            raise Refused(503, _MANY_LARGE, Unjudged.TOO_MANY, _begin(head)) from None
        hold.alone = True
        last = asyncio.get_running_loop().time() + self._limits.whole_seconds
        limit.reschedule(min(last, limit.when() or last))

    async def _reviewed(self, body: bytes, until: float) -> Answer:
        if self._inside >= self._limits.reviews + self._limits.waiting:
            return self._without(body, Unjudged.TOO_MANY, failure(503, "aksp: too many reviews at once"))
        self._inside += 1
        try:
            # Not with `async with`, which takes two more coroutines.
            await self._turns.acquire()
            try:
                return await self._review(body, until)
            finally:
                self._turns.release()
        except Exception:  # noqa: BLE001 - whatever it is, the API server gets an answer and the process lives on
            _LOG.exception("a review has failed")
            return self._without(
                body, Unjudged.FAILED, failure(500, "aksp: the review has failed; see the add-on's log")
            )
        finally:
            self._inside -= 1

    def _too_late(self, body: bytes) -> Answer:
        return self._without(body, Unjudged.TIMEOUT, failure(504, "aksp: the review could not be answered in time"))

    def _too_large(self, head: bytes) -> Refused:
        return Refused(413, f"a review has at most {self._limits.max_body} bytes", Unjudged.TOO_LARGE, head)

    def _without(self, head: bytes, reason: Unjudged | None, otherwise: Answer) -> Answer:
        """The answer to a review that is not judged."""
        try:
            found = self._unjudged(head, reason) if reason is not None else None
        except Exception:  # noqa: BLE001 - as above: there is an answer, whatever happens
            _LOG.exception("a review that is not judged cannot be answered as one")
            found = None
        return found or otherwise


def _begin(body: io.BytesIO) -> bytes:
    return bytes(body.getbuffer()[:HEAD_BYTES])


async def _head(exchange: Exchange) -> bytes:
    """The first bytes of a body that is not read to its end."""
    head = b""
    while len(head) < HEAD_BYTES and (part := await exchange.read()):
        head += part
    return head


def answer_failure(exchange: Exchange, status: int, message: str, extra: bytes = b"") -> None:
    exchange.answer(status, failure(status, message).body, _JSON, extra)


def _checked(check: Callable[[], str | None]) -> str | None:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a check that fails is a check that is not passed
        return f"{type(error).__name__}: {error}"


@lru_cache(maxsize=64)
def _patience(query: bytes) -> float:
    """How long the API server waits, in seconds: it says so in the URL, as Go writes durations."""
    found = _TIMEOUT.search(query)
    seconds = 60 * float(found[1] or 0) + float(found[2] or 0) if found else 0.0
    return seconds or float("inf")
