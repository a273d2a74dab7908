"""The command for tests that need it as a process of its own, and do not test how it starts.

One process imports aksp and forks for each command, which takes 0.2 s of processor time less than to start Python and import
it anew. A program on PATH asks it for a command with the program's arguments, folder, environment and streams, hands on the
signals that it gets, and ends as the command does. The process has one thread alone, so that forking it is safe. Where the
program's environment has `USAGE`, a file, what the command has taken is written there before the program ends.
"""

from __future__ import annotations

import gc
import json
import marshal
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NoReturn

ROOT: Final = Path(__file__).resolve().parents[1]
#: What a command may do with each is its caller's choice, as for any program.
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
USAGE: Final = "FORKED_USAGE"

#: The program on PATH. It imports what comes with the interpreter: the whole of it takes a twentieth of a command's start.
PROGRAM: Final = """#!{python} -IS
import _signal, _socket, marshal, os, struct, sys
SIGNALS = {signals}
_signal.pthread_sigmask(_signal.SIG_BLOCK, SIGNALS)
ignored = [one for one in SIGNALS if _signal.getsignal(one) == _signal.SIG_IGN]
server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
server.connect({address!r})
os.umask(umask := os.umask(0))
asked = marshal.dumps((list(map(os.fsencode, sys.argv)), os.getcwdb(), dict(os.environb), umask, ignored))
streams = struct.pack("3i", 0, 1, 2)
server.sendmsg([struct.pack("I", len(asked))], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
while asked:
    asked = asked[server.send(asked):]
command, = struct.unpack("i", server.recv(4))
for one in SIGNALS:
    if one not in ignored:
        _signal.signal(one, lambda number, _: os.kill(command, number))
_signal.pthread_sigmask(_signal.SIG_UNBLOCK, SIGNALS)
status, = struct.unpack("i", server.recv(4))
code = os.waitstatus_to_exitcode(status)
if code < 0:
    _signal.signal(-code, _signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


@contextmanager
def forked() -> Iterator[Path]:
    """A folder for PATH, in which the program is called ``aksp``."""
    with tempfile.TemporaryDirectory(prefix="aksp") as name:
        folder, address = Path(name), os.path.join(name, "server")
        program = folder / "bin" / "aksp"
        program.parent.mkdir()
        text = PROGRAM.format(python=sys.executable, signals=tuple(map(int, SIGNALS)), address=address)
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
        # What a command reads of its environment the program says.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AKSP_"))}
        with subprocess.Popen(
            [sys.executable, __file__, address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        ) as server:
            assert server.stdin is not None and server.stdout is not None
            assert server.stdout.read(1) == b".", "the process that forks does not start"
            yield program.parent
            # It ends as this is closed, also when the tests are killed.
            server.stdin.close()


class _Server:
    """Of one thread: it waits for programs that ask, for commands that end, and for its own end."""

    def __init__(self, address: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(address)
        self._listener.listen(64)
        # A command that has ended is told by a byte in it.
        self._ended, told = os.pipe()
        os.set_blocking(told, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        self._told = told
        #: The program that waits for each command.
        self._waiting: dict[int, socket.socket] = {}
        #: The file for what a command takes.
        self._usage: dict[int, bytes] = {}

    def serve(self) -> None:
        while True:
            watched: list[Any] = [0, self._ended, self._listener, *self._waiting.values()]
            ready, _, _ = select.select(watched, [], [])
            if 0 in ready:
                return self._end(list(self._waiting))
            if self._ended in ready:
                os.read(self._ended, 4096)
                self._reap()
            if self._listener in ready:
                self._take(self._listener.accept()[0])
            # A program says nothing more: it was killed, and what it ran for goes with it.
            self._end([command for command, program in self._waiting.items() if program in ready])

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.wait4(-1, os.WNOHANG))[0]:
                command, status, usage = ended
                if file := self._usage.pop(command, None):
                    Path(os.fsdecode(file)).write_text(
                        json.dumps({"seconds": usage.ru_utime + usage.ru_stime, "bytes": usage.ru_maxrss << 10})
                    )
                with self._waiting.pop(command) as program, suppress(OSError):
                    program.send(struct.pack("i", status))

    def _end(self, commands: list[int]) -> None:
        for command in commands:
            os.kill(command, signal.SIGKILL)

    def _take(self, program: socket.socket) -> None:
        length, streams, _, _ = socket.recv_fds(program, 4, 3)
        (left,) = struct.unpack("I", length)
        with program.makefile("rb") as rest:
            asked = marshal.loads(rest.read(left))
        command = os.fork()
        if command == 0:
            self._become(program, streams, *asked)
        for stream in streams:
            os.close(stream)
        self._waiting[command] = program
        if file := asked[2].get(USAGE.encode()):
            self._usage[command] = file
        with suppress(OSError):
            program.send(struct.pack("i", command))

    def _become(
        self,
        program: socket.socket,
        streams: list[int],
        arguments: list[bytes],
        folder: bytes,
        environment: dict[bytes, bytes],
        umask: int,
        ignored: list[int],
    ) -> NoReturn:
        """Be the command, as a process is that has just imported it."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for one in SIGNALS:
            default: Any = signal.default_int_handler if one == signal.SIGINT else signal.SIG_DFL
            signal.signal(one, signal.SIG_IGN if one in ignored else default)
        for mine in (program, self._listener, *self._waiting.values()):
            mine.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        for descriptor in (self._ended, self._told, *streams):
            os.close(descriptor)
        os.umask(umask)
        os.chdir(folder)
        os.environ.clear()
        os.environb.update(environment)
        sys.argv = [os.fsdecode(argument) for argument in arguments]
        # Whether a stream is a file, a pipe or a terminal decides how it is written.
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        gc.enable()
        from aksp.cli.app import entry

        entry()


def _serve(address: str) -> None:
    import pkgutil
    from importlib import import_module

    sys.path[0] = str(ROOT)
    # What Python collects later would copy the pages of all that is here.
    gc.disable()
    import aksp

    for found in pkgutil.walk_packages(aksp.__path__, "aksp."):
        # The add-on's packages may be missing, and no command of a test is the add-on.
        if not found.name.startswith(("aksp.addon", "aksp.__main__")):
            import_module(found.name)
    from aksp.cli import root

    root.command()
    gc.collect()
    gc.freeze()
    server = _Server(address)
    print(".", end="", flush=True)
    server.serve()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
