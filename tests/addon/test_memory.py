"""What a replica does with memory that it no longer needs."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from aksp.addon import run

#: One body of the largest size, then several smaller ones, all freed: how many bytes stay.
FREED = """
import os
from aksp.addon import run

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

run.give_back_memory()
before = resident()
body = b"x" * (19 << 20)
del body
bodies = [b"x" * (1200 << 10) for _ in range(16)]
last = b"x" * 1000
del bodies
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_the_memory_of_large_bodies_is_given_back_after_the_largest_was_there() -> None:
    ended = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    assert int(ended.stdout) < 4 << 20


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    run.give_back_memory()
