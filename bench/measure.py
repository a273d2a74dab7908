"""Runs commands and measures them: wall time, processor time, and the memory of the whole process tree.

Memory is the sum, over the command and all its descendants, of each process's high-water mark of resident memory
(VmHWM in /proc), sampled every 10 ms. Pages that two processes share count twice and the processes' peaks need not
coincide, so for several processes it is an upper bound; for one it is exact.
"""

import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_SECONDS = 0.01


@dataclass(frozen=True, kw_only=True)
class Command:
    """Something to run. `output` receives stdout; exit codes other than `expected` end the benchmark."""

    label: str
    argv: tuple[str, ...]
    output: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    expected: tuple[int, ...] = (0,)

    def shell(self) -> str:
        """The command as one would type it."""
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        return " ".join([*variables, *self.argv])


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run: seconds of wall time, seconds of processor time (user and system), peak bytes of memory."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class Series:
    """The runs of one command."""

    label: str
    samples: tuple[Sample, ...]

    @property
    def seconds(self) -> float:
        """The median of the wall times."""
        return statistics.median(sample.seconds for sample in self.samples)

    @property
    def cpu_seconds(self) -> float:
        """The median of the processor times."""
        return statistics.median(sample.cpu_seconds for sample in self.samples)

    @property
    def peak_bytes(self) -> float:
        """The median of the peaks."""
        return statistics.median(sample.peak_bytes for sample in self.samples)


class CommandFailed(Exception):
    """A measured command ended with an exit code that it should not have."""


def measure(command: Command) -> Sample:
    """Runs a command once."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AKSP_")}
    environment |= command.environment
    errors = command.output.with_suffix(".stderr")
    with command.output.open("wb") as out, errors.open("wb") as err:
        began = time.monotonic()
        child = subprocess.Popen(command.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)
        memory = _Memory(child.pid)
        memory.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            raise
        finally:
            seconds = time.monotonic() - began
            memory.stop()
    child.returncode = code = os.waitstatus_to_exitcode(status)
    if code not in command.expected:
        tail = "\n".join(errors.read_text(errors="replace").splitlines()[-15:])
        raise CommandFailed(f"`{command.shell()}` ended with {code}, not {command.expected}:\n{tail}")
    return Sample(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes=memory.peak,
    )


def interleaved(
    commands: Sequence[tuple[Command, int]], after: Callable[[Command], None] | None = None
) -> dict[str, Series]:
    """Runs each command its number of times, taking turns, so that a slow minute of the machine hits all alike.

    `after` is called after every run, to read what the command wrote.
    """
    samples: dict[str, list[Sample]] = {command.label: [] for command, _ in commands}
    for turn in range(max((count for _, count in commands), default=0)):
        for command, count in commands:
            if turn < count:
                samples[command.label].append(measure(command))
                if after:
                    after(command)
    return {label: Series(label=label, samples=tuple(found)) for label, found in samples.items() if found}


def resident(root: int) -> int:
    """Bytes of memory that a process and its descendants hold now (VmRSS, summed)."""
    return sum(_status(process, "VmRSS:") for process in tree(root))


class _Memory(threading.Thread):
    """Samples the high-water marks of a process and its descendants."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._root = root
        self._done = threading.Event()

    def run(self) -> None:
        while True:
            self.peak = max(self.peak, sum(map(_resident, tree(self._root))))
            if self._done.wait(SAMPLE_SECONDS):
                return

    def stop(self) -> None:
        self._done.set()
        self.join()


def tree(root: int) -> Iterable[int]:
    """The ids of a process and all its descendants."""
    waiting = [root]
    while waiting:
        process = waiting.pop()
        yield process
        try:
            threads = os.listdir(f"/proc/{process}/task")
        except OSError:
            continue
        for thread in threads:
            waiting.extend(map(int, _read(f"/proc/{process}/task/{thread}/children").split()))


def _resident(process: int) -> int:
    """The high-water mark in bytes."""
    return _status(process, "VmHWM:")


def _status(process: int, field: str) -> int:
    """A figure in bytes; nothing for a process that is gone, or on its way."""
    _, found, rest = _read(f"/proc/{process}/status").partition(field)
    return int(rest.split(None, 1)[0]) * 1024 if found else 0


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
