"""Baselines: the violations that a team knows of, in a file that can be reviewed and kept beside the code."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from aksp.errors import InvalidInput
from aksp.model.assignment import PRINTED_VERSION
from aksp.model.compliance import ComplianceState, Report, StoredFinding
from aksp.store.files import write_beside

KIND: Final = "ComplianceBaseline"
#: The file's usual name, in the workspace.
FILE: Final = "baseline.json"

_FIELDS: Final = ("fingerprint", "assignment", "namespace", "kind", "name", "container", "path", "message")


def write_baseline(path: Path, report: Report, findings: Iterable[StoredFinding]) -> int:
    """Write the violations among these, a line each in the order given; how many they are. Raises InvalidInput."""
    head = {
        "apiVersion": PRINTED_VERSION,
        "kind": KIND,
        "aksp": report.version,
        "target": {"kind": report.target.kind.value, "name": report.target.name},
    }
    lines = [
        json.dumps(
            {field: getattr(one, field) for field in _FIELDS}
            | {"observed": list(one.observed)}
            | ({"cluster": one.cluster} if one.cluster else {})
        )
        for one in findings
        if one.state is ComplianceState.NON_COMPLIANT
    ]
    listed = "".join(f"\n    {line}{',' if at < len(lines) else ''}" for at, line in enumerate(lines, 1))
    end = "\n  ]" if lines else "]"
    text = json.dumps(head, indent=2).removesuffix("\n}") + f',\n  "findings": [{listed}{end}\n}}\n'
    write_beside(path, text)
    return len(lines)


def read_baseline(path: Path) -> dict[str, StoredFinding]:
    """The known violations by fingerprint. Raises InvalidInput for a file that is not there or no baseline."""
    if path.exists() and not path.is_file():
        raise InvalidInput("the baseline is no regular file", where=str(path))
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InvalidInput(
            "there is no such baseline", where=str(path), hint="--write-baseline writes what is found now"
        ) from None
    except OSError as error:
        raise InvalidInput(f"the baseline cannot be read: {error.strerror}", where=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the baseline is no JSON: {error}", where=str(path)) from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise InvalidInput(f"this is no {KIND}", where=str(path), hint="--write-baseline writes one")
    if document.get("apiVersion") != PRINTED_VERSION:
        raise InvalidInput(
            f"the baseline's apiVersion is {document.get('apiVersion')!r}, and this aksp reads {PRINTED_VERSION}",
            where=str(path),
        )
    entries = document.get("findings")
    if not isinstance(entries, list):
        raise InvalidInput("findings is not a list", where=str(path))
    found = {}
    for at, entry in enumerate(entries):
        one = _finding(entry, f"{path}: findings[{at}]")
        found[one.fingerprint] = one
    return found


def _finding(entry: Any, where: str) -> StoredFinding:
    if not isinstance(entry, dict):
        raise InvalidInput("is not an object", where=where)
    for field in (*_FIELDS, "cluster"):
        if not isinstance(entry.get(field, None if field == "fingerprint" else ""), str):
            raise InvalidInput(f"{field} is not a string", where=where)
    # Baselines of earlier versions have no values: then any value is known.
    observed = entry.get("observed", [])
    if not isinstance(observed, list) or not all(isinstance(one, str) for one in observed):
        raise InvalidInput("observed is not a list of strings", where=where)
    return StoredFinding(
        state=ComplianceState.NON_COMPLIANT,
        observed=tuple(observed),
        cluster=entry.get("cluster", ""),
        **{field: entry.get(field, "") for field in _FIELDS},
    )
