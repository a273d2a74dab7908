"""Documents written and read: paths, what is sent, what is repeated, what refusals become."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aksp.errors import Forbidden, InvalidInput
from aksp.kube import errors, objects
from aksp.kube.config import connect
from aksp.kube.fetch import Backoff
from aksp.kube.kinds import Discovery
from tests.kube.apiserver import ApiServer, Reply, Request, answering, document, kubeconfig, page, status, three_pages

QUICK = Backoff(sleep=lambda _: None)
MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}}
PATH = "/api/v1/namespaces/n/configmaps/a"
MAPS = "/api/v1/namespaces/n/configmaps"
BROKEN = Reply(body=b'{"a": 1}', cut=3)


def a_status(code: int, reason: str, **details: Any) -> Reply:
    body = {"kind": "Status", "message": "words", "reason": reason, "code": code, "details": details}
    return Reply(status=code, body=json.dumps(body).encode())


def test_the_path_of_an_object_is_in_its_own_version(tmp_path: Path) -> None:
    with answering(tmp_path, [Reply()]) as (connection, server):
        discovery = Discovery(connection)
        assert objects.object_path(discovery, MAP) == PATH
        assert objects.collection_path(discovery, MAP) == MAPS
        scaler = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler"}
        scaler["metadata"] = {"name": "a/b", "namespace": "n"}  # type: ignore[assignment]
        path = "/apis/autoscaling/v1/namespaces/n/horizontalpodautoscalers/a%2Fb"
        assert objects.object_path(discovery, scaler) == path
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "x", "namespace": "ignored"}}
        assert objects.object_path(discovery, node) == "/api/v1/nodes/x"
        assert server.requests == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, "needs metadata.namespace"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "a"}}, "needs metadata.name"),
        ({"metadata": {"name": "a"}}, "apiVersion and kind"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": "a"}, "needs metadata.name"),
    ],
)
def test_a_document_that_has_no_place_is_refused(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    with answering(tmp_path, [Reply()]) as (connection, _), pytest.raises(InvalidInput, match=said):
        objects.object_path(Discovery(connection), wrong)


def test_a_kind_that_is_installed_later_is_found_by_a_new_discovery(tmp_path: Path) -> None:
    groups: list[dict[str, Any]] = []

    def answer(request: Request) -> Reply:
        if request.path == "/apis":
            return document({"groups": groups})
        kind = {"name": "things", "kind": "Thing", "namespaced": False, "verbs": ["list"]}
        return document({"resources": [kind]})

    thing = {"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "a"}}
    with ApiServer(answer) as server, connect(None, kubeconfig(tmp_path, server.url)) as connection:
        discovery = Discovery(connection)
        with pytest.raises(errors.NotServed):
            objects.object_path(discovery, thing)
        groups.append({"name": "x.io", "versions": [{"version": "v1"}]})
        with pytest.raises(errors.NotServed):
            objects.object_path(discovery, thing)
        assert objects.object_path(Discovery(connection), thing) == "/apis/x.io/v1/things/a"


def test_what_is_not_there_reads_as_none(tmp_path: Path) -> None:
    with answering(tmp_path, [status(404, "nothing"), document(MAP)]) as (connection, _):
        assert objects.get(connection, PATH) is None
        assert objects.get(connection, PATH) == MAP


def test_apply_sends_json_as_the_manager_and_strictly(tmp_path: Path) -> None:
    with answering(tmp_path, [document(MAP, code=201)]) as (connection, server):
        read = MAP | {"metadata": {"name": "a", "namespace": "n", "managedFields": [{}]}}
        assert objects.apply(connection, PATH, read, manager="m", dry_run=True) == MAP
        (request,) = server.requests
    assert (request.method, request.path, request.document) == ("PATCH", PATH, MAP)
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert request.query == {"fieldManager": "m", "force": "true", "fieldValidation": "Strict", "dryRun": "All"}


def test_create_replace_merge_patch_and_delete_use_their_methods(tmp_path: Path) -> None:
    with answering(tmp_path, [document(MAP)]) as (connection, server):
        objects.create(connection, MAPS, MAP)
        objects.replace(connection, PATH, MAP)
        objects.merge_patch(connection, PATH, {"data": {"ü": None}})
        assert objects.delete(connection, PATH)
        seen = [(each.method, each.path, each.headers.get("Content-Type")) for each in server.requests]
        assert server.requests[2].document == {"data": {"ü": None}}
    assert seen == [
        ("POST", MAPS, "application/json"),
        ("PUT", PATH, "application/json"),
        ("PATCH", PATH, "application/merge-patch+json"),
        ("DELETE", PATH, None),
    ]


def test_deleting_what_is_not_there_says_so_unless_an_answer_was_lost(tmp_path: Path) -> None:
    gone = a_status(404, "NotFound", name="a")
    with answering(tmp_path, [gone]) as (connection, _):
        assert not objects.delete(connection, PATH)
    with answering(tmp_path, [status(429, "busy"), gone]) as (connection, _):
        assert not objects.delete(connection, PATH, backoff=QUICK)
    with answering(tmp_path, [BROKEN, gone]) as (connection, _):
        assert objects.delete(connection, PATH, backoff=QUICK)


@pytest.mark.parametrize("fault", [status(429, "busy"), status(503, "soon", Retry_After="1")])
def test_what_the_server_has_not_begun_is_repeated_even_a_create(tmp_path: Path, fault: Reply) -> None:
    with answering(tmp_path, [fault, fault, document(MAP)]) as (connection, server):
        assert objects.create(connection, MAPS, MAP, backoff=QUICK) == MAP
        assert len(server.requests) == 3


@pytest.mark.parametrize("fault", [status(500, "etcd"), status(503, "etcd"), BROKEN], ids=["500", "503", "broken"])
def test_a_create_that_may_have_been_done_is_not_repeated_but_an_apply_is(tmp_path: Path, fault: Reply) -> None:
    with answering(tmp_path, [fault, document(MAP)]) as (connection, server):
        with pytest.raises(errors.ServerError):
            objects.create(connection, MAPS, MAP, backoff=QUICK)
        assert len(server.requests) == 1
    with answering(tmp_path, [fault, fault, document(MAP)]) as (connection, server):
        assert objects.apply(connection, PATH, MAP, backoff=QUICK) == MAP
        assert len(server.requests) == 3


def test_a_server_that_keeps_failing_is_given_up(tmp_path: Path) -> None:
    with answering(tmp_path, [status(500, "etcd")]) as (connection, server):
        with pytest.raises(errors.ServerError, match=r"\(5 attempts\)"):
            objects.replace(connection, PATH, MAP, backoff=QUICK)
        assert len(server.requests) == 5


def test_conflicts_are_told_apart(tmp_path: Path) -> None:
    with answering(tmp_path, [a_status(409, "Conflict")]) as (connection, server):
        with pytest.raises(errors.Conflict, match="somebody else has changed it") as raised:
            objects.replace(connection, PATH, MAP, backoff=QUICK)
        assert not isinstance(raised.value, errors.AlreadyExists)
        assert len(server.requests) == 1
    with (
        answering(tmp_path, [a_status(409, "AlreadyExists", name="a")]) as (connection, _),
        pytest.raises(errors.AlreadyExists),
    ):
        objects.create(connection, MAPS, MAP)


def test_what_is_invalid_lists_its_causes(tmp_path: Path) -> None:
    causes = [{"field": f"spec.f{number}", "message": "Required value"} for number in range(12)]
    with (
        answering(tmp_path, [a_status(422, "Invalid", kind="Thing", name="a", causes=causes)]) as (connection, _),
        pytest.raises(errors.Invalid) as raised,
    ):
        objects.apply(connection, PATH, MAP)
    assert "Thing a: spec.f0: Required value; spec.f1: Required value" in raised.value.what
    assert raised.value.what.endswith("; and 2 more")
    assert raised.value.hint and raised.value.where
    with (
        answering(tmp_path, [status(422, "no causes told")]) as (connection, _),
        pytest.raises(errors.Invalid, match="no causes told"),
    ):
        objects.apply(connection, PATH, MAP)


def test_a_refusal_names_the_right_that_is_missing(tmp_path: Path) -> None:
    with answering(tmp_path, [status(403, "forbidden")]) as (connection, _):
        asked: dict[str, Callable[[], object]] = {
            "create": lambda: objects.create(connection, MAPS, MAP),
            "patch": lambda: objects.apply(connection, PATH, MAP),
            "update": lambda: objects.replace(connection, PATH, MAP),
            "delete": lambda: objects.delete(connection, PATH),
        }
        for wanted, ask in asked.items():
            with pytest.raises(Forbidden) as raised:
                ask()
            assert f"the right to {wanted} it" in str(raised.value.hint)


def test_a_namespace_that_is_missing_is_not_called_a_missing_kind(tmp_path: Path) -> None:
    with (
        answering(tmp_path, [a_status(404, "NotFound", name="n", kind="namespaces")]) as (connection, _),
        pytest.raises(errors.NotServed, match="no such object"),
    ):
        objects.create(connection, MAPS, MAP)


def test_credentials_are_loaded_again_once_for_writes_too(tmp_path: Path) -> None:
    with answering(tmp_path, [status(401, "who?"), document(MAP)]) as (connection, server):
        assert objects.create(connection, MAPS, MAP) == MAP
        assert [each.method for each in server.requests] == ["POST", "POST"]


def test_an_answer_that_is_a_login_page_is_no_answer(tmp_path: Path) -> None:
    html = Reply(body=b"<html>", headers={"Content-Type": "text/html"})
    with answering(tmp_path, [html]) as (connection, _), pytest.raises(Exception, match="not a Kubernetes API server"):
        objects.create(connection, MAPS, MAP)


def test_a_list_is_whole_and_its_objects_say_what_they_are(tmp_path: Path) -> None:
    with ApiServer(three_pages) as server, connect(None, kubeconfig(tmp_path, server.url)) as connection:
        listed = objects.list_all(connection, "/api/v1/pods", label_selector="a=b")
        assert [each["metadata"]["name"] for each in listed] == ["a", "b", "c", "d", "e"]
        assert {(each["apiVersion"], each["kind"]) for each in listed} == {("v1", "Pod")}
        assert {each.query["labelSelector"] for each in server.requests} == {"a=b"}


def test_a_list_that_starts_again_holds_nothing_twice(tmp_path: Path) -> None:
    replies = [page(["a"], token="x"), status(410, "too old"), page(["a"], token="y"), page(["b"])]
    with answering(tmp_path, replies) as (connection, _):
        assert [each["metadata"]["name"] for each in objects.list_all(connection, "/api/v1/pods")] == ["a", "b"]


def test_a_field_that_the_schema_does_not_have_is_not_sent_again_although_the_server_says_500(tmp_path: Path) -> None:
    words = "failed to create typed patch object (n/a; /v1, Kind=ConfigMap): .dta: field not declared in schema"
    with answering(tmp_path, [status(500, words)]) as (connection, server):
        with pytest.raises(errors.BadRequest, match=r"\.dta: field not declared"):
            objects.apply(connection, PATH, MAP, backoff=QUICK)
        assert len(server.requests) == 1
