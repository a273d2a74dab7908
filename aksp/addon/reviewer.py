"""Reviews as they come in: bytes to the engine, its findings to a decision, the decision to bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

from aksp.addon import review
from aksp.addon.decision import Decision, ReviewRequest
from aksp.addon.webhook import Answer
from aksp.compliance.containers import Attribution, Findings
from aksp.compliance.judgement import Judgement, Task
from aksp.compliance.plan import Plan
from aksp.engine import BadReview, Batch, Engine, EngineDied, Outdated, RequestRecord
from aksp.inventory.interface import documents_of
from aksp.model.resource import Owner, Resource, workload_of

#: Operations that rules are about; anything else is allowed unread.
_JUDGED = ("CREATE", "UPDATE")


@dataclass(frozen=True, kw_only=True, slots=True)
class Force:
    """What requests are judged by. ``unready`` has the assignments that cannot be asked, and why."""

    plan: Plan
    unready: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Review:
    """One review under way: its documents, and what is to be judged."""

    batch: Batch
    request: ReviewRequest
    subject: review.Subject
    tasks: Sequence[Task]


class Reviewer:
    """Answers AdmissionReviews by what is in force. Used by one event loop; ``use`` by any thread."""

    def __init__(self, engine: Engine, *, fail_closed: bool, decided: Callable[[Decision], None]) -> None:
        self._engine = engine
        self._fail_closed = fail_closed
        self._decided = decided
        self._force: Force | None = None

    @property
    def ready(self) -> bool:
        """Whether there is something to judge by."""
        return self._force is not None

    def use(self, force: Force) -> None:
        """Judge by this from the next request on."""
        self._force = force

    async def __call__(self, body: bytes) -> Answer:
        """The answer to one AdmissionReview, whatever it holds."""
        began = perf_counter()
        force = self._force
        if force is None:
            return _failed(503, "ServiceUnavailable", "the assignments are not loaded yet")
        try:
            decision = await self._decision(force, body)
        except BadReview as error:
            return _failed(400, "BadRequest", error.what)
        decision = replace(decision, seconds=perf_counter() - began)
        self._decided(decision)
        return Answer(status=200, body=_response(decision))

    async def _decision(self, force: Force, body: bytes) -> Decision:
        try:
            try:
                return await self._quickly(force, body)
            except Outdated:
                # A policy was compiled between the loading and the judging, and reads more.
                return await self._quickly(force, body)
        except EngineDied:
            return await asyncio.to_thread(self._carefully, force, body)

    async def _quickly(self, force: Force, body: bytes) -> Decision:
        """Two requests to the engine: one that loads, and one that judges and lets go."""
        loading = self._engine.begin_review(body)
        if loading.answer is None:
            raise EngineDied("the engine is not running")
        batch = self._engine.load_answer(loading, await asyncio.wrap_future(loading.answer))
        work = _begin(force, batch)
        if not any(task.documents for task in work.tasks):
            self._engine.release(batch)
            return self._decided_on(force, work, Judgement(findings=[], hits=[], faults=[], evaluations=0), None)
        started = self._engine.begin(batch, work.tasks, release=True)
        if started is None:
            raise EngineDied("the engine is not running")
        judgement = self._engine.judge_answer(batch, work.tasks, await asyncio.wrap_future(started))
        attribution = Attribution(Findings(), work.subject.documents, judgement)
        if attribution.unclear(work.tasks):
            await asyncio.to_thread(self._attribute, batch, work.tasks, attribution)
        return self._decided_on(force, work, judgement, attribution)

    def _attribute(self, batch: Batch, tasks: Sequence[Task], attribution: Attribution) -> None:
        """Ask about violations that name no container; the engine loads the review again for that."""
        for number, task in attribution.unclear(tasks):
            attribution.isolated(number, self._engine.isolate(batch, task))
        self._engine.release(batch)

    def _carefully(self, force: Force, body: bytes) -> Decision:
        """After the engine died: one task at a time, so that the one at fault is found."""
        works: list[_Review] = []

        def choose(batch: Batch) -> Sequence[Task]:
            works[:] = [_begin(force, batch)]
            return works[0].tasks

        batch, tasks, judgement = self._engine.recover(body, choose)
        work = works[-1]
        attribution = Attribution(Findings(), work.subject.documents, judgement)
        self._attribute(batch, tasks, attribution)
        return self._decided_on(force, work, judgement, attribution)

    def _decided_on(
        self, force: Force, work: _Review, judgement: Judgement, attribution: Attribution | None
    ) -> Decision:
        plan, subject = force.plan, work.subject
        found = attribution.found if attribution is not None else {}
        results = {
            at: review.results_of(plan, subject, at, work.tasks, found, judgement.faults)
            for at in (*subject.new, *subject.before[:1])
        }
        own, *template = (results[at] for at in subject.new) if subject.new else ([],)
        before = results[subject.before[0]] if subject.before else []
        return review.decide(
            work.request,
            plan,
            own=own,
            template=template[0] if template else (),
            before={review.identity(r.assignment.name, r.finding) for r in before},
            unready=_unready(force, subject),
            fail_closed=self._fail_closed,
        )


def _begin(force: Force, batch: Batch) -> _Review:
    documents = documents_of(batch.documents)
    old = {at for at, record in enumerate(batch.documents) if record.get("old")}
    subject = review.subject_of(documents, old)
    assert batch.request is not None
    request = _request(batch.request, batch, subject)
    if request.operation not in _JUDGED:
        return _Review(batch, request, review.Subject(documents=documents, new=()), [])
    tasks = review.tasks_for(force.plan, subject)
    return _Review(
        batch,
        request,
        subject,
        [_without(task, ready.key.name, force) for task, ready in zip(tasks, force.plan.ready, strict=True)],
    )


def _without(task: Task, assignment: str, force: Force) -> Task:
    return replace(task, documents=[]) if assignment in force.unready else task


def _unready(force: Force, subject: review.Subject) -> dict[str, str]:
    """The assignments that select the object and cannot be asked."""
    if not force.unready or not subject.new:
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


def _response(decision: Decision) -> bytes:
    """The AdmissionReview that answers (Kubernetes: "Dynamic Admission Control", response)."""
    response: dict[str, Any] = {"uid": decision.request.uid, "allowed": decision.allowed}
    if not decision.allowed:
        response["status"] = {"code": 403, "reason": "Forbidden", "message": decision.message}
        names = sorted({r.assignment.name for r in decision.refused_by})
        if names:
            response["auditAnnotations"] = {"refused-by": ",".join(names)}
    if decision.warnings:
        response["warnings"] = list(decision.warnings)
    return json.dumps(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}, ensure_ascii=False
    ).encode("utf-8", "backslashreplace")


def _failed(code: int, reason: str, message: str) -> Answer:
    status = {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }
    return Answer(status=code, body=json.dumps(status).encode())
