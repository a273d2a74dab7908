"""Requests that are repeated while that may help: `fetch` for bytes, `get_json` for small documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec import Struct

from aksp.errors import ClusterError
from aksp.kube import errors
from aksp.kube.connection import Cancellation, Connection

T = TypeVar("T")
LONGEST_PAUSE_SECONDS = 30.0
"""The longest pause between attempts, whatever Retry-After asks for."""


class Backoff(Struct, frozen=True, kw_only=True):
    """How to wait between attempts: exponentially, with jitter so that many clients do not come back together.

    Attempts are limited by `tries` and by what the error is worth (`errors.*_TRIES`). `sleep` replaces the pause, which
    otherwise ends early when the request is cancelled. Seconds throughout.
    """

    tries: int = errors.ERROR_TRIES
    first: float = 0.5
    factor: float = 2.0
    longest: float = LONGEST_PAUSE_SECONDS
    sleep: Callable[[float], None] | None = None

    def pause(self, attempt: int, error: ClusterError | None) -> float:
        """Seconds before the attempt after number `attempt` (from 1), which met `error`: it may hold a Retry-After."""
        import random

        wish = error.retry_after if isinstance(error, errors.ServerError) else None
        # The exponent is bounded: after weeks without an API server it would be no number any more.
        usual = self.first * self.factor ** min(attempt - 1, 15) * random.uniform(0.5, 1.0)
        return min(max(usual, wish or 0.0), self.longest)


ONCE = Backoff(tries=1)
"""For callers that try again themselves, where a pause within an attempt would hold them up."""


class Retry(Struct, frozen=True, kw_only=True):
    """An attempt that failed and is made again after `seconds`: for a note to the user."""

    path: str
    attempt: int
    seconds: float
    reason: str


OnRetry = Callable[[Retry], None]
PATIENT = Backoff()
"""The default."""


def fetch(
    connection: Connection,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    backoff: Backoff = PATIENT,
    on_retry: OnRetry | None = None,
    cancellation: Cancellation | None = None,
) -> bytes:
    """The body of a GET: JSON text that has its end, not decoded.

    429, 5xx, broken connections and truncated bodies are tried again (client-go does the same for Retry-After answers);
    a refused connection only briefly. Raises what `Connection.get` raises; the last error says how often it was tried.
    A cancelled fetch raises whatever it last met.
    """
    return repeated(
        lambda: _whole(connection, path, query, cancellation),
        path=path,
        backoff=backoff,
        on_retry=on_retry,
        cancellation=cancellation,
    )


def repeated(
    attempt: Callable[[], T],
    *,
    path: str,
    backoff: Backoff,
    twice: bool = True,
    on_retry: OnRetry | None = None,
    cancellation: Cancellation | None = None,
) -> T:
    """What an attempt gives, made again while that may help.

    `twice`: whether it may be made again when the server may have done it already. Raises the last error, which says
    how often it was tried.
    """
    watch = cancellation or Cancellation()
    number = 1
    while True:
        try:
            return attempt()
        except (errors.ServerError, errors.Unreachable) as error:
            again = twice or isinstance(error, errors.Unreachable) or untouched(error)
            if watch.asked or not again or number >= min(error.tries, backoff.tries):
                if number > 1:
                    error.what = f"{error.what} ({number} attempts)"
                raise
            seconds = backoff.pause(number, error)
            if on_retry is not None:
                on_retry(Retry(path=path, attempt=number, seconds=seconds, reason=error.what))
            (backoff.sleep or watch.pause)(seconds)
            if watch.asked:
                raise
        number += 1


def untouched(error: errors.ServerError) -> bool:
    """Whether the server says that it has not begun: then anything may be asked again."""
    return error.status == 429 or (error.status == 503 and error.retry_after is not None)


def get_json(
    connection: Connection,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    backoff: Backoff = PATIENT,
) -> dict[str, Any]:
    """A small document (version, discovery), decoded. Raises as `fetch` does."""
    return decoded(fetch(connection, path, query=query, backoff=backoff), where=connection.server + path)


def decoded(body: bytes, *, where: str) -> dict[str, Any]:
    """A JSON object from `body`, else ServerError."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise errors.ServerError(f"the answer is not JSON: {error}", where=where) from error
    if not isinstance(document, dict):
        raise errors.ServerError("the answer is not a JSON object", where=where)
    return document


def _whole(
    connection: Connection, path: str, query: Mapping[str, str] | None, cancellation: Cancellation | None
) -> bytes:
    body = connection.get(path, query=query, cancellation=cancellation).body
    if body[:64].lstrip()[:1] not in (b"{", b""):
        raise errors.ServerError(
            "the answer is not a JSON object",
            where=connection.server + path,
            hint="what answers may be a proxy or a login page before the API server",
            tries=1,
        )
    # HTTP cannot tell when a proxy cuts a body and ends the connection properly; a JSON object's last byte can.
    if not body[-64:].rstrip().endswith(b"}"):
        raise errors.truncated(where=connection.server + path, size=len(body))
    return body
