"""Tasks as the engine wants them, and what its answers mean."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from aksp.compliance.judgement import Fault, FindingRecord, Hit, Judgement, Place, Task
from aksp.engine.records import RegisteredTask


def skipped(tasks: Sequence[Task | RegisteredTask], unasked: Mapping[str, str]) -> dict[int, str]:
    """The numbers of tasks whose policy is not to be asked, and why."""
    if not unasked:
        return {}
    return {number: unasked[task.policy] for number, task in enumerate(tasks) if task.policy in unasked}


def wire(tasks: Sequence[Task], skip: Container[int] = ()) -> list[dict[str, Any]]:
    """Tasks of a request; those to skip have no documents. Those of one list of documents name it once."""
    lists: dict[int, int] = {}
    made: list[dict[str, Any]] = []
    for number, task in enumerate(tasks):
        one = {"policy": task.policy, "parameters": task.parameters}
        first = number if number in skip else lists.setdefault(id(task.documents), number)
        if first < number:
            one["like"] = first
        else:
            one["documents"] = [] if number in skip else list(task.documents)
        made.append(one)
    return made


def judgement_of(answer: Mapping[str, Any]) -> Judgement:
    """The engine's answer to judge."""
    return Judgement(
        findings=answer["findings"],
        hits=[Hit(task=h["t"], document=h["d"], findings=h["f"], cut=h.get("cut", False)) for h in answer["hits"]],
        faults=[Fault(task=f["t"], document=f["d"], message=f["m"]) for f in answer["faults"]],
        evaluations=answer["evaluations"],
        places=_places(answer),
    )


def _places(answer: Mapping[str, Any]) -> dict[int, Mapping[str, Place]]:
    """The places of what was found, as one list has them for each document."""
    paths = answer.get("paths", ())
    found: dict[int, Mapping[str, Place]] = {}
    for one in answer.get("places", ()):
        numbers = iter(one["at"])
        names = ["", *[paths[number] for number in one["p"]]]
        found[one["d"]] = dict(zip(names, zip(numbers, numbers, numbers, strict=True), strict=True))
    return found


def with_skipped(judgement: Judgement, tasks: Sequence[Task], why: Mapping[int, str]) -> Judgement:
    """With the faults of tasks that were sent without their documents: not asked is not passed."""
    if not why:
        return judgement
    known = {(f.task, f.document) for f in judgement.faults}
    extra = [
        Fault(task=number, document=d, message=why[number])
        for number in sorted(why)
        for d in tasks[number].documents
        if (number, d) not in known
    ]
    return replace(judgement, faults=[*judgement.faults, *extra])


def together(parts: Iterable[tuple[int, Judgement]]) -> Judgement:
    """One judgement of several that were made for one task each, by its number."""
    findings: list[FindingRecord] = []
    hits: list[Hit] = []
    faults: list[Fault] = []
    evaluations = 0
    places: dict[int, dict[str, Place]] = {}
    for number, one in parts:
        first = len(findings)
        hits += [Hit(task=number, document=h.document, findings=[f + first for f in h.findings]) for h in one.hits]
        faults += [Fault(task=number, document=f.document, message=f.message) for f in one.faults]
        findings += one.findings
        evaluations += one.evaluations
        for document, known in one.places.items():
            places.setdefault(document, {}).update(known)
    return Judgement(findings=findings, hits=hits, faults=faults, evaluations=evaluations, places=places)
