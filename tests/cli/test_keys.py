"""Keys on a real terminal."""

from __future__ import annotations

import os
import pty
import sys
import termios
import time
from collections.abc import Iterator

import pytest

from aksp.cli.keys import Keys


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Standard input is a terminal; its other side, where keys are pressed."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield ours
    os.close(ours)


def test_keys_are_heard_one_at_a_time_and_the_terminal_is_as_it_was_afterwards(terminal: int) -> None:
    before = termios.tcgetattr(sys.stdin)
    with Keys() as keys:
        assert keys.heard and keys.pressed() == ""
        os.write(terminal, b"xq")
        until = time.monotonic() + 5
        pressed = ""
        while len(pressed) < 2 and time.monotonic() < until:
            pressed += keys.pressed()
        assert pressed == "xq"
        assert not termios.tcgetattr(sys.stdin)[3] & (termios.ECHO | termios.ICANON)
        # Ctrl-C is still an interrupt.
        assert termios.tcgetattr(sys.stdin)[3] & termios.ISIG
    assert termios.tcgetattr(sys.stdin) == before


def test_without_a_terminal_no_key_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull, encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with Keys() as keys:
            assert not keys.heard and keys.pressed() == ""
