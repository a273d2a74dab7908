"""A cluster's lists: what is asked for, and what is said of what cannot be had."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import pytest

from aksp.engine import Engine, Loading
from aksp.errors import ClusterError, EngineError
from aksp.kube.config import connect
from aksp.model.definition import ResourceKind
from aksp.sources.cluster import Cluster
from aksp.sources.interface import NAMESPACE, Page, Wanted
from tests.compliance.builders import POD, SERVICE
from tests.kube.apiserver import ApiServer, Reply, Request, document, kubeconfig, status
from tests.live.test_source import listed, thing
from tests.waiting import PATIENCE, until

ANY_SERVICE = ResourceKind(group="*", kind="Service")
KNATIVE = ResourceKind(group="serving.example", kind="Service")
GROUPS = {"groups": [{"name": "serving.example", "versions": [{"version": "v1"}]}]}
KINDS = {"resources": [{"name": "services", "kind": "Service", "namespaced": True, "verbs": ["list"]}]}
PODS = listed(thing("p"))
SERVICES = listed(thing("s"), kind="Service")
SPACES = listed({"metadata": {"name": "shop"}}, kind="Namespace")
OTHER = document({"kind": "ServiceList", "apiVersion": "serving.example/v1", "metadata": {}, "items": [thing("k")]})


def pages(
    engine: Engine, folder: Path, replies: Mapping[str, Reply], kinds: Sequence[ResourceKind], whole: Sequence[ResourceKind]
) -> list[Page]:  # fmt: skip
    def answer(request: Request) -> Reply:
        return replies.get(request.path, status(404, "not found"))

    with ApiServer(answer) as api, connect(None, kubeconfig(folder, api.url)) as connection:
        return list(Cluster(engine, connection).pages(Wanted(kinds=kinds, whole=whole)))


def test_a_kind_of_any_group_that_rules_compare_with_is_listed_in_each(engine: Engine, tmp_path: Path) -> None:
    replies = {
        "/apis": document(GROUPS), "/apis/serving.example/v1": document(KINDS), "/api/v1/pods": PODS,
        "/api/v1/services": SERVICES, "/apis/serving.example/v1/services": OTHER,
    }  # fmt: skip
    found = pages(engine, tmp_path, replies, [POD, SERVICE, ANY_SERVICE], [ANY_SERVICE])

    assert [str(d.resource) for page in found for d in page.documents] == [
        "Pod shop/p",
        "Service shop/s",
        "Service shop/k",
    ]
    assert not any(page.failed or page.unserved or page.gaps for page in found)


def test_a_kind_that_no_group_has_is_told(engine: Engine, tmp_path: Path) -> None:
    gadget = ResourceKind(group="*", kind="Gadget")
    replies = {"/apis": document({"groups": []}), "/api/v1": document({"resources": []}), "/api/v1/pods": PODS}
    found = pages(engine, tmp_path, replies, [POD, gadget], [gadget])

    assert [page.unserved for page in found] == [None, gadget]


def test_a_group_that_may_not_be_listed_is_told_by_its_own_name(engine: Engine, tmp_path: Path) -> None:
    replies = {
        "/apis": document(GROUPS), "/apis/serving.example/v1": document(KINDS),
        "/api/v1/services": SERVICES, "/apis/serving.example/v1/services": status(403, "forbidden"),
    }  # fmt: skip
    found = pages(engine, tmp_path, replies, [ANY_SERVICE], [ANY_SERVICE])

    assert [page.failed for page in found] == [None, KNATIVE]
    assert "Service.serving.example could not be listed" in found[1].gaps[0].message


@pytest.mark.parametrize(
    "answer",
    [
        listed(thing("s"), kind="Service"),
        document({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [thing("p"), thing("s") | {"kind": "Secret", "apiVersion": "v1"}]}),
        document({"kind": "PodList", "apiVersion": "other/v1", "metadata": {}, "items": [thing("p")]}),
    ],
)  # fmt: skip
def test_objects_that_were_not_asked_for_are_a_gap(answer: Reply, engine: Engine, tmp_path: Path) -> None:
    (page,) = pages(engine, tmp_path, {"/api/v1/pods": answer}, [POD], [])
    (gap,) = page.gaps

    assert gap.reason == "UnreadableDocument"
    assert "/api/v1/pods: Pod was asked for, and 1 of the answer's objects are others, the first" in gap.message


def test_a_server_that_has_nothing_of_kubernetes_is_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no Kubernetes API server"):
        pages(engine, tmp_path, {}, [POD, KNATIVE], [])


@pytest.mark.parametrize("api", [document({"kind": "APIVersions", "versions": ["v1"]}), status(403, "forbidden")])
def test_an_api_server_without_a_kind_is_no_other_server(engine: Engine, tmp_path: Path, api: Reply) -> None:
    found = pages(engine, tmp_path, {"/api": api}, [POD], [])
    assert [page.unserved for page in found] == [POD]


def test_a_namespace_that_is_not_there_is_a_gap_and_one_that_may_not_be_read_is_none(
    engine: Engine, tmp_path: Path
) -> None:
    empty = document({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []})
    asked: list[str] = []

    def answer(request: Request) -> Reply:
        asked.append(request.path)
        replies = {
            **{f"/api/v1/namespaces/{name}/pods": empty for name in ("nosuch", "empty", "hidden")},
            "/api/v1/namespaces/shop/pods": PODS,
            "/api/v1/namespaces/empty": document({"kind": "Namespace", "metadata": {"name": "empty"}}),
            "/api/v1/namespaces/hidden": status(403, "forbidden"),
        }
        return replies.get(request.path, status(404, "not found"))

    with ApiServer(answer) as api, connect(None, kubeconfig(tmp_path, api.url)) as connection:
        cluster = Cluster(engine, connection, namespaces=["nosuch", "empty", "hidden", "shop"])
        found = list(cluster.pages(Wanted(kinds=[POD])))

    assert [gap.message.partition(" in cluster")[0] for page in found for gap in page.gaps] == [
        "there is no namespace nosuch"
    ]
    # Where something was seen nobody needs to ask.
    assert "/api/v1/namespaces/shop" not in asked


BETA = ResourceKind(group="networking.k8s.io", kind="Ingress", version="v1beta1")
INGRESS = ResourceKind(group="networking.k8s.io", kind="Ingress")
NETWORKING = {"groups": [{"name": "networking.k8s.io", "versions": [{"version": "v1"}, {"version": "v1beta1"}]}]}
INGRESSES = {"resources": [{"name": "ingresses", "kind": "Ingress", "namespaced": True, "verbs": ["list"]}]}


def ingresses(version: str) -> Reply:
    listed = {"kind": "IngressList", "apiVersion": f"networking.k8s.io/{version}", "metadata": {}}
    return document({**listed, "items": [thing(f"i-{version}")]})


def test_a_version_that_a_rule_looks_up_is_listed_besides_the_one_that_is_judged(
    engine: Engine, tmp_path: Path
) -> None:
    replies = {
        "/apis": document(NETWORKING), "/apis/networking.k8s.io/v1beta1": document(INGRESSES),
        "/apis/networking.k8s.io/v1/ingresses": ingresses("v1"),
        "/apis/networking.k8s.io/v1beta1/ingresses": ingresses("v1beta1"),
    }  # fmt: skip
    found = pages(engine, tmp_path, replies, [INGRESS, BETA], [BETA])

    assert [[str(d.resource) for d in page.documents] for page in found] == [["Ingress shop/i-v1"], []]
    loaded = [(one["apiVersion"], one["name"]) for page in found if page.batch for one in page.batch.documents]
    assert loaded == [("networking.k8s.io/v1", "i-v1"), ("networking.k8s.io/v1beta1", "i-v1beta1")]
    assert not any(page.failed or page.unserved or page.gaps for page in found)


def test_a_version_that_is_not_served_is_told(engine: Engine, tmp_path: Path) -> None:
    replies = {
        "/apis": document({"groups": [{"name": "networking.k8s.io", "versions": [{"version": "v1"}]}]}),
        "/apis/networking.k8s.io/v1/ingresses": ingresses("v1"),
    }
    found = pages(engine, tmp_path, replies, [INGRESS, BETA], [BETA])

    assert [page.unserved for page in found] == [None, BETA]


def test_the_version_that_is_judged_is_not_listed_twice(engine: Engine, tmp_path: Path) -> None:
    v1 = ResourceKind(group="", kind="Service", version="v1")
    found = pages(engine, tmp_path, {"/api/v1/services": SERVICES}, [SERVICE, v1], [v1])

    assert [[str(d.resource) for d in page.documents] for page in found] == [["Service shop/s"]]


def test_a_version_is_listed_in_the_namespaces_given_where_no_more_may_be_listed(
    engine: Engine, tmp_path: Path
) -> None:
    v1 = ResourceKind(group="", kind="Service", version="v1")

    def answer(request: Request) -> Reply:
        replies = {"/api/v1/namespaces/shop/pods": PODS, "/api/v1/namespaces/shop/services": SERVICES}
        return replies.get(request.path, status(403, "forbidden"))

    with ApiServer(answer) as api, connect(None, kubeconfig(tmp_path, api.url)) as connection:
        cluster = Cluster(engine, connection, namespaces=["shop"], selector="app=web")
        found = list(cluster.pages(Wanted(kinds=[POD, v1], whole=[v1])))

    assert [page.failed for page in found] == [None, None, None]
    assert "can be compared only with those in the namespaces given" in found[1].gaps[0].message
    assert found[2].batch is not None and [one["name"] for one in found[2].batch.documents] == ["s"]


@pytest.mark.parametrize("namespaces", [[], ["shop"]])
def test_where_all_namespaces_may_not_be_listed_what_to_do_is_told(
    namespaces: list[str], engine: Engine, tmp_path: Path
) -> None:
    def answer(request: Request) -> Reply:
        return PODS if request.path.endswith("/pods") else status(403, "forbidden")

    with ApiServer(answer) as api, connect(None, kubeconfig(tmp_path, api.url)) as connection:
        cluster = Cluster(engine, connection, namespaces=namespaces, hint="ask for one alone")
        found = list(cluster.pages(Wanted(kinds=[POD, SERVICE], whole=[])))
    (gap,) = [gap for page in found for gap in page.gaps]
    assert "Service could not be listed" in gap.message
    assert ("ask for one alone" in gap.message) is (not namespaces)


def test_objects_without_a_namespace_are_there_to_compare_with_in_a_run_of_some_namespaces(
    engine: Engine, tmp_path: Path
) -> None:
    replies = {"/api/v1/namespaces/shop/pods": PODS, "/api/v1/namespaces": SPACES}
    with (
        ApiServer(lambda request: replies.get(request.path, status(404, "not found"))) as api,
        connect(None, kubeconfig(tmp_path, api.url)) as connection,
    ):
        found = list(
            Cluster(engine, connection, namespaces=["shop"]).pages(Wanted(kinds=[NAMESPACE, POD], whole=[NAMESPACE]))
        )

    assert [[str(d.resource) for d in page.documents] for page in found] == [[], ["Pod shop/p"]]
    assert found[0].batch is not None and [one["name"] for one in found[0].batch.documents] == ["shop"]


ANYTHING = ResourceKind(group="*", kind="*")


def test_every_kind_means_each_that_the_cluster_serves_and_that_requests_make(engine: Engine, tmp_path: Path) -> None:
    made = {"namespaced": True, "verbs": ["create", "list"]}
    core = [{"name": "pods", "kind": "Pod", **made}, {"name": "pods/status", "kind": "Pod", **made}]
    own = [{"name": "services", "kind": "Service", **made}, {"name": "loads", "kind": "Load", "namespaced": True, "verbs": ["list"]}]  # fmt: skip
    events = {"groups": [*GROUPS["groups"], {"name": "events.k8s.io", "versions": [{"version": "v1"}]}]}
    replies = {
        "/apis": document(events), "/api/v1": document({"resources": core}), "/api/v1/pods": PODS,
        "/apis/serving.example/v1": document({"resources": own}), "/apis/serving.example/v1/services": OTHER,
        "/apis/events.k8s.io/v1": document({"resources": [{"name": "events", "kind": "Event", **made}]}),
    }  # fmt: skip
    found = pages(engine, tmp_path, replies, [POD, ANYTHING], [])

    assert [str(d.resource) for page in found for d in page.documents] == ["Pod shop/p", "Service shop/k"]
    assert not any(page.failed or page.unserved or page.gaps for page in found)


def test_of_every_kind_a_group_that_does_not_answer_is_a_gap_and_the_others_are_listed(
    engine: Engine, tmp_path: Path
) -> None:
    pod = {"name": "pods", "kind": "Pod", "namespaced": True, "verbs": ["create", "list"]}
    replies = {
        "/apis": document(GROUPS), "/api/v1": document({"resources": [pod]}), "/api/v1/pods": PODS,
        "/apis/serving.example/v1": status(403, "forbidden"),
    }  # fmt: skip
    found = pages(engine, tmp_path, replies, [ANYTHING], [])

    assert [str(d.resource) for page in found for d in page.documents] == ["Pod shop/p"]
    (gap,) = [gap for page in found for gap in page.gaps]
    assert "*.serving.example could not be listed" in gap.message


def test_a_page_that_is_begun_ahead_of_a_list_that_ends_early_does_not_stay_in_the_engine(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Loading] = []
    begin = engine.begin_list

    def noted(body: bytes, *, whole_kinds: Sequence[str] = ()) -> Loading:
        begun.append(begin(body, whole_kinds=whole_kinds))
        return begun[-1]

    monkeypatch.setattr(engine, "begin_list", noted)

    # Each page says that there is one more.
    def more(request: Request) -> Reply:
        return listed(thing("p"), **{"continue": request.query.get("continue", "") + "x"})

    with ApiServer(more) as api, connect(None, kubeconfig(tmp_path, api.url)) as connection:
        following = Cluster(engine, connection).pages(Wanted(kinds=[POD], whole=[]))
        assert isinstance(following, Generator)
        first = next(following)
        assert first.batch is not None
        until(lambda: len(begun) == 2)
        following.close()

    def judged(loading: Loading) -> str:
        assert loading.answer is not None
        loading.answer.result(PATIENCE)
        batch = engine.loaded(loading)
        try:
            engine.judge(batch, [])
        except EngineError as error:
            return error.what
        return ""

    until(lambda: "unknown batch" in judged(begun[1]), what="the page stays")
    # The one that was taken is its taker's to release.
    assert judged(begun[0]) == ""
    engine.release(first.batch)
