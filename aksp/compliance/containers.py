"""Whose violation it is: from what a rule returned to findings that name container and path."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aksp.compliance.judgement import FindingRecord, IsolatedRecord, Judgement, Task
from aksp.model.compliance import Finding
from aksp.model.resource import Container, Document


class Findings:
    """Findings by what they say, so that all replicas of a workload share one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str, Container | None], Finding] = {}
        self._structured: dict[str, bool] = {}
        self._ids: set[int] = set()

    def __len__(self) -> int:
        """How many are known."""
        return len(self._known)

    def keeps(self, finding: Finding) -> bool:
        """Whether a finding is one of these, and so lives as long."""
        return id(finding) in self._ids

    def structured(self, record: FindingRecord) -> bool:
        """Whether a violation itself says where it is: aksp's own definitions give ``path``."""
        details = record["details"]
        known = self._structured.get(details)
        if known is None:
            known = self._structured[details] = "path" in _details(details)
        return known

    def finding(self, record: FindingRecord, document: Document, container: Container | None = None) -> Finding:
        """The finding that a violation is, in the named container or in the one that it names."""
        details = record["details"]
        if container is None:
            container = _named(_details(details) if '"container"' in details else {}, document.containers)
        key = (record["msg"], details, document.template, container)
        finding = self._known.get(key)
        if finding is None:
            finding = self._known[key] = _make(record["msg"], _details(details), document.template, container)
            self._ids.add(id(finding))
        return finding


def _details(text: str) -> Mapping[str, Any]:
    value = json.loads(text)
    return value if isinstance(value, dict) else {}


def _named(details: Mapping[str, Any], containers: Sequence[Container]) -> Container | None:
    """The container that details name, by ``{name, type}`` or, in older templates, by its name."""
    named = details.get("container")
    if isinstance(named, Mapping):
        name, kind = named.get("name"), named.get("type")
        return next(
            (c for c in containers if c.name == name and (kind is None or c.type == kind)),
            Container(name=str(name), type=str(kind or "containers")) if name else None,
        )
    if isinstance(named, str):
        return next((c for c in containers if c.name == named), None)
    return None


def _make(message: str, details: Mapping[str, Any], template: str, container: Container | None) -> Finding:
    path = details.get("path")
    if not isinstance(path, str):
        path = None
    elif template:
        path = f"{template}.{path}"
    return Finding(
        message=message,
        container=container,
        path=path,
        observed=details.get("observed"),
        expected=details.get("expected"),
        fix=_fix(details.get("fix"), template),
    )


def _fix(given: Any, template: str) -> Mapping[str, Any] | None:
    """The change that a rule proposes, from the root of the document; None when it proposes none."""
    if not isinstance(given, dict) or not given:
        return None
    return {f"{template}.{path}" if template else path: value for path, value in given.items()}


class Attribution:
    """Findings by (task, document) of one judgement, each with the container that it is about.

    ``unclear`` are the tasks with documents whose violations name no container: their findings
    are known once ``isolated`` has got the records of the engine's isolate for each of them.
    """

    def __init__(self, findings: Findings, documents: Sequence[Document], judgement: Judgement) -> None:
        self.found: dict[tuple[int, int], list[Finding]] = {}
        self._findings, self._documents = findings, documents
        self._records = judgement.findings
        self._hits = {(hit.task, hit.document): hit.findings for hit in judgement.hits}
        self._unclear: dict[int, list[int]] = {}
        # Replicas have the same findings in the same containers: one list for all of them.
        shared: dict[tuple[tuple[int, ...], tuple[Container, ...], str], list[Finding]] = {}
        for (task, at), numbers in self._hits.items():
            document = documents[at]
            if document.containers and not all(findings.structured(self._records[n]) for n in numbers):
                self._unclear.setdefault(task, []).append(at)
                continue
            key = (tuple(numbers), document.containers, document.template)
            if key not in shared:
                shared[key] = [findings.finding(self._records[n], document) for n in numbers]
            self.found[task, at] = shared[key]

    def unclear(self, tasks: Sequence[Task]) -> list[tuple[int, Task]]:
        """What to ask the engine's isolate for: the numbers of tasks, and tasks over the unclear documents."""
        return [
            (number, Task(policy=tasks[number].policy, parameters=tasks[number].parameters, documents=documents))
            for number, documents in self._unclear.items()
        ]

    def isolated(self, number: int, records: Iterable[IsolatedRecord]) -> None:
        """Attribute a task's unclear violations.

        Errors on a copy are errors of the copy unless the original had them too.
        """
        for one in records:
            at = one["d"]
            self.found[number, at] = attribute(
                [self._records[n] for n in self._hits[number, at]], self._documents[at], one, self._findings
            )


def attribute(
    records: Iterable[FindingRecord], document: Document, isolated: IsolatedRecord, findings: Findings
) -> list[Finding]:
    """Violations of a template that names no container, given to the containers they belong to.

    What remains in a copy of the Pod that holds one container belongs to that container; what
    remains in a copy that holds none, or in no copy at all, belongs to the Pod.
    """
    whole = {_identity(record) for record in isolated["without"]}
    attributed: list[Finding] = []
    explained: set[tuple[str, str]] = set()
    for container, found in zip(document.containers, isolated["containers"], strict=False):
        for record in found:
            if _identity(record) not in whole:
                explained.add(_identity(record))
                attributed.append(findings.finding(record, document, container))
    attributed += [findings.finding(r, document) for r in records if _identity(r) not in explained]
    return attributed


def _identity(record: FindingRecord) -> tuple[str, str]:
    return record["msg"], record["details"]
