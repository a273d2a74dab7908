"""Test runs that share a machine, as the workers of one run do, get different ports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

#: With the same seed both would choose the same ports. A process keeps its ports until its input ends.
PROGRAM = """
import random, sys
random.seed(0)
from tests.testbed.ports import free_port
print(*(free_port() for _ in range(150)), flush=True)
sys.stdin.read()
"""


def test_processes_get_different_ports() -> None:
    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", PROGRAM]
    with (
        subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one,
        subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other,
    ):
        assert one.stdout and other.stdout
        first, second = (set(each.readline().split()) for each in (one.stdout, other.stdout))
    assert len(first) == len(second) == 150 and not first & second
