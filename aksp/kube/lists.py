"""Lists in pages of raw JSON, the next page on its way while the caller works on this one.

Kubernetes API Concepts, "Retrieving large results sets in chunks": a list with `limit` gives `metadata.continue`, which
asks for the next page of the same snapshot; after some minutes the answer is 410 Gone, and the list must start again.
https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aksp.errors import InvalidInput
from aksp.kube import errors
from aksp.kube.connection import Cancellation, Connection
from aksp.kube.fetch import PATIENT, Backoff, OnRetry, decoded, fetch
from aksp.model.fields import metadata_of

PAGE_LIMIT = 500
"""Objects per page: kubectl's --chunk-size."""
MAX_RESTARTS = 3
"""How often a list starts again after 410 before it is asked for in one piece."""
HEAD_BYTES = 8192
"""Where the items must begin for the metadata to be read alone: a continue token has some hundred bytes."""
CLOSE_SECONDS = 2.0
"""How long an early stop waits for a request that cannot be interrupted (connecting, waiting for an answer)."""
POLL_SECONDS = 0.5
"""How often a wait looks up: where signals do not interrupt a lock (Windows), Ctrl-C works within this time."""
ITEMS = b'"items":['


class ListPage(Struct, frozen=True, kw_only=True):
    """One page of a list.

    `body`: the answer, raw JSON. `number` counts from 1. `restart`: the list began anew, whatever was taken from its
    earlier pages must be dropped. `continue_token`: None on the last page. `remaining`: how many objects follow this
    page, None when the server does not say (it does not with selectors). `resource_version`: of the snapshot.
    """

    body: bytes
    number: int
    restart: bool
    continue_token: str | None
    remaining: int | None
    resource_version: str | None

    def objects(self, where: str) -> list[dict[str, Any]]:
        """Its objects, each with apiVersion and kind. Raises ServerError, which names ``where``."""
        document = decoded(self.body, where=where)
        # Objects in lists of built-in kinds do not say what they are; the list does.
        named = {"apiVersion": document.get("apiVersion"), "kind": str(document.get("kind")).removesuffix("List")}
        return [named | each for each in document.get("items") or () if isinstance(each, dict)]


def list_pages(
    connection: Connection,
    path: str,
    *,
    limit: int | None = PAGE_LIMIT,
    label_selector: str | None = None,
    field_selector: str | None = None,
    backoff: Backoff = PATIENT,
    on_retry: OnRetry | None = None,
    cancellation: Cancellation | None = None,
    begin: Callable[[bytes], None] | None = None,
) -> Generator[ListPage, None, None]:
    """The pages of the list at `path` (see `kinds.list_path`). `limit` None asks for everything at once.

    `begin` is called with each page's body as soon as it is there, in the thread that fetches it: with one page more than
    is taken where the list ends early.

    At most one page is fetched ahead, in a daemon thread, which also calls `on_retry`. The thread ends with the
    generator: use `contextlib.closing` where the loop may be left early. `cancellation` lets another thread end the
    list, which then raises whatever it last met; leaving the loop early uses it up.

    Raises Forbidden, NotServed, ServerError (gaps where other kinds are answered), InvalidInput for a selector that the
    server does not understand, and other ClusterErrors (the end).
    """
    selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
    query = {name: value for name, value in selectors.items() if value}
    ending = cancellation or Cancellation()

    def asked(
        token: str | None, number: int, size: int | None, restart: bool
    ) -> tuple[threading.Thread, Future[ListPage]]:
        chunk = {"limit": str(size)} if size else {}
        chunk |= {"continue": token} if token else {}

        def work() -> ListPage:
            body = fetch(connection, path, query=query | chunk, backoff=backoff, on_retry=on_retry, cancellation=ending)
            page = _read(body, number=number, restart=restart, where=connection.server + path)
            # Without a limit the list is whole, whatever it says.
            page = page if size else replace(page, continue_token=None)
            if page.continue_token is not None and page.continue_token == token:
                raise errors.ServerError(
                    "the answer asks for itself again: its continue token is the one it was asked with",
                    where=connection.server + path,
                )
            if begin is not None:
                begin(body)
            return page

        return _begun(work)

    restarts = 0
    thread, ahead = asked(None, 1, limit, False)
    try:
        while True:
            try:
                while thread.is_alive():
                    thread.join(POLL_SECONDS)
                page = ahead.result()
            except errors.Expired as gone:
                if restarts > MAX_RESTARTS:
                    raise errors.ServerError(
                        f"the list did not hold still: {restarts} times {gone.what}", where=gone.where, status=410
                    ) from gone
                restarts += 1
                thread, ahead = asked(None, 1, limit if restarts <= MAX_RESTARTS else None, True)
                continue
            except errors.BadRequest as error:
                if not query:
                    raise
                given = ", ".join(f"{name}={value}" for name, value in query.items())
                hint = "write it as for `kubectl get -l`: key=value, key!=value, key in (a,b), key, !key"
                raise InvalidInput(f"{given}: {error.what}", hint=hint) from error
            if page.continue_token is None:
                yield page
                return
            thread, ahead = asked(page.continue_token, page.number + 1, limit, False)
            yield page
    finally:
        if thread.is_alive():
            ending.cancel()
            thread.join(CLOSE_SECONDS)


def _begun(work: Callable[[], ListPage]) -> tuple[threading.Thread, Future[ListPage]]:
    """One page in the making, in a thread of its own.

    A daemon: a server that neither answers nor hangs up must not hold the process. One thread a page costs some 50 µs,
    and nothing is left running between pages.
    """
    page: Future[ListPage] = Future()

    def run() -> None:
        try:
            page.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asks for the result
            page.set_exception(error)

    thread = threading.Thread(target=run, name="aksp-list", daemon=True)
    thread.start()
    return thread, page


def _read(body: bytes, *, number: int, restart: bool, where: str) -> ListPage:
    """Raises ServerError for a page after which more follows that cannot be asked for."""
    metadata = _metadata(body, where)
    remaining = metadata.get("remainingItemCount")
    version = metadata.get("resourceVersion")
    token = metadata.get("continue") or None
    if token is None and isinstance(remaining, int) and remaining > 0:
        raise errors.ServerError(
            f"the list is a part: {remaining} more objects follow, and no continue token asks for them", where=where
        )
    if not isinstance(token, str | None):
        raise errors.ServerError("the list's continue token is no text", where=where)
    return ListPage(
        body=body,
        number=number,
        restart=restart,
        continue_token=token,
        remaining=remaining if isinstance(remaining, int) else None,
        resource_version=version if isinstance(version, str) else None,
    )


def _metadata(body: bytes, where: str) -> Mapping[str, Any]:
    """The list's own metadata.

    The API server writes built-in lists as kind, apiVersion, metadata, items: what stands before the items is enough.
    Lists of custom resources have their keys sorted, the metadata last, and are decoded as a whole.
    """
    at = body.find(ITEMS, 0, HEAD_BYTES)
    if at >= 0:
        try:
            head = json.loads(body[:at] + ITEMS + b"]}")
        except (ValueError, RecursionError):
            head = {}
        if isinstance(metadata := head.get("metadata"), dict):
            return metadata
    return metadata_of(decoded(body, where=where))
