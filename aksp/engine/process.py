"""The engine's process: started, asked, watched, ended.

Longer than other modules: answers are read by a thread or by an event loop, and both share the process's state.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from typing import IO, TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct, structs

from aksp.engine.records import AdmissionRecord
from aksp.engine_start import LENGTHS, StartedEngine
from aksp.errors import EngineError
from aksp.model import json_text

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

PROTOCOL = 7

#: Bytes that a loop reads at once. Answers to reviews have some hundreds.
_READ_BYTES = 64 << 10
#: Bytes of a body that is worth copying to be written with its header.
_SMALL = 64 << 10
#: The number of the request after whose answer the thread leaves reading to a loop; others count from 1.
_HAND_OVER = 0
_ENCODE = msgspec.json.Encoder().encode
#: Bytes of the longest answer that the engine gives (engine/frame.go, maxHeader).
_LONGEST_ANSWER = 256 << 20
#: What the line begins with that names the policy at fault (engine/guard.go).
_CULPRIT = "culprit: "
_KILLED = 9  # SIGKILL
#: Seconds in which an engine tells what it is.
_GREETING = 10.0
#: Seconds between two looks at a process.
_WATCH_INTERVAL = 0.1


class EngineDied(Exception):
    """The process ended, or was killed, with requests under way; or it takes none for now."""


class NoAnswer(EngineDied):
    """The process was killed since it did not answer this request in time."""


class BadReview(EngineError):
    """The body is no AdmissionReview that can be judged; what says why."""


class Outdated(EngineError):
    """The batch was loaded before a policy that reads more was compiled: load it again."""


_CODES: Mapping[str, type[EngineError]] = {"BadReview": BadReview, "Outdated": Outdated}


def decoded(payload: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """An answer, in a quarter of the time that json takes. Raises ValueError."""
    try:
        return decoder.decode(payload)
    except msgspec.DecodeError:
        # Lone surrogates, and integers of any length, are JSON, too. A number that no float holds, as a LimitRange may have it,
        # goes back to the engine as it came.
        value = json_text.decode(payload.decode())
    try:
        converted: T = msgspec.convert(value, decoder.type)
        return converted
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


class _Admitted(Struct):
    """An answer with a body."""

    id: int
    result: AdmissionRecord


_ANYTHING: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_ADMITTED = msgspec.json.Decoder(_Admitted)


class PendingAnswer(Future[Any]):
    """The engine's answer to one request, in time. ``judges`` tells that the request evaluates Rego."""

    def __init__(self, process: Process, number: int, *, judges: bool, within: float | None) -> None:
        super().__init__()
        self.process = process
        self.number = number
        self.judges = judges
        #: Seconds, and the moment after which the process is stopped.
        self.within = within
        self.until = None if within is None else time.monotonic() + within
        # What has been sent cannot be called back: to give up waiting must not end the answer.
        self.set_running_or_notify_cancel()


class AwaitedAnswer:
    """The engine's answer to one review, in time, for who awaits ``future`` in an event loop.

    Where this loop reads the answers, as is usual, nothing is locked for it or passed between threads.
    """

    __slots__ = ("_process", "ended", "future", "number", "until", "within")

    judges = True

    def __init__(self, process: Process, number: int, future: asyncio.Future[Any], *, within: float) -> None:
        self._process = process
        self.number = number
        self.future = future
        self.within = within
        self.until = time.monotonic() + within
        #: Set at the end, where another thread waits for it.
        self.ended: threading.Event | None = None

    def set_result(self, result: Any) -> None:
        self._tell(self.future.set_result, result)

    def set_exception(self, error: BaseException) -> None:
        self._tell(self.future.set_exception, error)

    def _tell(self, tell: Callable[[Any], None], what: Any) -> None:
        loop = self.future.get_loop()
        if self._process.read_here(loop):
            self._tell_here(tell, what)
        else:
            with contextlib.suppress(RuntimeError):  # The loop has ended.
                loop.call_soon_threadsafe(self._tell_here, tell, what)
        if self.ended is not None:
            self.ended.set()

    def _tell_here(self, tell: Callable[[Any], None], what: Any) -> None:
        if not self.future.done():
            tell(what)


A = TypeVar("A", PendingAnswer, AwaitedAnswer)


class Process:
    """One run of the engine. Any thread may send; answers complete in threads of its own."""

    def __init__(self, started: StartedEngine, *, generation: int, memory_cap: int) -> None:
        self.generation = generation
        self.dead = False
        self.why = "the engine ended unexpectedly"
        #: The policy that brought it down, where it has told.
        self.culprit = ""
        self._stopped = False
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: dict[int, PendingAnswer | AwaitedAnswer] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handed_over = False
        self._loop_thread: int | None = None
        #: Frames that the loop's thread has for the engine, until the loop comes round.
        self._queued: deque[bytes] = deque()
        self._flushing = False
        self.popen, self._stderr = started.popen, started.stderr
        #: What it was asked before it had a client: the op and the fields of each, and the answer to come.
        self.asked = [
            (op, fields, self.expect(number, within=_GREETING if op == "hello" else None))
            for number, op, fields in started.asked
        ]
        self._threads = [
            threading.Thread(target=self._read_answers, name="aksp-engine", daemon=True),
            threading.Thread(target=self._watch, args=(memory_cap,), name="aksp-engine-watch", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    # Requests

    def send(
        self,
        number: int,
        op: str,
        header: Mapping[str, Any],
        body: bytes | memoryview = b"",
        *,
        within: float | None = None,
    ) -> PendingAnswer:
        """Ask; with within, the process is stopped when it has not answered by then (seconds).

        Raises EngineDied when it does not take requests any more.
        """
        answer = self.expect(number, within=within)
        self.write(answer, op, header, body)
        return answer

    def expect(self, number: int, *, judges: bool = False, within: float | None = None) -> PendingAnswer:
        """Wait for an answer to what is written next. Raises EngineDied."""
        return self._expected(PendingAnswer(self, number, judges=judges, within=within))

    def await_in(self, future: asyncio.Future[Any], number: int, *, within: float) -> AwaitedAnswer:
        """Have the answer to the review that is written next in a future. Raises EngineDied."""
        return self._expected(AwaitedAnswer(self, number, future, within=within))

    def read_here(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether this is the thread of a loop, and it reads the answers."""
        return self._loop is loop and self._loop_thread == threading.get_ident()

    def _expected(self, answer: A) -> A:
        with self._lock:
            if self.dead:
                raise EngineDied(self.why)
            self._waiting[answer.number] = answer
        return answer

    def write(
        self, answer: PendingAnswer | AwaitedAnswer, op: str, header: Mapping[str, Any], body: bytes | memoryview = b""
    ) -> None:
        """Write the request of an answer. Raises EngineDied."""
        fields = {"id": answer.number, "op": op, **header}
        # A review's are plain. Numbers in parameters are to be written as json writes them.
        payload = _ENCODE(fields) if op == "admit" else json_text.encode(fields, ascii_only=True, compact=True).encode()
        head = LENGTHS.pack(len(payload), len(body)) + payload
        if len(body) > _SMALL:
            self._put(head, body)
        elif self._loop_thread == threading.get_ident():
            # Reviews that come in one round of the loop are one system call, and wake the engine once.
            if self.dead:
                raise EngineDied(self.why)
            self._queued.append(head + bytes(body))
            if not self._flushing and self._loop is not None:
                self._flushing = True
                self._loop.call_soon(self._flush)
        else:
            self._put(head + bytes(body))

    def _flush(self) -> None:
        self._flushing = False
        with contextlib.suppress(EngineDied):
            self._put()

    def _put(self, *parts: bytes | memoryview) -> None:
        """Write what is queued, then these parts of a frame. Raises EngineDied."""
        with self._writing:
            if self.dead:
                raise EngineDied(self.why)
            assert self.popen.stdin is not None
            descriptor = self.popen.stdin.fileno()
            queued = []
            with contextlib.suppress(IndexError):
                while True:
                    queued.append(self._queued.popleft())
            try:
                for part in (b"".join(queued), *parts):
                    left = memoryview(part)
                    while left:
                        left = left[os.write(descriptor, left) :]
            except OSError:
                # It ends, or has ended. Who reads the answers finds the end, and tells it with what the engine said of it.
                self._end_it()
            except BaseException:
                # Ctrl-C within a frame: what follows would be read as the rest of it.
                self.kill("the engine was interrupted")
                raise

    def settle(self) -> None:
        """Wait until what is under way that evaluates Rego has ended. Not for the thread of a loop that reads answers."""
        with self._lock:
            judging = [answer for answer in self._waiting.values() if answer.judges]
            awaited = [answer for answer in judging if isinstance(answer, AwaitedAnswer)]
            for answer in awaited:
                answer.ended = answer.ended or threading.Event()
        wait([answer for answer in judging if isinstance(answer, PendingAnswer)])
        for answer in awaited:
            assert answer.ended is not None
            answer.ended.wait()

    def greet(self, number: int) -> None:
        """Make sure that it is an engine of this version. Raises EngineError."""
        binary = str(self.popen.args[0]) if isinstance(self.popen.args, list) else ""
        begun = next((answer for op, _, answer in self.asked if op == "hello"), None)
        try:
            hello = (begun or self.send(number, "hello", {}, within=_GREETING)).result()
        except EngineDied as died:
            raise EngineError(f"the engine {binary} does not start: {died}") from died
        protocol = hello.get("protocol") if isinstance(hello, dict) else None
        if protocol != PROTOCOL:
            raise EngineError(
                f"the engine speaks protocol {protocol}, this aksp {PROTOCOL}",
                where=binary,
                hint="build or install both from the same version",
            )

    # The end

    def kill(self, why: str) -> None:
        """Stop it at once; all answers under way are EngineDied."""
        # A process that had already ended was not ended by this kill.
        self._stopped = self._stopped or not self.dead
        self._fail(why)
        self._end_it()

    def _end_it(self) -> None:
        with contextlib.suppress(OSError):
            self.popen.kill()

    @property
    def killed(self) -> bool:
        """Whether a dead one was killed by somebody else, and not by what it was asked."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return not self._stopped and self.popen.wait(1) == -_KILLED
        return False

    def end(self) -> None:
        """Stop it and leave nothing of it. Not for its own threads."""
        self.kill("the engine was closed")
        self.popen.wait()
        for thread in self._threads:
            thread.join()
        with self._writing:
            for pipe in (self.popen.stdin, self.popen.stdout, self._stderr):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        pass

    def _fail(self, why: str) -> None:
        with self._lock:
            if not self.dead:
                self.dead, self.why = True, why
                self.ended.set()
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for answer in waiting:
            answer.set_exception(EngineDied(self.why))

    # Its answers, read by a thread of its own or by an event loop

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let an event loop read the answers from now on: an answer then costs no change of threads.

        Whoever waits for one in that loop's thread without awaiting it waits for ever.
        """
        assert self.popen.stdout is not None
        self._loop = loop
        # The thread reads one more answer, and leaves the rest to the loop.
        with contextlib.suppress(EngineDied):
            self.send(_HAND_OVER, "hello", {}, within=_GREETING).result()

    def _read_answers(self) -> None:
        """Read frames until the pipe ends, then fail what still waits."""
        stdout = self.popen.stdout
        assert stdout is not None
        while True:
            lengths = stdout.read(LENGTHS.size)
            if len(lengths) < LENGTHS.size:
                break
            if (parts := self._parts(lengths)) is None:
                break
            payload = stdout.read(sum(parts))
            if len(payload) < sum(parts) or not self._answered(payload[: parts[0]], payload[parts[0] :]):
                break
            if self._loop is not None and self._handed_over:
                self._loop.call_soon_threadsafe(self._listen, self._loop, stdout)
                return
        self._fail_with_stderr()

    def _listen(self, loop: asyncio.AbstractEventLoop, stdout: IO[bytes]) -> None:
        """Have the loop read whenever there is something to read."""
        descriptor = stdout.fileno()
        self._loop_thread = threading.get_ident()
        os.set_blocking(descriptor, False)
        # What the thread's buffer holds was written before the answer that it stopped at.
        received = bytearray(stdout.peek() if isinstance(stdout, io.BufferedReader) else b"")

        def read() -> None:
            try:
                chunk = os.read(descriptor, _READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                chunk = b""
            received.extend(chunk)
            if not chunk or not self._take(received):
                loop.remove_reader(descriptor)
                threading.Thread(target=self._fail_with_stderr, name="aksp-engine-end", daemon=True).start()

        if self._take(received):
            loop.add_reader(descriptor, read)

    def _take(self, received: bytearray) -> bool:
        """Complete the answers that have come whole; False when they cannot be read."""
        begin = 0
        while len(received) - begin >= LENGTHS.size:
            if (parts := self._parts(received, begin)) is None:
                return False
            header = begin + LENGTHS.size
            body = header + parts[0]
            end = body + parts[1]
            if len(received) < end:
                break
            if not self._answered(bytes(received[header:body]), bytes(received[body:end])):
                return False
            begin = end
        del received[:begin]
        return True

    def _parts(self, lengths: bytes | bytearray, at: int = 0) -> tuple[int, int] | None:
        """The lengths of an answer's header and body; None, and the process stopped, when there can be no such answer."""
        header, body = LENGTHS.unpack_from(lengths, at)
        if header + body > _LONGEST_ANSWER:
            self.kill("the engine's answer cannot be read: it does not begin with its length")
            return None
        return header, body

    def _answered(self, payload: bytes, body: bytes) -> bool:
        """Complete one answer, with its body as ``body`` if there is one; False, and the process stopped, when it cannot be read."""
        try:
            result: Any
            if body:
                admitted = decoded(payload, _ADMITTED)
                number, error, kind = admitted.id, None, EngineError
                result = structs.replace(admitted.result, body=body)
            else:
                answer = decoded(payload, _ANYTHING)
                number, error = answer["id"], answer.get("error")
                result = None if error else answer["result"]
                kind = _CODES.get(answer.get("code", ""), EngineError)
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as problem:
            self.kill(f"the engine's answer cannot be read: {type(problem).__name__}: {problem}")
            return False
        with self._lock:
            future = self._waiting.pop(number, None)
        if number == _HAND_OVER:
            self._handed_over = True
        if future is None:
            return True
        if error:
            future.set_exception(kind(str(error)))
        else:
            future.set_result(result)
        return True

    def _fail_with_stderr(self) -> None:
        self.popen.wait()
        self._stderr.seek(0)
        said = self._stderr.read(4096).decode(errors="replace").strip()
        if said.startswith(_CULPRIT):
            self.culprit, _, said = said.removeprefix(_CULPRIT).partition("\n")
        first_line = said.partition("\n")[0]
        self._fail(f"{self.why} ({first_line})" if first_line else self.why)

    def _watch(self, memory_cap: int) -> None:
        """Kill the process when it passes its memory cap (bytes) or the deadline of an answer."""
        with _resident_memory(self.popen.pid) as resident:
            while not self.ended.wait(_WATCH_INTERVAL):
                if resident is not None and _bytes(resident) > memory_cap:
                    self.kill(f"the engine was stopped: it used more than {memory_cap >> 20} MiB of memory")
                    return
                now = time.monotonic()
                with self._lock:
                    late = [a.within or 0.0 for a in self._waiting.values() if a.until is not None and a.until < now]
                for within in late:
                    self.kill(f"the engine was stopped: no answer within {within:.0f} s")
                    return


@contextlib.contextmanager
def _resident_memory(pid: int) -> Iterator[IO[bytes] | None]:
    """The system's account of a process's memory, None where there is none."""
    if sys.platform != "linux":
        yield None
        return
    try:
        statm = open(f"/proc/{pid}/statm", "rb", buffering=0)  # noqa: SIM115
    except OSError:
        yield None
        return
    with statm:
        yield statm


def _bytes(statm: IO[bytes]) -> int:
    try:
        statm.seek(0)
        return int(statm.read(128).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0  # it has just ended
