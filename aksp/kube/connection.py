"""One cluster, spoken to as bytes: `Connection.get` makes one attempt and answers what came."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

from aksp.errors import ClusterError
from aksp.kube import faults

if TYPE_CHECKING:
    from urllib3 import PoolManager
    from urllib3.response import BaseHTTPResponse

CREDENTIAL_SECONDS = 30.0
"""How long a credential is used before the `kubernetes` package is asked whether it expires.

The package runs an exec plugin again whenever less than five minutes are left: with a token that short-lived it would
run the plugin for every page.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
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
        """Wake whoever pauses, and end the body that is being read."""
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
                self._known = self._credential()
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
    ) -> Answer:
        """GET `path` (from the root, e.g. "/version") once; an answer of 200 whose body is JSON.

        On 401 the credentials are loaded again (kubeconfig, token file, exec plugin) and the request is made once more.
        Raises the exceptions of `aksp.kube.faults`, Forbidden, and ClusterError when the credentials cannot be loaded.
        """
        session = self._session
        answer = self._send(session, path, query, cancellation)
        if answer.status == 401:
            answer = self._send(self._renewed(session), path, query, cancellation)
        where = self.server + path
        if answer.status != 200:
            raise faults.refusal(answer.status, answer.headers, answer.body, where=where)
        content = answer.headers.get("Content-Type", "application/json").partition(";")[0].strip()
        if not content.endswith("json"):
            raise ClusterError(
                f"the server answers with {content}, not JSON: it is not a Kubernetes API server",
                where=where,
                hint="check `server` of the cluster in the kubeconfig; a proxy may want a login",
            )
        return answer

    def _renewed(self, refused: Session) -> Session:
        """A session with other credentials than the refused one, loaded once for all threads that were refused."""
        with self._lock:
            if self._session is refused:
                self._session = self._renew()
                refused.pool.clear()
            return self._session

    def _send(
        self, session: Session, path: str, query: Mapping[str, str] | None, cancellation: Cancellation | None
    ) -> Answer:
        import urllib3

        headers = urllib3.HTTPHeaderDict(self._fixed)
        for name, value in session.headers():
            headers.add(name, value)
        url = session.url + path + ("?" + urlencode(query) if query else "")
        watch = cancellation or Cancellation()
        try:
            response = session.pool.request(
                "GET",
                url,
                headers=headers,
                preload_content=False,
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=self._connect_timeout, read=self._read_timeout),
            )
            try:
                with watch.reading(response):
                    body = response.read()
            except BaseException:
                # Neither a broken connection nor one in the middle of a body may go back to the pool.
                response.close()
                raise
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise faults.broken(
                error,
                server=self.server,
                where=self.server + path,
                connect_seconds=self._connect_timeout,
                read_seconds=self._read_timeout,
            ) from error
        return Answer(status=response.status, headers=response.headers, body=body)
