"""A scan and the person before it: Ctrl-C, and the progress bar."""

from __future__ import annotations

import dataclasses
import os
import pty
import threading

import pytest

from tests.e2e.command import Aksp, judged, reasons, violations
from tests.e2e.meddler import ALWAYS, Fault, Hang, Meddled
from tests.e2e.objects import OUR_REGISTRY, Place, ingress, pod
from tests.testbed.controlplane import ControlPlane
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.e2e

SLOW = "slow"
#: A terminal that can show progress.
DRESSED = {"TERM": "xterm-256color", "COLUMNS": "100"}
SCOPE = f"/clusters/testbed/namespaces/{SLOW}"


@pytest.fixture
def assigned(aksp: Aksp, place: Place) -> Aksp:
    place(SLOW, [*(pod(f"slow-{number:02}", SLOW) for number in range(12)), ingress("slow", SLOW, "slow.example.com")])
    aksp.assign("allowed-images", parameters=OUR_REGISTRY, scope=SCOPE)
    return aksp


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


class Terminal:
    """A pseudo-terminal, of which `read` gives what was written to it."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        self._said = b""
        self._reader = threading.Thread(target=self._drain)
        self._reader.start()

    def _drain(self) -> None:
        while True:
            try:
                part = os.read(self._ours, 4096)
            except OSError:  # Linux says so when the last writer is gone
                return
            if not part:
                return
            self._said += part

    def shows(self, text: str) -> bool:
        """Whether this has been written."""
        return text.encode() in self._said

    def read(self) -> str:
        """Everything, once whoever writes has ended."""
        os.close(self.theirs)
        self._reader.join(PATIENCE)
        os.close(self._ours)
        return self._said.decode()


def test_ctrl_c_prints_what_is_known_and_says_that_it_is_not_all(
    assigned: Aksp, meddled: Meddled, terminal: Terminal
) -> None:
    with meddled(Fault(harm=Hang(), page="later", after=1, times=ALWAYS)) as proxy:
        run = dataclasses.replace(assigned, environment=DRESSED).start(
            "compliance", "-o", "json", "-o", "table=seen.txt", "-n", SLOW, "--chunk-size", "4",
            kubeconfig=proxy.kubeconfig, stderr=terminal.theirs,
        )  # fmt: skip
        until(lambda: terminal.shows("8/12"))
        run.interrupt()
        ended = run.wait()
    terminal.read()
    assert ended.code == 130
    assert reasons(ended.report) == ["Interrupted"] and "incomplete" in ended.report["gaps"][0]["message"]
    # Two pages of three had come, and both are judged.
    assert {name for name, _ in violations(ended.report)} == {f"slow-{number:02}" for number in range(8)}
    assert judged(ended.report) == 8 and ended.report["counts"]["containers"]["NonCompliant"] == 8
    table = (assigned.folder / "home" / "seen.txt").read_text()
    assert "Interrupted" in table.partition("Could not be judged")[2]


def test_ctrl_c_before_anything_is_known_still_reports(assigned: Aksp, meddled: Meddled) -> None:
    assigned.assign("unique-ingress-hosts", scope=SCOPE)
    hang = Hang()
    with meddled(Fault(harm=hang, times=ALWAYS), Fault(harm=hang, plural="ingresses", times=ALWAYS)) as proxy:
        run = assigned.start("compliance", "-n", SLOW, kubeconfig=proxy.kubeconfig)
        assert hang.reached.wait(PATIENCE)
        run.interrupt()
        ended = run.wait()
    assert ended.code == 130
    assert "nothing judged" in ended.stdout and "Interrupted" in ended.stdout


def test_progress_is_shown_on_a_terminal_and_only_on_standard_error(
    assigned: Aksp, meddled: Meddled, terminal: Terminal
) -> None:
    run = dataclasses.replace(assigned, environment=DRESSED).start(
        "compliance", "-n", SLOW, "--chunk-size", "2", stderr=terminal.theirs
    )
    ended = run.wait()
    shown = terminal.read()
    assert ended.code == 1 and "\x1b" not in ended.stdout
    assert ended.stdout.startswith("Cluster testbed")
    # The list, how many of how many; and it is gone from the screen at the end.
    assert f"Pod {SLOW}" in shown and "12/12" in shown and "\x1b[2K" in shown


@pytest.mark.parametrize("hush", [{"CI": "true"}, {}], ids=["in CI", "with --quiet"])
def test_nobody_who_wants_quiet_sees_progress(assigned: Aksp, terminal: Terminal, hush: dict[str, str]) -> None:
    arguments = ["compliance", "-n", SLOW] + ([] if hush else ["--quiet"])
    environment = {"TERM": "xterm-256color", **hush}
    run = dataclasses.replace(assigned, environment=environment).start(*arguments, stderr=terminal.theirs)
    assert run.wait().code == 1
    assert terminal.read() == ""


def test_without_a_terminal_there_is_no_progress(assigned: Aksp, plane: ControlPlane) -> None:
    ended = assigned.table("-n", SLOW)
    assert ended.stderr == "" and "\x1b" not in ended.stdout
