"""What was found of each object: counted by the scan's own code, a share of the objects at a time."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from heapq import merge

from msgspec import Struct

from aksp.compliance.assess import Tally
from aksp.compliance.judgement import Fault, Task
from aksp.compliance.plan import Plan
from aksp.compliance.results import order
from aksp.model.compliance import ComplianceState, Finding, Result
from aksp.model.resource import Document, Resource

#: Objects are divided into so many shares. A change counts its share again and adds up the totals of all shares.
SHARES = 64


class ObjectVerdict(Struct, frozen=True, kw_only=True):
    """What some assignments said of one object: the numbers of those that were asked, findings and faults by number."""

    asked: tuple[int, ...] = ()
    found: Mapping[int, Sequence[Finding]] = {}
    faults: Mapping[int, Sequence[str]] = {}


class JudgedObject(Struct, frozen=True, kw_only=True):
    """One object and what was said of it: by rules that look at nothing else, and by those that compare.

    ``compares`` are the numbers of the latter that are about it; ``compared`` is None until they were asked.
    """

    document: Document
    own: ObjectVerdict
    compares: tuple[int, ...] = ()
    compared: ObjectVerdict | None = None

    @property
    def verdicts(self) -> tuple[ObjectVerdict, ...]:
        """What was said."""
        return (self.own,) if self.compared is None else (self.own, self.compared)


#: The key of a result: what it is about, its message, and a number if several are equal in both.
ResultKey = tuple[Hashable, str, int]


class ResultChange(Struct, frozen=True, kw_only=True):
    """One result as it was and as it is, with the keys of both; either may be None.

    ``gone`` tells that the object itself is.
    """

    was: ResultKey | None = None
    now: ResultKey | None = None
    before: Result | None = None
    after: Result | None = None
    gone: bool = False

    @property
    def result(self) -> Result:
        """As it is now, or was last."""
        one = self.after or self.before
        assert one is not None
        return one


class Ledger:
    """What was found of each object, by a key that only it has."""

    def __init__(self, plan: Plan, *, collect_compliant: bool = False) -> None:
        self._plan = plan
        self._collect_compliant = collect_compliant
        self._shares: list[dict[Hashable, JudgedObject]] = [{} for _ in range(SHARES)]
        self._tallies = [self._fresh() for _ in range(SHARES)]
        self._results: list[dict[ResultKey, Result]] = [{} for _ in range(SHARES)]
        self._waived = [0] * SHARES
        self._stale: set[int] = set()

    def __len__(self) -> int:
        return sum(map(len, self._shares))

    def get(self, key: Hashable) -> JudgedObject | None:
        """What is known of an object."""
        return self._shares[hash(key) % SHARES].get(key)

    def put(self, key: Hashable, judged: JudgedObject) -> None:
        """Set what is known of an object."""
        number = hash(key) % SHARES
        self._shares[number][key] = judged
        self._stale.add(number)

    def drop(self, key: Hashable) -> None:
        """Forget an object."""
        number = hash(key) % SHARES
        if self._shares[number].pop(key, None) is not None:
            self._stale.add(number)

    def renew(self, plan: Plan) -> None:
        """Count everything again, by a plan that differs only in its exemptions."""
        self._plan = plan
        self._stale.update(range(SHARES))

    def settle(self) -> list[ResultChange]:
        """Count what has changed; how the results differ from before, in a report's order."""
        turns: list[ResultChange] = []
        for number in self._stale:
            before, share = self._results[number], self._shares[number]
            self._tallies[number] = self._counted(list(share.values()))
            after = self._results[number] = _named(self._tallies[number].results)
            self._waived[number] = sum(one.state is ComplianceState.EXEMPT for one in after.values())
            turns += _turns(before, after, [one.document.resource for one in share.values()])
        self._stale.clear()
        return sorted(turns, key=lambda turn: order(turn.result))

    def tally(self) -> Tally:
        """Everything added up."""
        whole = self._fresh()
        for one in self._tallies:
            whole.merge(one)
        return whole

    @property
    def found(self) -> int:
        """How many results there are that no exemption waives."""
        return sum(map(len, self._results)) - sum(self._waived)

    @property
    def stale(self) -> bool:
        """Whether something has changed that is not yet counted."""
        return bool(self._stale)

    def results(self) -> Iterator[tuple[ResultKey, Result]]:
        """The results with their keys in a report's order, put together as they are asked for."""
        return merge(*(one.items() for one in self._results), key=lambda item: order(item[1]))

    def _fresh(self) -> Tally:
        return Tally(self._plan, collect_compliant=self._collect_compliant)

    def _counted(self, objects: Sequence[JudgedObject]) -> Tally:
        asked: list[list[int]] = [[] for _ in self._plan.ready]
        found: dict[tuple[int, int], Sequence[Finding]] = {}
        faults: list[Fault] = []
        for at, one in enumerate(objects):
            for verdict in one.verdicts:
                for number in verdict.asked:
                    asked[number].append(at)
                for number, findings in verdict.found.items():
                    found[number, at] = findings
                for number, messages in verdict.faults.items():
                    faults += [Fault(task=number, document=at, message=message) for message in messages]
        tasks = [
            Task(policy=ready.definition.slug, parameters=ready.values, documents=documents)
            for ready, documents in zip(self._plan.ready, asked, strict=True)
        ]
        tally = self._fresh()
        tally.add([one.document for one in objects], tasks, found, faults)
        return tally


def _turns(
    was: Mapping[ResultKey, Result], now: Mapping[ResultKey, Result], there: Sequence[Resource]
) -> Iterator[ResultChange]:
    """How results differ. A new result replaces an old one that is about the same place."""
    gone: dict[Hashable, list[ResultKey]] = {}
    for key in was:
        if key not in now:
            gone.setdefault(key[0], []).append(key)
    for key, result in now.items():
        before = was.get(key)
        if before is None:
            same = gone.get(key[0])
            old = same.pop(0) if same else None
            yield ResultChange(was=old, now=key, before=was[old] if old else None, after=result)
        elif before != result:
            yield ResultChange(was=key, now=key, before=before, after=result)
    names = {_name(resource) for resource in there}
    for key in (key for keys in gone.values() for key in keys):
        yield ResultChange(was=key, before=was[key], gone=_name(was[key].resource) not in names)


def _named(results: Sequence[Result]) -> dict[ResultKey, Result]:
    """Results by assignment, resource, container and path, and by their messages."""
    named: dict[ResultKey, Result] = {}
    for result in results:
        finding = result.finding
        container = (finding.container.type, finding.container.name) if finding.container else None
        place = (result.assignment.name, _name(result.resource), container, finding.path)
        number = 0
        while (place, finding.message, number) in named:
            number += 1
        named[place, finding.message, number] = result
    return named


def _name(resource: Resource) -> tuple[str, str, str, str]:
    return resource.group, resource.kind, resource.namespace, resource.name
