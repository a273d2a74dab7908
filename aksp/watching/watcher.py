"""A watched cluster: what comes from it is judged by the engine, and its report is at hand at any time."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import islice

from msgspec.structs import replace

from aksp.compliance.comparing import missing
from aksp.compliance.containers import Findings
from aksp.compliance.evaluation import choose, findings_of
from aksp.compliance.judgement import Task
from aksp.compliance.plan import Plan
from aksp.engine import Batch, Engine
from aksp.live.source import LiveSource
from aksp.live.state import LiveState
from aksp.live.updates import Key, ObjectsChanged, Update
from aksp.model.compliance import ComplianceState, Finding, Gap, Report, Result, Target
from aksp.model.definition import ResourceKind
from aksp.model.event import Event, EventType
from aksp.model.resource import Document
from aksp.scan import report_of, unreached
from aksp.sources.interface import documents_of, within_namespaces
from aksp.sources.listings import WantedList
from aksp.sources.texts import list_of, text_of
from aksp.watching.ledger import JudgedObject, Ledger, ObjectVerdict, ResultChange, ResultKey

#: Objects that are judged anew at once when what they are compared with has changed.
CHUNK = 500
#: Seconds after which objects that a rule failed on are judged again: it may just have taken too long.
RETRY_SECONDS = 60.0

ObjectKey = tuple[WantedList, Key]

_NO_LABELS: Mapping[str, str] = {}
_NOT_ASKED = ObjectVerdict()
# Nearly every object complies: these are shared by all that do.
_NOTHING: Mapping[int, Sequence[Finding]] = {}
_NO_FAULTS: Mapping[int, Sequence[str]] = {}


class Watcher:
    """Keeps the report of a watched cluster. Not for several threads.

    ``now`` tells the time: exemptions end while one watches. ``clock`` counts seconds.
    """

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        source: LiveSource,
        target: Target,
        *,
        now: Callable[[], datetime],
        collect_compliant: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._engine = engine
        self._source = source
        self._target = target
        self._now = now
        self._clock = clock
        self._findings = Findings()
        self._ledger = Ledger(plan, collect_compliant=collect_compliant)
        #: The assignments whose rules, or selection, depend on other objects.
        self._comparing = frozenset(
            n
            for n, one in enumerate(plan.ready)
            if one.definition.requires_inventory or not one.selection.namespace_selector.empty
        )
        self._state = LiveState(engine, source.listings)
        #: Objects that may be judged again though they have not changed, as compressed JSON.
        self._texts: dict[ObjectKey, bytes] = {}
        #: Why the assignments that compare are not asked, by their numbers.
        self._withheld: dict[int, str | None] = {}
        #: Objects that comparing rules judge, those of them that wait to be judged, and those that some rule failed on.
        self._relative: set[ObjectKey] = set()
        self._pending: set[ObjectKey] = set()
        self._faulty: set[ObjectKey] = set()
        self._rests_until = 0.0
        self._retries_at = 0.0
        self._told: Sequence[Gap] = ()
        #: Results that have come or changed since the beginning, the newest last.
        self._recent: dict[ResultKey, Result] = {}
        self.synced = False
        #: Incremented whenever something may have changed.
        self.revision = 0
        #: When the counts last changed, after the first complete report.
        self.changed_at: datetime | None = None
        for each in source.unnamed:
            self._apply(each)

    @property
    def objects(self) -> int:
        """How many objects are watched."""
        return len({(one.kind, key) for one, known in self._state.known.items() for key in known})

    @property
    def kinds(self) -> Sequence[ResourceKind]:
        """The kinds that are watched and that there are, lost ones left out."""
        state = self._state
        return list(dict.fromkeys(one.kind for one in state.known if one in state.settled and one not in state.lost))

    @property
    def lost(self) -> bool:
        """Whether something cannot be watched now."""
        return bool(self._state.lost)

    @property
    def found(self) -> int:
        """How many results there are that no exemption waives."""
        return self._ledger.found

    def step(self, seconds: float) -> list[Event]:
        """Take up what has come, waiting so long for it; what has changed by it, in a report's order.

        Nothing counts as changed until each list has come, or failed; then everything has been added. Raises what
        LiveSource.take raises.
        """
        for update in self._source.take(seconds):
            self._apply(update)
            self.revision += 1
        now = self._now()
        self._expire(now)
        self._retry()
        self._compare()
        return self._settle(now)

    def report(self) -> Report:
        """The report as a scan would make it now."""
        return self._report(None)

    def overview(self, most: int) -> Report:
        """The report with so many of its results at most, those that came last first, and none that is exempt."""
        self._ledger.settle()
        newest = [each for each in reversed(self._recent.values()) if each.state is not ComplianceState.EXEMPT][:most]
        if len(newest) < most:
            older = (
                result
                for key, result in self._ledger.results()
                if key not in self._recent and result.state is not ComplianceState.EXEMPT
            )
            newest += islice(older, most - len(newest))
        return self._report(newest)

    def _report(self, results: Sequence[Result] | None) -> Report:
        # Something can be uncounted here only before the first lists are complete.
        self._ledger.settle()
        tally = self._ledger.tally()
        failed = {listing.kind for listing in self._state.lost}
        absent = unreached(self._plan, tally.matched, failed)
        return report_of(self._plan, tally, self._target, self._now(), self._current_gaps(), absent, results)

    def _current_gaps(self) -> list[Gap]:
        state = self._state
        gaps = [*(gap for each in state.gaps.values() for gap in each), *(lost.gap for lost in state.lost.values())]
        return list(dict.fromkeys(gaps))

    # What comes

    def _apply(self, update: Update) -> None:
        listing, gone = update.listing, self._state.apply(update)
        if isinstance(update, ObjectsChanged) and update.batch is not None:
            if listing.judged:
                self._judge_own(listing, update.batch, update.documents)
            self._engine.release(update.batch)
        for key in gone:
            self._ledger.drop((listing, key))
            for those in (self._relative, self._pending, self._faulty):
                those.discard((listing, key))
            self._texts.pop((listing, key), None)

    # Judging

    def _judge_own(self, listing: WantedList, batch: Batch, documents: Sequence[Document]) -> None:
        """Judge objects by the rules that look at nothing else, and note those that others are about."""
        chosen = choose(self._plan, documents)
        own = [replace(task, documents=()) if number in self._comparing else task for number, task in enumerate(chosen)]
        compares: dict[int, list[int]] = {}
        for number in sorted(self._comparing):
            for at in chosen[number].documents:
                compares.setdefault(at, []).append(number)
        verdicts = self._verdicts(batch, documents, own)
        for at, document in enumerate(documents):
            key = listing, _key(document)
            before = self._ledger.get(key)
            numbers = tuple(compares.get(at, ()))
            # Until it is compared again, the last outcome counts, if the same rules apply to it.
            compared = before.compared if before is not None and before.compares == numbers else None
            judged = JudgedObject(
                # Labels are not needed after selection.
                document=replace(document, labels=_NO_LABELS),
                own=verdicts.get(at, _NOT_ASKED),
                compares=numbers,
                compared=compared,
            )
            if numbers:
                self._relative.add(key)
                self._pending.add(key)
            else:
                self._relative.discard(key)
                self._pending.discard(key)
            self._put(key, judged)
            if key in self._relative or key in self._faulty:
                # Level 1: a fifth of the size, at the speed at which objects arrive.
                self._texts[key] = zlib.compress(text_of(batch, at), 1)

    def _verdicts(self, batch: Batch, documents: Sequence[Document], tasks: Sequence[Task]) -> dict[int, ObjectVerdict]:
        """What tasks say of the documents that they are about, as a scan would have it."""
        asked: dict[int, list[int]] = {}
        for number, task in enumerate(tasks):
            for at in task.documents:
                asked.setdefault(at, []).append(number)
        if not asked:
            return {}
        judgement = self._engine.judge(batch, tasks)
        self._findings = self._findings.or_new()
        found = findings_of(self._findings, documents, tasks, judgement, partial(self._engine.isolate, batch))
        findings_at: dict[int, dict[int, Sequence[Finding]]] = {}
        for (number, at), findings in found.items():
            findings_at.setdefault(at, {})[number] = findings
        faults_at: dict[int, dict[int, list[str]]] = {}
        for fault in judgement.faults:
            faults_at.setdefault(fault.document, {}).setdefault(fault.task, []).append(fault.message)
        return {
            at: ObjectVerdict(
                asked=tuple(numbers), found=findings_at.get(at, _NOTHING), faults=faults_at.get(at, _NO_FAULTS)
            )
            for at, numbers in asked.items()
        }

    def _put(self, key: ObjectKey, judged: JudgedObject) -> None:
        """Put into the ledger what is known of an object, unless no assignment is about it."""
        if judged.own.asked or judged.compares:
            if judged != self._ledger.get(key):
                self._ledger.put(key, judged)
        else:
            self._ledger.drop(key)
        if any(verdict.faults for verdict in judged.verdicts):
            if not self._faulty:
                self._retries_at = self._clock() + RETRY_SECONDS
            self._faulty.add(key)
        else:
            self._faulty.discard(key)
            if key not in self._relative:
                self._texts.pop(key, None)

    def _retry(self) -> None:
        """Let the rules that failed on objects judge these again."""
        if not self._faulty or self._clock() < self._retries_at:
            return
        self._retries_at = self._clock() + RETRY_SECONDS
        faulty = sorted(self._faulty, key=_in_order)
        self._pending.update(key for key in faulty if key in self._relative)
        for key, one, own in self._judged_again(faulty, lambda one: one.own.asked):
            self._put(key, replace(one, own=own))
        self.revision += 1

    def _compare(self) -> None:
        """Let the rules that compare objects judge what has changed; everything, when the objects that they compare with have changed."""
        if not self._comparing or not all(one in self._state.settled for one in self._state.known if one.compared):
            return
        if self._clock() < self._rests_until:
            return
        began = self._clock()
        self._withhold()
        if self._state.changed:
            self._state.changed = False
            self._pending |= self._relative
        self.revision += bool(self._pending)
        for key, one, compared in self._judged_again(sorted(self._pending, key=_in_order), lambda one: one.compares):
            self._put(key, replace(one, compared=compared))
        self._pending.clear()
        # Comparing takes at most half of the time; the other half is for new updates.
        self._rests_until = 2 * self._clock() - began

    def _withhold(self) -> None:
        """Do not ask rules whose objects to compare with cannot be had; ask them once these can."""
        # A gap tells why they failed.
        failed, unserved = dict.fromkeys(self._state.failed, ""), self._state.unserved_kinds
        for number in self._comparing:
            definition = self._plan.ready[number].definition
            why = missing(definition, failed, unserved)
            if why != self._withheld.get(number):
                self._engine.withhold(definition.slug, why)
                self._pending |= self._relative
            self._withheld[number] = why

    def _judged_again(
        self, keys: Sequence[ObjectKey], asked: Callable[[JudgedObject], Collection[int]]
    ) -> Iterator[tuple[ObjectKey, JudgedObject, ObjectVerdict]]:
        """Objects whose texts are kept, what is known of them, and what the rules say that are asked."""
        for first in range(0, len(keys), CHUNK):
            some = keys[first : first + CHUNK]
            batch = self._engine.load_list(list_of([zlib.decompress(self._texts[key]) for key in some]))
            documents = documents_of(batch.documents)
            if self._plan.by_namespace_labels:
                documents = within_namespaces(documents, self._state.namespace_labels)
            at_resource = {document.resource: at for at, document in enumerate(documents)}
            known = {
                at_resource[one.document.resource]: (key, one)
                for key in some
                if (one := self._ledger.get(key)) is not None and one.document.resource in at_resource
            }
            tasks = [
                replace(task, documents=[at for at in task.documents if at in known and number in asked(known[at][1])])
                for number, task in enumerate(choose(self._plan, documents))
            ]
            verdicts = self._verdicts(batch, documents, tasks)
            self._engine.release(batch)
            for at, (key, one) in known.items():
                document = replace(one.document, namespace_labels=documents[at].namespace_labels)
                yield key, replace(one, document=document), verdicts.get(at, _NOT_ASKED)

    # What has changed

    def _expire(self, now: datetime) -> None:
        """Let exemptions go whose time is over."""
        if not any(exemption.expired(now) for one in self._plan.ready for exemption in one.exemptions):
            return
        ready = [
            replace(one, exemptions=tuple(each for each in one.exemptions if not each.expired(now)))
            for one in self._plan.ready
        ]
        self._plan = replace(self._plan, ready=ready)
        self.revision += 1
        self._ledger.renew(self._plan)

    def _settle(self, now: datetime) -> list[Event]:
        if not self.synced and (self._pending or not self._state.settled.issuperset(self._state.known)):
            # Before the first complete report no changes are told, and counting after each page would be wasted.
            return []
        moved = self._ledger.stale
        turns = self._ledger.settle()
        if not self.synced:
            self.synced = True
            self._told = self._current_gaps()
            events = [Event(type=EventType.ADDED, at=now, result=result) for _, result in self._ledger.results()]
            return events + [Event(type=EventType.ADDED, at=now, gap=gap) for gap in self._told]
        events = [_event(turn, now) for turn in turns]
        self._remember(turns)
        before, self._told = self._told, self._current_gaps()
        events += [Event(type=EventType.ADDED, at=now, gap=gap) for gap in self._told if gap not in before]
        events += [Event(type=EventType.RESOLVED, at=now, gap=gap) for gap in before if gap not in self._told]
        if events or moved:
            self.changed_at = now
        return events

    def _remember(self, turns: Iterable[ResultChange]) -> None:
        for turn in turns:
            if turn.was is not None:
                self._recent.pop(turn.was, None)
            if turn.now is not None and turn.after is not None:
                self._recent[turn.now] = turn.after


def _event(turn: ResultChange, now: datetime) -> Event:
    if turn.after is None:
        return Event(type=EventType.RESOLVED, at=now, result=turn.before, gone=turn.gone)
    kind = EventType.CHANGED if turn.before else EventType.ADDED
    return Event(type=kind, at=now, result=turn.after, before=turn.before)


def _key(document: Document) -> Key:
    return document.resource.namespace, document.resource.name


def _in_order(key: ObjectKey) -> tuple[str, Key]:
    listing, one = key
    return str(listing), one
