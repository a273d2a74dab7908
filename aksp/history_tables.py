"""The tables of the history's file, and what brings those of earlier versions up to date."""

from __future__ import annotations

from typing import Final

#: What user_version says; a file of a later version is left alone.
VERSION: Final = 4
#: Since which version the findings of earlier scans are known.
TRACKED: Final = 3

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

#: By the version of the tables, 0 for none, what makes them those of now.
RENEWALS: Final = {
    0: _SCHEMA + _CHANGES + _LEFT_OUT,
    1: _FROM_1 + _FROM_2 + _LEFT_OUT,
    2: _FROM_2 + _LEFT_OUT,
    3: _LEFT_OUT,
}
