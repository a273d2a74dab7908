"""What only a real process shows: start, memory, signals, pipes."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Aksp, Process, pod
from tests.forked import USAGE
from tests.waiting import until

BAD = pod("bad", privileged=True)


def test_help_imports_nothing_heavy(process: Process) -> None:
    heavy = ("rich", "kubernetes", "jsonschema", "yaml", "hypothesis")
    program = (
        "import sys; from aksp.cli.app import main; code = main(['--help']); "
        f"print([name for name in {heavy!r} if name in sys.modules], code, file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert run.stderr == "[] 0\n"
    assert "compliance" in run.stdout


def test_the_module_runs_as_the_command_does(aksp: Aksp, process: Process) -> None:
    aksp.done("assign", "no-privileged")
    run = process("compliance", "-f", aksp.put("pod.json", BAD), "-o", "json")

    assert run.code == 1
    assert run.states == [("bad", "NonCompliant")]
    assert run.err == ""


def test_standard_input_is_a_real_pipe(aksp: Aksp, process: Process) -> None:
    aksp.done("assign", "no-privileged")
    one = process.start("compliance", "-f", "-", "-o", "json", stdin=subprocess.PIPE)
    out, _ = one.communicate(json.dumps(BAD).encode(), timeout=60)

    assert one.returncode == 1
    assert json.loads(out)["results"][0]["source"] == {"file": "-", "line": 1}


@pytest.mark.parametrize("form", ["table", "wide", "json", "yaml", "csv", "markdown"])
def test_a_reader_that_has_seen_enough_is_no_trouble(form: str, aksp: Aksp, process: Process) -> None:
    aksp.done("assign", "no-privileged")
    pods = [pod(f"pod-{n}-{'x' * 200}", privileged=True) for n in range(1500)]
    path = aksp.put("pods.json", {"apiVersion": "v1", "kind": "List", "items": pods})
    one = process.start("compliance", "-f", path, "-o", form, "-o", "json=report.json", "--group-by", "none")
    assert one.stdout is not None and one.stderr is not None
    one.stdout.read(10)
    one.stdout.close()

    assert (one.wait(60), one.stderr.read()) == (1, b"aksp: note: json written to report.json\n")
    assert len(json.loads(Path("report.json").read_text(encoding="utf-8"))["results"]) == 1500


def test_a_list_whose_reader_has_seen_enough_is_no_trouble(process: Process) -> None:
    one = process.start("definitions", "-o", "json")
    assert one.stdout is not None and one.stderr is not None
    one.stdout.close()

    assert (one.wait(60), one.stderr.read()) == (0, b"")


def test_ctrl_c_prints_what_is_known_and_says_that_it_is_not_all(aksp: Aksp, process: Process) -> None:
    aksp.done("assign", "no-privileged")
    page = yaml.safe_dump(pod("bad", privileged=True, metadata={"annotations": {"note": "x" * 5000}})) + "---\n"
    Path("pods.yaml").write_text(page * (6_000_000 // len(page)), encoding="utf-8")
    os.mkfifo("endless.yaml")
    one = process.start("compliance", "-f", "pods.yaml", "-f", "endless.yaml", "-o", "json")
    # It opens the second file when most of the first is judged or on its way, and then waits for ever.
    with open("endless.yaml", "wb"):
        one.send_signal(signal.SIGINT)
        out, err = one.communicate(timeout=60)
    report = json.loads(out)

    assert one.returncode == 130, err
    assert [gap["reason"] for gap in report["gaps"]] == ["Interrupted"]
    assert len(report["results"]) == report["counts"]["resources"]["NonCompliant"] > 100
    assert b"Traceback" not in err


def test_ctrl_c_amid_a_large_input_ends_with_a_whole_report_or_none(aksp: Aksp, process: Process) -> None:
    aksp.done("assign", "no-privileged")
    page = yaml.safe_dump_all([pod(f"pod-{n}", privileged=True) for n in range(400)]) + "---\n"
    Path("pods.yaml").write_text(page * 150, encoding="utf-8")
    one = process.start("compliance", "-f", "pods.yaml", "-o", "csv", stdout=subprocess.PIPE)
    engine_is_there(one)
    one.send_signal(signal.SIGINT)
    out, err = one.communicate(timeout=60)
    rows = list(csv.reader(io.StringIO(out.decode(), newline="")))

    # Caught while a dataclass is made, Python ends by the signal itself: 130 to a shell all the same.
    assert one.returncode in (130, -signal.SIGINT), err
    assert b"Traceback" not in err
    assert {len(row) for row in rows} <= {len(rows[0]) if rows else 0}
    assert not out or out.endswith(b"\n")


def engine_is_there(one: subprocess.Popen[bytes]) -> None:
    """Wait until the process has started its engine, so that it is about its work."""
    children = Path(f"/proc/{one.pid}/task/{one.pid}/children")
    until(lambda: children.read_text().split())


def test_a_file_of_100_megabytes_is_judged_in_bounded_memory(aksp: Aksp, forking: Path) -> None:
    aksp.done("assign", "no-privileged")
    filler = yaml.safe_dump(pod("filler", metadata={"annotations": {"note": "x" * 100_000}})) + "---\n"
    with open("large.yaml", "w", encoding="utf-8") as out:
        for _ in range(100_000_000 // len(filler) + 1):
            out.write(filler)
        out.write(yaml.safe_dump(BAD))
    lines = 1 + filler.count("\n") * (100_000_000 // len(filler) + 1)
    # Of a process that is started from here the system would tell the memory of this one, until it becomes the command.
    environment = {**os.environ, USAGE: str(aksp.folder / "usage")}
    one = subprocess.run(
        [forking / "aksp", "compliance", "-f", "large.yaml", "-o", "json"], stdout=subprocess.PIPE, env=environment
    )
    report = json.loads(one.stdout)
    peak = json.loads((aksp.folder / "usage").read_text())["bytes"]

    assert one.returncode == 1
    assert report["gaps"] == []
    (result,) = report["results"]
    assert result["resource"]["name"] == "bad"
    assert result["source"]["line"] > lines
    # The file itself, and not much more: of the command or of its engine, whichever has more.
    assert peak < 350 << 20, f"{peak >> 20} MiB"


def test_of_two_commands_that_assign_one_name_one_is_told(aksp: Aksp, process: Process) -> None:
    for number in range(3):
        name = f"one-{number}"
        both = [
            process.start("assign", "no-privileged", "--name", name, "--effect", effect) for effect in ("Audit", "Deny")
        ]
        ended = [(one.communicate(timeout=60), one.returncode) for one in both]
        assert sorted(code for _, code in ended) == [0, 2], ended
        ((_, said), _) = next(one for one in ended if one[1] == 2)
        assert f"assignment '{name}' exists with other content" in said.decode()


def test_a_reader_of_the_log_that_has_seen_enough_costs_no_summary(aksp: Aksp, process: Process) -> None:
    aksp.done("assign", "no-privileged")
    path = aksp.put(
        "pods.json", {"apiVersion": "v1", "kind": "List", "items": [pod(f"p{i}", privileged=True) for i in range(3)]}
    )
    summary = aksp.folder / "summary.md"
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary), "PYTHONUNBUFFERED": "1"}
    run = process.start("compliance", "-f", path, "-o", "github", environment=environment)
    assert run.stdout is not None
    run.stdout.close()
    assert run.wait(60) == 1
    assert "## Manifests" in summary.read_text()
