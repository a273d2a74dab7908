"""Reviews as they come in: bytes to the engine, its findings to a decision, the decision to bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from threading import get_ident
from time import perf_counter
from typing import Any

from aksp.addon import review, wording
from aksp.addon.decision import Decision, Outcome, ReviewRequest
from aksp.addon.precedents import Precedents, ending, response
from aksp.addon.webhook import Answer, failure
from aksp.compliance.containers import Attribution, Findings
from aksp.compliance.judgement import Fault, Judgement, Task
from aksp.compliance.plan import Plan, Ready
from aksp.engine import AdmissionRecord, BadReview, Batch, Engine, EngineDied, Outdated, RequestRecord, StandingTask
from aksp.inventory.interface import documents_of
from aksp.model.compliance import Result
from aksp.model.resource import Owner, Resource, workload_of

#: Operations that rules are about; anything else is allowed unread.
_JUDGED = ("CREATE", "UPDATE")
#: A request, what follows from it, and the response after its uid.
_Made = tuple[ReviewRequest, Outcome, bytes]
_ALLOWED = Outcome(allowed=True)
#: Findings that are remembered with the words for them, before all are forgotten.
_REMEMBERED = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Force:
    """What requests are judged by. ``unready`` has the assignments that cannot be asked, and why.

    ``name`` is the engine's for the plan's tasks.
    """

    plan: Plan
    precedents: Precedents
    unready: Mapping[str, str] = field(default_factory=dict)
    name: str = ""


class _Words:
    """Findings of the last reviews, and what is said of them: replicas break the same rules in the same words."""

    def __init__(self) -> None:
        self.findings = Findings()
        self._lines: dict[tuple[int, int], str] = {}
        self._ready: dict[int, Ready] = {}

    def __call__(self, result: Result, ready: Ready) -> str:
        key = (id(result.finding), id(ready))
        line = self._lines.get(key)
        if line is None:
            line = wording.violation(result, ready)
            # Only what lives as long as this does has an identity for as long.
            if self.findings.keeps(result.finding):
                self._ready[id(ready)] = ready
                self._lines[key] = line
        return line


class Reviewer:
    """Answers AdmissionReviews by what is in force. Used by one event loop; ``use`` by any one other thread."""

    def __init__(self, engine: Engine, *, fail_closed: bool, decided: Callable[[Decision], None]) -> None:
        self._engine = engine
        self._fail_closed = fail_closed
        self._decided = decided
        self._force: Force | None = None
        self._former = ""
        self._words = _Words()

    @property
    def ready(self) -> bool:
        """Whether there is something to judge by."""
        return self._force is not None

    def use(self, plan: Plan, unready: Mapping[str, str] | None = None) -> None:
        """Judge by this from the next request on."""
        name = self._engine.stand([_standing(ready, unready or {}) for ready in plan.ready])
        before, self._force = (
            self._force,
            Force(plan=plan, precedents=Precedents(plan), unready=unready or {}, name=name),
        )
        # Reviews under way may still name the last one.
        if self._former:
            self._engine.forget(self._former)
        self._former = before.name if before else ""

    async def __call__(self, body: bytes) -> Answer:
        """The answer to one AdmissionReview, whatever it holds."""
        began = perf_counter()
        force = self._force
        if force is None:
            return failure(503, "aksp: the assignments are not loaded yet")
        if len(self._words.findings) > _REMEMBERED:
            self._words = _Words()
        try:
            try:
                request, outcome, rest = await self._quickly(force, body)
            except (EngineDied, Outdated):
                request, outcome, rest = await asyncio.to_thread(self._carefully, force, body)
        except BadReview as error:
            return failure(400, f"aksp: {error.what}")
        self._decided(Decision(request=request, outcome=outcome, seconds=perf_counter() - began))
        return Answer(status=200, body=response(request.uid, rest))

    async def _quickly(self, force: Force, body: bytes) -> _Made:
        """One request to the engine for all of it."""
        admission = self._engine.begin_admission(force.name, body)
        if admission is None:
            raise EngineDied("the engine is not running")
        try:
            answer: AdmissionRecord = await _awaited(admission.answer)
        except BaseException:
            # It keeps its exception, whose traceback has this frame, which has it: a cycle, and the review in it.
            del admission
            raise
        # What depends on more than on the answer: who was not asked, and why.
        regular = not admission.skipped and not force.unready
        if regular and (known := force.precedents.find(answer)) is not None:
            return known.applied(answer["request"], answer["names"]), known.outcome, known.answer
        batch, judgement = self._engine.admitted(admission, answer)
        subject, request = _subject(batch)
        if not judgement.hits and not judgement.faults and regular and subject.fit:
            force.precedents.keep(answer, request, _ALLOWED)
            return _made(request, _ALLOWED)
        asked = {*(hit.task for hit in judgement.hits), *(fault.task for fault in judgement.faults), *admission.skipped}
        tasks = review.tasks_for(force.plan, subject, asked) if request.operation in _JUDGED else ()
        judgement = _selected(judgement, tasks, admission.skipped)
        attribution = Attribution(self._words.findings, subject.documents, judgement)
        unclear = bool(attribution.unclear(tasks))
        if unclear:
            await asyncio.to_thread(self._attribute, body, tasks, attribution)
        outcome = self._outcome(force, subject, request, judgement, attribution)
        if regular and not unclear and not judgement.faults and subject.fit:
            force.precedents.keep(answer, request, outcome)
        return _made(request, outcome)

    def _attribute(self, body: bytes, tasks: Sequence[Task], attribution: Attribution) -> None:
        """Ask about violations that name no container; the engine loads the review once more for that."""
        batch = self._engine.loaded(self._engine.begin_review(body))
        for number, task in attribution.unclear(tasks):
            attribution.isolated(number, self._engine.isolate(batch, task))
        self._engine.release(batch)

    def _carefully(self, force: Force, body: bytes) -> _Made:
        """After the engine died: one task at a time, so that the one at fault is found."""

        def choose(batch: Batch) -> Sequence[Task]:
            subject, request = _subject(batch)
            if request.operation not in _JUDGED:
                return []
            return [
                replace(task, documents=[]) if ready.key.name in force.unready else task
                for task, ready in zip(review.tasks_for(force.plan, subject), force.plan.ready, strict=True)
            ]

        batch, tasks, judgement = self._engine.recover(body, choose)
        subject, request = _subject(batch)
        attribution = Attribution(Findings(), subject.documents, judgement)
        for number, task in attribution.unclear(tasks):
            attribution.isolated(number, self._engine.isolate(batch, task))
        self._engine.release(batch)
        return _made(request, self._outcome(force, subject, request, judgement, attribution))

    def _outcome(
        self,
        force: Force,
        subject: review.Subject,
        request: ReviewRequest,
        judgement: Judgement,
        attribution: Attribution,
    ) -> Outcome:
        def results(at: int) -> list[Result]:
            return review.results_of(force.plan, subject, at, attribution.found, judgement.faults)

        if request.operation not in _JUDGED or not subject.new:
            return _ALLOWED
        own, *template = (results(at) for at in subject.new)
        before = results(subject.before[0]) if subject.before and own else []
        return review.decide(
            request,
            force.plan,
            own=own,
            template=template[0] if template else (),
            before={review.identity(r.assignment.name, r.finding) for r in before},
            unready=_unready(force, subject),
            fail_closed=self._fail_closed,
            words=self._words,
        )


def _made(request: ReviewRequest, outcome: Outcome) -> _Made:
    return request, outcome, ending(outcome)


def _awaited(answer: Future[Any]) -> asyncio.Future[Any]:
    """The answer, to be awaited. Where the loop itself completes it, nothing has to be passed between threads."""
    loop = asyncio.get_running_loop()
    mine = get_ident()
    awaited: asyncio.Future[Any] = loop.create_future()

    # None of these may hold the answer, which holds them: a cycle for each review.
    def take(done: Future[Any]) -> None:
        if awaited.done():
            return
        if (error := done.exception()) is not None:
            awaited.set_exception(error)
        else:
            awaited.set_result(done.result())

    def tell(done: Future[Any]) -> None:
        if get_ident() == mine:
            take(done)
        else:
            loop.call_soon_threadsafe(take, done)

    answer.add_done_callback(tell)
    return awaited


def _standing(ready: Ready, unready: Mapping[str, str]) -> StandingTask:
    return StandingTask(
        policy=ready.definition.slug,
        parameters=ready.values,
        kinds=() if ready.key.name in unready else [f"{kind.group}/{kind.kind}" for kind in ready.definition.kinds],
        before=ready.refuses,
    )


def _selected(judgement: Judgement, tasks: Sequence[Task], skipped: Mapping[int, str]) -> Judgement:
    """What tasks found in what they select, and faults of those that were not asked."""
    return Judgement(
        findings=judgement.findings,
        hits=[hit for hit in judgement.hits if tasks and hit.document in tasks[hit.task].documents],
        faults=[
            *(fault for fault in judgement.faults if tasks and fault.document in tasks[fault.task].documents),
            *(
                Fault(task=number, document=document, message=why)
                for number, why in skipped.items()
                if tasks
                for document in tasks[number].documents
            ),
        ],
        evaluations=judgement.evaluations,
    )


def _subject(batch: Batch) -> tuple[review.Subject, ReviewRequest]:
    documents = documents_of(batch.documents)
    subject = review.subject_of(documents, {at for at, record in enumerate(batch.documents) if record.get("old")})
    assert batch.request is not None
    return subject, _request(batch.request, batch, subject)


def _unready(force: Force, subject: review.Subject) -> dict[str, str]:
    """The assignments that select the object and cannot be asked."""
    if not force.unready:
        return {}
    document = subject.documents[subject.new[0]]
    return {
        ready.key.name: force.unready[ready.key.name]
        for ready in force.plan.ready
        if ready.key.name in force.unready and ready.selection.selects(document)
    }


def _request(record: RequestRecord, batch: Batch, subject: review.Subject) -> ReviewRequest:
    document = subject.documents[subject.new[0]] if subject.new else None
    owner, workload = None, None
    if document is not None and subject.new:
        reference = batch.documents[subject.new[0]].get("owner")
        if reference is not None:
            owner = Resource(
                api_version=reference["apiVersion"],
                kind=reference["kind"],
                namespace=document.resource.namespace,
                name=reference["name"],
                uid=reference.get("uid", ""),
            )
            workload = workload_of(owner.kind, owner.name, document.labels)
        else:
            workload = Owner(kind=document.resource.kind, name=document.resource.name)
    group, version = record["group"], record["version"]
    return ReviewRequest(
        uid=record["uid"],
        operation=record["operation"],
        user=record["user"],
        resource=document.resource
        if document is not None
        else Resource(
            api_version=f"{group}/{version}" if group else version,
            kind=record["kindName"],
            namespace=record["namespace"],
            name=record["name"],
        ),
        sub_resource=record["subResource"],
        dry_run=record["dryRun"],
        deleting=record["deleting"],
        owner=owner,
        workload=workload,
    )
