"""The one evaluator's core: judgements become verdicts, and verdicts are counted.

A page of documents comes in, with what the engine found; only what does not comply is built,
the rest is counted. A cluster scan, files and admission all pass through here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import merge
from itertools import pairwise

from msgspec import Struct

from aksp.compliance.evaluation import counted
from aksp.compliance.judgement import Fault, Task
from aksp.compliance.nothing import idle
from aksp.compliance.plan import Plan, Ready
from aksp.compliance.results import SharedResults, order, owner_of, results_of
from aksp.compliance.rollup import percentage, roll_up, state_of
from aksp.compliance.summaries import StateCount, broken_summary, initiative_summary, members_of, ready_summary
from aksp.model.assignment import Exemption, full_name
from aksp.model.compliance import AssignmentSummary, ComplianceState, Counts, Finding, Gap, Result, SourceLocation
from aksp.model.resource import Container, Document, Problem, Resource

_NON_COMPLIANT, _COMPLIANT = ComplianceState.NON_COMPLIANT, ComplianceState.COMPLIANT
_ERROR, _EXEMPT = ComplianceState.ERROR, ComplianceState.EXEMPT
_NOTHING = Finding(message="")
_NO_REASONS: Mapping[str, str] = {}


class _Verdict(Struct):
    """One assignment × one document: the states of its containers, and its own."""

    state: ComplianceState
    containers: list[ComplianceState | None]


class Tally:
    """Adds up pages: the results of what does not comply, and complete counts of everything."""

    def __init__(self, plan: Plan, *, collect_compliant: bool = False) -> None:
        self.plan = plan
        self._own: list[Result] = []
        self._runs: list[list[Result]] = []
        self._shared = SharedResults()
        self.documents = 0
        self._collect_compliant = collect_compliant
        everything = tuple(range(len(plan.ready)))
        self._each = [StateCount() for _ in everything]
        #: The counts of several assignments together, by their numbers: all, and the members of initiatives and of groups.
        self._together = {
            numbers: StateCount()
            for numbers in (everything, *(together for _, _, together in members_of(plan)))
            if len(numbers) != 1
        }
        self._overall = self._counted(everything)
        #: The resources that have each fault, each once: they are told apart by identity, since two may lack a name.
        self._faults: dict[tuple[str, str], dict[int, Resource]] = {}
        #: How many documents each assignment has judged.
        self.matched = [0] * len(plan.ready)

    def _counted(self, numbers: tuple[int, ...]) -> StateCount:
        """The count of some assignments."""
        return self._each[numbers[0]] if len(numbers) == 1 else self._together[numbers]

    def fork(self) -> Tally:
        """An empty tally of the same plan, to be merged, or dropped when its list starts anew."""
        fresh = Tally(self.plan, collect_compliant=self._collect_compliant)
        fresh._shared = self._shared
        return fresh

    def merge(self, other: Tally) -> None:
        """Add what another tally has counted of other documents."""
        self._runs += [*other._runs, other._own]
        self.documents += other.documents
        for mine, theirs in zip(self._each, other._each, strict=True):
            mine.add(theirs)
        for numbers, together in self._together.items():
            together.add(other._together[numbers])
        for fault, resources in other._faults.items():
            self._faults.setdefault(fault, {}).update(resources)
        self.matched = [mine + theirs for mine, theirs in zip(self.matched, other.matched, strict=True)]

    def add(
        self,
        documents: Sequence[Document],
        tasks: Sequence[Task],
        found: Mapping[tuple[int, int], Sequence[Finding]],
        faults: Sequence[Fault],
        sources: Sequence[SourceLocation | None] | None = None,
    ) -> None:
        """Count a page.

        ``found`` has the findings by (task, document), ``sources`` are the documents' places in files.
        """
        before = len(self._own)
        verdicts: list[dict[int, _Verdict]] = [{} for _ in tasks]
        # Replicas share their findings, and so the states of their containers.
        alike: dict[tuple[int, int, tuple[Container, ...]], _Verdict] = {}
        for (number, at), findings, wrong in counted(self.plan, documents, tasks, found, faults):
            ready, document = self.plan.ready[number], documents[at]
            waived = self._results_of(ready, document, findings, wrong, sources[at] if sources else None)
            key = (number, id(findings), document.containers)
            verdict = None if wrong or waived else alike.get(key)
            if verdict is None:
                verdict = _verdict(ready, document, findings, wrong, waived)
                if not wrong and not waived:
                    alike[key] = verdict
            verdicts[number][at] = verdict
        if self._collect_compliant:
            for number, task in enumerate(tasks):
                for at in task.documents:
                    self._compliant(self.plan.ready[number], documents[at], verdicts[number].get(at))
        # A page's results are sorted now, while they are few: see results.
        self._own[before:] = sorted(self._own[before:], key=order)
        self._count_resources(tasks, _slots(documents), verdicts)
        self._count_containers(tasks, documents, verdicts)
        self.documents += len(documents)

    def _count_resources(
        self, tasks: Sequence[Task], slots: Sequence[int], verdicts: Sequence[Mapping[int, _Verdict]]
    ) -> None:
        """Count distinct resources: per assignment, and by the roll-up over all of them.

        Nearly all documents of a page have no verdict of their own, so they are counted together.
        """
        reached_by: list[set[int]] = []
        rolled_by: list[dict[int, ComplianceState]] = []
        for number, task in enumerate(tasks):
            self.matched[number] += len(task.documents)
            reached = {slots[at] for at in task.documents}
            states: dict[int, list[ComplianceState]] = {}
            for at, verdict in verdicts[number].items():
                states.setdefault(slots[at], []).append(verdict.state)
            if len(reached) < len(task.documents):
                # A workload and its template's Pod are one resource, and one of the two may comply.
                for at in task.documents:
                    if slots[at] in states and at not in verdicts[number]:
                        states[slots[at]].append(_COMPLIANT)
            count = self._each[number].resources
            rolled = {slot: _rolled(found) for slot, found in states.items()}
            count[_COMPLIANT] += len(reached) - len(rolled)
            for state in rolled.values():
                count[state] += 1
            reached_by.append(reached)
            rolled_by.append(rolled)
        for numbers, together in self._together.items():
            judged: Counter[int] = Counter()
            found_by: dict[int, list[ComplianceState]] = {}
            for number in numbers:
                judged.update(reached_by[number])
                for slot, state in rolled_by[number].items():
                    found_by.setdefault(slot, []).append(state)
            together.resources[_COMPLIANT] += len(judged) - len(found_by)
            for slot, found in found_by.items():
                if len(found) < judged[slot]:
                    found.append(_COMPLIANT)
                together.resources[_rolled(found)] += 1

    def _count_containers(
        self, tasks: Sequence[Task], documents: Sequence[Document], verdicts: Sequence[Mapping[int, _Verdict]]
    ) -> None:
        """Count containers: per assignment, and by the roll-up over all of them."""
        sizes = [len(document.containers) for document in documents]
        plain_by: list[list[int]] = []
        stated_by: list[list[tuple[tuple[int, int], ComplianceState]]] = []
        for number, task in enumerate(tasks):
            ready, count = self.plan.ready[number], self._each[number].containers
            states_of = {at: verdict.containers for at, verdict in verdicts[number].items()}
            plain = [at for at in task.documents if sizes[at] and at not in states_of]
            if ready.has_exclusions:
                states_of |= {at: _states(ready, documents[at]) for at in plain}
                plain = []
            stated = [
                ((at, index), state)
                for at, states in states_of.items()
                for index, state in enumerate(states)
                if state is not None
            ]
            count.update(state for _, state in stated)
            count[_COMPLIANT] += sum([sizes[at] for at in plain])
            plain_by.append(plain)
            stated_by.append(stated)
        for numbers, together in self._together.items():
            complying = set().union(*(plain_by[number] for number in numbers))
            found_by: dict[tuple[int, int], list[ComplianceState]] = {}
            for number in numbers:
                for place, state in stated_by[number]:
                    found_by.setdefault(place, []).append(state)
            touched: Counter[int] = Counter()
            for (at, _), found in found_by.items():
                touched[at] += 1
                if at in complying:
                    found.append(_COMPLIANT)
                together.containers[_rolled(found)] += 1
            together.containers[_COMPLIANT] += sum([sizes[at] - touched[at] for at in complying])

    def _results_of(
        self,
        ready: Ready,
        document: Document,
        findings: Sequence[Finding],
        problems: Sequence[Problem],
        source: SourceLocation | None,
    ) -> dict[int, Exemption]:
        """Build the results of one assignment on one document; the findings that are waived, by index."""
        made = results_of(ready, document, findings, problems, source, self._shared)
        self._own += made
        for error in made[len(findings) :]:
            # What is wrong with a document itself is told once, whichever assignments select it.
            cause = "" if error.finding.path else ready.key.name
            self._faults.setdefault((cause, error.finding.message), {})[id(error.resource)] = error.resource
        return {index: one.exemption for index, one in enumerate(made) if one.exemption is not None}

    def _compliant(self, ready: Ready, document: Document, verdict: _Verdict | None) -> None:
        """List what complies, also beside what does not in the same Pod."""
        states = verdict.containers if verdict else _states(ready, document)
        for container, state in zip(document.containers, states, strict=True):
            if state is _COMPLIANT:
                self._comply(ready, document, Finding(message="", container=container))
        # Also where all containers are excluded: the resource counts.
        if verdict is None and all(state is None for state in states):
            self._comply(ready, document, _NOTHING)

    def _comply(self, ready: Ready, document: Document, finding: Finding) -> None:
        shared = self._shared.of(ready, owner_of(document), _COMPLIANT, finding)
        self._own.append(shared.of(document.parent or document.resource))

    # What has been added up

    def counts(self) -> Counts:
        """Over distinct resources, and containers, whatever the number of assignments."""
        return self._overall.counts()

    def state(self) -> ComplianceState:
        """The overall state, by Azure's precedence."""
        return state_of(self._overall.resources)

    def percent(self) -> float | None:
        """The compliance percentage over distinct resources; None when nothing was judged."""
        return percentage(self._overall.resources)

    def summaries(self, unreached: Mapping[str, str] = _NO_REASONS) -> list[AssignmentSummary]:
        """A line per assignment, by name; those that judged nothing are NotStarted, with the reason.

        ``unreached`` has the reasons of those whose objects could not be had, by name.
        """
        lines = [
            ready_summary(ready, count, unreached.get(ready.key.name) or idle(ready))
            for ready, count in zip(self.plan.ready, self._each, strict=True)
        ]
        lines += [ready_summary(ready, StateCount(), idle(ready)) for ready in self.plan.disabled]
        lines += map(broken_summary, self.plan.broken)
        sets = {one.assignment.name for one in self.plan.initiatives}
        by_name = {line.name: line for line in lines if line.assignment not in sets}
        for assigned in self.plan.initiatives:
            name = assigned.assignment.name
            counts = {group: self._counted(numbers) for one, group, numbers in members_of(self.plan) if one == name}
            members = {line.reference: line for line in lines if line.name == full_name(name, line.reference)}
            by_name[name] = initiative_summary(assigned, members, counts, unreached)
        return [by_name[name] for name in sorted(by_name)]

    def error_gaps(self) -> list[Gap]:
        """A gap for each distinct error of an assignment, since an error is never silent."""
        wrong: dict[tuple[bool, str], list[str]] = {}
        for one in self.plan.broken:
            if not one.disabled:
                wrong.setdefault((one.unplaced, one.problem), []).append(one.assignment.full_name)
        gaps = []
        for (unplaced, problem), names in wrong.items():
            reason = "UnknownScope" if unplaced else "InvalidDefinition"
            whose = f"assignment{'s' if len(names) > 1 else ''} {', '.join(names)}"
            gaps.append(Gap(reason=reason, message=f"{whose} not judged: {problem}"))
        for (assignment, message), by_identity in sorted(self._faults.items()):
            resources = list(by_identity.values())
            # The smallest, not the first counted: which is counted first depends on the pages of the list.
            first = min(resources, key=lambda one: (one.namespace, one.kind, one.name))
            only = first if len(resources) == 1 else None
            where = "" if only else f" ({len(resources)} resources, the first {first})"
            whose = f"assignment {assignment}: " if assignment else f"{first}: " if only else ""
            gaps.append(Gap(reason="EvaluationError", message=f"{whose}{message}{where}", resource=only))
        return gaps

    @property
    def results(self) -> list[Result]:
        """Results by namespace, kind, name, assignment, container and path.

        An API server lists in that order, so each list is sorted already, or nearly, and merging
        the lists needs no key for each of 165,000 results at once.
        """
        runs = [run for run in (*self._runs, self._own) if run]
        for run in runs:
            if any(one > other for one, other in pairwise(map(order, run))):
                run.sort(key=order)
        return list(merge(*runs, key=order)) if len(runs) > 1 else [*runs, []][0]


def _verdict(
    ready: Ready,
    document: Document,
    findings: Sequence[Finding],
    problems: Sequence[Problem],
    waived: Mapping[int, Exemption],
) -> _Verdict:
    """One assignment's verdict on one document."""
    containers = _states(ready, document)
    whole: list[ComplianceState] = [_ERROR] * len(problems)
    places: dict[Container, int] = {}
    for at, container in enumerate(document.containers):
        places.setdefault(container, at)
    for index, finding in enumerate(findings):
        state = _EXEMPT if index in waived else _NON_COMPLIANT
        place = places.get(finding.container) if finding.container is not None else None
        if place is not None:
            # Nothing is worse, and nearly all is that.
            containers[place] = state if state is _NON_COMPLIANT else _worse(containers[place], state)
        else:
            whole.append(state)
    for state in set(whole):
        containers = [None if own is None else _worse(own, state) for own in containers]
    if len(waived) < len(findings):
        return _Verdict(state=_NON_COMPLIANT, containers=containers)
    # A verdict on the whole resource takes the place of "Compliant"; containers have their own.
    states = [*whole, *[state for state in containers if state is not None]]
    return _Verdict(state=_rolled(states), containers=containers)


def _rolled(states: Sequence[ComplianceState]) -> ComplianceState:
    """The roll-up of states of one thing; Compliant when there are none."""
    if _NON_COMPLIANT in states:
        return _NON_COMPLIANT  # the highest
    return states[0] if len(states) == 1 else roll_up(states) or _COMPLIANT


def _worse(one: ComplianceState | None, other: ComplianceState) -> ComplianceState:
    """The worse of two states of one container: unlike in a roll-up, Compliant is the mildest."""
    for state in (_NON_COMPLIANT, _ERROR, _EXEMPT):
        if state in (one, other):
            return state
    return other


def _states(ready: Ready, document: Document) -> list[ComplianceState | None]:
    """The states of a Pod's containers before anything is found; None for those left out."""
    if not ready.has_exclusions:
        return [_COMPLIANT] * len(document.containers)
    return [None if ready.excludes(container) else _COMPLIANT for container in document.containers]


def _slots(documents: Sequence[Document]) -> list[int]:
    """Which documents are one resource: a workload and the Pods of its templates."""
    slots: list[int] = []
    for at, document in enumerate(documents):
        slots.append(slots[-1] if document.parent and slots else at)
    return slots
