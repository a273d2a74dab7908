"""A server process of the testbed: started with a log file, and never left behind."""

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

# Asks Linux (PR_SET_PDEATHSIG is 1) to kill the process when its parent is killed outright, then becomes the command.
_DIE_WITH_PARENT = """
import ctypes, os, sys
try:
    ctypes.CDLL(None).prctl(1, 9)
except (OSError, AttributeError):
    pass
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


class ProcessDied(Exception):
    """A server ended before it was ready, or while it was needed."""


class Process:
    """One child in its own process group, its output in a log file."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = tuple(command)
        self.log = log
        self._environment = dict(os.environ | (environment or {}))
        self.child: subprocess.Popen[bytes] | None = None
        _guard()
        _processes.add(self)

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self.child.pid if self.running and self.child else None

    @property
    def running(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def start(self) -> None:
        """Starts the process; what it says is appended to the log."""
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self._wrapped(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    def _wrapped(self) -> list[str]:
        """The command under the guard above.

        The kernel sends the signal when the thread that forked ends, so the guard is for the main thread alone.
        """
        if threading.current_thread() is not threading.main_thread():
            return list(self.command)
        return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *self.command]

    def stop(self, grace: float = 5.0) -> None:
        """Ends the process group: SIGTERM, then SIGKILL after `grace` seconds."""
        child = self.child
        if child is None:
            return
        if child.poll() is None:
            _signal(child.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                child.wait(grace)
        _signal(child.pid, signal.SIGKILL)
        child.wait()
        self.child = None

    def kill(self) -> None:
        """Ends the process group at once."""
        self.stop(grace=0)

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Polls `ready`; raises ProcessDied with the log's tail when the process ends or time runs out."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise ProcessDied(f"{self.name} ended early; the last lines of its log:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ProcessDied(
                    f"{self.name} not ready after {seconds:g} s; the last lines of its log:\n{self.tail()}"
                )
            time.sleep(0.02)

    def tail(self, lines: int = 20) -> str:
        """The last lines of the log."""
        if not self.log.is_file():
            return "(no log)"
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 500 * lines))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])


_processes: "weakref.WeakSet[Process]" = weakref.WeakSet()
_guarded = False


def _guard() -> None:
    """Makes sure, once, that the children go when this process does."""
    global _guarded
    if _guarded:
        return
    _guarded = True
    atexit.register(_kill_all)
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    """Kills the children, then unwinds as Ctrl-C does, so that temporary folders go too."""
    _kill_all()
    raise SystemExit(128 + number)


def _kill_all() -> None:
    for process in list(_processes):
        process.kill()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
