"""Check-ins: when they are made, and what becomes of one that fails or is no longer wanted."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aksp.addon.checkins import leader
from aksp.addon.checkins.leader import CheckIns
from aksp.addon.settings import RunSettings
from tests.waiting import until

DONE = 'print(\'{"evaluation": "1"}\')'


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[CheckIns, list[Any]]]]:
    monkeypatch.setattr(leader, "SETTLE_SECONDS", 0.05)
    started: list[CheckIns] = []

    def make(program: str = DONE, interval: float = 60.0) -> tuple[CheckIns, list[Any]]:
        found: list[Any] = []
        one = CheckIns([sys.executable, "-c", program], interval=interval, ended=found.append)
        one.start()
        started.append(one)
        return one, found

    yield make
    for one in started:
        one.stop()


def test_nothing_is_run_by_one_that_does_not_lead(made: Any) -> None:
    one, _ = made()
    one.nudge()
    assert one.due_in() is None
    one.lead(True)
    assert one.due_in() is not None
    one.lead(False)
    one.nudge()
    assert one.due_in() is None


def test_a_leader_checks_in_at_once_and_at_every_interval(made: Any) -> None:
    one, found = made(interval=0.2)
    one.lead(True)
    until(lambda: len(found) >= 3)
    assert found[0]["evaluation"] == "1" and found[0]["exitCode"] == 0


def test_a_change_is_followed_by_a_check_in(made: Any) -> None:
    one, found = made()
    one.lead(True)
    until(lambda: len(found) == 1)
    one.nudge()
    until(lambda: len(found) == 2)


def test_one_that_ends_without_a_summary_is_told_and_tried_again(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "RETRY_SECONDS", 0.1)
    one, found = made("import sys; sys.exit('broken')")
    one.lead(True)
    until(lambda: len(found) >= 2)
    assert found[0]["failed"] is True


def test_one_that_is_under_way_is_stopped_when_another_replica_leads(made: Any, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    one, found = made(
        f"import os, pathlib, time; pathlib.Path({str(told)!r}).write_text(f'{{os.getpid()}}.'); time.sleep(60)"
    )
    one.lead(True)
    until(lambda: told.exists() and told.read_text().endswith("."))
    began = time.monotonic()
    one.lead(False)
    assert time.monotonic() - began < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text().rstrip(".")), 0)
    assert found == []


def test_the_command_is_that_of_this_interpreter() -> None:
    line = leader.command(RunSettings(kubeconfig="k", cluster_name="c", namespace="n"))
    assert line[:5] == [sys.executable, "-m", "aksp", "addon", "check-in"]
    assert "--kubeconfig=k" in line and "--cluster-name=c" in line and not any("context" in each for each in line)
