"""Reviews as they come in: bytes to the engine, its findings to a decision, the decision to bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from time import monotonic, perf_counter
from typing import Any

from msgspec.structs import replace

from aksp.addon.review import review
from aksp.addon.review.answer import Answer, failure
from aksp.addon.review.asking import (
    WORDS,
    Reviewed,
    Unjudged,
    admitted,
    itself,
    loaded,
    request_from,
    request_of,
)
from aksp.addon.review.decision import Decision, Disagreement, Outcome, ReviewRequest
from aksp.addon.review.decision_cache import DecisionCache, ending, response
from aksp.addon.review.owners import Owners, Unconfirmed
from aksp.addon.review.policies import PoliciesInForce, registered
from aksp.compliance.containers import Attribution, Findings
from aksp.compliance.judgement import Judgement, Task
from aksp.compliance.plan import Plan
from aksp.engine import (
    Admission,
    AdmissionRecord,
    BadReview,
    Batch,
    Engine,
    EngineDied,
    Outdated,
)
from aksp.engine.judging import with_skipped
from aksp.model.resource import Document, Problem
from aksp.sources.interface import within_namespaces

#: Operations that are judged; a review of any other one is allowed.
_JUDGED = ("CREATE", "UPDATE")
#: A request, its outcome, and the bytes of the response after the uid.
_Made = tuple[ReviewRequest, Outcome, bytes]
#: The same, and whether it follows from the engine's answer alone, so that it may be remembered.
_Concluded = tuple[_Made, bool]
_ALLOWED = Outcome(allowed=True)
#: Bytes of a review, or of its findings, from which on handling it takes more than some 10 ms.
_MOMENT = 128 << 10
#: Seconds after which it is checked whether the request was cancelled.
_LONG = 1.0
#: Seconds that judging may take without an end from the caller, and the least that it gets: an ordinary review takes
#: 1 ms.
_SECONDS = 1.2
_LEAST = 0.05
#: Seconds of these that are left for making the answer of a large review: the engine finds tens of thousands of violations.
_CONCLUDING = 0.2
#: One of so many reviews is judged by both evaluators: the first, and each so many later.
SAMPLED = 1000


class Reviewer:
    """Answers AdmissionReviews by what is in force. Used by one event loop; ``use`` by any one other thread."""

    def __init__(
        self,
        engine: Engine,
        *,
        owners: Owners,
        fail_closed: bool,
        decided: Callable[[Decision], None],
        disagreed: Callable[[Disagreement], None],
    ) -> None:
        self._engine = engine
        self._owners = owners
        self._fail_closed = fail_closed
        self._decided = decided
        self._disagreed = disagreed
        self._asked = count()
        self._force: PoliciesInForce | None = None
        self._former = ""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aksp-large-review")
        #: Held while a large review is judged: one after the other, each with both cores, takes no longer for all.
        self._turn = asyncio.Lock()

    @property
    def ready(self) -> bool:
        """Whether there is something to judge by."""
        return self._force is not None

    def use(
        self,
        plan: Plan,
        unready: Mapping[str, str] | None = None,
        namespaces: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Judge by this from the next request on."""
        name = self._engine.register(registered(plan, unready or {}))
        before = self._force
        self._force = PoliciesInForce(
            plan=plan, decisions=DecisionCache(plan), unready=unready or {}, name=name, namespaces=namespaces or {}
        )
        # Reviews under way may still name the last one.
        if self._former:
            self._engine.forget(self._former)
        self._former = before.name if before else ""

    async def __call__(self, body: bytes, until: float | None = None) -> Answer:
        """The answer to one AdmissionReview, whatever it holds. Judging ends at ``until``, a moment of `monotonic`."""
        began = perf_counter()
        if until is None:
            until = monotonic() + _SECONDS
        force = self._force
        if force is None:
            return failure(503, "aksp: the assignments are not loaded yet")
        try:
            try:
                if len(body) <= _MOMENT:
                    request, outcome, rest = await self._quickly(force, body, until)
                else:
                    try:
                        async with asyncio.timeout(max(0.0, until - monotonic())):
                            await self._turn.acquire()
                    except TimeoutError:
                        return self.unjudged(body, Unjudged.TOO_MANY) or failure(503, "aksp: too many large reviews")
                    try:
                        request, outcome, rest = await self._quickly(force, body, until)
                    finally:
                        self._turn.release()
            except (EngineDied, Outdated):
                request, outcome, rest = await asyncio.to_thread(self._carefully, force, body)
        except BadReview as error:
            return self.unjudged(body, Unjudged.UNREADABLE) or failure(400, f"aksp: {error.what}")
        seconds = perf_counter() - began
        if seconds > _LONG:
            # A request whose time is over is cancelled here, so that no decision is recorded that the API server does not get.
            await asyncio.sleep(0.001)
        self._decided(Decision(request=request, outcome=outcome, seconds=seconds))
        return Answer(status=200, body=response(request.uid, rest))

    def unjudged(self, head: bytes, reason: Unjudged) -> Answer | None:
        """The answer to a review that was not judged, by its first bytes: a warning, or a refusal.

        None when they do not tell who asks for what, or when there is nothing to judge by.
        """
        force, request = self._force, request_of(head)
        if force is None or request is None:
            return None
        why = WORDS[reason]
        outcome = _ALLOWED
        if request.operation in _JUDGED:
            # Labels are in the object, which was not read.
            document = Document(resource=request.resource, problems=(Problem(message=why, path="metadata.labels"),))
            asked = {ready.key.name: why for ready in force.plan.ready if ready.selection.selects(document)}
            outcome = review.decide(request, force.plan, own=(), unready=asked, fail_closed=self._fail_closed)
            if not asked:
                outcome = replace(_ALLOWED, warnings=(f"could not be judged: {why}",))
        self._decided(Decision(request=request, outcome=outcome, unjudged=reason.value))
        return Answer(status=200, body=response(request.uid, ending(outcome)))

    async def _aside(self, work: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        """Do in the one thread for large reviews what is more than a moment's work."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *arguments, **more))

    async def _quickly(self, force: PoliciesInForce, body: bytes, until: float) -> _Made:
        """One request to the engine for all of it."""
        large = len(body) > _MOMENT
        answered: asyncio.Future[AdmissionRecord] = asyncio.get_running_loop().create_future()
        begin, wanted = self._engine.begin_admission, (force.name, body, answered)
        seconds = _left(until - _CONCLUDING if large else until)
        compare = next(self._asked) % SAMPLED == 0
        if large:
            # Sending it takes long, so another thread does it.
            admission = await self._aside(begin, *wanted, seconds=seconds, compare=compare)
        else:
            admission = begin(*wanted, seconds=seconds, compare=compare)
        if admission is None:
            raise EngineDied("the engine is not running")
        try:
            answer = await answered
        except BaseException:
            # The exception's traceback holds this frame, and the answer the exception: without this a cycle would keep the review
            # in memory.
            del answered, wanted
            raise
        made = await self._made(force, admission, answer, until)
        for one in answer.disagreements:
            ready = force.plan.ready[one.t]
            self._disagreed(
                Disagreement(
                    assignment=ready.key.name, policy=ready.definition.slug, resource=made[0].resource, message=one.m
                )
            )
        return made

    async def _made(self, force: PoliciesInForce, admission: Admission, answer: AdmissionRecord, until: float) -> _Made:
        """What follows from the engine's answer, or followed before."""
        # With assignments that were not asked, the decision depends on more than the engine's answer.
        regular = not admission.skipped and not force.unready
        trusted = self._owners.trusts(answer.request.user)
        if regular and (known := force.decisions.find(answer, trusted=trusted)) is not None:
            return known.applied(answer.request, answer.names), known.outcome, known.answer
        concluded: _Concluded | None = None
        if len(answer.body) > _MOMENT:
            concluded = await self._aside(self._concluded, force, admission, answer, until, aside=True)
        else:
            concluded = self._concluded(force, admission, answer, until)
        if concluded is None:
            concluded = await asyncio.to_thread(self._concluded, force, admission, answer, until, aside=True)
            assert concluded is not None
        made, lasting = concluded
        if regular and lasting:
            force.decisions.keep(answer, *made, trusted=trusted)
        return made

    def _concluded(
        self,
        force: PoliciesInForce,
        admission: Admission,
        answer: AdmissionRecord,
        until: float,
        *,
        aside: bool = False,
    ) -> _Concluded | None:
        """What follows from the engine's answer, and whether it does so from nothing else.

        None when more has to be asked, and this is not ``aside``, in a thread that may wait.
        """
        trusted = self._owners.trusts(answer.request.user)
        regular = not admission.skipped and not force.unready
        record, judgement = self._engine.admitted(answer)
        subject, request, written = self._known(admitted(answer, record), force)
        if not judgement.hits and not judgement.faults and regular and subject.fit:
            return _made(request, _ALLOWED), True
        judgement = _selected(judgement, force.plan, subject, request, admission.skipped)
        attribution = Attribution(Findings(), subject.documents, judgement)
        unclear = not attribution.complete
        if unclear:
            if not aside:
                return None
            tasks = review.tasks_for(force.plan, subject, {hit.task for hit in judgement.hits})
            self._attribute(admission.body, tasks, attribution, until)
        doubt = ""
        if request.operation in _JUDGED and review.leans(force.plan, written, attribution.found):
            if trusted and not aside:
                return None
            subject, request, doubt = self._confirmed(written, subject, request)
        outcome = self._outcome(force, subject, request, judgement, attribution, doubt)
        # An owner that could not be confirmed now may be confirmed for the next review.
        settled = not (trusted and doubt)
        return _made(request, outcome), settled and not unclear and not judgement.faults and subject.fit

    def _confirmed(
        self, written: review.Subject, subject: review.Subject, request: ReviewRequest
    ) -> tuple[review.Subject, ReviewRequest, str]:
        """The subject with its confirmed owner, and why this is not the owner that the object says, where it is not."""
        if not self._owners.trusts(request.user):
            return subject, request, f"{request.user or 'who asks'} is no controller's account"
        workload, doubt = None, ""
        if request.owner is not None and request.workload is not None:
            try:
                workload = self._owners.confirm(request.owner, request.workload)
            except Unconfirmed as error:
                doubt = str(error)
            else:
                request = replace(request, workload=workload)
        if workload is None:
            request = replace(request, owner=None, workload=itself(request.resource))
        return review.owned(written, workload, derived=written.derived), request, doubt

    def _attribute(self, body: bytes, tasks: Sequence[Task], attribution: Attribution, until: float) -> None:
        """Ask about violations that name no container; the engine loads the review once more for that.

        Those of which it cannot be told in time stay with the Pod.
        """
        batch = self._engine.loaded(self._engine.begin_review(body))
        attribution.settle(tasks, lambda task: self._engine.isolate(batch, task, seconds=_left(until)))
        self._engine.release(batch)

    def _carefully(self, force: PoliciesInForce, body: bytes) -> _Made:
        """After the engine died: one task at a time, so that the one at fault is found."""

        def choose(batch: Batch) -> Sequence[Task]:
            subject, request, _ = self._known(loaded(batch), force)
            if request.operation not in _JUDGED:
                return []
            return [
                replace(task, documents=[]) if ready.key.name in force.unready else task
                for task, ready in zip(review.tasks_for(force.plan, subject), force.plan.ready, strict=True)
            ]

        batch, tasks, judgement = self._engine.recover(body, choose)
        subject, request, written = self._known(loaded(batch), force)
        attribution = Attribution(Findings(), subject.documents, judgement)
        attribution.settle(tasks, partial(self._engine.isolate, batch))
        self._engine.release(batch)
        doubt = ""
        if request.operation in _JUDGED and review.leans(force.plan, written, attribution.found):
            subject, request, doubt = self._confirmed(written, subject, request)
        return _made(request, self._outcome(force, subject, request, judgement, attribution, doubt))

    def _known(
        self, reviewed: Reviewed, force: PoliciesInForce
    ) -> tuple[review.Subject, ReviewRequest, review.Subject]:
        """The subject, its owner left out where anybody could have written it; the request; and the subject as written."""
        trusted = self._owners.trusts(reviewed.request.user)
        documents: Sequence[Document] = reviewed.documents
        if force.namespaces:
            documents = within_namespaces(documents, force.namespaces)
        written = review.subject_of(documents, reviewed.old)
        new = documents[written.new[0]] if written.new else None
        request = request_from(reviewed, new, trusted)
        return written if trusted else review.owned(written, None, derived=False), request, written

    def _outcome(
        self,
        force: PoliciesInForce,
        subject: review.Subject,
        request: ReviewRequest,
        judgement: Judgement,
        attribution: Attribution,
        doubt: str = "",
    ) -> Outcome:
        plan, found, faults = force.plan, attribution.found, judgement.faults
        if request.operation not in _JUDGED or not subject.new:
            return _ALLOWED
        own = review.results_of(plan, subject, subject.new[0], found, faults)
        template = [result for at in subject.new[1:] for result in review.results_of(plan, subject, at, found, faults)]
        before: Collection[tuple[Any, ...]] = ()
        uncompared: Mapping[str, str] | None = None
        if subject.before:
            if own or template:
                earlier = [one for at in subject.before for one in review.results_of(plan, subject, at, found, faults)]
                before = {review.identity(r.assignment.name, r.finding) for r in earlier}
            uncompared = {
                plan.ready[one.task].key.name: one.message for one in faults if one.document in subject.before
            }
        return review.decide(
            request,
            plan,
            own=own,
            template=template,
            before=before,
            unready=force.unready_for(subject.documents[subject.new[0]]) if force.unready else None,
            cut=[plan.ready[hit.task].key.name for hit in judgement.hits if hit.cut],
            uncompared=uncompared,
            fail_closed=self._fail_closed,
            doubt=doubt,
        )


def _made(request: ReviewRequest, outcome: Outcome) -> _Made:
    return request, outcome, ending(outcome)


def _left(until: float) -> float:
    return max(_LEAST, until - monotonic())


def _selected(
    judgement: Judgement, plan: Plan, subject: review.Subject, request: ReviewRequest, skipped: Mapping[int, str]
) -> Judgement:
    """What assignments found in what they select, and faults of those that were not asked."""
    hits, faults = judgement.hits, judgement.faults
    if request.operation not in _JUDGED:
        return Judgement(findings=(), hits=(), faults=(), evaluations=judgement.evaluations)
    mine = Judgement(
        findings=judgement.findings,
        hits=[hit for hit in hits if review.asks(plan.ready[hit.task], subject, hit.document)],
        faults=[fault for fault in faults if review.asks(plan.ready[fault.task], subject, fault.document)],
        evaluations=judgement.evaluations,
    )
    return with_skipped(mine, review.tasks_for(plan, subject, skipped), skipped) if skipped else mine
