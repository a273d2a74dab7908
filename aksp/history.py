"""The history of a workspace: a small record of every scan, in SQLite, and the findings of each target's last one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from aksp.errors import InvalidInput
from aksp.model.compliance import ComplianceState, Remembered, Report, Snapshot, TargetKind

FOLDER: Final = "data"
FILE: Final = "history.sqlite3"
#: What user_version says; a file of a later version is left alone.
VERSION: Final = 1

_SCHEMA: Final = """
CREATE TABLE scans (
  id INTEGER PRIMARY KEY, target TEXT NOT NULL, evaluated_at TEXT NOT NULL, aksp TEXT NOT NULL,
  state TEXT NOT NULL, percent REAL NOT NULL, non_compliant INTEGER NOT NULL
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What makes scans comparable: the target, and which part of it was looked at.

    ``filters`` are the namespaces and the selector, as the command line names them; empty for all.
    """

    kind: TargetKind
    name: str
    scope: str
    filters: tuple[str, ...] = ()

    @classmethod
    def of(cls, report: Report, filters: Sequence[str] = ()) -> Subject:
        """The subject of a report."""
        target = report.target
        return cls(kind=target.kind, name=target.name, scope=target.scope, filters=tuple(filters))

    @classmethod
    def parse(cls, text: str) -> Subject:
        """Read what ``key`` wrote."""
        kind, name, scope, *filters = json.loads(text)
        return cls(kind=TargetKind(kind), name=name, scope=scope, filters=tuple(filters))

    @property
    def key(self) -> str:
        """How the file names it."""
        return json.dumps([self.kind.value, self.name, self.scope, *self.filters])


class History:
    """The history file of one workspace. Nothing is made before something is recorded.

    Every method raises InvalidInput, naming the file, when it cannot be read or written.
    """

    def __init__(self, workspace: Path) -> None:
        self.file = workspace / FOLDER / FILE

    def subjects(self) -> list[Subject]:
        """What has been scanned, the latest first."""
        with self._reading() as database:
            if database is None:
                return []
            rows = database.execute("SELECT target FROM scans GROUP BY target ORDER BY max(id) DESC")
            return [Subject.parse(text) for (text,) in rows]

    def snapshots(self, subject: Subject, limit: int) -> list[Snapshot]:
        """The last scans of a subject, oldest first."""
        with self._reading() as database:
            if database is None:
                return []
            scans = database.execute(
                "SELECT id, evaluated_at, state, percent, non_compliant FROM scans WHERE target = ?"
                " ORDER BY id DESC LIMIT ?",
                (subject.key, limit),
            ).fetchall()
            scans.reverse()
            if not scans:
                return []
            each: dict[int, dict[str, tuple[ComplianceState, float | None]]] = {scan[0]: {} for scan in scans}
            rows = database.execute(
                "SELECT scan, name, a.state, a.percent FROM assignments a JOIN scans s ON s.id = scan"
                " WHERE target = ? AND scan >= ?",
                (subject.key, scans[0][0]),
            )
            for scan, name, state, percent in rows:
                each[scan][name] = ComplianceState(state), percent
            return [
                Snapshot(
                    evaluated_at=datetime.fromisoformat(evaluated_at),
                    state=ComplianceState(state),
                    compliance_percent=percent,
                    non_compliant=non_compliant,
                    assignments=each[number],
                )
                for number, evaluated_at, state, percent, non_compliant in scans
            ]

    def findings(self, subject: Subject) -> dict[str, Remembered]:
        """The findings of a subject's last scan, by fingerprint."""
        with self._reading() as database:
            if database is None:
                return {}
            rows = database.execute(
                "SELECT fingerprint, state, assignment, namespace, kind, name, container, path, message"
                " FROM findings WHERE target = ?",
                (subject.key,),
            )
            return {row[0]: _finding(row) for row in rows}

    def record(self, subject: Subject, report: Report, findings: Iterable[Remembered]) -> None:
        """Add a scan; its findings take the place of those of the one before."""
        with self._writing() as database:
            cursor = database.execute(
                "INSERT INTO scans (target, evaluated_at, aksp, state, percent, non_compliant) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    subject.key,
                    report.evaluated_at.astimezone(UTC).isoformat(),
                    report.version,
                    report.state.value,
                    report.compliance_percent,
                    report.counts.resources.get(ComplianceState.NON_COMPLIANT, 0),
                ),
            )
            database.executemany(
                "INSERT INTO assignments VALUES (?, ?, ?, ?)",
                [(cursor.lastrowid, one.name, one.state.value, one.compliance_percent) for one in report.assignments],
            )
            database.execute("DELETE FROM findings WHERE target = ?", (subject.key,))
            database.executemany(
                "INSERT INTO findings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (subject.key, one.fingerprint, one.state.value, *map(_storable, (one.assignment, one.namespace,
                     one.kind, one.name, one.container, one.path, one.message)))
                    for one in findings
                ),
            )  # fmt: skip

    def forget(self, before: datetime) -> int:
        """Delete the records of scans older than a moment; how many they were. Every target keeps its last one."""
        if not self.file.exists():
            return 0
        with self._writing() as database:
            return database.execute(
                "DELETE FROM scans WHERE evaluated_at < ? AND id NOT IN (SELECT max(id) FROM scans GROUP BY target)",
                (before.astimezone(UTC).isoformat(),),
            ).rowcount

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        if not self.file.exists():
            yield None
            return
        with self._faults("read"), closing(self._open()) as database:
            self._check(database)
            yield database

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._faults("written"):
            self.file.parent.mkdir(exist_ok=True)
            # A workspace often lies in a repository, and this belongs to the machine.
            ignore = self.file.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
            with closing(self._open()) as database, database:
                database.execute("BEGIN IMMEDIATE")
                if not self._check(database):
                    for statement in _SCHEMA.split(";"):
                        database.execute(statement)
                    database.execute(f"PRAGMA user_version = {VERSION}")
                yield database

    def _open(self) -> sqlite3.Connection:
        # Two scans may end at once: the later one waits for the other's few milliseconds.
        database = sqlite3.connect(self.file, timeout=5, isolation_level=None)
        database.execute("PRAGMA foreign_keys = ON")
        return database

    def _check(self, database: sqlite3.Connection) -> bool:
        """Whether there are tables. Raises InvalidInput for those of a later version."""
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise InvalidInput(
                "the history was written by a later version of aksp",
                where=str(self.file),
                hint="use that, or move the file away",
            )
        return bool(version)

    @contextmanager
    def _faults(self, done: str) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise InvalidInput(
                f"the history cannot be {done}: {error}", where=str(self.file), hint="move the file away to begin anew"
            ) from error


def _finding(row: Sequence[str]) -> Remembered:
    fingerprint, state, assignment, namespace, kind, name, container, path, message = row
    return Remembered(
        fingerprint=fingerprint,
        state=ComplianceState(state),
        assignment=assignment,
        namespace=namespace,
        kind=kind,
        name=name,
        container=container,
        path=path,
        message=message,
    )


def _storable(text: str) -> str:
    """Without lone surrogates, which JSON may bring and SQLite refuses."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
