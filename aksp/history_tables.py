"""The tables of the history's file and their rows, and what brings those of earlier versions up to date."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii
from typing import Final

from msgspec import DecodeError, ValidationError, convert, to_builtins
from msgspec.json import Decoder, Encoder

from aksp.model.compliance import ComplianceState, StoredFinding

#: What user_version says; a file of a later version is left alone.
VERSION: Final = 6
#: Since which version the findings of earlier scans are known.
TRACKED: Final = 3
#: Since which version a scan has what may have kept objects out of it, and since which the values of findings.
WITH_LEFT_OUT: Final = 4
WITH_VALUES: Final = 5
#: Since which version the findings of one assignment are one text.
_TOGETHER: Final = 6

_SCHEMA: Final = """
CREATE TABLE scans (
  id INTEGER PRIMARY KEY, target TEXT NOT NULL, evaluated_at TEXT NOT NULL, aksp TEXT NOT NULL,
  state TEXT NOT NULL, percent REAL, non_compliant INTEGER NOT NULL, tracked INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX scans_by_target ON scans (target, id);
CREATE TABLE assignments (
  scan INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE, name TEXT NOT NULL, state TEXT NOT NULL, percent REAL,
  PRIMARY KEY (scan, name)
) WITHOUT ROWID;
CREATE TABLE findings (
  target TEXT NOT NULL, fingerprint TEXT NOT NULL, state TEXT NOT NULL, assignment TEXT NOT NULL,
  namespace TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, container TEXT NOT NULL, path TEXT NOT NULL,
  message TEXT NOT NULL, PRIMARY KEY (target, fingerprint)
) WITHOUT ROWID;
"""
# What a scan changed of the findings before it: their state then, NULL for one that was not there. The findings of an
# earlier scan are those of the last one with this undone. A scan is tracked where it is known.
_CHANGES: Final = """
CREATE TABLE changes (
  scan INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE, fingerprint TEXT NOT NULL, state TEXT,
  assignment TEXT NOT NULL, namespace TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, container TEXT NOT NULL,
  path TEXT NOT NULL, message TEXT NOT NULL, PRIMARY KEY (scan, fingerprint)
) WITHOUT ROWID;
"""
_FROM_2: Final = f"ALTER TABLE scans ADD COLUMN tracked INTEGER NOT NULL DEFAULT 0;{_CHANGES}"
# Version 1 had no place for a scan that judged nothing; SQLite lets no column lose its NOT NULL.
_FROM_1: Final = """
CREATE TABLE newer (
  id INTEGER PRIMARY KEY, target TEXT NOT NULL, evaluated_at TEXT NOT NULL, aksp TEXT NOT NULL,
  state TEXT NOT NULL, percent REAL, non_compliant INTEGER NOT NULL
);
INSERT INTO newer SELECT id, target, evaluated_at, aksp, state, percent, non_compliant FROM scans;
DROP TABLE scans;
ALTER TABLE newer RENAME TO scans;
CREATE INDEX scans_by_target ON scans (target, id);
"""

# What may have kept objects out of a scan that are there, as a JSON list of texts.
_LEFT_OUT: Final = "ALTER TABLE scans ADD COLUMN left_out TEXT NOT NULL DEFAULT '[]'"

# The values of findings, as a JSON list, and what each assignment selected; empty where they are not known.
_VALUES: Final = """
;ALTER TABLE findings ADD COLUMN observed TEXT NOT NULL DEFAULT '[]';
ALTER TABLE changes ADD COLUMN observed TEXT NOT NULL DEFAULT '[]';
ALTER TABLE assignments ADD COLUMN reach TEXT NOT NULL DEFAULT ''
"""

# The findings of a target's last scan that judged something, a JSON list for each assignment. They are read and written whole
# only, and nearly all are as they were: texts are compared and written in a tenth of the time of rows.
_AS_TEXTS: Final = """
;CREATE TABLE last_findings (
  target TEXT NOT NULL, assignment TEXT NOT NULL, findings BLOB NOT NULL, PRIMARY KEY (target, assignment)
);
INSERT INTO last_findings SELECT target, assignment, json_group_array(json_array(
  fingerprint, state, assignment, namespace, kind, name, container, path, message, json(observed)
)) FROM findings GROUP BY target, assignment;
DROP TABLE findings
"""

#: A finding as the tables of changes have it: its fingerprint, its state, then its columns.
Row = tuple[str, ...]

#: By the version of the tables, 0 for none, what makes them those of now.
RENEWALS: Final = {
    0: _SCHEMA + _CHANGES + _LEFT_OUT + _VALUES + _AS_TEXTS,
    1: _FROM_1 + _FROM_2 + _LEFT_OUT + _VALUES + _AS_TEXTS,
    2: _FROM_2 + _LEFT_OUT + _VALUES + _AS_TEXTS,
    3: _LEFT_OUT + _VALUES + _AS_TEXTS,
    4: _VALUES + _AS_TEXTS,
    5: _AS_TEXTS,
}

_ENCODE: Final = Encoder().encode
_DECODE: Final = Decoder(list[StoredFinding]).decode


def columns(version: int) -> str:
    """What tables of a version have of a finding beside its fingerprint and state; no values where there are none."""
    values = "observed" if version >= WITH_VALUES else "'[]'"
    return f"assignment, namespace, kind, name, container, path, message, {values}"


def assignments_of(database: sqlite3.Connection, target: str) -> list[str]:
    """The assignments of which the findings of a target's last scan are known, in tables of this version."""
    rows = database.execute("SELECT assignment FROM last_findings WHERE target = ?", (target,))
    return [name for (name,) in rows]


def text_of(database: sqlite3.Connection, target: str, assignment: str) -> bytes | str | None:
    """The findings of one assignment in a target's last scan as a text; None where there are none."""
    row = database.execute(
        "SELECT findings FROM last_findings WHERE target = ? AND assignment = ?", (target, assignment)
    ).fetchone()
    return row[0] if row else None


def findings_of(database: sqlite3.Connection, target: str, version: int) -> dict[str, StoredFinding]:
    """The findings of a target's last scan by fingerprint. Raises ValueError for what no scan wrote."""
    if version >= _TOGETHER:
        texts = database.execute("SELECT findings FROM last_findings WHERE target = ?", (target,))
        return {one.fingerprint: one for (text,) in texts for one in decoded(text)}
    rows = database.execute(
        f"SELECT fingerprint, state, {columns(version)}"  # noqa: S608
        " FROM findings WHERE target = ?",
        (target,),
    )
    return {row[0]: finding_of(row) for row in rows}


def encoded(findings: Sequence[StoredFinding]) -> bytes:
    """The text of one assignment's findings."""
    try:
        return _ENCODE(findings)
    except UnicodeEncodeError:
        # A rule may bring lone surrogates. UTF-8 has no bytes for them, JSON has escapes.
        return json.dumps(to_builtins(findings)).encode()


def decoded(text: bytes | str) -> list[StoredFinding]:
    """What ``encoded`` was given. Raises ValueError for what no scan wrote."""
    try:
        return _DECODE(text)
    except ValidationError:
        raise
    except DecodeError:
        return convert(json.loads(text), list[StoredFinding])


def left_out_of(database: sqlite3.Connection, scan: int) -> frozenset[str]:
    (text,) = database.execute("SELECT left_out FROM scans WHERE id = ?", (scan,)).fetchone()
    return frozenset(json.loads(text))


def reach_of(database: sqlite3.Connection, scan: int) -> dict[str, str]:
    return dict(database.execute("SELECT name, reach FROM assignments WHERE scan = ? AND reach != ''", (scan,)))


def row_of(one: StoredFinding) -> Row:
    """The row of a finding."""
    # As json.dumps writes a list of texts, in a fifth of its time.
    values = f"[{', '.join(map(encode_basestring_ascii, one.observed))}]"
    texts = (one.assignment, one.namespace, one.kind, one.name, one.container, one.path, one.message, values)
    return one.fingerprint, one.state.value, *map(_storable, texts)


def finding_of(row: Row) -> StoredFinding:
    fingerprint, state, assignment, namespace, kind, name, container, path, message, observed = row
    return StoredFinding(
        fingerprint=fingerprint,
        state=ComplianceState(state),
        assignment=assignment,
        namespace=namespace,
        kind=kind,
        name=name,
        container=container,
        path=path,
        message=message,
        observed=tuple(map(str, json.loads(observed))),
    )


def _storable(text: str) -> str:
    """Without lone surrogates, which JSON may bring and SQLite refuses."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
