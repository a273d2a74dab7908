"""One finding of lint, and where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from aksp.errors import InvalidInput
from aksp.model.assignment import Assignment, Exemption
from aksp.model.definition import Definition
from aksp.yaml_reader import line_of, read_file, read_yaml

if TYPE_CHECKING:
    from yaml.nodes import Node


class Severity(StrEnum):
    """An error never does what it says; a warning does something that is rarely meant."""

    ERROR = "error"
    WARNING = "warning"


class LintFinding(Struct, frozen=True, kw_only=True):
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
    unique = list(dict.fromkeys(findings))
    files = {one.file: _documents(one.file) for one in unique if one.line is None}
    pairs = ((one, _line(one, files.get(one.file, ()))) for one in unique)
    return sorted(pairs, key=lambda pair: (pair[0].file, pair[1] or 0, pair[0].rule, pair[0].what))


def _documents(file: str) -> Sequence[tuple[Any, Node]]:
    """The documents of a file with their places; none where it cannot be read any more."""
    try:
        return read_yaml(read_file(Path(file)), file)
    except InvalidInput:
        return ()


def _line(finding: LintFinding, documents: Sequence[tuple[Any, Node]]) -> int | None:
    if finding.line is not None:
        return finding.line
    # A file of assignments may hold several documents; one of a definition holds one, whatever it is called.
    for document, node in documents:
        metadata = document.get("metadata") if isinstance(document, dict) else None
        if isinstance(metadata, dict) and metadata.get("name") == finding.name:
            return line_of(node, finding.field)
    return line_of(documents[0][1], finding.field) if documents else None
