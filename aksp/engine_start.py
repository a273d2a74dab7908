"""The engine's process, as the system starts it.

Little is imported here: a command starts it first, and the engine works while the rest of aksp is imported.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from aksp.errors import EngineError

#: Bytes the engine's garbage collector works to stay under.
MEMORY_TARGET = 1 << 30
LENGTHS = struct.Struct(">II")
#: What an engine is asked before it has a client has numbers from here on; a client counts from 1.
_FIRST_NUMBER = 1 << 32

_ENVIRONMENT = (
    "AKSP_ENGINE_PROCS",
    "AKSP_ENGINE_EVALUATION_GRACE",
    "AKSP_ENGINE_EVALUATION_MEMORY",
    "AKSP_ENGINE_EVALUATOR",
    "GODEBUG",
    "GOGC",
    "SYSTEMROOT",
)
_SETTINGS: Mapping[str, int | None] = {"AKSP_ENGINE_MEMORY": MEMORY_TARGET}
_PIPE_BYTES = 1 << 20
#: Bytes of requests that are written before there is a client: no more than a pipe takes.
_MOST_AHEAD = _PIPE_BYTES >> 1


def engine_binary() -> Path:
    """The engine of this installation: AKSP_ENGINE, else the one in the package.

    Raises EngineError when there is none.
    """
    named = os.environ.get("AKSP_ENGINE")
    path = (
        Path(named)
        if named
        else Path(__file__).parent / "_bin" / ("aksp-engine.exe" if os.name == "nt" else "aksp-engine")
    )
    if not path.is_file():
        raise EngineError(
            f"the engine is missing at {path}",
            hint="install aksp from a wheel, or run `make engine` in a checkout (needs Go)",
        )
    return path


def environment_of(settings: Mapping[str, int | None] = _SETTINGS) -> dict[str, str]:
    """The environment of an engine: what it reads of this process's, and its settings; None is left as it is."""
    inherited = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return inherited | {name: str(value) for name, value in settings.items() if value is not None}


class StartedEngine:
    """A process of the engine that nobody reads from yet, and what it was asked."""

    def __init__(self, binary: Path, environment: Mapping[str, str]) -> None:
        """Raises EngineError when the binary does not start."""
        self.binary, self.environment = binary, environment
        #: The number of each request, its op, and its fields.
        self.asked: list[tuple[int, str, Mapping[str, Any]]] = []
        self._bytes = 0
        self.stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self.popen = subprocess.Popen(
                [str(binary)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # A file, not a pipe: a crash prints more than a pipe holds, and would never end.
                stderr=self.stderr,
                env=dict(environment),
                # Ctrl-C is ours to handle: the engine must live to answer what it knows.
                start_new_session=os.name != "nt",
            )
        except OSError as error:
            self.stderr.close()
            raise EngineError(f"the engine {binary} does not start: {error.strerror or error}") from error
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                _widen(pipe)

    def ask(self, op: str, fields: Mapping[str, Any]) -> None:
        """Write a request whose answer the client will read. Does nothing when the pipe might be full. Raises OSError."""
        assert self.popen.stdin is not None
        number = _FIRST_NUMBER + len(self.asked)
        payload = json.dumps({"id": number, "op": op, **fields}).encode()
        if self._bytes + len(payload) > _MOST_AHEAD:
            return
        self._bytes += len(payload)
        left = memoryview(LENGTHS.pack(len(payload), 0) + payload)
        while left:
            left = left[os.write(self.popen.stdin.fileno(), left) :]
        self.asked.append((number, op, fields))

    def end(self) -> None:
        """Stop it and leave nothing of it."""
        self.popen.kill()
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout, self.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


#: The one that was started ahead, until a client has it.
_ahead: list[StartedEngine] = []


def start_ahead() -> StartedEngine:
    """Start an engine for the first client that wants one such as this. Raises EngineError."""
    engine = StartedEngine(engine_binary(), environment_of())
    _ahead.append(engine)
    return engine


def obtain(binary: Path, environment: Mapping[str, str]) -> StartedEngine:
    """The engine that was started ahead, if it is such a one, else a new one. Raises EngineError."""
    for one in _ahead:
        if (one.binary, one.environment) == (binary, environment):
            _ahead.remove(one)
            return one
    return StartedEngine(binary, environment)


def end_ahead() -> None:
    """Stop the engine that was started ahead if nobody wanted it."""
    while _ahead:
        _ahead.pop().end()


def _widen(pipe: IO[bytes]) -> None:
    """Let a pipe hold a page, where the system allows it: in 64 KiB a page changes hands sixteen times."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
