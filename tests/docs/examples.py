"""The examples of the pages: how they are run, and what they print without what differs from run to run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from aksp import __version__
from tests.docs.pages import Block, blocks

PRINTED = Path(__file__).parent / "printed"
#: Seconds that one command may take, on a machine that has other things to do.
PATIENCE = 60.0
#: Seconds without another line after which a command that follows something is taken to have told what there is.
QUIET = 2.0

#: What differs from run to run, and what stands for it. The folder of the run has been replaced by FOLDER before.
MASKS = (
    (r"FOLDER/tmp\.\w+", "FOLDER/tmp"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", "TIME"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?(?: UTC)?", "TIME"),
    (re.escape(__version__), "VERSION"),
    (r"\d\d:\d\d:\d\dZ", "TIME"),
    (r"\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}", "TIME"),
    # A cluster: where it is, what it draws for names, how long ago something was, and how often meanwhile.
    (r"https://127\.0\.0\.1:\d+", "SERVER"),
    (r'(?<="uid": ")[0-9a-f-]{36}', "UID"),
    (r"-[bcdf-hj-np-tv-xz2456789]{6,10}-[bcdf-hj-np-tv-xz2456789]{5}\b", "-DRAWN"),
    (r"-[bcdf-hj-np-tv-xz2456789]{5}\b", "-DRAWN"),
    (r"\b(?:\d+m)?\d+ ?s(?:econds?)? ago", "AGO"),
    (r"(?m)(?:^|(?<=  ))(?:\d+m)?\d+s(?: \(x\d+ over (?:\d+m)?\d+s\))?(?=\s)", "AGE"),
    (r"(?m)^AGE +\d+ ", "AGE COUNT "),
    # Columns are as wide as what is in them, a folder or a time.
    (r"(?<=\S) {2,}", "  "),
    (r"-{3,}", "---"),
)


def masked(text: str, folder: Path) -> str:
    """A text without what differs from run to run, and without blanks at the ends of its lines."""
    text = text.replace(str(folder), "FOLDER")
    for pattern, word in MASKS:
        text = re.sub(pattern, word, text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """A command that has run."""

    step: str
    code: int
    out: str
    err: str

    def told(self, folder: Path) -> str:
        """The command, what it printed, and on lines with ``!`` what it printed on standard error."""
        errors = "".join(f"! {line}\n" for line in self.err.splitlines())
        return f"$ {self.step}\n{masked(self.out + errors, folder)}"


class Shell:
    """One bash, so that a command builds on those before. All that it needs and makes is below ``folder``."""

    def __init__(self, *, folder: Path, cwd: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.cwd = cwd
        self._variables = variables
        self._count = 0

    def __enter__(self) -> Self:
        self._bash = subprocess.Popen(
            ["bash", "-u"],
            cwd=self.cwd,
            env={**environment(self.folder), **self._variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A runner that starts us in the background leaves SIGINT ignored, and children inherit that.
            preexec_fn=_heed_interrupts,
        )
        # With a handler bash outlives an interrupt of what it runs, which gets the default.
        self._say("trap : INT")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        if kind is not None:
            self._signal(signal.SIGKILL)
        self._bash.stdin.close()
        self._bash.wait(PATIENCE)
        self._bash.stdout.close()

    def run(self, step: str, *, enough: int | None = None) -> Ran:
        """A command. One with ``--watch`` is interrupted, once ``enough`` lines are there or no more come."""
        self._count += 1
        out, err = (self.folder / f"{self._count}.{name}" for name in ("out", "err"))
        self._say(f"{{ {step}\n}} </dev/null >'{out}' 2>'{err}'; echo $?")
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(ended, (out, err), "--watch" in step, enough))
        watcher.start()
        assert self._bash.stdout is not None
        answer = self._bash.stdout.readline().strip()
        ended.set()
        watcher.join()
        printed = [path.read_text(encoding="utf-8") if path.exists() else "" for path in (out, err)]
        assert answer.isdigit(), f"{step}: the shell ended, {answer or 'perhaps it took too long'}: {printed}"
        return Ran(step=step, code=int(answer), out=printed[0], err=printed[1])

    def _watch(self, ended: threading.Event, files: Sequence[Path], interrupted: bool, enough: int | None) -> None:
        """Interrupts what would not end, as Ctrl-C does, and kills what takes too long."""
        began = last = time.monotonic()
        size = 0
        while not ended.wait(0.05):
            now = time.monotonic()
            if now - began > PATIENCE:
                return self._signal(signal.SIGKILL)
            text = b"".join(path.read_bytes() for path in files if interrupted and path.exists())
            if len(text) != size:
                size, last = len(text), now
            if size and (now - last > QUIET if enough is None else text.count(b"\n") >= enough):
                interrupted, size = False, 0
                self._signal(signal.SIGINT)
        return None

    def _signal(self, number: int) -> None:
        os.killpg(self._bash.pid, number)

    def _say(self, line: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(f"{line}\n")
        self._bash.stdin.flush()


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def environment(home: Path) -> dict[str, str]:
    """That of a user who has installed aksp, and nothing else of ours."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
        "HOME": str(home),
        "TMPDIR": str(home),
        "LC_ALL": "C.UTF-8",
    }


def compare(
    page: Path,
    shell: Shell,
    request: pytest.FixtureRequest,
    *,
    cluster: bool = False,
    before: Mapping[str, Callable[[], None]] | None = None,
) -> None:
    """Run a page's examples, those with a cluster or those without, and compare what they print.

    All of it is in ``printed/``, which ``pytest --update-golden`` writes anew, to be read before it is kept. What the
    page itself shows must be part of it. ``before``: what is to happen before a command, which
    is named without its comment.
    """
    name = f"{page.stem}{'-on-a-cluster' if cluster else ''}"
    known = None if request.config.getoption("--update-golden") else _golden(name)
    hooks = dict(before or {})
    missing = set(hooks)
    told: list[str] = []
    printed = ""
    shown: list[tuple[Block, str]] = []
    ours = False
    for block in blocks(page):
        if block.runs:
            assert block.language == "sh"
            ours = block.cluster == cluster
            if ours:
                printed = ""
                for step, expected in block.steps:
                    command = re.sub(r"\s+#.*", "", step)
                    missing.discard(command)
                    hooks.get(command, lambda: None)()
                    ran = shell.run(step, enough=_lines(known, step))
                    assert ran.code == expected, f"{step}: exit code {ran.code}, expected {expected}: {ran.err}"
                    told.append(ran.told(shell.folder))
                    printed += ran.out + ran.err
        elif block.printed and ours:
            shown.append((block, masked(printed, shell.folder)))
    assert told, f"{page.name} has no example of this kind"
    assert not missing, f"no command of {page.name}: {', '.join(sorted(missing))}"
    compare_golden(name, "\n".join(told), request)
    for block, printed in shown:
        # A page breaks lines where it has no more room.
        assert _words(masked(block.text, shell.folder)) in _words(printed), f"{block.head} shows what is not printed"


def compare_golden(name: str, text: str, request: pytest.FixtureRequest) -> None:
    """Compare a text with the one in ``printed/``, or write it there."""
    if request.config.getoption("--update-golden"):
        (PRINTED / f"{name}.txt").write_text(text, encoding="utf-8")
    assert text == _golden(name), f"read what is printed, then run pytest --update-golden {request.node.nodeid}"


def _golden(name: str) -> str:
    path = PRINTED / f"{name}.txt"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _lines(known: str | None, step: str) -> int | None:
    """How many lines a command prints, as far as that is known."""
    if known is None or f"$ {step}\n" not in known:
        return None
    return len(known.partition(f"$ {step}\n")[2].partition("\n\n$ ")[0].splitlines())


def _words(text: str) -> str:
    return " ".join(text.split())


def run_all(shell: Shell, steps: Sequence[str]) -> None:
    """Commands that are no example, and must succeed."""
    for step in steps:
        ran = shell.run(step)
        assert ran.code == 0, f"{step}: {ran.err}"
