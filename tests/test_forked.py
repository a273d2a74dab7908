"""The forked command (tests/forked.py) is to its caller what the command is."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aksp import __version__
from tests.waiting import until


@contextmanager
def waiting(program: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command that has begun, and waits: for a document on standard input, or for its engine, which answers nothing."""
    engine, begun = folder / "engine", folder / "begun"
    engine.write_text(f"#!/bin/sh\nhead -c1 >/dev/null\n: >'{begun}'\nexec cat >/dev/null\n")
    engine.chmod(0o755)
    mine, its = os.pipe()
    try:
        with subprocess.Popen(
            [program, "compliance", "-f", "-"],
            stdin=mine,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={"HOME": str(folder), "PATH": os.defpath, "AKSP_ENGINE": str(engine)},
        ) as one:
            until(begun.exists)
            yield one
    finally:
        os.close(mine)
        os.close(its)


def test_it_has_its_arguments_folder_environment_and_streams(forking: Path, tmp_path: Path) -> None:
    def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [forking / "aksp", *arguments],
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "AKSP_WORKSPACE": "ws"},
            input=given,
            capture_output=True,
            text=True,
        )

    assert run("--version").stdout == f"aksp {__version__}\n"
    assert run("assign", "no-privileged").returncode == 0
    assert (tmp_path / "ws" / "assignments" / "no-privileged.yaml").is_file()
    judged = run("compliance", "-f", "-", given="a: [")
    assert judged.returncode == 4 and "standard input:1" in judged.stdout
    wrong = run("assign", "no-such-thing")
    assert (wrong.returncode, wrong.stdout) == (2, "") and wrong.stderr.startswith("aksp: error: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_as_the_signal_ends_the_command(number: signal.Signals, forking: Path, tmp_path: Path) -> None:
    # Seldom an interrupt meets the command where Python makes another exception of it: tests/cli/test_streams.py is about that.
    for _ in range(3):
        (tmp_path / "begun").unlink(missing_ok=True)
        with waiting(forking / "aksp", tmp_path) as one:
            one.send_signal(number)
            _, err = one.communicate(timeout=60)
        # By the signal itself before the command is imported, and by its number afterwards.
        if one.returncode in (128 + number, -number):
            break
    assert one.returncode in (128 + number, -number) and b"Traceback" not in err, err


def test_with_the_program_that_is_killed_its_command_ends(forking: Path, tmp_path: Path) -> None:
    with waiting(forking / "aksp", tmp_path) as one:
        one.kill()
        assert one.stdout is not None and one.stdout.read() == b"", "what holds the pipe is the command"
