"""One finding of lint, and where it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from aksp.errors import InvalidInput
from aksp.model.assignment import Assignment, Exemption
from aksp.model.definition import Definition
from aksp.yaml_reader import line_of, read_file, read_yaml


class Severity(StrEnum):
    """An error never does what it says; a warning does something that is rarely meant."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True, slots=True)
class LintFinding:
    """What a rule found: a document, by its file and name, the field, what is wrong, and what to do next.

    A finding with a ``line`` needs no field.
    """

    rule: str
    severity: Severity
    file: str
    name: str
    what: str
    next: str
    field: str = ""
    line: int | None = None


def found_in(
    document: Assignment | Exemption | Definition,
    rule: str,
    severity: Severity,
    what: str,
    *,
    next: str,
    field: str = "",
) -> LintFinding:
    """A finding about a field of a document."""
    return LintFinding(
        rule=rule, severity=severity, file=document.origin, name=document.name, what=what, next=next, field=field
    )


def located(findings: Iterable[LintFinding]) -> list[tuple[LintFinding, int | None]]:
    """Findings with their lines, each once, by file, line and rule; None where the file cannot be read any more."""
    pairs = ((one, _line(one)) for one in dict.fromkeys(findings))
    return sorted(pairs, key=lambda pair: (pair[0].file, pair[1] or 0, pair[0].rule, pair[0].what))


def _line(finding: LintFinding) -> int | None:
    if finding.line is not None:
        return finding.line
    try:
        documents = read_yaml(read_file(Path(finding.file)), finding.file)
    except InvalidInput:
        return None
    # A file of assignments may hold several documents; one of a definition holds one, whatever it is called.
    for document, node in documents:
        metadata = document.get("metadata") if isinstance(document, dict) else None
        if isinstance(metadata, dict) and metadata.get("name") == finding.name:
            return line_of(node, finding.field)
    return line_of(documents[0][1], finding.field) if documents else None
