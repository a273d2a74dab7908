"""One evaluation: pages of objects, judged by the engine, assessed and added up."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from types import FrameType
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aksp import __version__
from aksp.compliance.assess import Tally
from aksp.compliance.comparing import missing, overlooked
from aksp.compliance.containers import Findings
from aksp.compliance.evaluation import choose, findings_of
from aksp.compliance.judgement import Task
from aksp.compliance.nothing import INTERRUPTED, idle, no_assignment
from aksp.compliance.plan import Plan
from aksp.engine import Batch, Engine
from aksp.model.compliance import Gap, Report, Result, Target, TargetKind
from aksp.model.definition import ResourceKind
from aksp.model.resource import Document
from aksp.sources.interface import (
    NAMESPACE,
    ObjectSource,
    Page,
    Wanted,
    names_of,
    namespace_labels,
    within_namespaces,
)

Progress = Callable[[Page], None]


class ScanResult(Struct, frozen=True, kw_only=True):
    """A report, whether it is all, and what a user should know besides.

    ``failed`` are the kinds that could not be listed, and what the gaps say of each.
    """

    report: Report
    interrupted: bool
    evaluations: int
    notes: Sequence[str]
    namespace_labels: Mapping[str, Mapping[str, str]] = {}
    failed: Mapping[ResourceKind, Sequence[str]] = {}


class _Waiting(Struct):
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
        # Only the main thread may handle signals, and a handler that is not Python's default is left alone.
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
    """Judges the pages of one source of objects against one plan.

    While the engine judges a page the next one is fetched and loaded. Pages that referential
    rules read, or judge, wait until all are there.
    """

    def __init__(self, plan: Plan, engine: Engine, *, collect_compliant: bool = False) -> None:
        self._plan = plan
        self._engine = engine
        self._tally = Tally(plan, collect_compliant=collect_compliant)
        self._list = self._tally.fork()
        self._findings = Findings()
        self._listing = ""
        self._waiting: list[_Waiting] = []
        self._held: list[Page] = []
        self._gaps: list[Gap] = []
        self._list_gaps: list[Gap] = []
        self._failed: dict[ResourceKind, list[str]] = {}
        self._unserved: list[ResourceKind] = []
        #: The versions that manifests have of what rules compare with, by group and kind.
        self._written: dict[tuple[str, str], set[str]] = {}
        self._evaluations = 0
        self._passed_by: Counter[str] = Counter()
        self._wanted = wanted_of(plan)
        self._referential = compared_kinds(plan)
        self._comparing = [one for one in plan.ready if one.definition.requires_inventory]
        self._by_namespace = [one for one in plan.ready if not one.selection.namespace_selector.empty]
        self._namespace_labels: dict[str, Mapping[str, str]] = {}

    def run(self, objects: ObjectSource, target: Target, now: datetime, progress: Progress | None = None) -> ScanResult:
        """Judge everything. Ctrl-C ends the evaluation, not the report: it tells what is known."""
        interrupted = False
        with Interrupts() as interrupts:
            try:
                # Without an assignment nothing is asked of a cluster; of files what cannot be read is told all the same.
                if self._plan.ready or target.kind is TargetKind.MANIFESTS:
                    for page in interrupts.between(objects.pages(self._wanted)):
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
        return ScanResult(
            report=report_of(self._plan, self._tally, target, now, self._gaps, unreached),
            interrupted=interrupted,
            evaluations=self._evaluations,
            namespace_labels=self._namespace_labels,
            failed=self._failed,
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
            self._failed.setdefault(page.failed, []).extend(gap.message for gap in page.gaps)
        if page.unserved is not None:
            self._unserved.append(page.unserved)
        if page.batch is None:
            return
        if self._by_namespace:
            self._namespace_labels |= namespace_labels(page.batch.documents)
        # Rules also compare with objects that -n and -l leave out. The batch has those, page.documents does not.
        if self._referential and any(
            one.covers(version.rpartition("/")[0], kind)
            for version, kind in {(d["apiVersion"], d["kind"]) for d in page.batch.documents}
            for one in self._referential
        ):
            self._engine.add_to_inventory(page.batch, names_of(self._referential))
            if page.sources is not None:
                self._note_versions(page.batch)
            if page.documents:
                self._held.append(page)
            else:
                self._engine.release(page.batch)
            return
        if any(one.selection.about(each) for one in self._comparing for each in page.documents) or any(
            map(self._waits, page.documents)
        ):
            self._held.append(page)
        else:
            self._start(page)

    def _note_versions(self, batch: Batch) -> None:
        for one in batch.documents:
            if "parent" not in one:
                group, _, version = one["apiVersion"].rpartition("/")
                self._written.setdefault((group, one["kind"]), set()).add(version)

    def _waits(self, document: Document) -> bool:
        """Whether the Namespace of a document decides whether it is judged, and has not come yet."""
        namespace = document.resource.namespace
        return namespace not in self._namespace_labels and any(
            one.selection.about(document) and one.selection.undecided(document) for one in self._by_namespace
        )

    def _start(self, page: Page) -> None:
        """Begin to judge a page, and finish the one before.

        One page is judged while the next is loaded. More pages at once would take memory and save no time.
        """
        batch = page.batch
        assert batch is not None
        if self._by_namespace:
            page = replace(page, documents=within_namespaces(page.documents, self._namespace_labels))
        self._pass_by(page.documents)
        tasks = choose(self._plan, page.documents)
        self._waiting.append(_Waiting(page=page, tasks=tasks, started=self._engine.begin(batch, tasks)))
        while len(self._waiting) > 1:
            self._finish(self._waiting.pop(0))

    def _pass_by(self, documents: Sequence[Document]) -> None:
        """Count objects of kinds that no assignment is about, as a folder of manifests has them.

        What is about the Pods of a workload is about the workload. Its templates follow it.
        """
        about = False
        for document in reversed(documents):
            resource = document.resource
            about = about or any(one.selection.about(document) for one in self._plan.ready)
            if document.parent is not None:
                continue
            if not about and resource.kind and not self._wanted.needs_whole(resource.group, resource.kind):
                self._passed_by[f"{resource.kind}.{resource.group}" if resource.group else resource.kind] += 1
            about = False

    def _finish(self, waiting: _Waiting) -> None:
        self._count(waiting)
        assert waiting.page.batch is not None
        self._engine.release(waiting.page.batch)

    def _count(self, waiting: _Waiting) -> None:
        page, tasks = waiting.page, waiting.tasks
        assert page.batch is not None
        judgement = self._engine.finish(page.batch, tasks, waiting.started)
        if page.located is not None:
            page.located(judgement.places)
        self._findings = self._findings.or_new()
        isolate = partial(self._engine.isolate, page.batch)
        found = findings_of(self._findings, page.documents, tasks, judgement, isolate)
        self._evaluations += judgement.evaluations
        self._list.add(page.documents, tasks, found, judgement.faults, page.sources)

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
        for one in self._comparing:
            why = missing(one.definition, dict.fromkeys(self._failed, ""), self._unserved)
            if why := why or overlooked(one.definition, self._written):
                self._engine.withhold(one.definition.slug, why)
        held, self._held = self._held, []
        for page in interrupts.between(held):
            self._start(page)
        self._end_of_list()

    def _unmatched(self, unreached: Collection[str]) -> list[str]:
        """Assignments that judged nothing, and objects that no assignment is about."""
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(self._passed_by.items()))
        passed_by = [f"objects of kinds that no assignment is about: {kinds}"] if kinds else []
        idlers: dict[tuple[str, bool], list[str]] = {}
        for one, matched in zip(self._plan.ready, self._tally.matched, strict=True):
            if not matched and one.key.name not in unreached:
                idlers.setdefault((idle(one), bool(one.not_started)), []).append(one.key.name)
        return passed_by + [_idle_note(names, reason, not_started) for (reason, not_started), names in idlers.items()]

    def _unreached(self, interrupted: bool) -> dict[str, str]:
        """Assignments that judged nothing because their lists failed, or were not reached, and why."""
        if interrupted:
            pairs = zip(self._plan.ready, self._tally.matched, strict=True)
            return {one.key.name: INTERRUPTED for one, matched in pairs if not matched and not one.not_started}
        return unreached(self._plan, self._tally.matched, self._failed)


def _idle_note(names: Sequence[str], reason: str, not_started: bool) -> str:
    """One note for all assignments that judged nothing for the same reason."""
    if len(names) == 1:
        return f"assignment {names[0]} {'was not started: ' if not_started else ''}{reason}"
    return f"assignments {', '.join(names)} {'were not started: ' if not_started else 'each '}{reason}"


def wanted_of(plan: Plan) -> Wanted:
    """The kinds that a plan is about, and those that its rules compare with, or that decide what they judge.

    Namespaces come first where they do, since the others would have to wait for them.
    """
    first = [NAMESPACE] if plan.by_namespace_labels else []
    whole = _unique([*first, *compared_kinds(plan)])
    # Rules that need an admission request judge only AdmissionReviews in files, which are read whatever is wanted.
    judged = [one for one in plan.ready if not one.not_started]
    kinds = _unique([*first, *(kind for one in judged for kind in one.selection.kinds), *whole])
    return Wanted(kinds=kinds, whole=whole)


def compared_kinds(plan: Plan) -> list[ResourceKind]:
    """The kinds that the rules of a plan compare with."""
    return _unique(kind for one in plan.ready for kind in one.definition.requires_inventory)


def unreached(plan: Plan, matched: Sequence[int], failed: Collection[ResourceKind]) -> dict[str, str]:
    """The assignments that judged nothing because some kind of theirs could not be had, and the reasons."""
    return {
        one.key.name: f"{', '.join(_unique(kind.kind for kind in lost))} could not be listed"
        for one, count in zip(plan.ready, matched, strict=True)
        if not count
        and not one.not_started
        and (lost := [kind for kind in failed if not kind.version and _about(one.selection.kinds, kind)])
    }


def _about(kinds: Sequence[ResourceKind], one: ResourceKind) -> bool:
    return any(kind.covers(one.group, one.kind) for kind in kinds)


def report_of(
    plan: Plan,
    tally: Tally,
    target: Target,
    now: datetime,
    gaps: Sequence[Gap],
    unreached: Mapping[str, str],
    results: Sequence[Result] | None = None,
) -> Report:
    """What a tally has come to, as a report; with other results than all of its own where they are given."""
    nothing = None if any(tally.matched) else no_assignment(plan, target)
    return Report(
        version=__version__,
        evaluated_at=now,
        target=target,
        state=tally.state(),
        compliance_percent=tally.percent(),
        counts=tally.counts(),
        assignments=tally.summaries(unreached),
        results=tally.results if results is None else results,
        gaps=[*([nothing] if nothing else []), *gaps, *tally.error_gaps()],
        rules={one.definition.slug: one.definition.rule for one in (*plan.ready, *plan.disabled)},
    )


def _unique(values: Any) -> list[Any]:
    return list(dict.fromkeys(values))
