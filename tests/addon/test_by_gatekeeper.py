"""The objects that the add-on keeps in Gatekeeper, at an API server that refuses, fails and is meddled with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from aksp.addon.by_gatekeeper import ByGatekeeper
from aksp.addon.gatekeeper.wanted import TEMPLATES_PATH, constraints_path
from aksp.addon.names import FIELD_MANAGER
from aksp.addon.reconciler import Reconciler
from aksp.engine import Engine
from aksp.errors import ClusterError
from aksp.kube import errors
from aksp.kube.connection import Connection, Response
from tests.addon.custom import assigned
from tests.addon.test_policies import standing

PRIVILEGED, HOST = (
    f"{constraints_path('akspnoprivileged')}/one",
    f"{constraints_path('akspblockhostnamespaces')}/two",
)
TWO = (
    assigned(parameters={"effect": "Deny"}),
    assigned("two", "block-host-namespaces", parameters={"effect": "Deny"}),
)


class Server:
    """Objects by path. A field of a spec that others have set stays through server-side apply, as it does in a cluster."""

    server = "https://cluster"

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.failing: dict[str, int] = {}
        self.writes: list[tuple[str, str]] = []

    def get(self, path: str, *, query: Mapping[str, str] | None = None, cancellation: object = None) -> Response:
        if path in self.objects:
            return _answer(self.objects[path])
        listed = [one for at, one in self.objects.items() if at.rpartition("/")[0] == path]
        if path.count("/") == 4:
            return _answer({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": listed})
        raise errors.refusal(404, {}, b"not found", where=path)

    def send(self, method: str, path: str, *, body: bytes = b"", query: Any = None, **more: Any) -> Response:
        for part, status in self.failing.items():
            if part in path:
                raise errors.refusal(
                    status, {"Retry-After": "0"}, b'{"message": "it says no"}', where=path, method=method
                )
        self.writes.append((method, path))
        before = self.objects.get(path)
        if method == "DELETE":
            del self.objects[path]
            return _answer({"kind": "Status"})
        made = json.loads(body)
        old = before["spec"] if before else {}
        foreign = before["metadata"].get("foreign", {}) if before else {}
        if method == "PATCH":
            assert query["fieldManager"] == FIELD_MANAGER
            made["spec"] = {**foreign, **made["spec"]}
        else:
            foreign = {}
        managers = [{"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": {}}}]
        managers += [{"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {}}}] if foreign else []
        generation = (before["metadata"]["generation"] if before else 0) + (made["spec"] != old)
        made["metadata"] |= {"uid": f"uid of {path}", "generation": generation, "managedFields": managers}
        self.objects[path] = made
        return _answer(made)

    def edit(self, path: str, **fields: Any) -> None:
        """What kubectl edit does: fields of the spec, some of which only its user has set."""
        one = self.objects[path]
        new = {key: value for key, value in fields.items() if key not in one["spec"]}
        one["spec"] = {**one["spec"], **fields}
        one["metadata"] |= {"generation": one["metadata"]["generation"] + 1, "foreign": new}


def _answer(document: Mapping[str, Any]) -> Response:
    return Response(status=200, headers={}, body=json.dumps(document).encode())


class Followed:
    """What `FollowedObjects` shows, of the server as it is now."""

    def __init__(self, connection: Any, paths: Mapping[str, str], **more: Any) -> None:
        self._server = cast(Server, connection)
        (self._path,) = paths
        self.synced = True

    def start(self) -> None:
        """It is always up to date."""

    stop = start

    def snapshot(self) -> Mapping[str, list[dict[str, Any]]]:
        found = [one for at, one in self._server.objects.items() if at.rpartition("/")[0] == self._path]
        return {self._path: json.loads(json.dumps(found))}


class Awake:
    def change(self) -> None:
        """Nobody sleeps here."""

    look = change


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr("aksp.addon.by_gatekeeper.FollowedObjects", Followed)

    return Server()


def keeper(server: Server, engine: Engine) -> ByGatekeeper:
    return ByGatekeeper(cast(Connection, server), engine, cast(Reconciler, Awake()), published=lambda: None)


def test_what_is_as_wanted_is_not_written_again(server: Server, engine: Engine) -> None:
    one, made = keeper(server, engine), standing(engine, *TWO)
    one.publish(made)
    assert {PRIVILEGED, HOST} < set(server.objects) and len(server.objects) == 4
    server.writes.clear()
    one.publish(made)
    assert server.writes == []


@pytest.mark.parametrize("fields", [{"enforcementAction": "dryrun"}, {"match": {}}, {"enforcementPoints": ["never"]}])
def test_what_somebody_changes_or_adds_is_put_back(server: Server, engine: Engine, fields: dict[str, Any]) -> None:
    one, made = keeper(server, engine), standing(engine, *TWO)
    one.publish(made)
    before = dict(server.objects[PRIVILEGED]["spec"])
    server.edit(PRIVILEGED, **fields)
    assert server.objects[PRIVILEGED]["spec"] != before
    one.publish(made)
    assert server.objects[PRIVILEGED]["spec"] == before


def test_one_object_that_is_refused_or_fails_stops_no_other(server: Server, engine: Engine) -> None:
    for status in (403, 422, 409, 404):
        server.objects.clear()
        server.failing = {"akspblockhostnamespaces": status}
        assert keeper(server, engine).publish(standing(engine, *TWO)), "it is tried again soon"
        assert PRIVILEGED in server.objects and HOST not in server.objects


def test_nothing_more_is_asked_of_a_server_that_does_not_accept_us(server: Server, engine: Engine) -> None:
    server.failing = {"": 401}
    with pytest.raises(ClusterError):
        keeper(server, engine).publish(standing(engine, *TWO))


def test_what_is_no_longer_assigned_goes_and_what_is_wrong_now_stays(server: Server, engine: Engine) -> None:
    one = keeper(server, engine)
    one.publish(standing(engine, *TWO))
    one.publish(standing(engine, assigned(parameters={"effekt": "x"})))
    assert set(server.objects) == {PRIVILEGED, f"{TEMPLATES_PATH}/akspnoprivileged"}
    one.publish(standing(engine))
    assert server.objects == {}


def test_what_others_made_is_neither_taken_over_nor_deleted(server: Server, engine: Engine) -> None:
    theirs = {
        "apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "AkspNoPrivileged",
        "metadata": {"name": "one", "uid": "theirs", "generation": 1}, "spec": {"enforcementAction": "dryrun"},
    }  # fmt: skip
    server.objects[PRIVILEGED] = json.loads(json.dumps(theirs))
    one = keeper(server, engine)
    one.publish(standing(engine, *TWO))
    assert server.objects[PRIVILEGED] == theirs and HOST in server.objects
    one.publish(standing(engine))
    # Its template stays, since Gatekeeper would delete the constraint with it.
    assert set(server.objects) == {PRIVILEGED, f"{TEMPLATES_PATH}/akspnoprivileged"}
