"""The one evaluation, for scans, watches, explanations and admission: what is asked, and what counts of the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from aksp.compliance.containers import Attribution, Findings
from aksp.compliance.judgement import Fault, IsolatedRecord, Judgement, Task
from aksp.compliance.plan import Plan, Ready
from aksp.compliance.selection import DocumentGroups
from aksp.model.compliance import Finding
from aksp.model.resource import Document, Problem

#: The numbers of a task and of a document.
Pair = tuple[int, int]
Isolate = Callable[[Task], Iterable[IsolatedRecord]]


def choose(plan: Plan, documents: Sequence[Document]) -> list[Task]:
    """The tasks for a page: each assignment over what it selects. What no scan can judge can be judged of AdmissionReviews."""
    groups = DocumentGroups(documents)

    def chosen(ready: Ready) -> Sequence[int]:
        selected = ready.selection.choose(documents, groups)
        return [at for at in selected if documents[at].reviewed] if ready.not_started else selected

    return [
        Task(policy=ready.definition.slug, parameters=ready.values, documents=chosen(ready)) for ready in plan.ready
    ]


def findings_of(
    known: Findings, documents: Sequence[Document], tasks: Sequence[Task], judgement: Judgement, isolate: Isolate
) -> dict[Pair, list[Finding]]:
    """Findings by task and document. Those that name no container are asked for again, by the engine's ``isolate``."""
    attribution = Attribution(known, documents, judgement)
    attribution.settle(tasks, isolate)
    return attribution.found


def counted(
    plan: Plan,
    documents: Sequence[Document],
    tasks: Sequence[Task],
    found: Mapping[Pair, Sequence[Finding]],
    faults: Sequence[Fault],
) -> Iterator[tuple[Pair, Sequence[Finding], Sequence[Problem]]]:
    """What counts of the pairs that do not comply, or of which that is not known: findings, and problems.

    Problems are faults of the rule; those of the document itself, for every task that selects it; and that it cannot
    be told whether the assignment selects it: then what was found does not count.
    """
    problems: dict[Pair, list[Problem]] = {}
    for fault in faults:
        problems.setdefault((fault.task, fault.document), []).append(Problem(message=fault.message))
    unfit = [at for at, document in enumerate(documents) if document.problems]
    undecided: set[Pair] = set()
    for number, task in enumerate(tasks):
        chosen = set(task.documents) if unfit else ()
        for at in unfit:
            if at in chosen:
                problems.setdefault((number, at), []).extend(documents[at].problems)
        selection = plan.ready[number].selection
        if selection.namespace_selector.empty:
            continue
        for at in task.documents:
            if (why := selection.undecided(documents[at])) is not None:
                undecided.add((number, at))
                problems.setdefault((number, at), []).append(Problem(message=why))
    for pair in {**dict.fromkeys(found), **dict.fromkeys(problems)}:
        yield pair, () if pair in undecided else found.get(pair, ()), problems.get(pair, ())
