"""``aksp compliance --watch`` before a stand-in for the API server."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cli.conftest import Aksp, Process, chosen, kubeconfig, pod
from tests.kube.apiserver import ApiServer, Reply, Request, document, status

PODS = "/api/v1/pods"
SOON = 20.0


class Cluster:
    """A Pod that does not comply, and then what `events` say."""

    def __init__(self, *events: dict[str, Any], privileged: bool = True) -> None:
        self.over = threading.Event()
        self._events = [json.dumps(event).encode() + b"\n" for event in events]
        bad = pod("bad", privileged=privileged, metadata={"namespace": "shop", "resourceVersion": "5"})
        self._list = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "5"}, "items": [bad]}

    def answer(self, request: Request) -> Reply:
        if request.path != PODS:
            return status(404, "not found")
        return Reply(stream=self._stream()) if "watch" in request.query else document(self._list)

    def _stream(self) -> Iterator[bytes]:
        yield from self._events
        self._events = []
        self.over.wait(SOON)


@contextmanager
def serving(aksp: Aksp, cluster: Cluster, answer: Callable[[Request], Reply] | None = None) -> Iterator[str]:
    """A kubeconfig whose current cluster this is."""
    with ApiServer(answer or cluster.answer) as server:
        try:
            yield aksp.put("config", kubeconfig("here", current="here", server=server.url))
        finally:
            cluster.over.set()


def deleted(name: str = "bad") -> dict[str, Any]:
    return {"type": "DELETED", "object": pod(name, metadata={"namespace": "shop", "resourceVersion": "6"})}


def added(name: str) -> dict[str, Any]:
    one = pod(name, privileged=True, metadata={"namespace": "shop", "resourceVersion": "7"})
    return {"type": "ADDED", "object": one}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-f", "pods.yaml"], "-f does not combine with --watch"),
        (["--from", "addon"], "--from addon does not combine with --watch"),
        (["--baseline", "b.json"], "--baseline does not combine with --watch"),
        (["--fail-on-new"], "--fail-on-new does not combine with --watch"),
        (["--write-baseline"], "--write-baseline does not combine with --watch"),
        (["--diff"], "--diff does not combine with --watch"),
        (["--show", "new"], "--show new does not combine with --watch"),
        (["--group-by", "namespace"], "--group-by does not combine with --watch"),
        (["-o", "yaml"], "--watch does not write -o yaml"),
        (["-o", "json=report.json"], "--watch does not write -o json=report.json"),
        (["-o", "table", "-o", "json=report.json"], "--watch does not write -o table -o json=report.json"),
        (["-n", "a,b"], "-n a,b: no namespace has such a name"),
    ],
)
def test_what_does_not_go_with_a_watch_is_refused(aksp: Aksp, options: list[str], said: str) -> None:
    run = aksp("compliance", "--cluster", "--watch", *options)

    assert (run.code, run.out) == (2, "")
    assert said in run.err and "hint: " in run.err


def test_a_watch_of_nothing_is_refused(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged", "--effect", "Disabled")
    config = aksp.put("config", kubeconfig("here", current="here"))
    run = aksp("compliance", "--watch", "--kubeconfig", config)

    assert run.code == 4
    assert "nothing is in force" in run.err and "aksp assign" in run.err


def test_a_cluster_that_is_not_there_ends_it_at_once(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged")
    config = aksp.put("config", kubeconfig("here", current="here"))
    run = aksp("compliance", "--watch", "--kubeconfig", config)

    assert run.code == 3
    assert "127.0.0.1:1" in run.err and "Traceback" not in run.err


def test_lines_come_as_things_change_and_ctrl_c_is_130(aksp: Aksp, process: Process) -> None:
    aksp.done("assign", "no-privileged")
    with serving(aksp, Cluster(deleted())) as config:
        one = process.start("compliance", "-w", "--kubeconfig", config)
        assert one.stdout is not None
        lines = [one.stdout.readline().decode().split() for _ in range(3)]
        one.send_signal(signal.SIGINT)
        out, err = one.communicate(timeout=SOON)

    assert lines[0][:2] == ["TIME", "CHANGE"]
    assert [line[1:7] for line in lines[1:]] == [
        ["ADDED", "shop", "Pod/bad", "web", "no-privileged", "NonCompliant"],
        ["RESOLVED", "shop", "Pod/bad", "web", "no-privileged", "NonCompliant"],
    ]
    assert (one.returncode, out) == (130, b"")
    assert chosen(err.decode().splitlines(), "watching").startswith("aksp: note: ")
    assert b"Traceback" not in err


def test_json_is_an_object_per_line_with_the_state_of_the_whole(aksp: Aksp, process: Process) -> None:
    aksp.done("assign", "no-privileged")
    with serving(aksp, Cluster(deleted())) as config:
        one = process.start("compliance", "-w", "-o", "json", "--quiet", "--kubeconfig", config)
        assert one.stdout is not None
        events = [json.loads(one.stdout.readline()) for _ in range(2)]
        one.send_signal(signal.SIGINT)
        _, err = one.communicate(timeout=SOON)

    assert [(each["type"], each["gone"], each["state"], each["compliancePercent"]) for each in events] == [
        ("ADDED", False, "NonCompliant", 0.0),
        ("RESOLVED", True, "NotStarted", None),
    ]
    assert all(each["kind"] == "ComplianceEvent" and each["result"]["path"] for each in events)
    assert (one.returncode, err) == (130, b"")


def test_a_reader_that_has_seen_enough_ends_it_with_the_code_of_the_state(aksp: Aksp, process: Process) -> None:
    aksp.done("assign", "no-privileged")
    cluster = Cluster()
    gone = threading.Event()

    def stream() -> Iterator[bytes]:
        gone.wait(SOON)
        yield json.dumps(added("other")).encode() + b"\n"
        cluster.over.wait(SOON)

    def answer(request: Request) -> Reply:
        return Reply(stream=stream()) if "watch" in request.query else cluster.answer(request)

    with serving(aksp, cluster, answer) as config:
        one = process.start("compliance", "-w", "--kubeconfig", config)
        assert one.stdout is not None and one.stderr is not None
        one.stdout.readline()
        one.stdout.readline()
        one.stdout.close()
        gone.set()
        assert one.wait(SOON) == 1
        assert b"Traceback" not in one.stderr.read()


def test_what_complies_is_shown_when_it_is_wanted(aksp: Aksp, process: Process) -> None:
    aksp.done("assign", "no-privileged")
    with serving(aksp, Cluster(privileged=False)) as config:
        one = process.start("compliance", "-w", "--show", "all", "--kubeconfig", config)
        assert one.stdout is not None
        lines = [one.stdout.readline().decode().split() for _ in range(2)]
        one.kill()

    assert lines[1][1:7] == ["ADDED", "shop", "Pod/bad", "web", "no-privileged", "Compliant"]
