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
from aksp.model.compliance import ComplianceState, Report, Snapshot, StoredFinding, TargetKind

FOLDER: Final = "data"
FILE: Final = "history.sqlite3"
#: What user_version says; a file of a later version is left alone.
VERSION: Final = 2

_SCHEMA: Final = """
CREATE TABLE scans (
  id INTEGER PRIMARY KEY, target TEXT NOT NULL, evaluated_at TEXT NOT NULL, aksp TEXT NOT NULL,
  state TEXT NOT NULL, percent REAL, non_compliant INTEGER NOT NULL
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


#: SQLite's codes for a file that is none of its own, or has other tables.
_DAMAGE: Final = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_MISMATCH)


class DamagedHistory(InvalidInput):
    """The file holds no history, or one that nothing can be made of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanTarget:
    """What makes scans comparable: the target, and which part of it was looked at.

    ``filters`` are the options that left something out, as the command line names them; empty for all.
    """

    kind: TargetKind
    name: str
    scope: str
    filters: tuple[str, ...] = ()

    @classmethod
    def of(cls, report: Report) -> ScanTarget:
        """The subject of a report."""
        target = report.target
        return cls(kind=target.kind, name=target.name, scope=target.scope, filters=target.filters)

    @classmethod
    def parse(cls, text: str) -> ScanTarget:
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
        self._opened: tuple[int, int] | None = None

    def subjects(self) -> list[ScanTarget]:
        """What has been scanned, the latest first."""
        with self._reading() as database:
            if database is None:
                return []
            rows = database.execute("SELECT target FROM scans GROUP BY target ORDER BY max(id) DESC")
            return [ScanTarget.parse(text) for (text,) in rows]

    def snapshots(self, subject: ScanTarget, limit: int) -> list[Snapshot]:
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

    def findings(self, subject: ScanTarget) -> dict[str, StoredFinding]:
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

    def record(self, subject: ScanTarget, report: Report, findings: Iterable[StoredFinding]) -> None:
        """Add a scan; its findings take the place of those of the one before, unless it judged nothing."""
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
            if report.state is ComplianceState.NOT_STARTED:
                return
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
        self._check_place()
        with self._faults("read"), closing(self._open()) as database:
            # Another process may record a scan between two queries of one answer.
            database.execute("BEGIN")
            # Another process may have just made the file, and no tables yet.
            yield database if self._check(database) else None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._faults("written"):
            self._check_place()
            self.file.parent.mkdir(exist_ok=True)
            # A workspace often lies in a repository, and this belongs to the machine.
            ignore = self.file.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
            with closing(self._open()) as database:
                self._renew(database)
                # Only now: a table that is dropped would take the rows along that refer to it.
                database.execute("PRAGMA foreign_keys = ON")
                with database:
                    database.execute("BEGIN IMMEDIATE")
                    yield database

    def _check_place(self) -> None:
        """Raise InvalidInput where a link would have this written elsewhere, as a repository from others may hold."""
        for path in (self.file.parent, self.file.parent / ".gitignore", self.file):
            if path.is_symlink():
                raise InvalidInput(
                    "is a symbolic link, through which nothing is written", where=str(path), hint="remove it"
                )
            if path.exists() and not (path.is_dir() if path == self.file.parent else path.is_file()):
                raise InvalidInput("is no regular file or folder", where=str(path), hint="remove it")

    def _open(self) -> sqlite3.Connection:
        # Two scans may end at once: the later one waits for the other's few milliseconds.
        database = sqlite3.connect(self.file, timeout=5, isolation_level=None)
        self._opened = _identity(self.file)
        return database

    def _renew(self, database: sqlite3.Connection) -> None:
        """Make the tables, or bring those of an earlier version up to date."""
        with database:
            database.execute("BEGIN IMMEDIATE")
            version = self._check(database)
            if version < VERSION:
                for statement in (_FROM_1 if version else _SCHEMA).split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {VERSION}")

    def _check(self, database: sqlite3.Connection) -> int:
        """The version of the tables, 0 for none. Raises InvalidInput for those of a later version."""
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise InvalidInput(
                "the history was written by a later version of aksp",
                where=str(self.file),
                hint="use that, or move the file away",
            )
        return int(version)

    @contextmanager
    def _faults(self, done: str) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, ValueError, TypeError, LookupError, OverflowError) as error:
            # Values that no scan wrote are damage as much as what SQLite cannot read.
            code = getattr(error, "sqlite_errorcode", None)
            damaged = code in _DAMAGE if isinstance(error, sqlite3.Error) else not isinstance(error, OSError)
            raise (DamagedHistory if damaged else InvalidInput)(
                f"the history cannot be {done}: {error}", where=str(self.file), hint="move the file away to begin anew"
            ) from error

    def put_aside(self) -> Path:
        """Rename a damaged file, to be looked at, so that the next record begins anew; its new place. Raises InvalidInput."""
        self._check_place()
        aside = self.file.with_name(f"{FILE}.damaged")
        try:
            if _identity(self.file) != self._opened:
                return aside  # another process has done so, and perhaps begun anew
            self.file.replace(aside)
            for ending in ("-journal", "-wal", "-shm"):  # SQLite would take them for the new file's
                self.file.with_name(FILE + ending).unlink(missing_ok=True)
        except OSError as error:
            raise InvalidInput(
                f"the damaged history cannot be put aside: {error.strerror}", where=str(self.file)
            ) from error
        return aside


def _identity(file: Path) -> tuple[int, int] | None:
    """Which file it is that has this name; None without one."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _finding(row: Sequence[str]) -> StoredFinding:
    fingerprint, state, assignment, namespace, kind, name, container, path, message = row
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
    )


def _storable(text: str) -> str:
    """Without lone surrogates, which JSON may bring and SQLite refuses."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
