"""One cluster, spoken to as bytes: `get`, `send` and `lines` make one attempt and answer what came."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

from msgspec import Struct

from aksp.errors import ClusterError, KubeconfigError
from aksp.kube import errors

if TYPE_CHECKING:
    from urllib3 import PoolManager
    from urllib3.response import BaseHTTPResponse

CREDENTIAL_SECONDS = 30.0
"""How long a credential is used before the `kubernetes` package is asked whether it expires.

The package runs an exec plugin again whenever less than five minutes are left: with a token that short-lived it would
run the plugin for every page.
"""
READ_BYTES = 64 * 1024
KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPALIVE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Socket options of a stream: the system notices within a minute that the other side is gone. macOS calls the first
one TCP_KEEPALIVE. Seconds, and a number of probes.
"""


class Response(Struct, frozen=True, kw_only=True):
    """A whole answer: `body` is complete as far as HTTP can tell, and decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Cancellation:
    """Lets one thread stop a request, or the pause before one, in another thread."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._response: BaseHTTPResponse | None = None

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    def cancel(self) -> None:
        """Wake the thread that waits, and end the body that is being read."""
        self._asked.set()
        with self._lock:
            if self._response is not None:
                # RuntimeError, ValueError: the body has just been read to its end.
                with contextlib.suppress(OSError, RuntimeError, ValueError):
                    self._response.shutdown()

    def pause(self, seconds: float) -> None:
        self._asked.wait(seconds)

    @contextlib.contextmanager
    def reading(self, response: BaseHTTPResponse) -> Iterator[None]:
        """While the body is read, `cancel` ends it: the reader gets an OSError or half a body."""
        with self._lock:
            if self.asked:
                raise OSError("cancelled")
            self._response = response
        try:
            yield
        finally:
            with self._lock:
                self._response = None


class Session:
    """The connections and the credentials of one loading of the kubeconfig. Safe for several threads.

    `credential` gives the Authorization header's value (None: client certificate, or anonymous), refreshed when it
    expires; `impersonation` are the Impersonate-* headers of the kubeconfig's user.
    """

    def __init__(
        self,
        *,
        pool: PoolManager,
        url: str,
        credential: Callable[[], str | None],
        impersonation: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.pool = pool
        self.url = url
        self._credential = credential
        self._impersonation = impersonation
        self._lock = threading.Lock()
        self._known: str | None = None
        self._known_until = 0.0

    def headers(self) -> list[tuple[str, str]]:
        """The headers that say who asks."""
        with self._lock:
            if time.monotonic() >= self._known_until:
                self._known = _as_header(self._credential())
                self._known_until = time.monotonic() + CREDENTIAL_SECONDS
            bearer = [("Authorization", self._known)] if self._known else []
        return [*bearer, *self._impersonation]


class Connection:
    """A cluster of a kubeconfig, or the one we run in.

    `name`: the context, "in-cluster" inside a Pod. `server`: the API server's URL, to be shown. `namespace`: the
    context's default. `warnings`: what the user should hear about the kubeconfig, a sentence each.
    Made by `aksp.kube.config.connect`; a context manager that closes the idle connections.
    """

    def __init__(
        self,
        *,
        name: str,
        server: str,
        namespace: str,
        warnings: tuple[str, ...],
        session: Session,
        renew: Callable[[], Session],
        connect_timeout: float,
        read_timeout: float,
        user_agent: str,
        compress: bool,
    ) -> None:
        self.name = name
        self.server = server
        self.namespace = namespace
        self.warnings = warnings
        self._session = session
        self._renew = renew
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._fixed = [("Accept", "application/json"), ("User-Agent", user_agent)]
        self._fixed += [("Accept-Encoding", "gzip" if compress else "identity")]
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections; the object stays usable."""
        self._session.pool.clear()

    def get(
        self, path: str, *, query: Mapping[str, str] | None = None, cancellation: Cancellation | None = None
    ) -> Response:
        """GET `path` (from the root, e.g. "/version") once; an answer of 200 whose body is JSON.

        On 401 the credentials are loaded again (kubeconfig, token file, exec plugin) and the request is made once more.
        Raises the exceptions of `aksp.kube.errors`, Forbidden, and ClusterError when the credentials cannot be loaded.
        """
        answer = self._exchange(_Call(method="GET", path=path, query=query), cancellation)
        if answer.status != 200:
            raise errors.refusal(answer.status, answer.headers, answer.body, where=self.server + path)
        self._must_be_json(answer.headers, path)
        return answer

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        timeout: float | None = None,
        cancellation: Cancellation | None = None,
    ) -> Response:
        """One request that may change something; any 2xx answer. 401 is handled as by `get`.

        Never repeats what the server may have done already: see `aksp.kube.objects` for what may be repeated.
        `timeout`: seconds for connecting and for each silence of the server, instead of the connection's own.
        Raises as `get` does; also Conflict, AlreadyExists (409) and Invalid (422).
        """
        call = _Call(method=method, path=path, query=query, body=body, content_type=content_type, timeout=timeout)
        answer = self._exchange(call, cancellation)
        if not 200 <= answer.status < 300:
            raise errors.refusal(answer.status, answer.headers, answer.body, where=self.server + path, method=method)
        if answer.body:
            self._must_be_json(answer.headers, path)
        return answer

    def lines(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        cancellation: Cancellation | None = None,
        silence: float = 330.0,
        opened: Callable[[], object] = lambda: None,
    ) -> Iterator[bytes]:
        """A GET whose answer goes on (a watch): its lines as they come, without line ends, until the server ends it.

        It also ends when it is cancelled; use `contextlib.closing` where the loop may be left early. Nothing is sent
        before the first line is asked for, and the answer's beginning must come within the usual read time-out.
        `silence`: after so many seconds without a byte the connection counts as dead. `opened` is called once the
        server has agreed, which may be long before the first line.
        Raises as `get` does; ServerError when the stream breaks off, is silent, or ends within a line.
        """
        import urllib3

        watch = cancellation or Cancellation()
        # Not compressed: a compressor may hold a line back, and kube-apiserver never compresses watches.
        call = _Call(method="GET", path=path, query=query, plain=True)
        where = self.server + path
        response: BaseHTTPResponse | None = None
        try:
            session = self._session
            response = self._open(session, call)
            if response.status == 401:
                response.close()
                response = None
                response = self._open(self._renewed(session), call)
            with watch.reading(response):
                if response.status != 200:
                    raise errors.refusal(
                        response.status, response.headers, response.read(), where=where, method="WATCH"
                    )
                self._must_be_json(response.headers, path)
                _long_lived(response, silence)
                opened()
                rest = b""
                while data := response.read1(READ_BYTES):
                    rest += data
                    if b"\n" in data:
                        *whole, rest = rest.split(b"\n")
                        for line in whole:
                            if watch.asked:
                                return
                            yield line
            if rest and not watch.asked:
                raise errors.truncated(where=where, size=len(rest))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if watch.asked:
                return
            if response is not None and isinstance(error, urllib3.exceptions.ReadTimeoutError):
                raise errors.silent(where=where, seconds=silence) from error
            raise self._broken(error, call) from error
        finally:
            if response is not None:
                # Closed, not given back: no other request waits behind what may still come.
                response.close()

    def _must_be_json(self, headers: Mapping[str, str], path: str) -> None:
        content = headers.get("Content-Type", "application/json").partition(";")[0].strip()
        if not content.endswith("json"):
            raise ClusterError(
                f"the server answers with {content}, not JSON: it is not a Kubernetes API server",
                where=self.server + path,
                hint="check `server` of the cluster in the kubeconfig; a proxy may want a login",
            )

    def _renewed(self, refused: Session) -> Session:
        """A session with other credentials than the refused one, loaded once for all threads that were refused."""
        with self._lock:
            if self._session is refused:
                self._session = self._renew()
                refused.pool.clear()
            return self._session

    def _exchange(self, call: _Call, cancellation: Cancellation | None) -> Response:
        """One request and its whole answer; a second one with other credentials after 401."""
        session = self._session
        answer = self._whole(session, call, cancellation)
        if answer.status == 401:
            answer = self._whole(self._renewed(session), call, cancellation)
        return answer

    def _whole(self, session: Session, call: _Call, cancellation: Cancellation | None) -> Response:
        import urllib3

        watch = cancellation or Cancellation()
        try:
            response = self._open(session, call)
            try:
                with watch.reading(response):
                    body = response.read()
            except BaseException:
                # Neither a broken connection nor one in the middle of a body may go back to the pool.
                response.close()
                raise
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._broken(error, call) from error
        return Response(status=response.status, headers=response.headers, body=body)

    def _open(self, session: Session, call: _Call) -> BaseHTTPResponse:
        """Send it and wait for the headers of the answer. Raises what urllib3 raises."""
        import urllib3

        headers = urllib3.HTTPHeaderDict(self._fixed)
        if call.plain:
            headers["Accept-Encoding"] = "identity"
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        for name, value in session.headers():
            headers.add(name, value)
        connect, read = self._timeouts(call)
        return session.pool.request(
            call.method,
            session.url + call.path + ("?" + urlencode(call.query) if call.query else ""),
            body=call.body,
            headers=headers,
            preload_content=False,
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(connect=connect, read=read),
        )

    def _timeouts(self, call: _Call) -> tuple[float, float]:
        return call.timeout or self._connect_timeout, call.timeout or self._read_timeout

    def _broken(self, error: Exception, call: _Call) -> ClusterError:
        where, (connect, read) = self.server + call.path, self._timeouts(call)
        return errors.broken(error, server=self.server, where=where, connect_seconds=connect, read_seconds=read)


class _Call(Struct, frozen=True, kw_only=True):
    """What is asked. `timeout` in seconds, None: the connection's own; `plain`: the answer must not be compressed."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: bytes | None = None
    content_type: str = "application/json"
    timeout: float | None = None
    plain: bool = False


def _as_header(credential: str | None) -> str | None:
    """A credential without the white space that files of tokens often end in. Raises KubeconfigError where no header can hold it."""
    value = (credential or "").strip()
    if not (value.isascii() and value.isprintable()):
        raise KubeconfigError(
            "the token holds characters that no token has (line ends, other than ASCII)",
            hint="check token or tokenFile of the user in the kubeconfig, or log in again",
        )
    return value or None


def _long_lived(response: BaseHTTPResponse, silence: float) -> None:
    """Make the socket wait `silence` seconds at most, and let the system ask whether the other side still lives.

    A server that says "Connection: close" takes the socket out of our reach: the usual time-outs stay, which end the
    stream too early rather than never.
    """
    link = getattr(response.connection, "sock", None)
    if link is None:
        return
    link.settimeout(silence)
    # A Unix socket or a system without these options has no such question.
    with contextlib.suppress(OSError, AttributeError):
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if hasattr(socket, name):
                link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
