"""The one client of the engine process, in which OPA parses documents and evaluates Rego.

The engine is a child process spoken to over a pair of pipes (engine/README.md describes the
frames). It is killed when it passes a hard deadline or a memory cap and started again with all
that it knew; the policy that brought it down is then in Error and everything else is judged.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NotRequired, TypedDict, cast

from aksp.compliance.judgement import Fault, FindingRecord, Hit, IsolatedRecord, Judgement, Task
from aksp.errors import EngineError
from aksp.model.definition import RegoModule

PROTOCOL = 1

#: Milliseconds one evaluation may take before the engine itself gives it up.
EVALUATION_DEADLINE_MS = 2000
#: Seconds a request may take beyond what its evaluations may, before the engine is killed.
HARD_DEADLINE = 20.0
#: Bytes of resident memory past which the engine is killed.
MEMORY_CAP = 3 << 30
#: Bytes the engine's garbage collector works to stay under.
MEMORY_TARGET = 1 << 30

_PIPE_BYTES = 1 << 20

_LENGTHS = struct.Struct(">II")
#: Bytes of the longest answer that the engine gives (engine/frame.go, maxHeader).
_LONGEST_ANSWER = 256 << 20


class ContainerRecord(TypedDict):
    """A container as the engine describes it."""

    name: str
    type: str
    image: str


class OwnerRecord(TypedDict):
    """An object's controller as the engine describes it."""

    apiVersion: str
    kind: str
    name: str


class DocumentRecord(TypedDict):
    """A document as the engine describes it (engine/README.md, load)."""

    apiVersion: str
    kind: str
    namespace: str
    name: str
    generateName: NotRequired[str]
    uid: NotRequired[str]
    labels: NotRequired[dict[str, str]]
    owner: NotRequired[OwnerRecord]
    containers: NotRequired[list[ContainerRecord]]
    part: int
    offset: int
    length: int
    line: int
    item: NotRequired[str]
    json: NotRequired[bool]
    parent: NotRequired[int]
    template: NotRequired[str]
    problems: NotRequired[list[str]]


class ProblemRecord(TypedDict):
    """Text that could not be read; line is counted from the first of its file."""

    part: int
    line: int
    message: str


class PolicyFault(TypedDict):
    """One error of a compiler: file, row and col counted from 1."""

    file: str
    row: int
    col: int
    message: str


@dataclass(kw_only=True, slots=True)
class Batch:
    """Documents that the engine holds, and what it takes to give them to a new engine."""

    id: str
    documents: list[DocumentRecord]
    problems: list[ProblemRecord]
    continue_token: str
    resource_version: str
    header: dict[str, Any]
    body: bytes | memoryview
    generation: int
    inventory_kinds: tuple[str, ...] = ()
    #: Tasks of the judgement under way that were not asked, since they bring the engine down.
    skipped: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Loading:
    """A load under way; answer is None when the engine could not take it."""

    header: dict[str, Any]
    body: bytes | memoryview
    generation: int
    answer: Future[Any] | None


class EngineDied(Exception):
    """The process ended, or was killed, with requests under way."""


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


@dataclass(slots=True)
class _Process:
    popen: subprocess.Popen[bytes]
    stderr: IO[bytes]
    waiting: dict[int, Future[Any]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    threads: list[threading.Thread] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    dead: bool = False
    why: str = "the engine ended unexpectedly"


class Engine:
    """A running engine. Use as a context manager; not for several threads at once."""

    def __init__(
        self,
        *,
        binary: Path | None = None,
        evaluation_deadline_ms: int = EVALUATION_DEADLINE_MS,
        hard_deadline: float = HARD_DEADLINE,
        memory_cap: int = MEMORY_CAP,
    ) -> None:
        self._binary = binary or engine_binary()
        self._deadline_ms = evaluation_deadline_ms
        self._hard_deadline = hard_deadline
        self._memory_cap = memory_cap
        self._process: _Process | None = None
        self._open = False
        self._generation = 0
        self._next_id = 0
        self._policies: dict[str, Sequence[RegoModule]] = {}
        self._reads: dict[str, Sequence[str]] = {}
        self._inventory: list[Batch] = []
        #: Policies that brought the engine down, and how.
        self._poisoned: dict[str, str] = {}

    def __enter__(self) -> Engine:
        self._open = True
        self._start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Policies

    def compile(self, policy: str, modules: Sequence[RegoModule]) -> list[PolicyFault]:
        """Compile a policy under an id; the faults of its Rego, none when it is ready."""
        answer = self._call("compile", self._compile_header(policy, modules))
        faults = cast(list[PolicyFault], answer["faults"])
        if not faults:
            self._policies[policy] = modules
            self._reads[policy] = answer["reads"]
        return faults

    def reads(self, policy: str) -> Sequence[str]:
        """The paths of a document that a compiled policy can see."""
        return self._reads[policy]

    @staticmethod
    def _compile_header(policy: str, modules: Sequence[RegoModule]) -> dict[str, Any]:
        return {
            "policy": policy,
            "modules": [{"name": m.name, "source": m.source, "version": m.version} for m in modules],
        }

    def regex_faults(self, patterns: Sequence[str]) -> list[str | None]:
        """For each pattern None, or why it is no RE2 regular expression."""
        return cast("list[str | None]", self._call("regex", {"patterns": list(patterns)})["faults"])

    # Documents

    def load_list(self, body: bytes, *, whole_kinds: Sequence[str] = ()) -> Batch:
        """Parse one page of an API server's list. Objects of whole_kinds ("group/kind") stay entire.

        Raises EngineError when the page is no Kubernetes list.
        """
        return self._load({"format": "list", "wholeKinds": list(whole_kinds)}, body)

    def load_files(
        self,
        parts: Sequence[Mapping[str, Any]],
        body: bytes | memoryview,
        *,
        namespace: str = "default",
        whole_kinds: Sequence[str] = (),
    ) -> Loading:
        """Start to parse manifests: parts give length, line, items, kind and apiVersion of each in body.

        namespace is where namespaced objects lie that name none. loaded() waits for the batch.
        """
        header = {"format": "files", "wholeKinds": list(whole_kinds), "namespace": namespace, "parts": list(parts)}
        return self._begin_load(header, body)

    def loaded(self, loading: Loading) -> Batch:
        """The batch of a load that was started. Raises EngineError when it cannot be parsed."""
        answer = None
        if loading.generation == self._generation and loading.answer is not None:
            try:
                answer = self._wait(loading.answer, self._hard_deadline + len(loading.body) / 1e6)
            except EngineDied:
                answer = None
        if answer is None:
            # The engine died meanwhile, perhaps of another request: once more, in a new one.
            self._revive()
            answer = self._call("load", loading.header, loading.body)
        return Batch(
            id=loading.header["batch"],
            documents=answer["documents"],
            problems=answer["problems"],
            continue_token=answer.get("continue", ""),
            resource_version=answer.get("resourceVersion", ""),
            header=loading.header,
            body=loading.body,
            generation=self._generation,
        )

    def _load(self, header: dict[str, Any], body: bytes | memoryview) -> Batch:
        return self.loaded(self._begin_load(header, body))

    def _begin_load(self, header: dict[str, Any], body: bytes | memoryview) -> Loading:
        self._next_id += 1
        header["batch"] = f"b{self._next_id}"
        answer: Future[Any] | None
        try:
            answer = self._send("load", header, body)
        except EngineDied:
            answer = None
        return Loading(header=header, body=body, generation=self._generation, answer=answer)

    def split(self, body: bytes | memoryview, target: int) -> tuple[list[dict[str, Any]], list[ProblemRecord]]:
        """Cut a large file into runs of documents of about target bytes."""
        answer = self._call("split", {"target": target}, body)
        return answer["cuts"], answer["problems"]

    def add_to_inventory(self, batch: Batch, kinds: Sequence[str]) -> None:
        """Let referential rules see a batch's objects of these kinds, until the engine closes."""
        batch.inventory_kinds = tuple(kinds)
        self._inventory.append(batch)
        try:
            self._ready(batch)
            self._once("inventory", {"batch": batch.id, "kinds": list(kinds)})
        except EngineDied:
            # A new engine gets the whole inventory, this batch included.
            self._revive()

    def release(self, batch: Batch) -> None:
        """Let a batch's documents go."""
        if batch.generation == self._generation:
            try:
                self._once("release", {"batch": batch.id})
            except EngineDied:
                pass  # and the documents with it
        if not batch.inventory_kinds:
            batch.body = b""

    def locate(self, documents: Sequence[Mapping[str, Any]], body: bytes) -> list[list[dict[str, int]]]:
        """Line and column of paths within documents (engine/README.md, locate)."""
        return cast(
            "list[list[dict[str, int]]]", self._call("locate", {"documents": list(documents)}, body)["positions"]
        )

    def locating(self, documents: Sequence[Mapping[str, Any]], body: bytes) -> Callable[[], list[list[dict[str, int]]]]:
        """Start to locate; what is returned waits for the answer."""
        try:
            started: Future[Any] | None = self._send("locate", {"documents": list(documents)}, body)
        except EngineDied:
            started = None

        def wait() -> list[list[dict[str, int]]]:
            if started is not None:
                try:
                    answer = self._wait(started, self._hard_deadline + len(body) / 1e6)
                    return cast("list[list[dict[str, int]]]", answer["positions"])
                except EngineDied:
                    pass
            return self.locate(documents, body)

        return wait

    # Judging

    def begin(self, batch: Batch, tasks: Sequence[Task]) -> Future[Any] | None:
        """Start to judge a batch; finish() waits for it. None when the engine died meanwhile."""
        if batch.generation != self._generation or self._process is None or self._process.dead:
            return None
        live = [self._task(t) for t in tasks]
        batch.skipped = self._poisoned_of(tasks)
        try:
            return self._send("judge", {"batch": batch.id, "deadlineMs": self._deadline_ms, "tasks": live})
        except EngineDied:
            return None

    def finish(self, batch: Batch, tasks: Sequence[Task], started: Future[Any] | None) -> Judgement:
        """The judgement of a batch, whatever becomes of the engine meanwhile.

        When the engine dies, a new one gets the tasks one at a time: those that bring it down
        again are faults on each of their documents.
        """
        if started is not None:
            try:
                judged = _judgement(self._result(started, len(tasks)))
                return self._with_skipped(tasks, batch.skipped, judged)
            except EngineDied:
                pass
        findings: list[FindingRecord] = []
        hits: list[Hit] = []
        faults: list[Fault] = []
        evaluations = 0
        for number, task in enumerate(tasks):
            try:
                one = self._judge_alone(batch, task)
            except EngineDied as died:
                self._poisoned[task.policy] = str(died)
                faults += [Fault(task=number, document=d, message=str(died)) for d in task.documents]
                continue
            hits += [
                Hit(task=number, document=h.document, findings=[f + len(findings) for f in h.findings])
                for h in one.hits
            ]
            faults += [Fault(task=number, document=f.document, message=f.message) for f in one.faults]
            findings += one.findings
            evaluations += one.evaluations
        judged = Judgement(findings=findings, hits=hits, faults=faults, evaluations=evaluations)
        return self._with_skipped(tasks, self._poisoned_of(tasks), judged)

    def _judge_alone(self, batch: Batch, task: Task) -> Judgement:
        self._ready(batch)
        header = {"batch": batch.id, "deadlineMs": self._deadline_ms, "tasks": [self._task(task)]}
        try:
            started = self._send("judge", header)
        except EngineDied:
            # It died before it was asked, so not of this.
            self._ready(batch)
            started = self._send("judge", header)
        return _judgement(self._result(started, 1))

    def judge(self, batch: Batch, tasks: Sequence[Task]) -> Judgement:
        """Judge a batch and wait for it."""
        return self.finish(batch, tasks, self.begin(batch, tasks))

    def isolate(self, batch: Batch, task: Task) -> list[IsolatedRecord]:
        """Judge copies of Pods with one container each (engine/README.md, isolate)."""
        if task.policy not in self._poisoned:
            try:
                self._ready(batch)
                header = {"batch": batch.id, "deadlineMs": self._deadline_ms, "task": self._task(task)}
                answer = self._result(self._send("isolate", header), len(task.documents))
                return cast("list[IsolatedRecord]", answer["documents"])
            except EngineDied as died:
                self._poisoned[task.policy] = str(died)
        # Unattributed, the violations stay with the Pod: they must not get lost.
        why = self._poisoned[task.policy]
        return [{"d": d, "without": [], "containers": [], "faults": [why]} for d in task.documents]

    def _task(self, task: Task) -> dict[str, Any]:
        documents = [] if task.policy in self._poisoned else list(task.documents)
        return {"policy": task.policy, "parameters": task.parameters, "documents": documents}

    def _poisoned_of(self, tasks: Sequence[Task]) -> frozenset[int]:
        return frozenset(number for number, task in enumerate(tasks) if task.policy in self._poisoned)

    def _with_skipped(self, tasks: Sequence[Task], skipped: frozenset[int], judgement: Judgement) -> Judgement:
        """Add the faults of tasks that were sent without their documents: not asked is not passed."""
        known = {(f.task, f.document) for f in judgement.faults}
        extra = [
            Fault(task=number, document=d, message=self._poisoned[tasks[number].policy])
            for number in sorted(skipped)
            for d in tasks[number].documents
            if (number, d) not in known
        ]
        if not extra:
            return judgement
        return Judgement(
            findings=judgement.findings,
            hits=judgement.hits,
            faults=[*judgement.faults, *extra],
            evaluations=judgement.evaluations,
        )

    # The process

    def _start(self) -> None:
        environment = {
            name: os.environ[name]
            for name in ("AKSP_ENGINE_PROCS", "AKSP_ENGINE_EVALUATION_MEMORY", "GODEBUG", "GOGC", "SYSTEMROOT")
            if name in os.environ
        }
        environment.setdefault("AKSP_ENGINE_MEMORY", str(MEMORY_TARGET))
        stderr = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            popen = subprocess.Popen(
                [str(self._binary)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # A file, not a pipe: a crash prints more than a pipe holds, and would never end.
                stderr=stderr,
                env=environment,
                # Ctrl-C is ours to handle: the engine must live to answer what it knows.
                start_new_session=os.name != "nt",
            )
        except OSError as error:
            stderr.close()
            raise EngineError(f"the engine {self._binary} does not start: {error.strerror or error}") from error
        for pipe in (popen.stdin, popen.stdout):
            if pipe is not None:
                _widen(pipe)
        process = self._process = _Process(popen, stderr)
        self._generation += 1
        process.threads.append(threading.Thread(target=_read_answers, args=(process,), name="aksp-engine", daemon=True))
        if sys.platform == "linux":
            process.threads.append(
                threading.Thread(
                    target=_watch_memory, args=(process, self._memory_cap), name="aksp-engine-memory", daemon=True
                )
            )
        for thread in process.threads:
            thread.start()
        try:
            self._greet()
        except BaseException:
            self._end()
            raise

    def _greet(self) -> None:
        try:
            hello = self._wait(self._send("hello", {}), 10.0)
        except EngineDied as died:
            raise EngineError(f"the engine {self._binary} does not start: {died}") from died
        protocol = hello.get("protocol") if isinstance(hello, dict) else None
        if protocol != PROTOCOL:
            raise EngineError(
                f"the engine speaks protocol {protocol}, this aksp {PROTOCOL}",
                where=str(self._binary),
                hint="build or install both from the same version",
            )

    def close(self) -> None:
        """End the process for good."""
        self._open = False
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _kill(process, "the engine was closed")
        process.popen.wait()
        for thread in process.threads:
            thread.join()
        for pipe in (process.popen.stdin, process.popen.stdout, process.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass

    def _ready(self, batch: Batch) -> None:
        """Make sure that a live engine has all policies, the inventory and this batch."""
        self._revive()
        if batch.generation != self._generation:
            self._call("load", batch.header, batch.body)
            batch.generation = self._generation

    def _revive(self) -> None:
        """Make sure that an engine lives and has all policies and the inventory."""
        if self._process is not None and not self._process.dead:
            return
        if not self._open:
            raise EngineError("the engine was closed")
        self._end()
        self._start()
        try:
            for policy, modules in self._policies.items():
                self._once("compile", self._compile_header(policy, modules))
            for other in self._inventory:
                self._once("load", other.header, other.body)
                other.generation = self._generation
                self._once("inventory", {"batch": other.id, "kinds": list(other.inventory_kinds)})
        except EngineDied as died:
            raise EngineError(f"the engine failed again when it was given what it had known: {died}") from died

    def _call(self, op: str, header: Mapping[str, Any], body: bytes | memoryview = b"") -> Any:
        """Ask, and ask a new engine once more when it died meanwhile, perhaps of another request."""
        try:
            return self._once(op, header, body)
        except EngineDied:
            self._revive()
        try:
            return self._once(op, header, body)
        except EngineDied as died:
            raise EngineError(f"the engine failed in {op}: {died}") from died

    def _once(self, op: str, header: Mapping[str, Any], body: bytes | memoryview = b"") -> Any:
        return self._wait(self._send(op, header, body), self._hard_deadline + len(body) / 1e6)

    def _result(self, future: Future[Any], evaluations: int) -> Any:
        # Each task may run into its deadline a few times before it is given up.
        return self._wait(future, self._hard_deadline + evaluations * 4 * self._deadline_ms / 1000)

    def _wait(self, future: Future[Any], seconds: float) -> Any:
        try:
            return future.result(timeout=seconds)
        except FutureTimeout:
            if self._process is not None:
                _kill(self._process, f"the engine was stopped: no answer within {seconds:.0f} s")
            raise EngineDied(f"the engine was stopped: no answer within {seconds:.0f} s") from None

    def _send(self, op: str, header: Mapping[str, Any], body: bytes | memoryview = b"") -> Future[Any]:
        process = self._process
        if process is None:
            raise EngineDied("the engine is not running")
        self._next_id += 1
        number = self._next_id
        payload = json.dumps({"id": number, "op": op, **header}, separators=(",", ":")).encode()
        future: Future[Any] = Future()
        with process.lock:
            if process.dead:
                raise EngineDied(process.why)
            process.waiting[number] = future
        assert process.popen.stdin is not None
        try:
            process.popen.stdin.write(_LENGTHS.pack(len(payload), len(body)) + payload)
            process.popen.stdin.write(body)
            process.popen.stdin.flush()
        except OSError as error:
            _kill(process, process.why)
            raise EngineDied(f"the engine does not take requests: {error}") from error
        except BaseException:
            # Ctrl-C within a frame: what follows would be read as the rest of it.
            _kill(process, "the engine was interrupted")
            raise
        return future


def _widen(pipe: IO[bytes]) -> None:
    """Let a pipe hold a page, where the system allows it: in 64 KiB a page changes hands sixteen times."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _read_answers(process: _Process) -> None:
    """Read frames until the pipe ends, then fail what still waits."""
    stdout = process.popen.stdout
    assert stdout is not None
    while True:
        lengths = stdout.read(_LENGTHS.size)
        if len(lengths) < _LENGTHS.size:
            break
        header_length, body_length = _LENGTHS.unpack(lengths)
        if header_length > _LONGEST_ANSWER or body_length:
            _kill(process, "the engine's answer cannot be read: it does not begin with its length")
            break
        payload = stdout.read(header_length)
        if len(payload) < header_length:
            break
        try:
            answer = json.loads(payload)
            number, error = answer["id"], answer.get("error")
            result = None if error else answer["result"]
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as problem:
            _kill(process, f"the engine's answer cannot be read: {type(problem).__name__}: {problem}")
            break
        with process.lock:
            future = process.waiting.pop(number, None)
        if future is None:
            continue
        if error:
            future.set_exception(EngineError(str(error)))
        else:
            future.set_result(result)
    process.popen.wait()
    process.stderr.seek(0)
    first_line = process.stderr.read(4096).decode(errors="replace").strip().partition("\n")[0]
    _fail(process, f"{process.why} ({first_line})" if first_line else process.why)


def _fail(process: _Process, why: str) -> None:
    with process.lock:
        if not process.dead:
            process.dead, process.why = True, why
            process.ended.set()
        waiting = list(process.waiting.values())
        process.waiting.clear()
    for future in waiting:
        if not future.done():
            future.set_exception(EngineDied(process.why))


def _kill(process: _Process, why: str) -> None:
    _fail(process, why)
    try:
        process.popen.kill()
    except OSError:
        pass


def _watch_memory(process: _Process, cap: int) -> None:
    """Kill the process when its resident memory passes cap (bytes)."""
    page = os.sysconf("SC_PAGE_SIZE")
    try:
        with open(f"/proc/{process.popen.pid}/statm", "rb", buffering=0) as statm:
            while not process.ended.wait(0.1):
                statm.seek(0)
                if int(statm.read(128).split()[1]) * page > cap:
                    _kill(process, f"the engine was stopped: it used more than {cap >> 20} MiB of memory")
                    return
    except (OSError, IndexError, ValueError):
        return


def _judgement(answer: Mapping[str, Any]) -> Judgement:
    return Judgement(
        findings=answer["findings"],
        hits=[Hit(task=h["t"], document=h["d"], findings=h["f"]) for h in answer["hits"]],
        faults=[Fault(task=f["t"], document=f["d"], message=f["m"]) for f in answer["faults"]],
        evaluations=answer["evaluations"],
    )
