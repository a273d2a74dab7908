"""Denials: what was refused, in the cluster."""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from aksp.addon.record.denials import ASSIGNMENT_LABEL, OTHERS, PER_NAMESPACE, DenialKey, Denials, denial_name
from aksp.addon.review.refusals import cut
from aksp.errors import Forbidden
from aksp.kube import errors
from aksp.model.resource import Container, Owner, Resource
from tests.addon.decisions import START, Clock, Cluster, refused, refused_by, request, result
from tests.addon.decisions import allowed as let_in

#: A name as DNS subdomains are written (RFC 1123), which names of objects must be.
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def denials_of(cluster: Cluster, clock: Clock, **more: Any) -> Denials:
    return Denials(cluster.connection, now=clock.now, clock=clock.monotonic, **more)


@pytest.fixture
def denials(cluster: Cluster, clock: Clock) -> Denials:
    return denials_of(cluster, clock)


def test_a_refusal_becomes_a_policy_denial_in_the_namespace_of_the_object(denials: Denials, cluster: Cluster) -> None:
    denials.record(refused())
    assert cluster.requests == []
    denials.turn()

    (path,) = cluster.objects
    name = path.rpartition("/")[2]
    assert path.startswith("/apis/policy.aksp.io/v1alpha1/namespaces/shop/policydenials/images-")
    assert len(name) == len("images-") + 10
    assert cluster.only["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "aksp", "policy.aksp.io/assignment": "images",
    }  # fmt: skip
    assert cluster.only["spec"] == {
        "assignment": "images",
        "definition": "allowed-images",
        "operation": "CREATE",
        "user": "system:serviceaccount:kube-system:replicaset-controller",
        "resource": {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web-5d9-x"},
        "workload": {"kind": "Deployment", "name": "web"},
        "containers": [{"name": "web", "image": "nginx:1"}],
        "message": "containers web: image nginx:1 is wrong",
        "count": 1,
        "firstTime": "2026-09-01T10:00:00Z",
        "lastTime": "2026-09-01T10:00:00Z",
    }


def test_the_message_is_the_answers_own_where_it_has_one(denials: Denials, cluster: Cluster) -> None:
    lines = "[images] containers web: wrong (spec.x is 1)\n[labels] not me\n[images] containers db: wrong"
    denials.record(refused(message=lines))
    denials.turn()

    assert cluster.only["spec"]["message"] == "containers web: wrong (spec.x is 1); containers db: wrong"


def test_refusals_of_one_workload_are_one_denial_with_a_count(denials: Denials, cluster: Cluster, clock: Clock) -> None:
    for at in range(50):
        pod = Resource(api_version="v1", kind="Pod", namespace="shop", name=f"web-{at}")
        denials.record(refused(resource=pod))
    denials.turn()
    assert cluster.verbs() == ["GET", "LIST", "POST"]

    clock.seconds = 90
    denials.record(refused(user="jane"))
    denials.turn()

    spec = cluster.only["spec"]
    assert cluster.verbs() == ["GET", "PUT"]
    assert (spec["count"], spec["user"]) == (51, "jane")
    assert (spec["firstTime"], spec["lastTime"]) == ("2026-09-01T10:00:00Z", "2026-09-01T10:01:30Z")


def test_each_assignment_namespace_workload_and_bare_object_has_its_own(denials: Denials, cluster: Cluster) -> None:
    elsewhere = Resource(api_version="v1", kind="Pod", namespace="pay", name="web-5d9-x")
    service = Resource(api_version="v1", kind="Service", namespace="shop", name="web")
    knative = Resource(api_version="serving.knative.dev/v1", kind="Service", namespace="shop", name="web")
    denials.record(refused(result(), result("labels", "no label", None)))
    denials.record(refused(resource=elsewhere))
    denials.record(refused(workload=Owner(kind="Job", name="web")))
    denials.record(refused(resource=service, workload=None, owner=None))
    denials.record(refused(resource=knative, workload=None, owner=None))
    denials.turn()

    assert len(cluster.objects) == 6
    bare = [each["spec"] for each in cluster.objects.values() if each["spec"]["resource"]["kind"] == "Service"]
    assert ["workload" in spec for spec in bare] == [False, False]


def test_an_object_without_a_namespace_is_remembered_in_the_add_ons(cluster: Cluster, clock: Clock) -> None:
    denials = denials_of(cluster, clock, namespace="policy-system")
    role = Resource(api_version="rbac.authorization.k8s.io/v1", kind="ClusterRole", namespace="", name="all")
    denials.record(refused(resource=role, workload=None, owner=None))
    denials.turn()

    assert cluster.only["metadata"]["namespace"] == "policy-system"
    assert cluster.only["spec"]["resource"]["namespace"] == ""


def test_dry_runs_and_what_is_allowed_are_not_remembered(denials: Denials, cluster: Cluster) -> None:
    denials.record(refused(dry_run=True))
    denials.record(let_in())
    denials.turn()

    assert cluster.requests == []


def test_what_is_refused_since_it_could_not_be_judged_is_remembered_too(denials: Denials, cluster: Cluster) -> None:
    decision = refused_by(
        message="[images] could not be judged: deadline", errors=(("images", "deadline"), ("labels", "broken"))
    )
    denials.record(decision)
    denials.turn()

    assert (cluster.only["spec"]["assignment"], cluster.only["spec"]["definition"]) == ("images", "")
    assert cluster.only["spec"]["message"] == "could not be judged: deadline"
    assert cluster.only["spec"]["containers"] == []


def test_two_replicas_add_up(cluster: Cluster, clock: Clock) -> None:
    one, other = denials_of(cluster, clock), denials_of(cluster, clock)
    one.record(refused())
    other.record(refused())
    # Created by the other between reading and creating, then replaced by the other between reading and replacing.
    cluster.meanwhile.append(other.turn)
    one.turn()
    other.record(refused())
    one.record(refused())
    cluster.meanwhile.append(other.turn)
    one.turn()

    assert cluster.only["spec"]["count"] == 4


def test_a_later_refusal_written_by_another_replica_stays(denials: Denials, cluster: Cluster) -> None:
    denials.record(refused())
    denials.turn()
    cluster.only["spec"] |= {"user": "later", "count": 3, "lastTime": "2026-09-01T11:00:00Z"}
    denials.record(refused())
    denials.turn()

    spec = cluster.only["spec"]
    assert (spec["user"], spec["count"], spec["lastTime"]) == ("later", 4, "2026-09-01T11:00:00Z")
    assert spec["firstTime"] == "2026-09-01T10:00:00Z"


@pytest.mark.parametrize(
    "spec", [None, [], {"count": "many", "lastTime": "yesterday", "firstTime": 7}, {"count": True}]
)
def test_a_denial_that_somebody_has_spoiled_is_written_anew(denials: Denials, cluster: Cluster, spec: Any) -> None:
    denials.record(refused())
    denials.turn()
    message = cluster.only["spec"]["message"]
    cluster.only["spec"] = spec
    denials.record(refused())
    denials.turn()

    assert cluster.only["spec"]["message"] == message
    assert cluster.only["spec"]["lastTime"] == "2026-09-01T10:00:00Z"


def test_one_that_is_pruned_while_it_is_written_is_made_again(denials: Denials, cluster: Cluster) -> None:
    denials.record(refused())
    denials.turn()
    denials.record(refused())
    cluster.meanwhile.append(cluster.objects.clear)
    denials.turn()

    assert cluster.only["spec"]["count"] == 1


def test_a_failing_api_server_is_tried_again_less_and_less_often(
    denials: Denials, cluster: Cluster, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cluster.failure = errors.ServerError("etcd is full", status=500)
    attempts = []
    for second in range(600):
        clock.seconds = second
        denials.record(refused())
        denials.turn()
        attempts += cluster.verbs()
    assert 10 <= len(attempts) <= 30
    assert 2 <= len([r for r in caplog.records if "cannot be written now" in r.message]) <= 11

    cluster.failure = None
    clock.seconds += 61
    denials.turn()
    assert cluster.only["spec"]["count"] == 600
    assert denials.lost == 0
    assert caplog.messages[-1] == "denials are written again"


def test_what_the_api_server_refuses_is_counted_as_lost_and_holds_up_nothing(
    denials: Denials, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    def gone() -> None:
        raise Forbidden("namespace shop is being terminated")

    cluster.meanwhile.append(gone)
    for _ in range(3):
        denials.record(refused())
    denials.record(refused(result("labels")))
    denials.turn()

    assert cluster.only["spec"]["assignment"] == "labels"
    assert denials.lost == 3
    assert "3 denials are lost: namespace shop is being terminated" in caplog.messages


def test_what_does_not_fit_is_counted_and_told_once_a_minute(
    cluster: Cluster, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    denials = denials_of(cluster, clock, pending=2)
    cluster.failure = errors.Unreachable("connection refused")
    for second in range(150):
        clock.seconds = second
        denials.record(refused(workload=Owner(kind="Job", name=f"job-{second}")))
        denials.turn()

    told = [message for message in caplog.messages if "are lost" in message]
    assert denials.lost == 148
    assert len(told) == 3
    assert "more than 2 wait to be written" in told[0]


def test_a_bug_in_writing_one_does_not_end_the_thread(denials: Denials, cluster: Cluster) -> None:
    def bug() -> None:
        raise ZeroDivisionError

    cluster.meanwhile.append(bug)
    denials.record(refused())
    denials.turn()
    denials.record(refused())
    denials.turn()

    assert (cluster.only["spec"]["count"], denials.lost) == (1, 1)


def test_close_writes_what_waits(cluster: Cluster) -> None:
    denials = Denials(cluster.connection, interval=3600.0)
    denials.start()
    denials.record(refused())
    denials.close()

    assert cluster.only["spec"]["count"] == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "aksp-denials"]


def test_close_tries_once_more_after_failures_and_says_what_it_gives_up(
    denials: Denials, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.failure = errors.Unreachable("connection refused")
    denials.record(refused())
    denials.turn()
    denials.close()

    assert cluster.verbs() == ["GET", "GET"]
    assert caplog.messages[-1].startswith("1 denials are lost: the process ends")


def stored(cluster: Cluster, count: int, age: timedelta = timedelta(0)) -> None:
    for at in range(count):
        name = f"d{len(cluster.objects)}"
        moment = START - age - timedelta(seconds=at)
        path = f"/apis/policy.aksp.io/v1alpha1/namespaces/shop/policydenials/{name}"
        cluster.objects[path] = {
            "metadata": {"name": name, "namespace": "shop", "resourceVersion": "1"},
            "spec": {"lastTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ")},
        }


def test_prune_deletes_what_is_older_than_seven_days(
    denials: Denials, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stored(cluster, 3, timedelta(days=6, hours=23))
    stored(cluster, 2, timedelta(days=7, seconds=1))
    assert denials.prune() == 2

    assert [each["metadata"]["name"] for each in cluster.objects.values()] == ["d0", "d1", "d2"]
    assert caplog.messages == ["2 denials older than 7 days deleted"]
    assert denials.prune() == 0
    assert len(caplog.messages) == 1


def test_a_denial_without_any_time_goes_first(denials: Denials, cluster: Cluster) -> None:
    stored(cluster, 1)
    cluster.only["spec"] = None

    assert denials.prune() == 1


def test_prune_says_when_the_cluster_refuses(
    denials: Denials, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.failure = Forbidden("may not list")

    assert denials.prune() == 0
    assert caplog.messages == ["old denials cannot be deleted now: may not list"]


def names_in(cluster: Cluster, namespace: str) -> Counter[str]:
    """How often refusals of each name are counted."""
    found: Counter[str] = Counter()
    for path, each in cluster.objects.items():
        if f"/namespaces/{namespace}/" in path:
            spec = each["spec"]
            found[(spec.get("workload") or spec["resource"])["name"]] += spec["count"]
    return found


def test_a_storm_of_names_pushes_nothing_out_and_fills_one_namespace_only(cluster: Cluster, clock: Clock) -> None:
    denials = denials_of(cluster, clock, pending=1_000)
    elsewhere = Resource(api_version="v1", kind="Pod", namespace="other", name="web")
    denials.record(refused(workload=Owner(kind="Job", name="first")))
    denials.turn()
    for at in range(5_000):
        denials.record(refused(workload=Owner(kind="Job", name=f"job-{at}")))
        if at % 1_000 == 999:
            denials.record(refused(resource=elsewhere, workload=Owner(kind="Job", name=f"job-{at}")))
        if at % 700 == 0:
            denials.turn()
    denials.turn()

    found = names_in(cluster, "shop")
    assert found["first"] == 1 and len(found) == PER_NAMESPACE + 1
    assert found[OTHERS] == 5_001 - PER_NAMESPACE and denials.lost == 0
    assert sum(names_in(cluster, "other").values()) == 5 and len(names_in(cluster, "other")) == 5
    # Those that are known go on counting.
    denials.record(refused(workload=Owner(kind="Job", name="first")))
    denials.turn()
    assert names_in(cluster, "shop")["first"] == 2


def test_what_other_replicas_have_written_counts_too(cluster: Cluster, clock: Clock) -> None:
    replicas = [denials_of(cluster, clock) for _ in range(2)]
    for at, denials in enumerate(replicas):
        for number in range(80):
            denials.record(refused(workload=Owner(kind="Job", name=f"job-{at}-{number}")))
        denials.turn()

    found = names_in(cluster, "shop")
    assert len(found) == PER_NAMESPACE + 1 and found[OTHERS] == 60


def test_each_assignment_has_a_denial_for_the_others(cluster: Cluster, clock: Clock) -> None:
    denials = denials_of(cluster, clock)
    for at in range(PER_NAMESPACE):
        denials.record(refused(workload=Owner(kind="Job", name=f"job-{at}")))
    denials.turn()
    for assignment in ("images", "limits"):
        denials.record(refused(result(assignment), workload=Owner(kind="Job", name="late")))
    denials.turn()
    others = [each["spec"] for each in cluster.objects.values() if each["spec"]["resource"]["name"] == OTHERS]
    assert [(each["assignment"], each["count"]) for each in others] == [("images", 1), ("limits", 1)]
    assert all("workload" not in each for each in others)


@pytest.mark.parametrize("assignment", ["a" * 253, "a" * 39 + "." + "b" * 20, "x" * 39 + "-y", "team/CIS5.1.1-NoRoot"])
def test_names_are_names_whatever_the_assignment_is_called(assignment: str) -> None:
    name = denial_name(DenialKey(assignment=assignment, namespace="shop", kind="Deployment", name="web"))

    assert len(name) <= 51
    assert SUBDOMAIN.fullmatch(name)


def test_denials_of_members_of_one_initiative_are_apart_and_have_its_assignments_label(
    denials: Denials, cluster: Cluster
) -> None:
    for reference in ("Images", "Limits"):
        denials.record(refused(result(f"team/{reference}")))
    denials.turn()
    labels = [each["metadata"]["labels"][ASSIGNMENT_LABEL] for each in cluster.objects.values()]
    assert labels == ["team", "team"]
    assert {each["spec"]["assignment"] for each in cluster.objects.values()} == {"team/Images", "team/Limits"}


def test_many_containers_and_long_texts_are_cut_and_say_so(denials: Denials, cluster: Cluster) -> None:
    many = [result(container=Container(name=f"c{at}", type="containers", image="i" * 4000)) for at in range(80)]
    denials.record(refused(*many, user="ü" * 2000))
    denials.turn()

    spec = cluster.only["spec"]
    assert len(spec["containers"]) == 50
    assert spec["containers"][-1] == {"name": "… and 31 more", "image": ""}
    assert len(spec["containers"][0]["image"].encode()) <= 512
    assert len(spec["user"].encode()) <= 512 and spec["user"].endswith("…")
    assert len(spec["message"].encode()) <= 1024


@pytest.mark.parametrize("text", ["ä" * 600, "a" * 1025, "😀" * 300, "\ud800" * 2000])
def test_texts_are_cut_after_a_whole_character(text: str) -> None:
    shortened = cut(text)

    assert 1020 < len(shortened.encode()) <= 1024
    assert shortened.endswith("…")
    assert cut("ä" * 512) == "ä" * 512


def test_recording_a_refusal_takes_microseconds(denials: Denials) -> None:
    import timeit

    decision = refused(result(), result("labels", "no label", None))
    assert min(timeit.repeat(lambda: denials.record(decision), number=200, repeat=5)) / 200 < 0.001
    assert request().uid == "r-1"
