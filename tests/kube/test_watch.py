"""Streams and watches: resumed, listed again, ended; whatever the server does."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aksp.errors import ClusterError, Forbidden
from aksp.kube import errors
from aksp.kube.config import connect
from aksp.kube.connection import Cancellation
from aksp.kube.fetch import Backoff
from aksp.kube.lists import ListPage
from aksp.kube.watch import Watch
from tests.kube.apiserver import ApiServer, Authority, Reply, Request, document, kubeconfig, status
from tests.waiting import PATIENCE, until

PODS = "/api/v1/pods"


def pod(name: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": version}}


def line(kind: str, thing: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"


def listed(names: list[str], version: str) -> Reply:
    items = [pod(name, version) for name in names]
    return document({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items})


class Follower:
    """What a watch tells, in order; a fake server whose lists and watches are given in turn."""

    def __init__(
        self, folder: Path, lists: list[Reply], watches: list[Reply], authority: Authority | None = None
    ) -> None:
        self.told: queue.Queue[tuple[Any, ...]] = queue.Queue()
        self.pauses: list[float] = []
        self.over = threading.Event()
        self._lists, self.watches = lists, watches
        self._folder, self._authority = folder, authority
        self.options: dict[str, Any] = {"backoff": Backoff(sleep=self.pauses.append)}

    def answer(self, request: Request) -> Reply:
        if "watch" not in request.query:
            return self._lists.pop(0) if len(self._lists) > 1 else self._lists[0]
        # After the given ones a watch on which nothing happens.
        return self.watches.pop(0) if self.watches else Reply(stream=self.quiet())

    def quiet(self, *first: bytes) -> Iterator[bytes]:
        yield from first
        self.over.wait(PATIENCE)

    def replaced(self, objects: list[dict[str, Any]]) -> None:
        self.told.put(("replaced", [each["metadata"]["name"] for each in objects]))

    def changed(self, kind: str, thing: dict[str, Any]) -> None:
        self.told.put((kind, thing["metadata"]["name"]))

    def troubled(self, trouble: ClusterError) -> None:
        self.told.put(("troubled", trouble))

    def expect(self, *wanted: tuple[Any, ...]) -> None:
        for each in wanted:
            assert self.told.get(timeout=PATIENCE) == each

    def trouble(self) -> ClusterError:
        kind, trouble = self.told.get(timeout=PATIENCE)
        assert kind == "troubled"
        assert isinstance(trouble, ClusterError)
        return trouble

    def run(self, check: Callable[[Watch, ApiServer], None]) -> None:
        trust = {"certificate-authority-data": self._authority.base64} if self._authority else None
        with ApiServer(self.answer, authority=self._authority) as server:
            config = kubeconfig(self._folder, server.url, cluster=trust)
            with connect(None, config) as connection:
                watch = Watch(
                    connection,
                    PODS,
                    replaced=self.replaced,
                    changed=self.changed,
                    troubled=self.troubled,
                    **self.options,
                )
                watch.start()
                try:
                    check(watch, server)
                finally:
                    began = time.monotonic()
                    watch.stop()
                    assert time.monotonic() - began < 10
                    self.over.set()


def watched(server: ApiServer) -> list[str]:
    """The resource versions that were watched from."""
    return [each.query["resourceVersion"] for each in server.requests if "watch" in each.query]


def test_a_list_and_then_its_changes(tmp_path: Path, authority: Authority) -> None:
    follower = Follower(tmp_path, [listed(["a"], "5")], [], authority)
    whole = line("ADDED", pod("b", "6")) + line("MODIFIED", pod("b", "7")) + line("DELETED", pod("a", "8"))
    follower.watches = [Reply(stream=follower.quiet(whole[:10], whole[10:100], whole[100:]))]

    def check(watch: Watch, server: ApiServer) -> None:
        follower.expect(("replaced", ["a"]), ("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "a"))
        assert watch.synced.is_set()
        asked = server.requests[-1].query
        assert asked["resourceVersion"] == "5" and asked["allowWatchBookmarks"] == "true"
        assert 240 <= int(asked["timeoutSeconds"]) <= 480

    follower.run(check)


def test_a_watch_that_ends_goes_on_where_it_was_bookmarks_included(tmp_path: Path) -> None:
    bookmark = line("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
    watches = [Reply(stream=[line("ADDED", pod("b", "6"))]), Reply(stream=[bookmark])]
    follower = Follower(tmp_path, [listed([], "5")], watches)

    def check(watch: Watch, server: ApiServer) -> None:
        follower.expect(("replaced", []), ("ADDED", "b"))
        until(lambda: watched(server) == ["5", "6", "9"])
        assert follower.told.empty() and follower.pauses == []

    follower.run(check)


@pytest.mark.parametrize(
    "gone",
    [status(410, "too old"), Reply(stream=[line("ERROR", {"kind": "Status", "code": 410, "message": "too old"})])],
    ids=["HTTP", "event"],
)
def test_a_version_that_is_too_old_means_a_new_list(tmp_path: Path, gone: Reply) -> None:
    follower = Follower(tmp_path, [listed(["a"], "5"), listed(["b"], "50")], [gone])

    def check(watch: Watch, server: ApiServer) -> None:
        follower.expect(("replaced", ["a"]), ("replaced", ["b"]))
        until(lambda: watched(server) == ["5", "50"])
        assert follower.told.empty() and follower.pauses == []

    follower.run(check)


def test_lists_that_are_too_old_at_once_are_not_read_in_a_loop(tmp_path: Path) -> None:
    follower = Follower(tmp_path, [listed([], "5")], [status(410, "too old")] * 3)

    def check(watch: Watch, server: ApiServer) -> None:
        follower.expect(("replaced", []), ("replaced", []))
        assert isinstance(follower.trouble(), errors.Expired)
        until(lambda: len(follower.pauses) == 2)

    follower.run(check)


def test_other_faults_are_told_and_the_watch_resumes_with_growing_pauses(tmp_path: Path) -> None:
    internal = line("ERROR", {"kind": "Status", "code": 500, "message": "etcd"})
    watches = [
        status(503, "starting", Retry_After="7"),
        Reply(stream=[internal]),
        Reply(stream=[b'{"type": "ADD']),
        Reply(stream=[b"{nothing}\n"]),
    ]
    follower = Follower(tmp_path, [listed([], "5")], watches)

    def check(watch: Watch, server: ApiServer) -> None:
        follower.expect(("replaced", []))
        said = [follower.trouble().what for _ in range(4)]
        assert "failed (503)" in said[0] and "etcd" in said[1] and "cut off" in said[2] and "not JSON" in said[3]
        until(lambda: len(watched(server)) == 5)
        assert set(watched(server)) == {"5"}
        assert follower.pauses[0] == 7.0

    follower.run(check)


def test_a_watch_that_always_ends_at_once_is_not_asked_for_in_a_loop(tmp_path: Path) -> None:
    follower = Follower(tmp_path, [listed([], "5")], [Reply(stream=[])])

    def check(watch: Watch, server: ApiServer) -> None:
        follower.expect(("replaced", []))
        assert "ended at once" in follower.trouble().what
        until(lambda: len(follower.pauses) == 1)

    follower.run(check)


def test_a_kind_that_is_missing_or_forbidden_is_waited_for(tmp_path: Path) -> None:
    lists = [status(404, "page not found"), status(403, "no"), listed(["a"], "5")]
    follower = Follower(tmp_path, lists, [])

    def check(watch: Watch, server: ApiServer) -> None:
        assert isinstance(follower.trouble(), errors.NotServed)
        assert isinstance(follower.trouble(), Forbidden)
        follower.expect(("replaced", ["a"]))
        assert len(follower.pauses) == 2

    follower.run(check)


def test_after_many_faults_in_a_row_the_list_is_read_again(tmp_path: Path) -> None:
    follower = Follower(tmp_path, [listed(["a"], "500"), listed(["b"], "5")], [status(500, "x")] * 5)

    def check(watch: Watch, server: ApiServer) -> None:
        follower.expect(("replaced", ["a"]))
        for _ in range(5):
            follower.trouble()
        follower.expect(("replaced", ["b"]))

    follower.run(check)


def test_callbacks_that_fail_are_told_and_nothing_is_missed(tmp_path: Path) -> None:
    follower = Follower(tmp_path, [listed(["a"], "5")], [])
    follower.watches = [Reply(stream=follower.quiet(line("ADDED", pod("bad", "6")), line("ADDED", pod("good", "7"))))]
    told_of = follower.changed
    failed: list[Any] = []

    def changed(kind: str, thing: dict[str, Any]) -> None:
        if thing["metadata"]["name"] == "bad":
            raise KeyError("spec")
        told_of(kind, thing)

    def replaced(objects: list[dict[str, Any]]) -> None:
        if not failed:
            failed.append(objects)
            raise ZeroDivisionError
        follower.told.put(("replaced", len(objects)))

    follower.changed, follower.replaced = changed, replaced  # type: ignore[method-assign]

    def check(watch: Watch, server: ApiServer) -> None:
        assert isinstance(follower.trouble().__cause__, ZeroDivisionError)
        follower.expect(("replaced", 1))
        trouble = follower.trouble()
        assert isinstance(trouble.__cause__, KeyError) and "ADDED" in trouble.what
        follower.expect(("ADDED", "good"))

    follower.run(check)


def test_trouble_that_cannot_be_told_does_not_end_the_watch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    follower = Follower(tmp_path, [status(500, "etcd"), listed(["a"], "5")], [])

    def troubled(_: ClusterError) -> None:
        raise RuntimeError("no ear")

    follower.troubled = troubled  # type: ignore[method-assign, assignment]
    follower.run(lambda watch, server: follower.expect(("replaced", ["a"])))
    assert "could not be told" in caplog.text


def test_a_server_that_vanished_without_a_word_is_noticed(tmp_path: Path, authority: Authority) -> None:
    follower = Follower(tmp_path, [listed([], "5")], [], authority)
    follower.options |= {"lifetime": (0, 0), "slack": 0.1}

    def check(watch: Watch, server: ApiServer) -> None:
        follower.expect(("replaced", []))
        assert "nothing came for 0.1 s" in follower.trouble().what
        until(lambda: len(watched(server)) >= 2)

    follower.run(check)


def test_selectors_are_asked_for_in_lists_and_watches(tmp_path: Path) -> None:
    follower = Follower(tmp_path, [listed([], "5")], [])
    follower.options |= {"field_selector": "metadata.name=a"}

    def check(watch: Watch, server: ApiServer) -> None:
        until(lambda: watched(server))
        assert [each.query["fieldSelector"] for each in server.requests] == ["metadata.name=a"] * 2

    follower.run(check)


def test_a_pause_ends_when_the_watch_is_stopped(tmp_path: Path) -> None:
    follower = Follower(tmp_path, [status(500, "etcd")], [])
    follower.options["backoff"] = Backoff(first=30.0)

    def check(watch: Watch, server: ApiServer) -> None:
        follower.trouble()

    follower.run(check)


def test_a_cancelled_stream_ends(tmp_path: Path, authority: Authority) -> None:
    follower = Follower(tmp_path, [listed([], "5")], [], authority)
    trust = {"certificate-authority-data": authority.base64}
    with (
        ApiServer(follower.answer, authority=authority) as server,
        connect(None, kubeconfig(tmp_path, server.url, cluster=trust)) as connection,
    ):
        follower.watches = [Reply(stream=follower.quiet(b"one\n", b"two\nthr"))]
        ending = Cancellation()
        got = []
        for each in connection.lines(PODS, query={"watch": "true"}, cancellation=ending):
            got.append(each)
            if len(got) == 2:
                threading.Timer(0.05, ending.cancel).start()
        follower.over.set()
    assert got == [b"one", b"two"]


def pages(request: Request) -> Reply:
    if request.query.get("continue"):
        return document({"kind": "PodList", "metadata": {"resourceVersion": "6"}, "items": []})
    metadata = {"resourceVersion": "6", "continue": "more"}
    return document({"kind": "PodList", "metadata": metadata, "items": [pod("a", "5")]})


def test_a_list_can_come_page_by_page_and_a_path_can_be_looked_up(tmp_path: Path) -> None:
    follower = Follower(tmp_path, [listed([], "5")], [])
    missing = [errors.NotServed("not yet")]

    def locate() -> str:
        if missing:
            raise missing.pop()
        return PODS

    def paged(page: ListPage) -> None:
        follower.told.put(("page", page.number, json.loads(page.body)["items"] != [], page.continue_token))

    def answer(request: Request) -> Reply:
        return follower.answer(request) if "watch" in request.query else pages(request)

    with ApiServer(answer) as server, connect(None, kubeconfig(tmp_path, server.url)) as connection:
        watch = Watch(
            connection,
            locate,
            changed=follower.changed,
            paged=paged,
            limit=1,
            troubled=follower.troubled,
            settled=lambda: follower.told.put(("settled", watch.synced.is_set())),
            backoff=Backoff(sleep=follower.pauses.append),
        )
        watch.start()
        assert isinstance(follower.trouble(), errors.NotServed)
        # A list that is done, and then the watch that is open.
        follower.expect(("page", 1, True, "more"), ("page", 2, False, None), ("settled", True), ("settled", True))
        assert watched(server) == ["6"] and watch.path == PODS
        assert server.requests[0].query["limit"] == "1"
        watch.stop()
        follower.over.set()


def test_a_page_that_cannot_be_had_is_tried_for_longer_before_it_is_trouble(tmp_path: Path) -> None:
    answers = iter([status(503, "busy")] * 3)
    follower = Follower(tmp_path, [listed([], "5")], [])

    def answer(request: Request) -> Reply:
        return follower.answer(request) if "watch" in request.query else next(answers, None) or pages(request)

    with ApiServer(answer) as server, connect(None, kubeconfig(tmp_path, server.url)) as connection:
        watch = Watch(
            connection,
            PODS,
            changed=follower.changed,
            paged=lambda page: follower.told.put(("page", page.number)),
            troubled=follower.troubled,
            backoff=Backoff(sleep=follower.pauses.append),
        )
        watch.start()
        follower.expect(("page", 1), ("page", 2))
        assert len(follower.pauses) == 3
        watch.stop()
        follower.over.set()


def test_a_watch_that_is_told_to_end_ends_by_itself(tmp_path: Path, authority: Authority) -> None:
    follower = Follower(tmp_path, [listed([], "5")], [], authority)

    def check(watch: Watch, server: ApiServer) -> None:
        follower.expect(("replaced", []))
        until(lambda: watched(server))
        watch.cancel()
        until(lambda: all(each.name != "aksp-watch" for each in threading.enumerate()))

    follower.run(check)
