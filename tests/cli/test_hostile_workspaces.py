"""Hostile documents of a workspace: one message with file and place, exit 2, and no waiting."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Aksp, pod
from tests.cli.hostile import HEAD, HOSTILE, LARGE, YAML, tried

pytestmark = pytest.mark.slow

#: Bytes of the command or the engine that it starts, and seconds: it takes 2 on a machine that has nothing else to do.
MOST_MEMORY, LONGEST = 300_000_000, 10


def refused(name: str, out: str, err: str) -> None:
    assert out == ""
    assert HOSTILE[name].place in err
    assert err.startswith("aksp: error: ") and "Traceback" not in err
    assert len(err) < 1000


@pytest.mark.parametrize("name", [name for name, one in HOSTILE.items() if one.alone])
def test_a_hostile_workspace_ends_soon_and_small_with_its_place(tmp_path: Path, name: str, forking: Path) -> None:
    sample, out, err = tried(HOSTILE[name], tmp_path, f"{forking}/aksp")  # which wants exit code 2
    assert sample.peak_bytes > 30_000_000  # the command's, not its program's
    refused(name, out, err)
    assert sample.peak_bytes < MOST_MEMORY, f"{sample.peak_bytes >> 20} MiB"
    assert sample.cpu_seconds < LONGEST


@pytest.mark.parametrize("name", [name for name, one in HOSTILE.items() if not one.alone])
def test_a_workspace_that_is_wrong_is_told_with_its_place(aksp: Aksp, name: str) -> None:
    HOSTILE[name].write(aksp.folder)
    run = aksp(*HOSTILE[name].arguments)
    assert run.code == 2, run.err
    refused(name, run.out, run.err)


@pytest.mark.parametrize("kind", [kind for kind in YAML if kind not in LARGE])
def test_every_kind_of_hostile_yaml_is_told_with_its_file(aksp: Aksp, kind: str) -> None:
    folder = aksp.workspace / "assignments"
    folder.mkdir(parents=True)
    for seed in range(5):
        written = YAML[kind](random.Random(f"{kind} {seed}"))
        (folder / "a.yaml").write_text(f"{HEAD}  metadata:\n    x: {written}\n")
        run = aksp.judge(aksp.put("pod.json", pod("a")))
        assert (run.code, run.out) == (2, ""), (written[:200], run.err)
        assert f"{folder / 'a.yaml'}" in run.err
        assert "Traceback" not in run.err
        assert len(run.err) < 1000


def test_aliases_and_merges_that_are_meant_well_are_read(aksp: Aksp) -> None:
    folder = aksp.workspace / "assignments"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_text(f"{HEAD}  metadata: {{a: &a {{x: 1, y: 2}}, b: {{<<: *a, y: 3}}, c: [*a, *a]}}\n")
    (shown,) = aksp.done("assignments", "-o", "json").json
    assert shown["spec"]["metadata"]["b"] == {"x": 1, "y": 3}


@pytest.mark.parametrize("damage", ["bytes", "table", "value", "findings", "finding"])
def test_a_damaged_history_is_put_aside_and_the_scan_goes_on(aksp: Aksp, damage: str) -> None:
    aksp.done("assign", "no-privileged")
    path = aksp.put("pod.json", pod("a", privileged=True))
    assert aksp.judge(path).code == 1
    file = aksp.workspace / "data" / "history.sqlite3"
    if damage == "bytes":
        file.write_bytes(b"x" * 5000)
    else:
        with sqlite3.connect(file) as database:
            database.execute(
                {
                    "table": "DROP TABLE scans",
                    "value": "UPDATE scans SET state = 'odd'",
                    "findings": "UPDATE last_findings SET findings = '[['",
                    "finding": "UPDATE last_findings SET findings = replace(CAST(findings AS TEXT), 'NonCompliant', 'odd')",
                }[damage]
            )
        database.close()
    run = aksp("compliance", "-f", path, "--diff")
    assert run.code == 1, run.err
    assert f"put aside as {file}.damaged" in run.err
    again = aksp("compliance", "-f", path, "--diff")
    assert (again.code, "put aside" in again.err) == (1, False)


@pytest.mark.parametrize("name", ["data", "data/history.sqlite3", "data/.gitignore"])
def test_the_history_is_not_written_through_a_link(aksp: Aksp, name: str) -> None:
    aksp.done("assign", "no-privileged")
    elsewhere = aksp.folder / "elsewhere"
    elsewhere.mkdir()
    link = aksp.workspace / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere if name == "data" else elsewhere / "file")
    run = aksp("compliance", "-f", aksp.put("pod.json", pod("a", privileged=True)))
    assert (run.code, list(elsewhere.iterdir())) == (1, []), run.err
    assert f"{link}: is a symbolic link" in run.err
