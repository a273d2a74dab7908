"""The counts of a page, worked out one by one and slowly: what Tally must agree with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aksp.compliance.exemptions import covers
from aksp.compliance.plan import Plan, Ready
from aksp.model.compliance import ComplianceState, Finding
from aksp.model.resource import Container, Document, Resource

S = ComplianceState
#: Azure's precedence, written out again.
ORDER = [S.NON_COMPLIANT, S.COMPLIANT, S.ERROR, S.CONFLICTING, S.EXEMPT, S.UNKNOWN]
#: For one container nothing hides an error, and being fine is the least that can be said.
SEVERITY = [S.NON_COMPLIANT, S.ERROR, S.EXEMPT, S.COMPLIANT]

#: (assignment, document) → findings or error messages
Findings = Mapping[tuple[int, int], Sequence[Finding]]
Errors = Mapping[tuple[int, int], Sequence[str]]


@dataclass
class Expected:
    """All numbers of a tally."""

    resources: Counter[S] = field(default_factory=Counter)
    containers: Counter[S] = field(default_factory=Counter)
    each_resources: list[Counter[S]] = field(default_factory=list)
    each_containers: list[Counter[S]] = field(default_factory=list)
    matched: list[int] = field(default_factory=list)
    rows: Counter[tuple[str, S, str, str, str | None]] = field(default_factory=Counter)


def best(states: Sequence[S], order: Sequence[S]) -> S:
    return next(state for state in order if state in states)


def count(plan: Plan, documents: Sequence[Document], found: Findings, errors: Errors) -> Expected:
    expected = Expected()
    resource_states: dict[int, dict[int, list[S]]] = {}
    container_states: dict[tuple[int, int], list[S]] = {}
    for number, ready in enumerate(plan.ready):
        own_resources: dict[int, list[S]] = {}
        own_containers: Counter[S] = Counter()
        matched = 0
        for at, document in enumerate(documents):
            if not ready.selection.selects(document):
                continue
            matched += 1
            judged = Judged(ready, document)
            for finding in found.get((number, at), ()):
                judged.find(finding)
            for error in [*errors.get((number, at), ()), *(wrong.message for wrong in document.problems)]:
                judged.fail(error)
            expected.rows += judged.rows
            own_resources.setdefault(resource_of(documents, at), []).append(judged.state())
            for index, state in judged.containers().items():
                own_containers[state] += 1
                container_states.setdefault((at, index), []).append(state)
        expected.matched.append(matched)
        expected.each_containers.append(own_containers)
        rolled = {slot: best(states, ORDER) for slot, states in own_resources.items()}
        expected.each_resources.append(Counter(rolled.values()))
        for slot, state in rolled.items():
            resource_states.setdefault(slot, {}).setdefault(number, []).append(state)
    for by_assignment in resource_states.values():
        expected.resources[best([s for states in by_assignment.values() for s in states], ORDER)] += 1
    for states in container_states.values():
        expected.containers[best(states, ORDER)] += 1
    return expected


def resource_of(documents: Sequence[Document], at: int) -> int:
    """A workload and the Pod of its template are one resource."""
    while documents[at].template:
        at -= 1
    return at


class Judged:
    """One assignment and one document."""

    def __init__(self, ready: Ready, document: Document) -> None:
        self.ready = ready
        self.document = document
        self.rows: Counter[tuple[str, S, str, str, str | None]] = Counter()
        self._of_container: dict[int, list[S]] = {}
        self._of_whole: list[S] = []

    def find(self, finding: Finding) -> None:
        where = self.document, finding.container, self.ready.selection.target
        waived = next((one for one in self.ready.exemptions if covers(one, *where)), None)
        state = S.EXEMPT if waived else S.NON_COMPLIANT
        self._row(state, finding.message, finding.container)
        if finding.container in self.document.containers and finding.container is not None:
            at = self.document.containers.index(finding.container)
            self._of_container.setdefault(at, []).append(state)
        else:
            self._of_whole.append(state)

    def fail(self, error: str) -> None:
        self._row(S.ERROR, error, None)
        self._of_whole.append(S.ERROR)

    def _row(self, state: S, message: str, container: Container | None) -> None:
        resource: Resource = self.document.parent or self.document.resource
        self.rows[(self.ready.key.name, state, resource.name, message, container.name if container else None)] += 1

    def containers(self) -> dict[int, S]:
        """Containers that are left out have no state, unless the rule itself names one of them."""
        states = {}
        for at, container in enumerate(self.document.containers):
            own = self._of_container.get(at, [])
            if self.ready.excludes(container) and not own:
                continue
            states[at] = best([*own, *self._of_whole, S.COMPLIANT], SEVERITY)
        return states

    def state(self) -> S:
        states = [*self._of_whole, *self.containers().values()]
        return best(states, ORDER) if states else S.COMPLIANT
