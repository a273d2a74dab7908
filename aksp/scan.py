"""One evaluation: pages of an inventory, judged by the engine, assessed and added up."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from types import FrameType
from typing import Any

from aksp import __version__
from aksp.compliance.assess import Tally
from aksp.compliance.containers import Attribution, Findings
from aksp.compliance.judgement import Fault, Judgement, Task
from aksp.compliance.plan import Plan
from aksp.engine import Batch, Engine
from aksp.inventory.interface import Inventory, Page, Wanted
from aksp.model.compliance import ComplianceState, Finding, Gap, Report, Result, Target
from aksp.model.definition import ResourceKind
from aksp.model.resource import Document

Progress = Callable[[Page], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A report, whether it is all, and what a user should know besides."""

    report: Report
    interrupted: bool
    evaluations: int
    notes: Sequence[str]


@dataclass(slots=True)
class _Waiting:
    """A page whose judgement is under way."""

    page: Page
    tasks: Sequence[Task]
    started: Future[Any] | None


class Interrupts:
    """Ctrl-C ends the wait for a page at once, but the work on one not before its end.

    So no page is counted by half. A second Ctrl-C ends whatever is going on.
    """

    def __init__(self) -> None:
        self._asked = False
        self._waiting = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        # Only the main thread may take signals, and whoever takes them already knows why.
        if threading.current_thread() is threading.main_thread() and (
            signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def between(self, pages: Iterable[Page]) -> Iterator[Page]:
        """The pages. Raises KeyboardInterrupt while it waits for one, or when it was asked for before."""
        following = iter(pages)
        while True:
            self._waiting = True
            try:
                if self._asked:
                    raise KeyboardInterrupt
                page = next(following, None)
            finally:
                self._waiting = False
            if page is None:
                return
            yield page

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._waiting or self._asked:
            self._asked = True
            raise KeyboardInterrupt
        self._asked = True


class Scan:
    """Judges the pages of one inventory against one plan.

    While the engine judges a page the next one is fetched and loaded. Pages that referential
    rules read, or judge, wait until all are there.
    """

    def __init__(self, plan: Plan, engine: Engine, *, collect_compliant: bool = False) -> None:
        self._plan = plan
        self._engine = engine
        self._tally = Tally(plan, collect_compliant=collect_compliant)
        self._list = self._tally.fork()
        self._listing = ""
        self._waiting: list[_Waiting] = []
        self._held: list[Page] = []
        self._gaps: list[Gap] = []
        self._list_gaps: list[Gap] = []
        self._failed: list[ResourceKind] = []
        self._evaluations = 0
        self._passed_by: Counter[str] = Counter()
        self._wanted = wanted_of(plan)
        self._referential = self._wanted.whole
        self._comparing = [one for one in plan.ready if one.definition.requires_inventory]

    def run(self, inventory: Inventory, target: Target, now: datetime, progress: Progress | None = None) -> Outcome:
        """Judge everything. Ctrl-C ends the evaluation, not the report: it tells what is known."""
        interrupted = False
        with Interrupts() as interrupts:
            try:
                if self._plan.ready:
                    for page in interrupts.between(inventory.pages(self._wanted)):
                        self._take(page)
                        if progress is not None:
                            progress(page)
                self._settle(interrupts)
            except KeyboardInterrupt:
                interrupted = True
                self._end_early()
                self._gaps.append(
                    Gap(reason="Interrupted", message="the evaluation was interrupted: this report is incomplete")
                )
        unreached = self._unreached(interrupted)
        return Outcome(
            report=report_of(self._plan, self._tally, target, now, self._gaps, unreached),
            interrupted=interrupted,
            evaluations=self._evaluations,
            notes=self._unmatched(unreached),
        )

    def _take(self, page: Page) -> None:
        if page.listing != self._listing:
            self._end_of_list()
            self._listing = page.listing
        if page.restart:
            self._drop_list()
            return
        self._list_gaps += page.gaps
        if page.failed is not None:
            self._failed.append(page.failed)
        if page.batch is None:
            return
        # Rules compare with what -n and -l leave out too, so the batch is asked, not the documents.
        if self._referential and any(
            _is_one_of(d["apiVersion"], d["kind"], self._referential) for d in page.batch.documents
        ):
            self._engine.add_to_inventory(page.batch, self._wanted.whole_names)
            if page.documents:
                self._held.append(page)
            else:
                self._engine.release(page.batch)
            return
        if any(one.selection.about(document) for one in self._comparing for document in page.documents):
            self._held.append(page)
            return
        self._start(page)
        # One page is judged while the next is loaded; more would only hold memory.
        while len(self._waiting) > 1:
            self._finish(self._waiting.pop(0))

    def _start(self, page: Page) -> None:
        assert page.batch is not None
        self._pass_by(page.documents)
        tasks = self._list.choose(page.documents)
        self._waiting.append(_Waiting(page=page, tasks=tasks, started=self._engine.begin(page.batch, tasks)))

    def _pass_by(self, documents: Sequence[Document]) -> None:
        """Count objects of kinds that no assignment is about, as a folder of manifests has them."""
        for at, document in enumerate(documents):
            workload = at + 1 < len(documents) and documents[at + 1].template
            about = any(one.selection.about(document) for one in self._plan.ready)
            if not about and not workload and not document.template and document.resource.kind:
                self._passed_by[document.resource.kind] += 1

    def _finish(self, waiting: _Waiting) -> None:
        self._count(waiting)
        assert waiting.page.batch is not None
        self._engine.release(waiting.page.batch)

    def _count(self, waiting: _Waiting) -> None:
        page, tasks = waiting.page, waiting.tasks
        assert page.batch is not None
        judgement = self._engine.finish(page.batch, tasks, waiting.started)
        found, faults = findings_of(self._engine, self._list.findings, page.batch, page.documents, tasks, judgement)
        self._evaluations += judgement.evaluations
        self._list.add(page.documents, tasks, found, faults, page.sources)

    def _end_of_list(self) -> None:
        while self._waiting:
            self._finish(self._waiting.pop(0))
        self._tally.merge(self._list)
        self._list = self._tally.fork()
        self._gaps += self._list_gaps
        self._list_gaps = []

    def _end_early(self) -> None:
        """Count what is judged, or soon will be; the pages that had to wait for others are not.

        Nothing is released: the engine may have been interrupted in the middle of a request.
        """
        while self._waiting:
            self._count(self._waiting.pop(0))
        self._end_of_list()

    def _drop_list(self) -> None:
        for waiting in self._waiting:
            if waiting.page.batch is not None:
                self._engine.finish(waiting.page.batch, waiting.tasks, waiting.started)
                self._engine.release(waiting.page.batch)
        self._waiting.clear()
        self._held = [page for page in self._held if page.listing != self._listing]
        self._list = self._tally.fork()
        self._list_gaps = []

    def _settle(self, interrupts: Interrupts) -> None:
        """Judge the pages that had to wait for the inventory."""
        self._end_of_list()
        held, self._held = self._held, []
        for page in interrupts.between(held):
            self._start(page)
            while len(self._waiting) > 1:
                self._finish(self._waiting.pop(0))
        self._end_of_list()

    def _unmatched(self, unreached: Collection[str]) -> list[str]:
        """Assignments that found nothing to judge, and objects that no assignment is about."""
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(self._passed_by.items()))
        passed_by = [f"objects of kinds that no assignment is about: {kinds}"] if kinds else []
        return passed_by + [
            f"assignment {one.key.name} matched nothing: no {', '.join(_unique(k.kind for k in one.definition.kinds))} that it reaches"
            for one, matched in zip(self._plan.ready, self._tally.matched, strict=True)
            if not matched and one.key.name not in unreached
        ]

    def _unreached(self, interrupted: bool) -> set[str]:
        """Assignments that judged nothing because their lists failed, or were not reached."""
        if interrupted:
            pairs = zip(self._plan.ready, self._tally.matched, strict=True)
            return {one.key.name for one, matched in pairs if not matched}
        return unreached(self._plan, self._tally.matched, self._failed)


def wanted_of(plan: Plan) -> Wanted:
    """The kinds that a plan is about, and those that its rules compare with."""
    whole = _unique(kind for one in plan.ready for kind in one.definition.requires_inventory)
    kinds = _unique([*(kind for one in plan.ready for kind in one.definition.kinds), *whole])
    return Wanted(kinds=kinds, whole=whole)


def findings_of(
    engine: Engine,
    known: Findings,
    batch: Batch,
    documents: Sequence[Document],
    tasks: Sequence[Task],
    judgement: Judgement,
) -> tuple[dict[tuple[int, int], list[Finding]], list[Fault]]:
    """Findings by task and document; those that name no container are asked for again."""
    attribution = Attribution(known, documents, judgement)
    for number, task in attribution.unclear(tasks):
        attribution.isolated(number, engine.isolate(batch, task))
    return attribution.found, list(judgement.faults)


def unreached(plan: Plan, matched: Sequence[int], failed: Collection[ResourceKind]) -> set[str]:
    """The assignments that judged nothing because some kind of theirs could not be had."""
    return {
        one.key.name
        for one, count in zip(plan.ready, matched, strict=True)
        if not count and any(kind in failed for kind in one.definition.kinds)
    }


def report_of(
    plan: Plan,
    tally: Tally,
    target: Target,
    now: datetime,
    gaps: Sequence[Gap],
    unreached: Collection[str],
    results: Sequence[Result] | None = None,
) -> Report:
    """What a tally has come to, as a report; with other results than all of its own where they are given."""
    started = len(unreached) < len(plan.ready) or not unreached
    return Report(
        version=__version__,
        evaluated_at=now,
        target=target,
        state=tally.state() if started else ComplianceState.NOT_STARTED,
        compliance_percent=tally.percent() if started else 0.0,
        counts=tally.counts(),
        assignments=tally.summaries(unreached),
        results=tally.results if results is None else results,
        gaps=[*gaps, *tally.error_gaps()],
        rules={one.definition.slug: one.definition.rule for one in (*plan.ready, *plan.disabled)},
    )


def _is_one_of(api_version: str, kind: str, kinds: Sequence[ResourceKind]) -> bool:
    group = api_version.rpartition("/")[0]
    return any(one.kind == kind and one.group == group for one in kinds)


def _unique(values: Any) -> list[Any]:
    return list(dict.fromkeys(values))
