"""Lists page by page, one ahead."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from aksp.errors import Forbidden, InvalidInput
from aksp.kube.config import connect
from aksp.kube.connection import Connection
from aksp.kube.errors import ServerError
from aksp.kube.fetch import Backoff
from aksp.kube.lists import MAX_RESTARTS, ListPage, list_pages
from tests import waiting
from tests.kube.apiserver import Answer, ApiServer, Reply, Request, kubeconfig, page, status, three_pages
from tests.waiting import PATIENCE

PODS = "/api/v1/pods"
SOON = Backoff(first=0.001)


@contextmanager
def cluster(folder: Path, answer: Answer) -> Iterator[tuple[Connection, ApiServer]]:
    with ApiServer(answer) as server, connect(None, kubeconfig(folder, server.url)) as connection:
        yield connection, server


def names(taken: ListPage) -> list[str]:
    return [item["metadata"]["name"] for item in json.loads(taken.body)["items"]]


def listing_threads() -> int:
    return sum(thread.name == "aksp-list" for thread in threading.enumerate())


def until(happened: threading.Event) -> None:
    assert happened.wait(PATIENCE)


def test_a_list_comes_in_pages_as_the_server_sent_them(tmp_path: Path) -> None:
    with cluster(tmp_path, three_pages) as (connection, server):
        pages = list(list_pages(connection, PODS, limit=2))
        assert [names(each) for each in pages] == [["a", "b"], ["c", "d"], ["e"]]
        assert [(each.number, each.remaining, each.continue_token, each.restart) for each in pages] == [
            (1, 3, "two", False),
            (2, 1, "three", False),
            (3, None, None, False),
        ]
        assert pages[0].body.endswith(b"\n")
        assert pages[0].resource_version == "7"
        assert [dict(request.query) for request in server.requests] == [
            {"limit": "2"},
            {"limit": "2", "continue": "two"},
            {"limit": "2", "continue": "three"},
        ]


def test_the_next_page_is_fetched_while_one_is_held_and_only_that(tmp_path: Path) -> None:
    second = threading.Event()

    def answer(request: Request) -> Reply:
        if request.query.get("continue") == "two":
            second.set()
        return three_pages(request)

    with cluster(tmp_path, answer) as (connection, server), closing(list_pages(connection, PODS)) as pages:
        next(pages)
        until(second)
        # With the page held, it is its thread that would go on.
        waiting.until(lambda: listing_threads() == 0)
        assert len(server.requests) == 2


def test_selectors_and_no_limit_are_sent(tmp_path: Path) -> None:
    with cluster(tmp_path, lambda _: page(["a"], token="ignored")) as (connection, server):
        pages = list(list_pages(connection, PODS, limit=None, label_selector="app in (a,b)", field_selector="x!=y"))
        assert len(pages) == 1
        assert dict(server.requests[0].query) == {"labelSelector": "app in (a,b)", "fieldSelector": "x!=y"}


def test_a_selector_that_the_server_does_not_understand_is_the_users(tmp_path: Path) -> None:
    with (
        cluster(tmp_path, lambda _: status(400, "unable to parse requirement")) as (connection, _),
        pytest.raises(InvalidInput, match=r"labelSelector=a in: .*unable to parse"),
    ):
        list(list_pages(connection, PODS, label_selector="a in"))


@pytest.mark.parametrize("metadata", [{"remainingItemCount": 5}, {"continue": 5}, {"continue": ["x"]}])
def test_a_part_of_a_list_of_which_the_rest_cannot_be_had_is_an_error(metadata: object, tmp_path: Path) -> None:
    document = {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": []}
    with (
        cluster(tmp_path, lambda _: Reply(body=json.dumps(document).encode())) as (connection, _),
        pytest.raises(ServerError, match="the list"),
    ):
        list(list_pages(connection, PODS))


def test_a_list_that_asks_for_itself_again_ends(tmp_path: Path) -> None:
    with (
        cluster(tmp_path, lambda _: page(["a"], token="same")) as (connection, server),
        pytest.raises(ServerError, match="asks for itself again"),
    ):
        list(list_pages(connection, PODS))
    assert len(server.requests) == 2


def test_a_list_of_custom_resources_has_its_metadata_last(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        token = "" if "continue" in request.query else "more"
        document = {"apiVersion": "x/v1", "items": [], "kind": "YList", "metadata": {"continue": token}}
        return Reply(body=json.dumps(document, separators=(",", ":")).encode())

    with cluster(tmp_path, answer) as (connection, _):
        assert [each.continue_token for each in list_pages(connection, "/apis/x/v1/ys")] == ["more", None]


def test_spaces_in_the_json_do_not_end_a_list(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        return Reply(body=json.dumps(json.loads(three_pages(request).body), indent=2).encode())

    with cluster(tmp_path, answer) as (connection, _):
        assert [each.number for each in list_pages(connection, PODS)] == [1, 2, 3]


def test_an_expired_token_restarts_the_list_and_says_so(tmp_path: Path) -> None:
    gone = iter([True])

    def answer(request: Request) -> Reply:
        if request.query.get("continue") == "three" and next(gone, False):
            return status(410, "The provided continue parameter is too old")
        return three_pages(request)

    with cluster(tmp_path, answer) as (connection, _):
        taken = [(each.number, each.restart, names(each)) for each in list_pages(connection, PODS, limit=2)]
    assert taken == [
        (1, False, ["a", "b"]),
        (2, False, ["c", "d"]),
        (1, True, ["a", "b"]),
        (2, False, ["c", "d"]),
        (3, False, ["e"]),
    ]


def test_a_list_that_keeps_expiring_is_asked_for_in_one_piece(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        if "limit" not in request.query:
            return page(["a", "b", "c", "d", "e"])
        return status(410, "too old") if "continue" in request.query else three_pages(request)

    with cluster(tmp_path, answer) as (connection, _):
        pages = list(list_pages(connection, PODS, limit=2))
    assert [each.restart for each in pages] == [False, *[True] * (MAX_RESTARTS + 1)]
    assert names(pages[-1]) == ["a", "b", "c", "d", "e"]


def test_a_list_that_expires_even_in_one_piece_is_given_up(tmp_path: Path) -> None:
    with cluster(tmp_path, lambda _: status(410, "too old")) as (connection, server):
        with pytest.raises(ServerError, match="did not hold still"):
            list(list_pages(connection, PODS))
        assert len(server.requests) == MAX_RESTARTS + 2


def test_a_failing_page_is_repeated_with_its_token(tmp_path: Path) -> None:
    failures = iter(
        [status(500, "etcd"), Reply(body=b'{"items":[1,2,3]}', cut=5), status(429, "busy", Retry_After="0")]
    )

    def answer(request: Request) -> Reply:
        if request.query.get("continue") == "two" and (failure := next(failures, None)):
            return failure
        return three_pages(request)

    retries: list[str] = []
    with cluster(tmp_path, answer) as (connection, server):
        pages = list_pages(connection, PODS, backoff=SOON, on_retry=lambda retry: retries.append(retry.reason))
        assert [each.number for each in pages] == [1, 2, 3]
        assert [request.query.get("continue") for request in server.requests].count("two") == 4
    assert len(retries) == 3


def test_an_error_of_a_later_page_comes_after_the_pages_before(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        return status(403, "no more") if "continue" in request.query else three_pages(request)

    with cluster(tmp_path, answer) as (connection, _):
        pages = list_pages(connection, PODS)
        assert names(next(pages)) == ["a", "b"]
        with pytest.raises(Forbidden, match="no more"):
            next(pages)


def test_stopping_early_ends_the_thread_in_the_middle_of_a_body(tmp_path: Path) -> None:
    midway, go_on = threading.Event(), threading.Event()

    def pause() -> None:
        midway.set()
        go_on.wait(PATIENCE)

    def answer(request: Request) -> Reply:
        if "continue" in request.query:
            return Reply(body=three_pages(request).body, midway=pause)
        return three_pages(request)

    with cluster(tmp_path, answer) as (connection, _):
        with closing(list_pages(connection, PODS)) as pages:
            next(pages)
            until(midway)
            assert listing_threads() == 1
            before = time.monotonic()
        assert time.monotonic() - before < 10
        assert listing_threads() == 0
        go_on.set()


def test_stopping_early_ends_a_pause_between_attempts(tmp_path: Path) -> None:
    busy = threading.Event()

    def answer(request: Request) -> Reply:
        return status(429, "busy", Retry_After="30") if "continue" in request.query else three_pages(request)

    with cluster(tmp_path, answer) as (connection, _):
        with closing(list_pages(connection, PODS, on_retry=lambda _: busy.set())) as pages:
            next(pages)
            until(busy)
            before = time.monotonic()
        assert time.monotonic() - before < 10
        assert listing_threads() == 0


def test_an_interrupt_in_the_consumer_ends_the_thread(tmp_path: Path) -> None:
    with cluster(tmp_path, three_pages) as (connection, _):
        with pytest.raises(KeyboardInterrupt), closing(list_pages(connection, PODS)) as pages:
            for _each in pages:
                raise KeyboardInterrupt
        assert listing_threads() == 0


def test_nothing_is_asked_before_the_first_page_is_wanted(tmp_path: Path) -> None:
    with cluster(tmp_path, three_pages) as (connection, server):
        list_pages(connection, PODS).close()
        assert server.requests == []
