"""Events on the owners of what is refused."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from aksp.addon.record.events import BURST, NAMESPACE_BURST, Bucket, Events, Recent
from aksp.kube import errors
from aksp.model.resource import Resource
from tests.addon.decisions import REPLICA_SET, START, Clock, Cluster, allowed, refused, result
from tests.replacing import replace


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def events(cluster: Cluster, clock: Clock) -> Events:
    return Events(cluster.connection, now=clock.now, clock=clock.monotonic, instance="aksp-0")


def test_a_refused_pod_is_told_on_its_replica_set(events: Events, cluster: Cluster) -> None:
    events.record(refused())
    assert cluster.requests == []
    events.turn()

    (path,) = cluster.objects
    one = cluster.only
    assert path == f"/api/v1/namespaces/shop/events/{one['metadata']['name']}"
    assert one["metadata"]["name"].startswith("web-5d9.")
    assert one["involvedObject"] == {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9", "namespace": "shop", "uid": "u-1",
    }  # fmt: skip
    assert (one["type"], one["reason"], one["source"]) == (
        "Warning",
        "PolicyDenied",
        {"component": "aksp", "host": "aksp-0"},
    )
    assert one["message"] == "assignment images refuses the Pod: containers web: image nginx:1 is wrong"
    assert (one["count"], one["firstTimestamp"], one["lastTimestamp"]) == (
        1,
        "2026-09-01T10:00:00Z",
        "2026-09-01T10:00:00Z",
    )


def test_every_assignment_that_refuses_has_an_event(events: Events, cluster: Cluster) -> None:
    events.record(refused(result(), result("labels", "no label", None), sub_resource="ephemeralcontainers"))
    events.turn()

    assert sorted(each["message"] for each in cluster.objects.values()) == [
        "assignment images refuses the Pod (ephemeralcontainers): containers web: image nginx:1 is wrong",
        "assignment labels refuses the Pod (ephemeralcontainers): no label",
    ]


def test_without_an_owner_in_a_dry_run_or_when_allowed_there_is_none(events: Events, cluster: Cluster) -> None:
    events.record(refused(owner=None))
    events.record(refused(dry_run=True))
    events.record(allowed())
    events.turn()

    assert cluster.requests == []


def test_the_same_event_again_is_one_with_a_higher_count(events: Events, cluster: Cluster, clock: Clock) -> None:
    for at in range(3):
        events.record(refused(resource=Resource(api_version="v1", kind="Pod", namespace="shop", name=f"web-{at}")))
    events.turn()
    clock.seconds = 60
    events.record(refused())
    events.turn()

    assert cluster.verbs() == ["POST", "PATCH"]
    assert cluster.only["count"] == 4
    assert (cluster.only["firstTimestamp"], cluster.only["lastTimestamp"]) == (
        "2026-09-01T10:00:00Z",
        "2026-09-01T10:01:00Z",
    )


def test_an_event_that_the_api_server_has_forgotten_is_made_again_with_its_count(
    events: Events, cluster: Cluster, clock: Clock
) -> None:
    events.record(refused())
    events.turn()
    cluster.objects.clear()
    clock.seconds = 3700
    events.record(refused())
    events.turn()

    assert cluster.verbs() == ["POST", "PATCH", "POST"]
    assert cluster.only["count"] == 2


def test_an_owner_gets_25_events_at_once_then_one_in_five_minutes_and_no_count_is_lost(
    events: Events, cluster: Cluster, clock: Clock
) -> None:
    for second in range(100):
        clock.seconds = second
        events.record(refused())
        events.turn()
    assert len(cluster.verbs()) == 25
    assert cluster.only["count"] == 25

    clock.seconds = 400
    events.record(refused())
    events.turn()
    assert cluster.verbs() == ["PATCH"]
    assert cluster.only["count"] == 101

    other = Resource(api_version="batch/v1", kind="Job", namespace="shop", name="nightly", uid="u-2")
    events.record(refused(owner=other))
    events.turn()
    assert cluster.verbs() == ["POST"]


def test_a_failing_api_server_takes_no_token_and_loses_no_count(events: Events, cluster: Cluster, clock: Clock) -> None:
    cluster.failure = errors.ServerError("busy", status=503)
    for second in range(0, 6000, 61):
        clock.seconds = second
        events.record(refused())
        events.turn()
    cluster.failure = None
    clock.seconds += 61
    events.turn()

    assert cluster.only["count"] == 99
    assert events.lost == 0


def test_what_is_remembered_is_bounded() -> None:
    recent: Recent[int, int] = Recent(limit=3)
    for at in range(10):
        recent.put(at, at)
    recent.put(8, 80)
    recent.put(11, 11)

    assert [recent.get(at) for at in (7, 8, 9, 11)] == [None, 80, 9, 11]


def test_a_message_is_at_most_1024_bytes(events: Events, cluster: Cluster) -> None:
    events.record(refused(result(message="ü" * 3000)))
    events.turn()

    assert 1020 < len(cluster.only["message"].encode()) <= 1024
    assert cluster.only["message"].endswith("…")


@pytest.mark.parametrize(
    ("name", "start"), [("web", "web."), ("Not A Name", "aksp."), ("../..", "aksp."), ("a" * 300, "a" * 220 + ".")]
)
def test_an_owner_may_be_called_anything(name: str, start: str, events: Events, cluster: Cluster) -> None:
    owner = Resource(api_version="v1", kind="Thing", namespace="shop", name=name)
    events.record(refused(owner=owner))
    events.turn()

    event_name = cluster.only["metadata"]["name"]
    assert event_name.startswith(start) and len(event_name) <= 253
    assert cluster.only["involvedObject"]["name"] == name


def test_an_owner_without_a_namespace_has_its_events_in_default(events: Events, cluster: Cluster) -> None:
    events.record(refused(owner=Resource(api_version="v1", kind="Node", namespace="", name="n1", uid="u")))
    events.turn()

    assert cluster.only["metadata"]["namespace"] == "default"
    assert "namespace" not in cluster.only["involvedObject"]


def test_tokens_do_not_come_from_a_clock_that_goes_backwards() -> None:
    bucket = Bucket(tokens=3, at=START.timestamp())

    assert bucket.filled((START - timedelta(days=1)).timestamp()).tokens == 3
    assert bucket.filled((START + timedelta(seconds=300)).timestamp()).tokens == 4
    assert bucket.filled((START + timedelta(days=9)).timestamp()).tokens == BURST
    assert REPLICA_SET.uid


def test_owners_without_end_make_no_events_without_end(cluster: Cluster, clock: Clock) -> None:
    events = Events(cluster.connection, now=clock.now, clock=clock.monotonic)
    for at in range(3 * NAMESPACE_BURST):
        events.record(refused(owner=replace(REPLICA_SET, name=f"web-{at}")))
    elsewhere = replace(REPLICA_SET, namespace="other")
    events.record(refused(owner=elsewhere))
    events.turn()
    places = Counter(path.split("/namespaces/")[1].split("/")[0] for path in cluster.objects)
    assert places == {"shop": NAMESPACE_BURST, "other": 1}
