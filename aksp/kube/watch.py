"""A list kept up to date: listed once, then watched, in a thread of its own, whatever happens to the server.

Kubernetes API Concepts, "Efficient detection of changes": a list has a resource version, from which a watch goes on;
bookmarks carry it forward where nothing changes; when it is too old the answer is 410 Gone, as HTTP status or as an
ERROR event, and the list must be read again. client-go's reflector does the same.
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from msgspec.structs import replace

from aksp.errors import ClusterError
from aksp.kube import errors
from aksp.kube.connection import Cancellation, Connection
from aksp.kube.fetch import PATIENT, Backoff, decoded
from aksp.kube.lists import PAGE_LIMIT, ListPage, list_pages

LIFETIME = (240, 480)
"""Seconds after which the server ends a watch, at random, so that not all watchers come back together."""
SLACK_SECONDS = 30.0
"""How much later than its promised end a silent watch counts as dead."""
SHORT_SECONDS = 1.0
"""A watch that ends sooner, without an event, is an error: something between us and the server does not let it live."""
DOUBTFUL = 5
"""After so many errors in a row the list is read again: the server may have another history now (restored etcd)."""
STOP_SECONDS = 1.0
"""How long `stop` waits for a request that cannot be interrupted; nothing is called back after it."""
CHANGES = frozenset({"ADDED", "MODIFIED", "DELETED"})
RESUMING = Backoff(first=1.0)

Troubled = Callable[[ClusterError], None]


def log(trouble: ClusterError) -> None:
    """Log a trouble: the default where no callback is given."""
    logging.getLogger("aksp.kube").warning("%s", trouble, exc_info=trouble.__cause__)


class Watch:
    """The objects of the list at `path` (see `kinds.list_path`), for ever.

    `replaced(objects)` is called with all of them after each list, `changed("ADDED" | "MODIFIED" | "DELETED", object)`
    for each change after it, `troubled(error)` for each error: NotServed while the kind is not installed, Forbidden,
    Unreachable, … After each the watch tries again, at first after a second, at last every 30. All are called in the
    watch's thread, none after `stop` has returned unless it was running then.

    With `paged` in place of `replaced` a list comes page by page as it was read, undecoded, `limit` objects each, and
    is tried for longer before it counts as an error. Its pages are all that there is once one has no continue_token; a
    page with `restart`, or with number 1, begins anew. `settled` is called when a list is done and when a watch is
    open: whatever was the trouble is over. A `path` that is to be looked up may be a function, called before each list,
    which raises as lists do.

    What a callback raises is told to `troubled`, as a ClusterError whose __cause__ it is, and the watch goes on; the
    list is read again when it was `replaced`. `synced` is set after the first list.
    """

    def __init__(
        self,
        connection: Connection,
        path: str | Callable[[], str],
        *,
        changed: Callable[[str, dict[str, Any]], None],
        replaced: Callable[[list[dict[str, Any]]], None] = lambda objects: None,
        paged: Callable[[ListPage], None] | None = None,
        limit: int = PAGE_LIMIT,
        troubled: Troubled = log,
        settled: Callable[[], None] = lambda: None,
        backoff: Backoff = RESUMING,
        label_selector: str | None = None,
        field_selector: str | None = None,
        lifetime: tuple[int, int] = LIFETIME,
        slack: float = SLACK_SECONDS,
    ) -> None:
        self.path = "" if callable(path) else path
        self.synced = threading.Event()
        self._connection = connection
        self._locate = path if callable(path) else lambda: path
        self._replaced = replaced
        self._paged = paged
        self._limit = limit
        self._changed = changed
        self._troubled = troubled
        self._settled = settled
        self._backoff = backoff
        self._selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        self._lifetime = lifetime
        self._slack = slack
        self._where = connection.server + self.path
        self._ending = Cancellation()
        self._failures = 0
        self._expired = False
        """Whether the last version was too old, and none has been followed since."""
        self._version: str | None = None
        """Where the watch goes on; None: the list must be read."""
        self._thread = threading.Thread(target=self._run, name="aksp-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def cancel(self) -> None:
        """Ask it to end, and do not wait. `stop` waits."""
        self._ending.cancel()

    def stop(self) -> None:
        """End it, within about a second. It cannot be started again."""
        self.cancel()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._ending.asked:
            try:
                if self._version is None:
                    self._list()
                self._follow()
            except errors.Expired as gone:
                self._version = None
                # Once is normal, above all after a restart of the API server. If a fresh list is too old again,
                # wait, so that the list is not read in a loop.
                if self._expired:
                    self._pause(gone)
                self._expired = True
            except ClusterError as error:
                if isinstance(error, errors.NotServed):
                    # The kind is not installed. When it is, its list must be read anew.
                    self._version = None
                self._pause(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, a watch that ends in silence is worse
                self._pause(errors.bug("the watch failed", error, where=self._where))

    def _list(self) -> None:
        self.path = self._locate()
        self._where = self._connection.server + self.path
        backoff = replace(PATIENT, sleep=self._backoff.sleep) if self._paged else replace(self._backoff, tries=1)
        pages = list_pages(
            self._connection,
            self.path,
            limit=self._limit,
            label_selector=self._selectors["labelSelector"],
            field_selector=self._selectors["fieldSelector"],
            backoff=backoff,
            cancellation=self._ending,
        )
        objects: list[dict[str, Any]] = []
        version = None
        with closing(pages):
            for page in pages:
                if self._ending.asked:
                    return
                if self._paged is not None:
                    self._paged(page)
                else:
                    if page.restart:
                        objects.clear()
                    objects += page.objects(self._where)
                version = page.resource_version
        if self._ending.asked:
            return
        if self._paged is None:
            try:
                self._replaced(objects)
            except Exception as error:
                raise errors.bug("a list could not be taken up", error, where=self._where) from error
        # "0" is any version that the server has at hand.
        self._version = version or "0"
        self.synced.set()
        self._settled()

    def _follow(self) -> None:
        """One watch, until the server ends it."""
        seconds = random.randint(*self._lifetime)
        began, events = time.monotonic(), 0
        query = {name: value for name, value in self._selectors.items() if value}
        query |= {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        query |= {"resourceVersion": self._version or "0"}
        lines = self._connection.lines(
            self.path,
            query=query,
            cancellation=self._ending,
            silence=seconds + self._slack,
            opened=self._settled,
        )
        with closing(lines):  # type: ignore[type-var]
            for line in lines:
                if self._ending.asked:
                    return
                self._take(decoded(line, where=self._where))
                events, self._failures, self._expired = events + 1, 0, False
        if not events and time.monotonic() - began < SHORT_SECONDS and not self._ending.asked:
            raise errors.ServerError(
                "the watch ended at once", where=self._where, hint="a proxy before the API server may not let it live"
            )
        self._failures, self._expired = 0, False

    def _take(self, event: dict[str, Any]) -> None:
        kind, thing = event.get("type"), event.get("object")
        if not isinstance(thing, dict):
            raise errors.ServerError("an event of the watch has no object", where=self._where)
        if kind == "ERROR":
            code = thing.get("code")
            status = code if isinstance(code, int) else 500
            raise errors.refusal(status, {}, json.dumps(thing).encode(), where=self._where, method="WATCH")
        if kind in CHANGES:
            try:
                self._changed(str(kind), thing)
            except Exception as error:  # noqa: BLE001 - the others' changes must still come through
                self._tell(errors.bug(f"a change ({kind}) could not be taken up", error, where=self._where))
        metadata = thing.get("metadata")
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        if isinstance(version, str) and version:
            self._version = version

    def _pause(self, error: ClusterError) -> None:
        if self._ending.asked:
            return
        self._failures += 1
        if self._failures % DOUBTFUL == 0:
            self._version = None
        self._tell(error)
        (self._backoff.sleep or self._ending.pause)(self._backoff.pause(self._failures, error))

    def _tell(self, trouble: ClusterError) -> None:
        try:
            self._troubled(trouble)
        except Exception:
            logging.getLogger("aksp.kube").exception("trouble that could not be told: %s", trouble)
