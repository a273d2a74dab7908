"""Lists and watches of an API server, as updates for whoever keeps a report."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aksp.engine import Engine
from aksp.errors import ClusterError, Forbidden, InvalidInput
from aksp.kube import errors
from aksp.kube.config import connect
from aksp.kube.fetch import Backoff
from aksp.live.inbox import Inbox
from aksp.live.source import LiveSource
from aksp.live.updates import KindNotServed, Lost, ObjectsChanged, Settled, Update
from aksp.model.definition import ResourceKind
from aksp.sources.interface import Wanted, documents_of
from aksp.sources.texts import list_of, text_of
from tests.compliance.builders import POD, SERVICE
from tests.kube.apiserver import ApiServer, Reply, Request, document, kubeconfig, status
from tests.replacing import replace
from tests.waiting import PATIENCE

INGRESS = ResourceKind(group="networking.k8s.io", kind="Ingress")
WIDGET = ResourceKind(group="test.aksp.io", kind="Widget")
Answer = Callable[[Request], Reply]


def thing(name: str, namespace: str = "shop", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "resourceVersion": "7"}, **more}


def listed(*things: dict[str, Any], kind: str = "Pod", **metadata: Any) -> Reply:
    version = "networking.k8s.io/v1" if kind == "Ingress" else "v1"
    return document(
        {"kind": f"{kind}List", "apiVersion": version, "metadata": {"resourceVersion": "5"} | metadata, "items": things}
    )


def event(what: str, one: dict[str, Any], kind: str = "Pod") -> bytes:
    return json.dumps({"type": what, "object": {"apiVersion": "v1", "kind": kind, **one}}).encode() + b"\n"


class Server:
    """Answers of an API server by the path of the list; on watches nothing happens but what `events` say."""

    def __init__(self, lists: dict[str, Answer | Reply], events: dict[str, Sequence[bytes]] | None = None) -> None:
        self.lists, self.events = lists, events or {}
        #: All that is to happen was sent; and the watches are to end.
        self.sent, self.over = threading.Event(), threading.Event()
        self.watched: list[tuple[str, str]] = []

    def answer(self, request: Request) -> Reply:
        if "watch" in request.query:
            self.watched.append((request.path, request.query.get("labelSelector", "")))
            return Reply(stream=self._stream(self.events.pop(request.path, ())))
        answer = self.lists.get(request.path, status(404, "not found"))
        return answer(request) if callable(answer) else answer

    def _stream(self, events: Sequence[bytes]) -> Iterator[bytes]:
        yield from events
        self.sent.set()
        self.over.wait(PATIENCE)


class Taken:
    """Updates as they are taken, batches released."""

    def __init__(self, watched: LiveSource, engine: Engine) -> None:
        self.watched, self.all = watched, list[Update]()
        self._engine = engine

    def until(self, wanted: Callable[[Sequence[Update]], object]) -> list[Update]:
        end = time.monotonic() + PATIENCE
        while not wanted(self.all):
            assert time.monotonic() < end, self.all
            for update in self.watched.take(0.1):
                if isinstance(update, ObjectsChanged) and update.batch is not None:
                    self._engine.release(update.batch)
                self.all.append(update)
        return self.all

    def objects(self, kind: ResourceKind = POD) -> list[ObjectsChanged]:
        return [one for one in self.all if isinstance(one, ObjectsChanged) and one.listing.kind == kind]


@contextmanager
def following(
    engine: Engine, folder: Path, server: Server, kinds: Sequence[ResourceKind] = (POD,), *, whole: Sequence[ResourceKind] = (), **more: Any
) -> Iterator[Taken]:  # fmt: skip
    with ApiServer(server.answer) as api, connect(None, kubeconfig(folder, api.url)) as connection:
        wanted = Wanted(kinds=kinds, whole=whole)
        watched = LiveSource(
            engine, connection, wanted, backoff=Backoff(first=0.01, sleep=time.sleep, longest=0.05), **more
        )
        try:
            with watched:
                yield Taken(watched, engine)
        finally:
            server.over.set()


def names(update: Update) -> list[str]:
    assert isinstance(update, ObjectsChanged)
    return [one.resource.name for one in update.documents]


def settled(updates: Sequence[Update]) -> bool:
    return any(isinstance(one, Settled) for one in updates)


def test_a_list_comes_page_by_page_and_then_its_changes(engine: Engine, tmp_path: Path) -> None:
    def pages(request: Request) -> Reply:
        assert request.query["limit"] == "2"
        if "continue" in request.query:
            return listed(thing("c"))
        return listed(thing("a"), thing("b"), **{"continue": "more"})

    changes = [event("ADDED", thing("d")), event("DELETED", thing("a")), event("MODIFIED", thing("b"))]
    server = Server({"/api/v1/pods": pages}, {"/api/v1/pods": changes})
    with following(engine, tmp_path, server, chunk_size=2) as taken:
        taken.until(
            lambda seen: len([one for one in seen if isinstance(one, ObjectsChanged)]) >= 3 and taken.objects()[-1].gone
        )
        first, second, *rest = taken.objects()

    assert (names(first), first.begins, first.ends) == (["a", "b"], True, False)
    assert (names(second), second.begins, second.ends) == (["c"], False, True)
    assert sorted(name for one in rest for name in names(one)) == ["b", "d"]
    assert [key for one in rest for key in one.gone] == [("shop", "a")]
    assert not any(one.begins or one.ends for one in rest)
    assert server.watched == [("/api/v1/pods", "")]


def test_of_many_changes_of_one_object_the_last_counts(engine: Engine, tmp_path: Path) -> None:
    changes = [
        event("ADDED", thing("a")),
        event("DELETED", thing("b")),
        event("DELETED", thing("a")),
        event("ADDED", thing("b")),
    ]
    server = Server({"/api/v1/pods": listed()}, {"/api/v1/pods": [b"".join([*changes, event("ADDED", thing("end"))])]})
    with following(engine, tmp_path, server) as taken:
        assert server.sent.wait(PATIENCE)
        taken.until(lambda seen: taken.objects() and "end" in names(taken.objects()[-1]))
        there: dict[str, bool] = {}
        for update in taken.objects():
            there |= dict.fromkeys((name for _, name in update.gone), False) | dict.fromkeys(names(update), True)

    assert there == {"a": False, "b": True, "end": True}


def test_an_object_that_can_no_longer_be_read_is_gone_and_a_gap(engine: Engine, tmp_path: Path) -> None:
    broken = json.dumps({"type": "MODIFIED", "object": {**thing("a"), "kind": "Pod"}}).encode() + b"\n"
    server = Server({"/api/v1/pods": listed(thing("a"))}, {"/api/v1/pods": [broken]})
    with following(engine, tmp_path, server) as taken:
        taken.until(lambda seen: len(taken.objects()) > 1)
        changed = taken.objects()[-1]

    assert changed.gone == [("shop", "a")]
    assert [gap.reason for gap in changed.gaps] == ["UnreadableDocument"]


def test_an_answer_that_is_no_list_is_a_gap_of_that_list(engine: Engine, tmp_path: Path) -> None:
    server = Server({"/api/v1/pods": document({"kind": "Pod", "metadata": {}})})
    with following(engine, tmp_path, server) as taken:
        taken.until(settled)
        (page,) = taken.objects()

    assert page.begins and page.ends and "cannot be read" in page.gaps[0].message


@pytest.mark.parametrize("kind", ["Pod", "Ingress"])
def test_texts_of_listed_objects_say_what_they_are_and_make_the_same_list_again(engine: Engine, kind: str) -> None:
    things = [thing("é\u2028", spec={"rules": [], "hostNetwork": True}), thing("b", spec={"replicas": 1.0})]
    batch = engine.load_list(listed(*things, kind=kind).body)
    texts = [text_of(batch, at) for at in range(2)]
    version = "v1" if kind == "Pod" else "networking.k8s.io/v1"
    assert [json.loads(text) for text in texts] == [{**one, "apiVersion": version, "kind": kind} for one in things]
    again = engine.load_list(list_of(texts))
    assert documents_of(batch.documents) == documents_of(again.documents)
    assert text_of(again, 1) == texts[1]
    engine.release(batch)
    engine.release(again)


def test_namespaces_and_labels_select_what_is_judged_but_not_what_is_compared_with(
    engine: Engine, tmp_path: Path
) -> None:
    lists: dict[str, Answer | Reply] = {
        "/apis/networking.k8s.io/v1/ingresses": listed(kind="Ingress"),
        "/apis/networking.k8s.io/v1/namespaces/shop/ingresses": listed(kind="Ingress"),
        "/api/v1/namespaces/shop/pods": listed(),
    }
    node = ResourceKind(group="", kind="Node")
    server = Server(lists)
    more = {"namespaces": ["shop", "shop"], "selector": "app=web"}
    with following(engine, tmp_path, server, (POD, INGRESS, node), whole=[INGRESS], **more) as taken:
        taken.until(lambda seen: len([one for one in seen if isinstance(one, Settled)]) >= 6)
        listings = taken.watched.listings

    assert sorted(server.watched) == [
        ("/api/v1/namespaces/shop/pods", "app=web"),
        ("/apis/networking.k8s.io/v1/ingresses", ""),
        ("/apis/networking.k8s.io/v1/namespaces/shop/ingresses", "app=web"),
    ]
    assert [(str(one), one.judged, one.compared) for one in listings] == [
        ("Pod of shop", True, False),
        ("Ingress.networking.k8s.io", False, True),
        ("Ingress.networking.k8s.io of shop", True, True),
    ]


def test_what_rules_compare_with_is_followed_whole_where_it_lies_in_no_namespace(
    engine: Engine, tmp_path: Path
) -> None:
    node = ResourceKind(group="", kind="Node")
    lists: dict[str, Answer | Reply] = {"/api/v1/namespaces/shop/pods": listed(), "/api/v1/nodes": status(403, "no")}
    with following(engine, tmp_path, Server(lists), (POD, node), whole=[node], namespaces=["shop"]) as taken:
        taken.until(lambda seen: settled(seen) and any(isinstance(one, Lost) for one in seen))
        listings = [(str(one), one.judged, one.compared) for one in taken.watched.listings]
        (lost,) = {one.gap.message.partition(":")[0] for one in taken.all if isinstance(one, Lost)}

    assert listings == [("Pod of shop", True, False), ("Node", False, True)]
    assert lost == "Node could not be listed"


def test_a_kind_that_may_not_be_listed_is_lost_and_another_is_not(engine: Engine, tmp_path: Path) -> None:
    server = Server({"/api/v1/pods": listed(thing("a")), "/api/v1/services": status(403, "no")})
    with following(engine, tmp_path, server, (POD, SERVICE)) as taken:
        taken.until(lambda seen: settled(seen) and any(isinstance(one, Lost) for one in seen))
        lost = next(one for one in taken.all if isinstance(one, Lost))

    assert (lost.listing.kind, lost.gap.reason) == (SERVICE, "Forbidden")
    assert lost.gap.message.startswith("Service could not be listed: no (")


def test_nothing_but_refusals_is_no_cluster_to_watch(engine: Engine, tmp_path: Path) -> None:
    server = Server({"/api/v1/pods": status(403, "no"), "/api/v1/services": status(403, "no")})
    with following(engine, tmp_path, server, (POD, SERVICE)) as taken, pytest.raises(Forbidden):
        taken.until(lambda seen: False)


def test_a_server_that_has_nothing_of_kubernetes_ends_the_watch(engine: Engine, tmp_path: Path) -> None:
    with (
        following(engine, tmp_path, Server({}), (POD, WIDGET)) as taken,
        pytest.raises(ClusterError, match="no Kubernetes API server"),
    ):
        taken.until(lambda seen: False)


def test_a_reader_that_is_patient_waits_for_the_kinds_of_any_server(engine: Engine, tmp_path: Path) -> None:
    with following(engine, tmp_path, Server({}), patient=True) as taken:
        assert isinstance(taken.until(bool)[0], KindNotServed)


def test_a_cluster_that_does_not_let_us_in_ends_the_watch(engine: Engine, tmp_path: Path) -> None:
    server = Server({"/api/v1/pods": status(401, "who?")})
    with following(engine, tmp_path, server) as taken, pytest.raises(errors.Unauthorized):
        taken.until(lambda seen: False)


def test_a_cluster_that_is_not_there_ends_the_watch(engine: Engine, tmp_path: Path) -> None:
    backoff = Backoff(sleep=lambda seconds: None)
    with (
        connect(None, kubeconfig(tmp_path, "http://127.0.0.1:1")) as connection,
        LiveSource(engine, connection, Wanted(kinds=[POD]), backoff=backoff) as watched,
        pytest.raises(errors.Unreachable),
    ):
        Taken(watched, engine).until(lambda seen: False)


def test_a_selector_that_the_server_does_not_understand_is_the_user_s(engine: Engine, tmp_path: Path) -> None:
    server = Server({"/api/v1/pods": status(400, "unable to parse requirement")})
    with following(engine, tmp_path, server, selector="a in b") as taken, pytest.raises(InvalidInput, match="a in b"):
        taken.until(lambda seen: False)


def test_a_watch_that_breaks_off_is_lost_until_it_is_open_again(engine: Engine, tmp_path: Path) -> None:
    server = Server({"/api/v1/pods": listed(thing("a"))})
    answers = iter([status(503, "restarting"), status(503, "restarting")])
    plain = server.answer

    def answer(request: Request) -> Reply:
        return next(answers, None) or plain(request) if "watch" in request.query else plain(request)

    server.answer = answer  # type: ignore[method-assign]
    with following(engine, tmp_path, server) as taken:
        taken.until(lambda seen: any(isinstance(one, Lost) for one in seen) and isinstance(seen[-1], Settled))
        lost = [one for one in taken.all if isinstance(one, Lost)]

    assert len(lost) == 2 and "Pod cannot be watched now, and is tried again: " in lost[0].gap.message
    assert len(taken.objects()) == 1


def test_a_version_that_is_too_old_means_a_new_list_and_no_gap(engine: Engine, tmp_path: Path) -> None:
    lists = iter([listed(thing("a")), listed(thing("b"))])
    server = Server({"/api/v1/pods": lambda request: next(lists)})
    watches = iter([status(410, "too old resource version")])
    plain = server.answer

    def answer(request: Request) -> Reply:
        return next(watches, None) or plain(request) if "watch" in request.query else plain(request)

    server.answer = answer  # type: ignore[method-assign]
    with following(engine, tmp_path, server) as taken:
        taken.until(lambda seen: len(taken.objects()) == 2 and isinstance(seen[-1], Settled))

    assert [(names(one), one.begins, one.ends) for one in taken.objects()] == [(["a"], True, True), (["b"], True, True)]
    assert not any(isinstance(one, Lost) for one in taken.all)


def test_a_kind_that_is_not_served_is_missing_until_it_is(engine: Engine, tmp_path: Path) -> None:
    groups = {
        "groups": [{"name": "test.aksp.io", "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}}]
    }
    kinds = {"resources": [{"name": "widgets", "kind": "Widget", "namespaced": True, "verbs": ["list", "watch"]}]}
    asked = iter([document({"groups": []})])
    widget = {"apiVersion": "test.aksp.io/v1", "kind": "Widget", **thing("w")}
    lists: dict[str, Answer | Reply] = {
        "/api": document({"kind": "APIVersions", "versions": ["v1"]}),
        "/apis": lambda request: next(asked, document(groups)),
        "/apis/test.aksp.io/v1": document(kinds),
        "/apis/test.aksp.io/v1/widgets": document({"kind": "WidgetList", "apiVersion": "test.aksp.io/v1", "metadata": {}, "items": [widget]}),
    }  # fmt: skip
    with following(engine, tmp_path, Server(lists), (WIDGET,)) as taken:
        taken.until(settled)

    assert isinstance(taken.all[0], KindNotServed)
    assert names(taken.all[1]) == ["w"]


def test_a_kind_without_a_name_is_told_and_not_asked_for(engine: Engine, tmp_path: Path) -> None:
    every = ResourceKind(group="", kind="*")
    server = Server({"/api/v1/pods": listed()})
    with following(engine, tmp_path, server, (every, POD)) as taken:
        taken.until(settled)
        (lost,) = taken.watched.unnamed

    assert isinstance(lost, Lost)
    assert lost.gap.reason == "UnknownKind"
    assert [path for path, _ in server.watched] in ([], ["/api/v1/pods"])


def test_a_kind_of_any_group_that_rules_compare_with_is_followed_in_each(engine: Engine, tmp_path: Path) -> None:
    groups = {"groups": [{"name": "test.aksp.io", "versions": [{"version": "v1"}]}]}
    kinds = {"resources": [{"name": "pods", "kind": "Pod", "namespaced": True, "verbs": ["list", "watch"]}]}
    lists: dict[str, Answer | Reply] = {
        "/apis": document(groups),
        "/apis/test.aksp.io/v1": document(kinds),
        "/api/v1/pods": listed(thing("a")),
        "/apis/test.aksp.io/v1/pods": listed(thing("b")),
    }
    any_pod, gadget = ResourceKind(group="*", kind="Pod"), ResourceKind(group="*", kind="Gadget")
    with following(engine, tmp_path, Server(lists), (any_pod, gadget), whole=(any_pod, gadget)) as taken:
        taken.until(lambda seen: len([one for one in seen if isinstance(one, ObjectsChanged)]) == 2)
        listings = [str(one) for one in taken.watched.listings]
        missing = taken.watched.unnamed

    assert listings == ["Pod", "Pod.test.aksp.io", "Gadget.*"]
    assert [str(one.listing) for one in missing if isinstance(one, KindNotServed)] == ["Gadget.*"]


def test_the_watches_end_at_once_however_much_is_waiting(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aksp.live.source.WAITING_BYTES", 100)
    asked = threading.Semaphore(0)

    def pages(_: Request) -> Reply:
        asked.release()
        return listed(*(thing(f"pod-{n}") for n in range(9)), **{"continue": "more"})

    with following(engine, tmp_path, Server({"/api/v1/pods": pages})):
        # One page always fits; the second waits until the first is taken.
        assert all(asked.acquire(timeout=PATIENCE) for _ in range(2))
        began = time.monotonic()
    assert time.monotonic() - began < PATIENCE
    assert not [one for one in threading.enumerate() if one.name == "aksp-watch"]


def test_writers_wait_while_an_inbox_is_full_and_one_thing_always_fits() -> None:
    inbox: Inbox[int] = Inbox(10)
    inbox.put(1, 50)
    writer = threading.Thread(target=inbox.put, args=(2, 5))
    writer.start()
    writer.join(0.1)
    assert writer.is_alive()
    assert inbox.take(0, 10) == [1]
    writer.join(PATIENCE)
    inbox.put(3, 5)
    inbox.put(4)
    assert inbox.take(0, 7) == [2] and inbox.take(0, 7) == [3, 4] and inbox.take(0, 7) == []


def test_a_closed_inbox_lets_everybody_go_and_nothing_in() -> None:
    inbox: Inbox[int] = Inbox(10)
    inbox.put(1, 10)
    writer = threading.Thread(target=inbox.put, args=(2, 5))
    writer.start()
    inbox.close()
    writer.join(PATIENCE)
    assert not writer.is_alive() and inbox.take(PATIENCE, 7) == []


@pytest.mark.parametrize("served", [True, False])
def test_a_version_that_rules_compare_with_is_followed_besides_the_one_that_is_judged(
    served: bool, engine: Engine, tmp_path: Path
) -> None:
    v1, beta = (replace(INGRESS, version=version) for version in ("v1", "v1beta1"))
    versions = ["v1", "v1beta1"] if served else ["v1"]
    groups = {"groups": [{"name": "networking.k8s.io", "versions": [{"version": one} for one in versions]}]}
    kinds = {"resources": [{"name": "ingresses", "kind": "Ingress", "namespaced": True, "verbs": ["list", "watch"]}]}
    lists: dict[str, Answer | Reply] = {"/apis": document(groups)}
    for one in versions:
        lists[f"/apis/networking.k8s.io/{one}"] = document(kinds)
        lists[f"/apis/networking.k8s.io/{one}/ingresses"] = listed(thing(one), kind="Ingress")
    with following(engine, tmp_path, Server(lists), (INGRESS, v1, beta), whole=(v1, beta)) as taken:
        # That a kind is not served may be told again before the objects of the other one come.
        taken.until(
            lambda seen: (
                {one.listing.kind for one in seen if isinstance(one, ObjectsChanged | KindNotServed)} == {INGRESS, beta}
            )
        )
        listings = [(one.kind, one.judged, one.compared) for one in taken.watched.listings]
        missing = {one.listing.kind for one in taken.all if isinstance(one, KindNotServed)}

    assert listings == [(INGRESS, True, True), (beta, False, True)]
    assert [names(one) for one in taken.objects(INGRESS)] == [["v1"]]
    assert missing == (set() if served else {beta})
    assert [names(one) for one in taken.objects(beta)] == ([["v1beta1"]] if served else [])
