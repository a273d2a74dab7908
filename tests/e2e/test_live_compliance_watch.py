"""A cluster that is watched: a Deployment comes, grows, is put right and goes; the API server goes away meanwhile."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import pty
import queue
import random
import signal
import struct
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyte
import pytest

from tests.e2e.command import Aksp, Started
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, OURS, create_pods, ingress, may, namespace, pod, workload
from tests.testbed.client import ApiError
from tests.testbed.controlplane import ControlPlane
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.e2e

Event = dict[str, Any]


@pytest.fixture(scope="module")
def own(plane: ControlPlane) -> Iterator[ControlPlane]:
    """A control plane of our own, since its API server is stopped. `plane` sees to the binaries, or skips."""
    with ControlPlane() as running:
        yield running


@pytest.fixture
def aksp(own: ControlPlane, tmp_path: Path) -> Aksp:
    return Aksp(folder=tmp_path, kubeconfig=own.kubeconfig)


@pytest.fixture
def place(own: ControlPlane, request: pytest.FixtureRequest) -> str:
    """A namespace for one test."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:50].strip("-")
    own.apply([namespace(name)])
    return str(name)


class Lines:
    """What a command writes, line by line as it comes."""

    def __init__(self, run: Started) -> None:
        self.run = run
        self._lines: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.run.process.stdout is not None
        for line in self.run.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def next(self) -> str:
        return self._lines.get(timeout=PATIENCE)

    def until(self, wanted: Callable[[str], bool]) -> list[str]:
        """The lines up to the one that is wanted."""
        lines = [self.next()]
        while not wanted(lines[-1]):
            lines.append(self.next())
        return lines

    def event(self) -> Event:
        document = json.loads(self.next())
        assert isinstance(document, dict)
        return document


@contextlib.contextmanager
def watching(aksp: Aksp, *arguments: str, **more: Any) -> Iterator[Lines]:
    run = aksp.start("compliance", "--watch", *arguments, **more)
    try:
        yield Lines(run)
    finally:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
        run.process.wait()
        for stream in (run.process.stdout, run.process.stderr):
            if stream is not None:
                stream.close()


def interrupted(lines: Lines) -> str:
    """Ctrl-C; what was said on standard error."""
    lines.run.interrupt()
    assert lines.run.process.wait(PATIENCE) == 130
    assert lines.run.process.stderr is not None
    said = lines.run.process.stderr.read()
    assert "Traceback" not in said and "ResourceWarning" not in said, said
    return said


def named(event: Event) -> tuple[str, str]:
    """Type and owner of a result's event."""
    return event["type"], event["result"]["owner"]["name"]


def test_a_deployment_comes_grows_is_put_right_and_goes(own: ControlPlane, aksp: Aksp, place: str) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY, scope=f"/clusters/testbed/namespaces/{place}")
    own.apply([pod("first", place)])
    with watching(aksp, "-n", place, "-o", "json") as lines:
        first = lines.event()
        assert (first["type"], first["result"]["resource"]["name"], first["state"]) == (
            "ADDED",
            "first",
            "NonCompliant",
        )
        assert first["result"]["container"] == {"name": "main", "type": "containers", "image": FOREIGN}

        # Recreate: no kubelet makes new Pods ready, for which a rolling update would wait.
        web: dict[str, Any] = {"replicas": 2, "strategy": {"type": "Recreate"}}
        own.apply([workload("apps/v1", "Deployment", "web", place, **web)])
        assert [named(lines.event()) for _ in range(2)] == [("ADDED", "web")] * 2
        own.apply([workload("apps/v1", "Deployment", "web", place, **web | {"replicas": 3})])
        assert named(lines.event()) == ("ADDED", "web")

        own.apply([workload("apps/v1", "Deployment", "web", place, OURS, **web | {"replicas": 3})])
        gone = [lines.event() for _ in range(3)]
        assert [named(each) for each in gone] == [("RESOLVED", "web")] * 3 and all(each["gone"] for each in gone)
        # Its new Pods come after the old ones are gone, and the last of them goes before `first` does: then nothing is
        # left to judge.
        pods = f"/api/v1/namespaces/{place}/pods"
        own.wait_for(pods, lambda found: len(found["items"]) == 4)
        own.request("DELETE", f"/apis/apps/v1/namespaces/{place}/deployments/web")
        own.wait_for(pods, lambda found: [one["metadata"]["name"] for one in found["items"]] == ["first"])
        own.request("DELETE", f"{pods}/first")
        last = lines.event()
        assert (last["type"], last["state"], last["compliancePercent"]) == ("RESOLVED", "NotStarted", None)
        interrupted(lines)


def test_the_api_server_goes_away_and_comes_back(own: ControlPlane, aksp: Aksp, place: str) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY, scope=f"/clusters/testbed/namespaces/{place}")
    own.apply([pod("before", place)])
    with watching(aksp, "-n", place) as lines:
        assert lines.next().split() == [
            "TIME",
            "CHANGE",
            "NAMESPACE",
            "RESOURCE",
            "CONTAINER",
            "ASSIGNMENT",
            "STATE",
            "MESSAGE",
        ]
        cells = lines.next().split()
        assert cells[1:7] == ["ADDED", place, "Pod/before", "main", "allowed-images", "NonCompliant"]
        own.stop_api_server()
        lost = lines.next().split()
        assert lost[1:7] == ["ADDED", "-", "-", "-", "-", "ListFailed"]
        own.start_api_server()
        own.apply([pod("after", place)])
        rest = lines.until(lambda line: "Pod/after" in line)
        assert [line.split()[1:7] for line in rest][-1] == [
            "ADDED",
            place,
            "Pod/after",
            "main",
            "allowed-images",
            "NonCompliant",
        ]
        while not any("RESOLVED" in line and "ListFailed" in line for line in rest):
            rest.append(lines.next())
        assert not any("Pod/before" in line for line in rest)
        said = interrupted(lines)
    assert "note: NonCompliant, 0.0% compliant; watching 1 object of 1 kind" in said


def test_a_rule_that_compares_sees_what_there_is_now(own: ControlPlane, aksp: Aksp, place: str) -> None:
    aksp.assign("unique-ingress-hosts", parameters={"allowSameNamespace": False}, scope="/clusters/testbed")
    # Of two of the same second the later in the alphabet is the one that is reported.
    own.apply([ingress(name, place, f"{host}.{place}.example.com") for name, host in (("a", "one"), ("c", "two"))])
    own.apply([ingress("d", place, f"two.{place}.example.com")])
    with watching(aksp, "-n", place, "-o", "json") as lines:
        assert lines.event()["result"]["resource"]["name"] == "d"
        own.apply([ingress("b", place, f"one.{place}.example.com")])
        added = lines.event()
        assert (added["type"], added["result"]["resource"]["name"]) == ("ADDED", "b")
        own.request("DELETE", f"/apis/networking.k8s.io/v1/namespaces/{place}/ingresses/a")
        resolved = lines.event()
        assert (resolved["type"], resolved["result"]["resource"]["name"], resolved["gone"]) == ("RESOLVED", "b", False)


def test_what_may_not_be_watched_is_a_gap(own: ControlPlane, aksp: Aksp, place: str) -> None:
    own.apply(may("viewer", None, "pods"))
    aksp.assign("allowed-images", parameters=OUR_REGISTRY, scope=f"/clusters/testbed/namespaces/{place}")
    aksp.assign("allowed-service-ports", parameters={"allowedServicePortsRegex": "^443$"})
    config = own.kubeconfig_for(token=own.token("viewer"))
    with watching(aksp, "-n", place, "-o", "json", kubeconfig=config) as lines:
        gaps = sorted((lines.event()["gap"] for _ in range(2)), key=lambda gap: str(gap["message"]))
        assert [gap["reason"] for gap in gaps] == ["Forbidden"] * 2
        # Listed but not watched: the rights of `may` are get and list.
        assert gaps[0]["message"].startswith("Pod cannot be watched now, and is tried again: ")
        assert gaps[1]["message"].startswith("Service could not be listed: ")


#: Written behind what a command has written; terminals show nothing of it.
_LAST = b"\x1b]0;the end\x07"


class Screen:
    """A terminal in which a command runs, and what a person sees on it."""

    def __init__(self, aksp: Aksp, *arguments: str, lines: int = 30, columns: int = 100) -> None:
        self._ours, self._theirs = pty.openpty()
        self._lock = threading.Lock()
        self._screen = pyte.Screen(columns, lines)
        self.resize(lines, columns)
        self._stream = pyte.ByteStream(self._screen)
        self.written = b""
        dressed = dataclasses.replace(aksp, environment={"TERM": "xterm-256color"})
        self.run = dressed.start(
            "compliance", "--watch", *arguments, stdin=self._theirs, stdout=self._theirs, stderr=self._theirs
        )
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        if self.run.process.poll() is None:
            os.killpg(self.run.process.pid, signal.SIGKILL)
        self.run.process.wait()
        os.close(self._theirs)
        self._reader.join(10)
        os.close(self._ours)

    def _drain(self) -> None:
        while True:
            try:
                part = os.read(self._ours, 4096)
            except OSError:  # Linux says so when the last writer is gone
                return
            if not part:
                return
            with self._lock:
                self.written += part
                self._stream.feed(part)

    def resize(self, lines: int, columns: int) -> None:
        """The window gets another size; programs are not told, and look for themselves."""
        with self._lock:
            self._screen.resize(lines, columns)
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    @property
    def text(self) -> str:
        with self._lock:
            return "\n".join(line.rstrip() for line in self._screen.display)

    def shows(self, wanted: Callable[[str], bool]) -> str:
        """The screen, once it is as wanted."""
        with contextlib.suppress(AssertionError):
            until(lambda: wanted(self.text) or self.run.process.poll() is not None)
        text = self.text
        assert wanted(text), text
        return text

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def settings(self) -> list[Any]:
        return termios.tcgetattr(self._theirs)

    def end(self) -> int:
        """The exit code, once all is read that the command has written: the terminal may hold the last of it for a while."""
        code = self.run.process.wait(PATIENCE)
        os.write(self._theirs, _LAST)
        until(lambda: _LAST in self.written)
        return code


def test_the_screen_shows_a_new_finding_and_loses_it_again(own: ControlPlane, aksp: Aksp, place: str) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY, scope=f"/clusters/testbed/namespaces/{place}")
    own.apply([pod("fine", place, OURS)])
    with Screen(aksp, "-n", place) as screen:
        before = screen.settings()
        text = screen.shows(lambda text: "Compliant" in text and "watching 1 object of 1 kind" in text)
        assert text.startswith("Cluster testbed") and "100.0% compliant" in text
        assert "nothing has changed yet" in text and "Findings" not in text

        own.apply([workload("apps/v1", "Deployment", "web", place, replicas=3)])
        text = screen.shows(lambda text: "Deployment/web, 3 pods" in text)
        assert "NonCompliant  25.0% compliant  watching 4 objects" in text and "last change 20" in text
        assert f"{place} Deployment/web" in text.partition("Findings")[2]

        own.request("DELETE", f"/apis/apps/v1/namespaces/{place}/deployments/web")
        text = screen.shows(lambda text: "watching 1 object of" in text and "web" not in text)
        assert "100.0% compliant" in text and "Findings" not in text
        screen.press("q")
        assert screen.end() == 0
        assert screen.settings() == before
        # The screen before the watch is back, with the state that was last.
        assert "Everything that was judged complies." in screen.text


def test_a_window_that_is_too_small_says_how_much_more_there_is(own: ControlPlane, aksp: Aksp, place: str) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY, scope=f"/clusters/testbed/namespaces/{place}")
    own.apply([pod(f"pod-{number:02}", place) for number in range(20)])
    with Screen(aksp, "-n", place, lines=26) as screen:
        text = screen.shows(lambda text: "more findings" in text)
        own.apply([pod("zz-newest", place)])
        text = screen.shows(lambda text: "zz-newest" in text and "pod-00" in text and "… 19 more findings" in text)
        # The newest comes first, and the last line says what to do.
        assert text.partition("Findings")[2].index("zz-newest") < text.partition("Findings")[2].index("pod-00")
        assert text.splitlines()[-1].startswith("q quits")
        screen.resize(12, 70)
        text = screen.shows(lambda text: "… 21 more findings\nq quits" in text)
        assert "zz-newest" not in text
        screen.press("q")
        assert screen.end() == 1


@pytest.mark.parametrize(("lines", "columns"), [(24, 80), (40, 120)])
def test_keys_scroll_and_search_and_the_whole_height_is_used(
    lines: int, columns: int, own: ControlPlane, aksp: Aksp, place: str
) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY, scope=f"/clusters/testbed/namespaces/{place}")
    own.apply([pod(f"pod-{number:02}", place) for number in range(40)])
    with Screen(aksp, "-n", place, lines=lines, columns=columns) as screen:
        # A screen is read while it is drawn.
        screen.shows(lambda text: "pod-00" in text and "more findings" in text and len(text.splitlines()) == lines)
        screen.press("j")
        screen.shows(lambda text: "1 above" in text and "pod-00" not in text and "pod-01" in text)
        screen.press("\x1b[6~")
        screen.shows(lambda text: f"{1 + lines // 2} above" in text)
        screen.press("\x1b[6~" * 9)
        screen.shows(lambda text: "39 above" in text and "pod-39" in text and "more finding" not in text)
        screen.press("\x1b[5~" * 9)
        screen.shows(lambda text: "pod-00" in text and "above" not in text)
        screen.press("/pod-17\r")
        text = screen.shows(lambda text: "/pod-17  1 finding " in text)
        assert "pod-17" in text.partition("Findings")[2] and "pod-18" not in text
        screen.press("\x1b")
        screen.shows(lambda text: "pod-00" in text and "more findings" in text)
        screen.press("q")
        assert screen.end() == 1


def test_whoever_ends_the_watch_gets_the_terminal_back(own: ControlPlane, aksp: Aksp, place: str) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY, scope=f"/clusters/testbed/namespaces/{place}")
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP)):
        with Screen(aksp, "-n", place) as screen:
            before = screen.settings()
            screen.shows(lambda text: "q quits" in text)
            assert screen.settings() != before
            os.killpg(screen.run.process.pid, number)
            assert screen.end() == code
            assert screen.settings() == before
            assert b"\x1b[?1049l" in screen.written and b"Traceback" not in screen.written


def test_after_a_storm_the_events_add_up_to_what_a_scan_says(own: ControlPlane, aksp: Aksp, place: str) -> None:
    other = place[:40] + "-other"
    own.apply([namespace(other)])
    scope = "/clusters/testbed"
    aksp.assign("allowed-images", parameters=OUR_REGISTRY, scope=scope)
    aksp.assign("no-privileged", scope=scope)
    aksp.assign("resource-limits", scope=scope)
    aksp.assign("unique-ingress-hosts", scope=scope)
    aksp.exempt("some", "no-privileged", resources=[{"kind": "Pod", "name": "pod-*0"}])
    create_pods(own, [pod(f"pod-{number:03}", place) for number in range(100)])
    here = ["-n", place, "-n", other]
    with watching(aksp, *here, "-o", "json") as lines:
        known: dict[str, Event] = {}
        heard = threading.Thread(target=add_up, args=(lines, known), daemon=True)
        heard.start()
        chance = random.Random(7)
        for number in range(6):
            names = chance.sample(range(100), 25)
            for name in names[:15]:
                with contextlib.suppress(ApiError):
                    own.request("DELETE", f"/api/v1/namespaces/{place}/pods/pod-{name:03}")
            create_pods(own, [pod(f"pod-{name:03}", place, OURS) for name in names])
            patch = {"spec": {"containers": [{"name": "main", "image": chance.choice([OURS, FOREIGN])}]}}
            for name in names[15:]:
                own.request(
                    "PATCH", f"/api/v1/namespaces/{place}/pods/pod-{name:03}", patch,
                    "application/strategic-merge-patch+json",
                )  # fmt: skip
            own.apply([ingress(f"site-{number % 3}", one, f"{number % 2}.example.com") for one in (place, other)])
            own.apply([workload("apps/v1", "Deployment", "web", other, replicas=number)])
            if number == 3:
                own.stop_api_server()
                own.start_api_server()
        until(lambda: added_up(known) == results(aksp.judge(*here).report))
        assert len(known) > 100


def add_up(lines: Lines, known: dict[str, Event]) -> None:
    """Follow the events, as their documentation says."""
    with contextlib.suppress(queue.Empty):
        while True:
            event = lines.event()
            if event["result"] is None:
                continue
            if event["before"]:
                del known[json.dumps(event["before"], sort_keys=True)]
            text = json.dumps(event["result"], sort_keys=True)
            if event["type"] == "RESOLVED":
                del known[text]
            else:
                known[text] = event["result"]


def added_up(known: dict[str, Event]) -> list[str]:
    return sorted(known.copy())


def results(report: dict[str, Any]) -> list[str]:
    return sorted(json.dumps(one, sort_keys=True) for one in report["results"])
