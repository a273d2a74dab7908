"""The engine is killed again and again during a scan: the report is the undisturbed one, or names what is in Error."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Aksp, Process, pod
from tests.cli.test_streams import children

pytestmark = pytest.mark.slow

PODS = 2000


def killed(one: subprocess.Popen[bytes], times: int, source: random.Random) -> int:
    """Kill what the process has started, so many times at most; how often it was."""
    done = 0
    while done < times and one.poll() is None:
        with contextlib.suppress(OSError):
            for child in children(one):
                os.kill(int(child), signal.SIGKILL)
                done += 1
        threading.Event().wait(source.uniform(0.02, 0.25))
    return done


def told(out: bytes) -> tuple[dict[str, list[Any]], set[str], Any]:
    """The results by assignment, those in Error, and the report."""
    report = json.loads(out)
    results: dict[str, list[Any]] = {}
    for result in report["results"]:
        results.setdefault(result["assignment"], []).append(result)
    in_error = {one["name"] for one in report["assignments"] if one["counts"]["resources"].get("Error")}
    return results, in_error, report


def test_an_engine_that_is_killed_costs_no_report(aksp: Aksp, process: Process) -> None:
    aksp.done("assign", "no-privileged")
    aksp.done("assign", "required-labels", "--label", "app")
    aksp.done("assign", "allowed-images", "--regex", "^quay")
    # Names in an image and a label keep one judgement from standing for all.
    many = [
        pod(f"pod-{n}", privileged=n % 3 == 0, image=f"quay.io/x{n}" if n % 2 else f"docker.io/x{n}", note="x" * 2000)
        for n in range(PODS)
    ]
    Path("pods.yaml").write_text("---\n".join(json.dumps(one) + "\n" for one in many))
    command = ("compliance", "-f", "pods.yaml", "-o", "json", "--no-history")
    whole = process(*command)
    assert whole.code == 1
    results, in_error, expected = told(whole.out.encode())
    assert in_error == set()

    for times in (1, 2, 3, 5, 10):
        with open("out.json", "wb") as out:
            one = process.start(*command, stdout=out)
            count = killed(one, times, random.Random(times))
            _, err = one.communicate(timeout=120)
        assert one.returncode in (1, 4), err.decode()
        assert count >= 1
        found, blamed, report = told(Path("out.json").read_bytes())
        for name, given in results.items():
            if name not in blamed:
                assert found[name] == given
        if blamed:
            assert {gap["reason"] for gap in report["gaps"]} == {"EvaluationError"}, report["gaps"]
            assert all(any(name in gap["message"] for gap in report["gaps"]) for name in blamed)
        else:
            assert {**report, "evaluatedAt": ""} == {**expected, "evaluatedAt": ""}
