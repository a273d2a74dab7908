"""The engine as the rest of aksp knows it: policies, documents, judgements.

Longer than other modules: all of it shares the locks under which a process that has died is replaced, and what the next
one is given.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from aksp.compliance.comparing import Lookup
from aksp.compliance.judgement import Audit, IsolatedRecord, Judgement, Task
from aksp.engine.judging import judgement_of, skipped, together, wire, with_skipped
from aksp.engine.process import EngineDied, NoAnswer, Outdated, PendingAnswer, Process, decoded
from aksp.engine.records import (
    Admission,
    AdmissionRecord,
    AdmittedRecord,
    Batch,
    Loading,
    PolicyFault,
    ProblemRecord,
    RegisteredTask,
    batch_of,
)
from aksp.engine_start import MEMORY_TARGET, engine_binary, environment_of, obtain
from aksp.errors import EngineError
from aksp.model.definition import RegoModule

if TYPE_CHECKING:
    import asyncio

#: Milliseconds one evaluation may take before the engine itself gives it up.
EVALUATION_DEADLINE_MS = 2000
#: Seconds a request may take beyond what its evaluations may, before the engine is killed.
HARD_DEADLINE = 20.0
#: Seconds a policy may take to compile, which nothing but the end of the engine interrupts. Rules as people write them take some 10 ms.
COMPILE_DEADLINE = 5.0
#: Bytes of resident memory past which the engine is killed.
MEMORY_CAP = 3 << 30

#: How many processes are tried in a row that somebody else kills, such as a system without memory.
_LIVES = 12

#: Why a policy is not asked that reads what Gatekeeper adds to the review, and nobody here does.
NAMESPACE_OBJECT = (
    "the rule reads input.review.namespaceObject, which is not given: select by namespaceSelector instead"
)

_ADMITTED = msgspec.json.Decoder(AdmittedRecord)


class Engine:
    """A running engine. Use as a context manager; any thread may call any method.

    A batch belongs to one thread at a time. ``begin_review``, ``begin_list``, ``begin``, ``release`` and ``abandon`` never wait
    for the engine; all else does, and none of it may be called where answers complete.
    """

    def __init__(
        self,
        *,
        binary: Path | None = None,
        evaluation_deadline_ms: int = EVALUATION_DEADLINE_MS,
        hard_deadline: float = HARD_DEADLINE,
        memory_cap: int = MEMORY_CAP,
        memory_target: int = MEMORY_TARGET,
        evaluation_memory: int | None = None,
        procs: int | None = None,
        garbage_percent: int | None = None,
    ) -> None:
        """garbage_percent: Go's GOGC, how much garbage per live heap is worth collecting; evaluation_memory: bytes of live heap at which evaluations stop; procs: threads that evaluate."""
        self._binary = binary or engine_binary()
        self._deadline_ms = evaluation_deadline_ms
        self._hard_deadline = hard_deadline
        self._compile_deadline = min(COMPILE_DEADLINE, hard_deadline)
        self._memory_cap = memory_cap
        self._settings = {
            "AKSP_ENGINE_MEMORY": memory_target,
            "AKSP_ENGINE_EVALUATION_MEMORY": evaluation_memory,
            "AKSP_ENGINE_PROCS": procs,
            "GOGC": garbage_percent,
        }
        self._process: Process | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = False
        self._generation = 0
        self._ids = count(1)
        #: Held while what every new engine gets is changed or given: policies and inventory.
        self._life = threading.RLock()
        self._policies: dict[str, Sequence[RegoModule]] = {}
        #: What the engine says of each.
        self._compiled: dict[str, Mapping[str, Any]] = {}
        #: Policies that are being compiled before they are asked for: the requests, and the answers to come.
        self._begun: dict[str, tuple[Mapping[str, Any], PendingAnswer]] = {}
        self._inventory: list[Batch] = []
        #: The watched objects of data.inventory, by what the engine calls them, to be given to the next one.
        self._cached: dict[tuple[str, str, str, str], bytes] = {}
        self._task_sets: dict[str, Sequence[RegisteredTask]] = {}
        #: Held while a policy that brings the engine down is looked for.
        self._search = threading.RLock()
        #: Held while a judgement is begun; with _searching set only the one who searches may.
        self._gate = threading.Lock()
        self._searching = False
        #: Policies that brought the engine down, and how.
        self._poisoned: dict[str, str] = {}
        #: Policies that are not to be asked, and why.
        self._withheld: dict[str, str] = {}

    def __enter__(self) -> Engine:
        self._open = True
        self._process = self._started()
        self._begun = {
            fields["policy"]: (fields, answer) for op, fields, answer in self._process.asked if op == "compile"
        }
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Policies

    def compile(self, policy: str, modules: Sequence[RegoModule]) -> list[PolicyFault]:
        """Compile a policy under an id; the faults of its Rego, none when it is ready.

        The same id again replaces it, from the next judgement on; when there are faults, what was
        there stays. A policy that brought the engine down gets another chance with other Rego.
        """
        with self._life:
            try:
                header = self._compile_header(policy, modules)
                answer = self._compiled_ahead(policy, header)
                if answer is None:
                    answer, _ = self._call("compile", header, within=self._compile_deadline)
            except EngineError as error:
                if isinstance(error.__cause__, NoAnswer):
                    late = f"the rule cannot be compiled within {self._compile_deadline:g} s: write it simpler"
                    return [PolicyFault(file=modules[0].name, row=1, col=1, message=late)]
                if not isinstance(error.__cause__, EngineDied) or not self._open:
                    raise
                return [PolicyFault(file=modules[0].name, row=1, col=1, message=error.what)]
            faults = cast(list[PolicyFault], answer["faults"])
            if not faults:
                if list(self._policies.get(policy, ())) != list(modules):
                    self._poisoned.pop(policy, None)
                self._policies[policy] = modules
                self._compiled[policy] = answer
                self.withhold(policy, NAMESPACE_OBJECT if "namespaceObject" in answer["request"] else None)
        return faults

    def compile_ahead(self, policies: Mapping[str, Sequence[RegoModule]]) -> None:
        """Start to compile what compile() will be asked for: several at once, and without waiting."""
        with self._life, contextlib.suppress(EngineDied):
            process = self._revive()
            for policy, modules in policies.items():
                header = self._compile_header(policy, modules)
                if self._begun.get(policy, (None,))[0] == header:
                    continue
                self._compiled_ahead(policy, header)
                self._begun[policy] = header, process.send(next(self._ids), "compile", header)

    def _compiled_ahead(self, policy: str, header: Mapping[str, Any]) -> Any:
        """The answer about a policy that was begun; None when there is none, or its engine has died, or it is other Rego.

        Other Rego is waited for, too: it would take the place of what is compiled meanwhile. The policy shared the engine with
        others, so one that is late is not told from one that waited for them: it is asked again.
        """
        begun, started = self._begun.pop(policy, (None, None))
        if started is not None and started.process is self._process:
            with contextlib.suppress(EngineDied):
                answer = self._wait(started, self._compile_deadline)
                return answer if begun == header else None
        return None

    def reads(self, policy: str) -> Sequence[str]:
        """The paths of a document that a compiled policy can see."""
        return cast("Sequence[str]", self._compiled[policy]["reads"])

    def parameters(self, policy: str) -> Sequence[str]:
        """The parameters that a compiled policy reads by name."""
        return cast("Sequence[str]", self._compiled[policy]["parameters"])

    def lookups(self, policy: str) -> Sequence[Lookup] | None:
        """What a compiled policy looks up in data.inventory; None when that is not known."""
        found = self._compiled[policy]["inventory"]
        return None if found == "unknown" else [Lookup(one["groupVersion"], one["kind"], one["below"]) for one in found]

    def audit(self, policy: str) -> Audit:
        """What a compiled policy can find without an admission request."""
        return Audit(self._compiled[policy]["audit"])

    def unplanned(self, policy: str) -> str:
        """Why OPA's topdown evaluates a compiled policy and not its plan; empty when it has one, or topdown evaluates all."""
        return str(self._compiled[policy].get("unplanned", ""))

    def withhold(self, policy: str, why: str | None) -> None:
        """Do not ask a policy until it is compiled anew: the reason is a fault of each document. None: ask it again."""
        if why is None:
            self._withheld.pop(policy, None)
        else:
            self._withheld[policy] = why

    @property
    def _unasked(self) -> Mapping[str, str]:
        return {**self._withheld, **self._poisoned}

    @staticmethod
    def _compile_header(policy: str, modules: Sequence[RegoModule]) -> dict[str, Any]:
        return {
            "policy": policy,
            # So lines count as in the file that the module stands in.
            "modules": [
                {"name": m.name, "source": "\n" * (m.line - 1) + m.source, "version": m.version} for m in modules
            ],
        }

    def regex_faults(self, patterns: Sequence[str]) -> list[str | None]:
        """For each pattern None, or why it is no RE2 regular expression."""
        return cast("list[str | None]", self._call("regex", {"patterns": list(patterns)})[0]["faults"])

    # Documents

    def load_list(self, body: bytes, *, whole_kinds: Sequence[str] = ()) -> Batch:
        """Parse one page of an API server's list. Objects of whole_kinds ("group/kind") stay entire.

        Raises EngineError when the page is no Kubernetes list.
        """
        return self.loaded(self.begin_list(body, whole_kinds=whole_kinds))

    def begin_list(self, body: bytes, *, whole_kinds: Sequence[str] = ()) -> Loading:
        """Start to parse one page of an API server's list; loaded() waits for the batch."""
        return self._begin_load({"format": "list", "wholeKinds": list(whole_kinds)}, body)

    def load_files(
        self,
        parts: Sequence[Mapping[str, Any]],
        body: bytes | memoryview,
        *,
        namespace: str = "default",
        whole_kinds: Sequence[str] = (),
        custom_workloads: bool = True,
        surroundings: Sequence[Mapping[str, Any]] = (),
        following: int = 0,
    ) -> Loading:
        """Start to parse manifests: parts give length, line, items, kind and apiVersion of each in body.

        namespace is where namespaced objects lie that name none. With custom_workloads objects of kinds that are not
        built in are searched for Pod templates. surroundings are LimitRanges and ServiceAccounts, by which the API
        server would change Pods. ``following``: bytes that will be loaded after these, told once. loaded() waits for the
        batch.
        """
        header = {
            "format": "files",
            "wholeKinds": list(whole_kinds),
            "namespace": namespace,
            "noCustomWorkloads": not custom_workloads,
            "surroundings": list(surroundings),
            "parts": list(parts),
            "following": following,
        }
        return self._begin_load(header, body)

    def begin_review(self, body: bytes) -> Loading:
        """Start to parse an AdmissionReview; loaded() waits for the batch, and raises BadReview where nothing can be judged."""
        return self._begin_load({"format": "review"}, body, within=self._hard_deadline + len(body) / 1e6)

    def loaded(self, loading: Loading) -> Batch:
        """The batch of a load that was started. Raises EngineError when it cannot be parsed."""
        if loading.answer is not None:
            with contextlib.suppress(EngineDied):
                return batch_of(loading, self._wait(loading.answer, self._patience(loading.body)), loading.generation)
        # The engine died meanwhile, perhaps of another request: once more, in a new one.
        self._revive()
        answer, generation = self._call("load", loading.header, loading.body)
        return batch_of(loading, answer, generation)

    def _begin_load(self, header: dict[str, Any], body: bytes | memoryview, within: float | None = None) -> Loading:
        header["batch"] = f"b{next(self._ids)}"
        process, answer = self._process, None
        if process is not None:
            with contextlib.suppress(EngineDied):
                answer = process.send(next(self._ids), "load", header, body, within=within)
        return Loading(header=header, body=body, generation=process.generation if process else 0, answer=answer)

    def split(self, body: bytes | memoryview, target: int) -> tuple[list[dict[str, Any]], list[ProblemRecord]]:
        """Cut a large file into runs of documents of about target bytes."""
        answer, _ = self._call("split", {"target": target}, body)
        return answer["cuts"], answer["problems"]

    def gather(
        self, parts: Sequence[Mapping[str, Any]], body: bytes | memoryview, *, namespace: str = "default"
    ) -> list[dict[str, Any]]:
        """The LimitRanges and ServiceAccounts in manifests, as load_files takes them. What cannot be read is left out."""
        answer, _ = self._call("gather", {"parts": list(parts), "namespace": namespace}, body)
        found: list[dict[str, Any]] = answer["surroundings"]
        return found

    def release(self, batch: Batch) -> None:
        """Let a batch's documents go."""
        self._let_go(batch.id, batch.generation)
        if not batch.inventory_kinds:
            batch.body = b""

    def abandon(self, loading: Loading) -> None:
        """Let the documents of a load go, once they are there, which nobody waits for."""
        if loading.answer is not None:
            loading.answer.add_done_callback(lambda _: self._let_go(loading.header["batch"], loading.generation))

    def _let_go(self, batch: str, generation: int) -> None:
        process = self._process
        if process is not None and generation == process.generation:
            with contextlib.suppress(EngineDied):
                process.send(next(self._ids), "release", {"batch": batch})

    def locate(self, documents: Sequence[Mapping[str, Any]], body: bytes) -> list[list[dict[str, int]]]:
        """Line and column of paths within documents (engine/README.md, locate)."""
        answer, _ = self._call("locate", {"documents": list(documents)}, body)
        return cast("list[list[dict[str, int]]]", answer["positions"])

    def locating(self, documents: Sequence[Mapping[str, Any]], body: bytes) -> Callable[[], list[list[dict[str, int]]]]:
        """Start to locate; what is returned waits for the answer."""
        process, started = self._process, None
        if process is not None:
            with contextlib.suppress(EngineDied):
                started = process.send(next(self._ids), "locate", {"documents": list(documents)}, body)

        def wait() -> list[list[dict[str, int]]]:
            if started is not None:
                with contextlib.suppress(EngineDied):
                    answer = self._wait(started, self._patience(body))
                    return cast("list[list[dict[str, int]]]", answer["positions"])
            return self.locate(documents, body)

        return wait

    # What referential rules see

    def add_to_inventory(self, batch: Batch, kinds: Sequence[str]) -> None:
        """Let referential rules see a batch's objects of these kinds, until the engine closes."""
        with self._life:
            batch.inventory_kinds = tuple(kinds)
            self._inventory.append(batch)
            try:
                process = self._ready(batch)
                self._once(process, "inventory", {"batch": batch.id, "kinds": list(kinds)})
            except EngineDied:
                # A new engine gets the whole inventory, this batch included.
                self._revive()

    def put_inventory(self, objects: Sequence[bytes]) -> None:
        """Let referential rules see these objects (JSON), in place of those of their names.

        Raises EngineError, and changes nothing, when one is no Kubernetes object.
        """
        self._store(objects=objects)

    def drop_inventory(self, keys: Sequence[Mapping[str, str]]) -> None:
        """Take objects out again: apiVersion, kind, namespace and name of each."""
        self._store(keys=keys)

    def _store(self, *, objects: Sequence[bytes] = (), keys: Sequence[Mapping[str, str]] = ()) -> None:
        with self._life:
            answer, _ = self._call("store", *_stored(objects, keys))
            for key in keys:
                self._cached.pop(_named(key), None)
            for one, raw in zip(answer["stored"], objects, strict=True):
                self._cached[_named(one)] = raw

    # Judging

    def begin(self, batch: Batch, tasks: Sequence[Task]) -> Future[Any] | None:
        """Start to judge a batch; finish() waits for it.

        None when its engine died meanwhile, or takes no judgements while a policy that brought one down is looked for. The
        answer fails with EngineDied when the engine dies of it or beside it, Outdated when the batch must be loaded again.
        """
        process = self._process
        if process is None or batch.generation != process.generation:
            return None
        try:
            return self._ask_to_judge(process, batch, tasks)
        except EngineDied:
            return None

    def _judged(self, batch: Batch, tasks: Sequence[Task], started: Future[Any]) -> Judgement:
        """The judgement that was started, with the faults of tasks that were not asked."""
        answer = self._wait(started, self._evaluation_patience(len(tasks)))
        return with_skipped(judgement_of(answer), tasks, batch.skipped)

    def register(self, tasks: Sequence[RegisteredTask]) -> str:
        """Keep tasks that reviews are judged by; the set's name, for begin_admission(), until forget()."""
        with self._life:
            name = f"s{next(self._ids)}"
            self._call("register", self._register_header(name, tasks))
            self._task_sets[name] = tasks
        return name

    def forget(self, name: str) -> None:
        """Let a set of tasks go."""
        with self._life:
            if self._task_sets.pop(name, None) is not None:
                self._call("register", {"set": name, "drop": True})

    def _register_header(self, name: str, tasks: Sequence[RegisteredTask]) -> dict[str, Any]:
        wanted = [
            {
                "policy": t.policy,
                "parameters": t.parameters,
                "kinds": list(t.kinds),
                "before": t.before,
                "beforeTemplate": t.before_template,
                "enough": t.enough,
            }
            for t in tasks
        ]
        return {"set": name, "deadlineMs": self._deadline_ms, "tasks": wanted}

    def begin_admission(
        self, name: str, body: bytes, answer: asyncio.Future[AdmissionRecord], *, seconds: float, compare: bool = False
    ) -> Admission | None:
        """Load an AdmissionReview, judge it by a set of tasks and let it go, in one request to the engine.

        What is not judged within so many seconds is a fault; violations that were found by then count. With
        ``compare`` it is also judged by OPA's own evaluator, whose result counts; the answer's ``disagreements`` tell.
        ``answer`` is to be awaited in its loop; admitted() reads it. None when the engine is dead, or takes no judgements
        while a policy that brought one down is looked for: see recover(). The answer fails with
        EngineDied, with BadReview, and with Outdated.
        """
        process, tasks = self._process, self._task_sets.get(name)
        if process is None or tasks is None:
            return None
        why = skipped(tasks, self._unasked)
        header: dict[str, Any] = {"set": name, "budgetMs": _milliseconds(seconds)}
        if why:
            header["skip"] = list(why)
        if compare:
            header["compare"] = True
        try:
            with self._gate:
                if self._searching:
                    return None
                asked = process.await_in(answer, next(self._ids), within=seconds + self._hard_deadline)
            process.write(asked, "admit", header, body)
        except EngineDied:
            return None
        return Admission(body=body, skipped=why)

    def admitted(self, answer: AdmissionRecord) -> tuple[AdmittedRecord, Judgement]:
        """What a review holds, and what was found.

        Findings and faults are of all tasks about the kinds: the caller leaves out those of tasks
        that do not select the object, and adds faults for those that were skipped.
        """
        record = decoded(answer.body, _ADMITTED)
        return record, Judgement(
            findings=record.findings, hits=record.hits, faults=record.faults, evaluations=record.evaluations
        )

    def finish(self, batch: Batch, tasks: Sequence[Task], started: Future[Any] | None) -> Judgement:
        """The judgement of a batch, whatever becomes of the engine meanwhile.

        When the engine dies, a new one gets the tasks one at a time: those that bring it down
        again are faults on each of their documents.
        """
        if started is not None:
            with contextlib.suppress(EngineDied):
                return self._judged(batch, tasks, started)
        with self._alone():
            return self._judge_carefully(batch, tasks, suspected=not self.alive)

    def judge(self, batch: Batch, tasks: Sequence[Task]) -> Judgement:
        """Judge a batch and wait for it."""
        return self.finish(batch, tasks, self.begin(batch, tasks))

    def recover(
        self, body: bytes, choose: Callable[[Batch], Sequence[Task]]
    ) -> tuple[Batch, Sequence[Task], Judgement]:
        """Judge an AdmissionReview after the engine died, perhaps of it: one at a time, beside no other.

        For callers of begin_admission() that met EngineDied or None. A new engine loads
        the review, ``choose`` names the tasks, and those that bring it down again are faults, now
        and in all judgements to come, until their policies get other Rego. The batch is the
        caller's to release. Raises EngineError when no engine can load the review.
        """
        with self._alone():
            for last in (False, True):
                suspected = not self.alive
                batch = self.loaded(self.begin_review(body))
                tasks = choose(batch)
                try:
                    judged = self._judge_carefully(batch, tasks, suspected=suspected)
                    # The last task may have killed the engine. It is started again before others use it.
                    self._ready(batch)
                    return batch, tasks, judged
                except Outdated:
                    self.release(batch)
                    if last:
                        raise
        raise AssertionError("the second time returns or raises")

    def isolate(self, batch: Batch, task: Task, *, seconds: float | None = None) -> list[IsolatedRecord]:
        """Which containers of Pods violations belong to (engine/README.md, isolate), as far as it can be told in time."""
        why = self._poisoned.get(task.policy)
        if why is None:
            try:
                return self._isolate(batch, task, seconds, alone=False)
            except EngineDied:
                pass
            with self._alone():
                why = self._poisoned.get(task.policy)
                if why is None:
                    modules = self._policies.get(task.policy)
                    try:
                        return self._isolate(batch, task, seconds, alone=True)
                    except EngineDied as died:
                        why = self._poison(task.policy, modules, died)
        # Unattributed, the violations stay with the Pod: they must not get lost.
        return [{"d": d, "containers": [], "faults": [why]} for d in task.documents]

    def _isolate(self, batch: Batch, task: Task, seconds: float | None, *, alone: bool) -> list[IsolatedRecord]:
        process = self._ready(batch)
        header = {
            "batch": batch.id,
            "deadlineMs": self._deadline_ms,
            "budgetMs": 0 if seconds is None else _milliseconds(seconds),
            "task": wire([task])[0],
        }
        within = self._evaluation_patience(len(task.documents))
        answer = self._wait(self._ask(process, "isolate", header, within, alone=alone), within)
        return cast("list[IsolatedRecord]", answer["documents"])

    def _ask_to_judge(
        self, process: Process, batch: Batch, tasks: Sequence[Task], *, alone: bool = False
    ) -> PendingAnswer:
        batch.skipped = skipped(tasks, self._unasked)
        header = {
            "batch": batch.id,
            "deadlineMs": self._deadline_ms,
            "tasks": wire(tasks, batch.skipped),
            "places": batch.header["format"] == "files",
        }
        return self._ask(process, "judge", header, self._evaluation_patience(len(tasks)), alone=alone)

    def _ask(
        self,
        process: Process,
        op: str,
        header: Mapping[str, Any],
        within: float,
        *,
        alone: bool,
    ) -> PendingAnswer:
        """Send a request that evaluates Rego, to be answered within so many seconds. Raises EngineDied, also while others are shut out."""
        with self._gate:
            if self._searching and not alone:
                raise EngineDied("a policy that brought the engine down is being looked for")
            answer = process.expect(next(self._ids), judges=True, within=within)
        process.write(answer, op, header)
        return answer

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else's judgement is under way in this block: what dies in it, dies of what it asks."""
        with self._search:
            with self._gate:
                outer, self._searching = self._searching, True
                process = self._process
            try:
                if process is not None:
                    process.settle()
                yield
            finally:
                with self._gate:
                    self._searching = outer

    def _judge_carefully(self, batch: Batch, tasks: Sequence[Task], *, suspected: bool) -> Judgement:
        """Judge within _alone(): task by task when they may have brought the last engine down, else at once first."""
        while True:
            if not suspected:
                with contextlib.suppress(EngineDied):
                    return self._judge_alone(batch, tasks)
            known = len(self._poisoned)
            self._revive()
            if len(self._poisoned) == known:
                break
            # The engine said which policy it was. Without that policy the others may succeed.
            suspected = False
        parts: list[tuple[int, Judgement]] = []
        why = dict(skipped(tasks, self._unasked))
        for number, task in enumerate(tasks):
            if number in why:
                continue
            if task.policy in self._poisoned:
                why[number] = self._poisoned[task.policy]
                continue
            modules = self._policies.get(task.policy)
            try:
                parts.append((number, self._judge_one(batch, task)))
            except EngineDied as died:
                why[number] = self._poison(task.policy, modules, died)
        return with_skipped(together(parts), tasks, why)

    def _judge_one(self, batch: Batch, task: Task) -> Judgement:
        """Judge by one task. Raises EngineDied when it brings the engine down, but not at once when it is killed."""
        for last in (False, False, True):
            # Kept, since others may have started the next one when this one is looked at.
            process = self._ready(batch)
            try:
                return self._judge_alone(batch, [task])
            except EngineDied:
                if last or not process.killed:
                    raise
        raise AssertionError("the last time returns or raises")

    def _judge_alone(self, batch: Batch, tasks: Sequence[Task]) -> Judgement:
        process = self._ready(batch)
        try:
            started = self._ask_to_judge(process, batch, tasks, alone=True)
        except EngineDied:
            # It died before it was asked, so not of this.
            started = self._ask_to_judge(self._ready(batch), batch, tasks, alone=True)
        return self._judged(batch, tasks, started)

    def _poison(self, policy: str, modules: Sequence[RegoModule] | None, died: EngineDied) -> str:
        """Never ask a policy again, unless it has been compiled anew meanwhile; and how it died."""
        if not self._open:
            raise EngineError("the engine was closed") from died
        with self._life:
            if self._policies.get(policy) is modules:
                self._poisoned[policy] = str(died)
        return str(died)

    # The process

    @property
    def pid(self) -> int | None:
        """The process that runs; another one after each death, None between two."""
        process = self._process
        return process.popen.pid if process is not None else None

    @property
    def alive(self) -> bool:
        """Whether a process runs that takes requests. revive() starts another one."""
        process = self._process
        return self._open and process is not None and not process.dead

    def revive(self) -> None:
        """Start a new process where the last one has died. Raises EngineError."""
        self._revive()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let an event loop read the answers, of this process and of those after it: see Process.attach."""
        with self._life:
            self._loop = loop
            self._revive().attach(loop)

    def close(self) -> None:
        """End the process for good."""
        self._open = False
        process = self._process
        if process is not None:
            # Without the lock: its holder may be waiting for an answer.
            process.kill("the engine was closed")
        with self._life:
            self._end()

    def _spawn(self) -> Process:
        self._generation += 1
        begun = obtain(self._binary, environment_of(self._settings))
        return Process(begun, generation=self._generation, memory_cap=self._memory_cap)

    def _started(self) -> Process:
        """A new process that has all policies and the inventory. One that is killed meanwhile is replaced."""
        for left in reversed(range(_LIVES)):
            process = self._spawn()
            try:
                process.greet(next(self._ids))
                self._replay(process)
                return process
            except (EngineDied, EngineError) as error:
                of_it = error if isinstance(error, EngineDied) else error.__cause__
                again = left and isinstance(of_it, EngineDied) and process.killed
                process.end()
                if again:
                    continue
                if isinstance(error, EngineError):
                    raise
                raise EngineError(f"the engine failed again when it was given what it had known: {error}") from error
            except BaseException:
                process.end()
                raise
        raise AssertionError("the last one is returned or raises")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def _ready(self, batch: Batch) -> Process:
        """A live engine that has all policies, the inventory and this batch."""
        while batch.generation != (process := self._revive()).generation:
            # A name of its own: the last one may still be in use.
            header = {**batch.header, "batch": f"b{next(self._ids)}"}
            _, generation = self._call("load", header, batch.body)
            batch.id, batch.header, batch.generation = header["batch"], header, generation
        return process

    def _revive(self) -> Process:
        """An engine that lives and has all policies and the inventory."""
        process = self._process
        if process is not None and not process.dead:
            return process
        with self._life:
            process = self._process
            if process is not None and not process.dead:
                return process
            if not self._open:
                raise EngineError("the engine was closed")
            if process is not None and process.culprit in self._policies:
                self._poisoned[process.culprit] = process.why
            self._end()
            process = self._started()
            if self._loop is not None:
                process.attach(self._loop)
            # Only now, so that no request reaches an engine that does not have everything yet.
            self._process = process
            return process

    def _replay(self, process: Process) -> None:
        for policy, modules in self._policies.items():
            self._once(process, "compile", self._compile_header(policy, modules))
        for other in self._inventory:
            self._once(process, "load", other.header, other.body)
            other.generation = process.generation
            self._once(process, "inventory", {"batch": other.id, "kinds": list(other.inventory_kinds)})
        if self._cached:
            self._once(process, "store", *_stored(list(self._cached.values())))
        for name, tasks in self._task_sets.items():
            self._once(process, "register", self._register_header(name, tasks))

    def _call(
        self, op: str, header: Mapping[str, Any], body: bytes | memoryview = b"", *, within: float | None = None
    ) -> tuple[Any, int]:
        """Ask, and ask a new engine once more when it died meanwhile, perhaps of another request.

        One that somebody kills is asked in vain more often. What had its time (within, seconds) is not asked again.
        The answer, and the generation that gave it.
        """
        process = self._process or self._revive()
        for number in range(_LIVES):
            try:
                return self._once(process, op, header, body, within=within), process.generation
            except EngineDied as died:
                if not self._open:
                    raise EngineError("the engine was closed") from died
                late = within is not None and isinstance(died, NoAnswer)
                if late or number == _LIVES - 1 or (number and not process.killed):
                    raise EngineError(f"the engine failed in {op}: {died}") from died
            process = self._revive()
        raise AssertionError("the last time returns or raises")

    def _once(
        self,
        process: Process,
        op: str,
        header: Mapping[str, Any],
        body: bytes | memoryview = b"",
        *,
        within: float | None = None,
    ) -> Any:
        return self._wait(process.send(next(self._ids), op, header, body), within or self._patience(body))

    def _patience(self, body: bytes | memoryview) -> float:
        return self._hard_deadline + len(body) / 1e6

    def _evaluation_patience(self, evaluations: int) -> float:
        # Each task may run into its deadline a few times before it is given up.
        return self._hard_deadline + evaluations * 4 * self._deadline_ms / 1000

    @staticmethod
    def _wait(started: Future[Any], seconds: float) -> Any:
        try:
            return started.result(timeout=seconds)
        except FutureTimeout:
            why = f"the engine was stopped: no answer within {seconds:.0f} s"
            if isinstance(started, PendingAnswer):
                started.process.kill(why)
            raise NoAnswer(why) from None


def _stored(objects: Sequence[bytes], keys: Sequence[Mapping[str, str]] = ()) -> tuple[dict[str, Any], bytes]:
    """The header and the body of a request to store (engine/README.md)."""
    return {"remove": [dict(key) for key in keys], "parts": [len(raw) for raw in objects]}, b"".join(objects)


def _named(key: Mapping[str, str]) -> tuple[str, str, str, str]:
    return key["apiVersion"], key["kind"], key.get("namespace", ""), key["name"]


def _milliseconds(seconds: float) -> int:
    """For the engine, which takes 0 for no bound."""
    return max(1, int(seconds * 1000))
