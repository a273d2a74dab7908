"""Whose violation it is: from what a rule returned to findings that name container and path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from sys import intern
from typing import Any

from msgspec.structs import replace

from aksp.compliance.judgement import FindingRecord, IsolatedRecord, Judgement, Task
from aksp.model.compliance import Finding
from aksp.model.json_text import decode
from aksp.model.resource import Container, Document

#: Different findings that are known at most: replicas follow one another, so hardly one is met again after so many others.
MOST_FINDINGS = 20_000
#: Details that are kept decoded: each is asked for its place, and then made a finding, with all others of its Pod.
_DECODED = 64

_Names = dict[tuple[str, str | None], Container]
#: Details, whether they say a path, and the container that they name: a text, or name and type; else None.
_Said = tuple[Mapping[str, Any], bool, Any]


class Findings:
    """Findings by what they say, so that all replicas of a workload share one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str, Container | None], Finding] = {}
        self._decoded: dict[str, _Said] = {}
        self._last: tuple[Sequence[Container], _Names] = ((), {})

    def __len__(self) -> int:
        """How many are known."""
        return len(self._known)

    def or_new(self) -> Findings:
        """These, or new ones once they are too many, so that a long scan or watch does not grow by what it knows."""
        return self if len(self) <= MOST_FINDINGS else Findings()

    def located(self, record: FindingRecord, document: Document) -> Finding | None:
        """The finding that a violation is which says itself where it is, by its path or its container; None for another one."""
        said = self._said(record["details"])
        container = self._named(said, document.containers)
        if container is None and not said[1]:
            return None
        return self._finding(record, said, document.template, container)

    def finding(self, record: FindingRecord, document: Document, container: Container | None = None) -> Finding:
        """The finding that a violation is, in the named container or in the one that it names."""
        said = self._said(record["details"])
        return self._finding(record, said, document.template, container or self._named(said, document.containers))

    def _finding(self, record: FindingRecord, said: _Said, template: str, container: Container | None) -> Finding:
        message = record["msg"]
        key = (message, record["details"], template, container)
        finding = self._known.get(key)
        if finding is None:
            finding = self._known[key] = _make(message, said[0], template, container)
        return finding

    def _said(self, text: str) -> _Said:
        known = self._decoded.get(text)
        if known is None:
            if len(self._decoded) >= _DECODED:
                self._decoded.clear()
            value = decode(text)
            details: Mapping[str, Any] = value if isinstance(value, dict) else {}
            named = details.get("container")
            if isinstance(named, dict):
                named = (named.get("name"), named.get("type"))
            elif not isinstance(named, str):
                named = None
            known = self._decoded[text] = details, "path" in details, named
        return known

    def _named(self, said: _Said, containers: Sequence[Container]) -> Container | None:
        """The container that details name, by ``{name, type}`` or, in older templates, by its name."""
        named = said[2]
        if named is None:
            return None
        if isinstance(named, str):
            return self._names(containers).get((named, None))
        name, kind = named
        found = None
        if isinstance(name, str) and (kind is None or isinstance(kind, str)):
            found = self._names(containers).get((name, kind))
        return found or (Container(name=str(name), type=str(kind or "containers")) if name else None)

    def _names(self, containers: Sequence[Container]) -> _Names:
        """Containers by name and type, and by name: kept for the next finding of the same Pod."""
        last, names = self._last
        if last is not containers:
            names = {}
            for one in containers:
                names.setdefault((one.name, one.type), one)
                names.setdefault((one.name, None), one)
            self._last = containers, names
        return names


def _make(message: str, details: Mapping[str, Any], template: str, container: Container | None) -> Finding:
    path = details.get("path")
    if not isinstance(path, str):
        path = None
    elif template:
        path = f"{template}.{path}"
    expected, fix = details.get("expected"), details.get("fix")
    return Finding(
        message=message,
        container=container,
        # Findings that differ in what was observed have these two in common: one text each for all of them.
        path=intern(path) if path is not None else None,
        observed=details.get("observed"),
        expected=intern(expected) if isinstance(expected, str) else expected,
        fix=None if fix is None else _fix(fix, template),
    )


def _fix(given: Any, template: str) -> Mapping[str, Any] | None:
    """The change that a rule proposes, from the root of the document; None when it proposes none."""
    if not isinstance(given, dict) or not given:
        return None
    return {f"{template}.{path}" if template else path: value for path, value in given.items()}


class Attribution:
    """Findings by (task, document) of one judgement, each with the container that it is about.

    Of those that name no container ``settle`` asks the engine's isolate.
    """

    def __init__(self, findings: Findings, documents: Sequence[Document], judgement: Judgement) -> None:
        self.found: dict[tuple[int, int], list[Finding]] = {}
        self._findings, self._documents = findings, documents
        self._records = judgement.findings
        self._hits = {(hit.task, hit.document): hit.findings for hit in judgement.hits}
        self._unclear: dict[int, list[int]] = {}
        # Replicas have the same findings in the same containers: one list for all of them. Containers have a number, since
        # a Pod may have thousands and as many findings.
        shared: dict[tuple[tuple[int, ...], int, str], list[Finding]] = {}
        alike: dict[tuple[Container, ...], int] = {}
        numbered: dict[int, int] = {}
        for (task, at), numbers in self._hits.items():
            document = documents[at]
            if at not in numbered:
                numbered[at] = alike.setdefault(document.containers, len(alike))
            key = (tuple(numbers), numbered[at], document.template)
            found = shared.get(key) or self._located(numbers, document)
            if found is None:
                self._unclear.setdefault(task, []).append(at)
            else:
                self.found[task, at] = shared[key] = found

    def _located(self, numbers: Sequence[int], document: Document) -> list[Finding] | None:
        """The findings of one hit; None when one of them does not say which container it is about, if there are any."""
        made: list[Finding] = []
        for number in numbers:
            record = self._records[number]
            finding = self._findings.located(record, document)
            if finding is None:
                if document.containers:
                    return None
                finding = self._findings.finding(record, document)
            made.append(finding)
        return made

    @property
    def complete(self) -> bool:
        """Whether it is known of all violations what they are about."""
        return not self._unclear

    def settle(self, tasks: Sequence[Task], isolate: Callable[[Task], Iterable[IsolatedRecord]]) -> None:
        """Attribute the violations that name no container.

        Errors on a copy are errors of the copy unless the original had them too.
        """
        for number, documents in self._unclear.items():
            for one in isolate(replace(tasks[number], documents=documents)):
                at = one["d"]
                self.found[number, at] = attribute(
                    [self._records[n] for n in self._hits[number, at]], self._documents[at], one, self._findings
                )


def attribute(
    records: Iterable[FindingRecord], document: Document, isolated: IsolatedRecord, findings: Findings
) -> list[Finding]:
    """Violations of a template that names no container, given to the containers they belong to.

    Only what the rule returned for the whole Pod is told. What belongs to no container, or says
    itself where it is, is told once.
    """
    owners: dict[tuple[str, str], list[Container]] = {}
    for container, found in zip(document.containers, isolated["containers"], strict=False):
        for record in found:
            owners.setdefault(_identity(record), []).append(container)
    attributed: list[Finding] = []
    for record in records:
        finding = findings.located(record, document)
        if finding is not None or _identity(record) not in owners:
            attributed.append(finding or findings.finding(record, document))
        else:
            attributed += [findings.finding(record, document, one) for one in owners[_identity(record)]]
    return attributed


def _identity(record: FindingRecord) -> tuple[str, str]:
    return record["msg"], record["details"]
