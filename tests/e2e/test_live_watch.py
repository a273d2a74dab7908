"""Writing, watching and leading against a real API server, which goes away and comes back."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from aksp.errors import ClusterError
from aksp.kube import errors, objects
from aksp.kube.config import connect
from aksp.kube.connection import Connection
from aksp.kube.fetch import Backoff
from aksp.kube.kinds import Discovery
from aksp.kube.lease import Lease
from aksp.kube.watch import Watch
from tests.testbed.controlplane import ControlPlane
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.e2e

MAPS = "/api/v1/namespaces/default/configmaps"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="module")
def own(plane: ControlPlane) -> Iterator[ControlPlane]:
    """A control plane of our own, since its API server is stopped. `plane` sees to the binaries, or skips."""
    with ControlPlane(controllers=None) as running:
        yield running


@pytest.fixture
def connection(own: ControlPlane) -> Iterator[Connection]:
    with connect(None, str(own.kubeconfig)) as made:
        yield made


def a_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


def a_crd(plural: str, kind: str) -> dict[str, Any]:
    number = {"type": "integer", "maximum": 9}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": number}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.test.aksp.io"},
        "spec": {
            "group": "test.aksp.io",
            "scope": "Cluster",
            "names": {"plural": plural, "kind": kind, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [version],
        },
    }


class Severed:
    """A connection that reaches nobody once it is cut."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self.server, self.cut = connection, connection.server, False
        self.asked = 0

    def send(self, *given: Any, **more: Any) -> Any:
        self.asked += 1
        if self.cut:
            raise errors.Unreachable("cut")
        return self._connection.send(*given, **more)


class Followed:
    """A watch, and what it told."""

    def __init__(self, connection: Connection, path: str, **options: Any) -> None:
        self.told: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.troubles: list[ClusterError] = []
        self.watch = Watch(
            connection,
            path,
            replaced=lambda found: self.told.put(("replaced", {each["metadata"]["name"] for each in found})),
            changed=lambda kind, thing: self.told.put((kind, thing["metadata"]["name"])),
            troubled=self.troubles.append,
            backoff=Backoff(first=0.2, longest=0.5),
            **options,
        )
        self.watch.start()

    def __enter__(self) -> Followed:
        return self

    def __exit__(self, *_: object) -> None:
        began = time.monotonic()
        self.watch.stop()
        assert time.monotonic() - began < 10

    def next(self) -> tuple[str, Any]:
        return self.told.get(timeout=PATIENCE)


def test_objects_are_applied_read_changed_and_deleted(connection: Connection) -> None:
    discovery = Discovery(connection)
    document = a_map("written", a="1")
    path = objects.object_path(discovery, document)
    assert objects.get(connection, path) is None
    objects.apply(connection, path, document, dry_run=True)
    assert objects.get(connection, path) is None
    stored = objects.apply(connection, path, document)
    with pytest.raises(errors.AlreadyExists):
        objects.create(connection, MAPS, document)
    objects.merge_patch(connection, path, {"data": {"b": "2"}})
    with pytest.raises(errors.Conflict, match="somebody else"):
        objects.replace(connection, path, stored)
    found = objects.get(connection, path)
    assert found and found["data"] == {"a": "1", "b": "2"}
    assert "written" in {each["metadata"]["name"] for each in objects.list_all(connection, MAPS)}
    # A manager that applies less gives up the rest; what was read may be applied again, managed fields and all.
    found["metadata"].pop("resourceVersion")
    assert objects.apply(connection, path, found)["data"] == {"a": "1", "b": "2"}
    assert objects.delete(connection, path)
    assert not objects.delete(connection, path)


def test_a_namespace_that_is_missing_and_unknown_fields_are_told(connection: Connection) -> None:
    lost = a_map("a") | {"metadata": {"name": "a", "namespace": "nowhere"}}
    with pytest.raises(errors.NotServed, match='namespaces "nowhere" not found'):
        objects.apply(connection, objects.object_path(Discovery(connection), lost), lost)
    with pytest.raises(ClusterError, match="dta") as raised:
        objects.apply(connection, f"{MAPS}/a", a_map("a") | {"dta": {}}, backoff=Backoff(tries=1))
    assert isinstance(raised.value, errors.BadRequest), raised.value


def test_a_kind_that_is_installed_later_is_found_watched_and_checked(connection: Connection) -> None:
    discovery = Discovery(connection)
    thing = {"apiVersion": "test.aksp.io/v1", "kind": "Late", "metadata": {"name": "a"}, "spec": {"size": 1}}
    with pytest.raises(errors.NotServed):
        objects.object_path(discovery, thing)
    with Followed(connection, "/apis/test.aksp.io/v1/lates") as followed:
        until(lambda: followed.troubles)
        assert isinstance(followed.troubles[0], errors.NotServed)
        crd = a_crd("lates", "Late")
        objects.apply(connection, objects.object_path(discovery, crd), crd)
        assert followed.next() == ("replaced", set())
        path = objects.object_path(Discovery(connection), thing)
        objects.apply(connection, path, thing)
        assert followed.next() == ("ADDED", "a")
        with pytest.raises(errors.Invalid, match=r"Late\S* a: spec\.size: [^;]*$"):
            objects.apply(connection, path, thing | {"spec": {"size": 10}})
        with pytest.raises(ClusterError, match="sise") as refused:
            objects.apply(connection, path, thing | {"spec": {"sise": 1}}, backoff=Backoff(tries=1))
        assert isinstance(refused.value, errors.BadRequest), refused.value
        # The kind goes away with its objects, and comes back without them.
        objects.delete(connection, f"{CRDS}/lates.test.aksp.io")
        assert followed.next() == ("DELETED", "a")
        until(lambda: objects.get(connection, f"{CRDS}/lates.test.aksp.io") is None)
        objects.apply(connection, f"{CRDS}/lates.test.aksp.io", crd)
        until(lambda: objects.get(connection, "/apis/test.aksp.io/v1/lates") is not None)
        objects.apply(connection, path, thing)
        seen: set[str] = set()
        while "a" not in seen:
            kind, what = followed.next()
            seen |= what if kind == "replaced" else {what}


def test_a_watch_that_the_server_ends_goes_on(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, begun = Connection.lines, threading.Semaphore(0)

    def counted(self: Connection, *given: Any, **more: Any) -> Iterator[bytes]:
        begun.release()
        return lines(self, *given, **more)

    monkeypatch.setattr(Connection, "lines", counted)
    with Followed(connection, MAPS, lifetime=(1, 1)) as followed:
        assert followed.next()[0] == "replaced"
        assert begun.acquire(timeout=PATIENCE)
        for number in range(2):
            name = f"resumed-{number}"
            objects.create(connection, MAPS, a_map(name))
            assert followed.next() == ("ADDED", name)
            objects.delete(connection, f"{MAPS}/{name}")
            assert followed.next() == ("DELETED", name)
            assert begun.acquire(timeout=PATIENCE)
        assert followed.troubles == [] and followed.told.empty()


def test_a_watch_outlives_the_api_server_and_misses_nothing(own: ControlPlane, connection: Connection) -> None:
    with Followed(connection, MAPS) as followed:
        kind, names = followed.next()
        assert kind == "replaced"
        objects.create(connection, MAPS, a_map("before"))
        assert followed.next() == ("ADDED", "before")
        own.stop_api_server()
        until(lambda: any(isinstance(each, errors.Unreachable) for each in followed.troubles))
        own.start_api_server()
        objects.create(connection, MAPS, a_map("after"))
        # It resumes, or lists again: both are right, and neither loses anything.
        while True:
            kind, what = followed.next()
            if kind == "replaced":
                assert {*names, "before"} <= what
            if what == "after" or "after" in what:
                break
    assert all(isinstance(each, errors.Unreachable | errors.ServerError) for each in followed.troubles)


def test_a_version_that_is_too_old_means_a_new_list(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, versions = Connection.lines, iter(["1"])

    def aged(self: Connection, path: str, *, query: Mapping[str, str], **more: Any) -> Iterator[bytes]:
        """The first watch asks for what an etcd that has been compacted no longer has: it was away too long."""
        return lines(self, path, query={**query, "resourceVersion": next(versions, query["resourceVersion"])}, **more)

    monkeypatch.setattr(Connection, "lines", aged)
    with Followed(connection, MAPS, lifetime=(1, 1)) as followed:
        first = followed.next()
        assert first[0] == "replaced" and followed.next() == first
        assert followed.troubles == []


def test_two_leases_take_over_from_each_other_and_outlive_the_api_server(
    own: ControlPlane, connection: Connection
) -> None:
    told: queue.Queue[tuple[str, str]] = queue.Queue()

    apart = Severed(connection)

    def candidate(identity: str, duration: float = 4.0) -> Lease:
        lease = Lease(
            cast(Connection, apart) if identity == "b" else connection,
            namespace="default",
            name="leader",
            identity=identity,
            duration=duration,
            renew=2.0,
            retry=0.2,
            won=lambda: told.put(("won", identity)),
            lost=lambda: told.put(("lost", identity)),
            troubled=lambda _: None,
        )
        lease.start()
        return lease

    own.apply(
        [
            {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": "leader", "namespace": "default"},
            }
        ]
    )
    # Longer than the test waits: who follows has seen that the lease was released.
    first = candidate("a", duration=10 * PATIENCE)
    assert told.get(timeout=PATIENCE) == ("won", "a")
    second = candidate("b")
    third = None
    try:
        until(lambda: apart.asked > 3)
        assert first.held and not second.held
        first.stop()
        assert told.get(timeout=PATIENCE) == ("lost", "a")
        assert told.get(timeout=PATIENCE) == ("won", "b")
        own.stop_api_server()
        assert told.get(timeout=PATIENCE) == ("lost", "b")
        assert not second.held
        own.start_api_server()
        assert told.get(timeout=PATIENCE) == ("won", "b")
        # It vanishes without releasing: another waits for the duration.
        apart.cut = True
        second.stop()
        assert told.get(timeout=PATIENCE) == ("lost", "b")
        began = time.monotonic()
        third = candidate("c")
        assert told.get(timeout=PATIENCE) == ("won", "c")
        assert time.monotonic() - began > 3.5
        spec = (objects.get(connection, "/apis/coordination.k8s.io/v1/namespaces/default/leases/leader") or {})["spec"]
        assert (spec["holderIdentity"], spec["leaseTransitions"], spec["leaseDurationSeconds"]) == ("c", 2, 4)
    finally:
        for each in (first, second, third):
            if each is not None:
                each.stop()
