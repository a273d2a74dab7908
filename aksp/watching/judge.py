"""Objects judged as in a scan, and what was said of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from aksp.compliance.containers import Findings
from aksp.compliance.evaluation import findings_of
from aksp.compliance.judgement import Task
from aksp.engine import Batch, Engine
from aksp.model.compliance import Finding
from aksp.model.resource import Document
from aksp.watching.ledger import ObjectVerdict

# Nearly every object complies: these are shared by all that do.
_NOTHING: Mapping[int, Sequence[Finding]] = {}
_NO_FAULTS: Mapping[int, Sequence[str]] = {}


class Judge:
    """The engine, and what it found last."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._findings = Findings()

    def verdicts(self, batch: Batch, documents: Sequence[Document], tasks: Sequence[Task]) -> dict[int, ObjectVerdict]:
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
