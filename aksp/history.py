"""The history of a workspace: a small record of every scan, in SQLite, and the findings of each target's last one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from aksp.compliance.changes import left_out
from aksp.errors import InvalidInput
from aksp.history_tables import (
    RENEWALS,
    TRACKED,
    VERSION,
    WITH_LEFT_OUT,
    WITH_VALUES,
    assignments_of,
    columns,
    decoded,
    encoded,
    finding_of,
    findings_of,
    left_out_of,
    reach_of,
    row_of,
    text_of,
)
from aksp.model.compliance import ComplianceState, Report, Snapshot, StoredFinding, TargetKind

FOLDER: Final = "data"
FILE: Final = "history.sqlite3"

#: SQLite's codes for a file that is none of its own, or has other tables.
_DAMAGE: Final = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_MISMATCH)


class DamagedHistory(InvalidInput):
    """The file holds no history, or one that nothing can be made of."""


class ScanTarget(Struct, frozen=True, kw_only=True):
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
        # A report's title names but some of many clusters.
        name = ", ".join(one.name for one in report.clusters) or target.name
        return cls(kind=target.kind, name=name, scope=target.scope, filters=target.filters)

    @classmethod
    def parse(cls, text: str) -> ScanTarget:
        """Read what ``key`` wrote."""
        kind, name, scope, *filters = json.loads(text)
        return cls(kind=TargetKind(kind), name=name, scope=scope, filters=tuple(filters))

    @property
    def key(self) -> str:
        """How the file names it."""
        return json.dumps([self.kind.value, self.name, self.scope, *self.filters])


class PastScan(Struct, frozen=True, kw_only=True):
    """A scan that judged something, with its findings by fingerprint."""

    evaluated_at: datetime
    state: ComplianceState
    compliance_percent: float | None
    findings: Mapping[str, StoredFinding]
    #: The assignments by which something was judged.
    judged: frozenset[str]
    #: What may have kept objects out of it that are there.
    left_out: frozenset[str]
    #: What each of them selected, where it is known.
    reach: Mapping[str, str]


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
            return findings_of(database, subject.key, self._check(database))

    def scan(self, subject: ScanTarget, *, until: datetime | None = None, back: int = 0) -> PastScan | None:
        """The last scan of a subject that judged something, at a moment or before it; or ``back`` scans before that.

        None when there is none. Raises InvalidInput for one of which the findings are not known any more.
        """
        with self._reading() as database:
            if database is None:
                return None
            row = database.execute(
                "SELECT id, evaluated_at, state, percent FROM scans WHERE target = ? AND state != ? AND evaluated_at <= ifnull(?, evaluated_at)"
                " ORDER BY id DESC LIMIT 1 OFFSET ?",
                (subject.key, ComplianceState.NOT_STARTED.value, until and until.astimezone(UTC).isoformat(), back),
            ).fetchone()
            if row is None:
                return None
            number, evaluated_at, state, percent = row
            # A file of an earlier version, which nothing has been written to since, tracks nothing.
            version = self._check(database)
            tracks = version >= TRACKED
            unknown = database.execute(
                "SELECT 1 FROM scans WHERE target = ? AND id > ? AND state != ? AND NOT tracked"
                if tracks
                else "SELECT 1 FROM scans WHERE target = ? AND id > ? AND state != ?",
                (subject.key, number, ComplianceState.NOT_STARTED.value),
            ).fetchone()
            if unknown:
                raise InvalidInput(
                    f"the findings of the scan of {evaluated_at} are not known: it was made by an aksp that kept those of"
                    " the last scan alone",
                    hint="compare with a later scan; `aksp history` lists them",
                )
            found = findings_of(database, subject.key, version)
            undone = (
                database.execute(
                    f"SELECT fingerprint, c.state, {columns(version)}"  # noqa: S608
                    " FROM changes c JOIN scans s ON s.id = c.scan WHERE target = ? AND c.scan > ? ORDER BY c.scan DESC",
                    (subject.key, number),
                )
                if tracks
                else ()
            )
            for change in undone:
                if change[1] is None:
                    found.pop(change[0], None)
                else:
                    found[change[0]] = finding_of(change)
            return PastScan(
                evaluated_at=datetime.fromisoformat(evaluated_at),
                state=ComplianceState(state),
                compliance_percent=percent,
                findings=found,
                judged=frozenset(
                    name
                    for (name,) in database.execute(
                        "SELECT name FROM assignments WHERE scan = ? AND percent IS NOT NULL", (number,)
                    )
                ),
                left_out=left_out_of(database, number) if version >= WITH_LEFT_OUT else frozenset(),
                reach=reach_of(database, number) if version >= WITH_VALUES else {},
            )

    def record(self, subject: ScanTarget, report: Report, findings: Iterable[StoredFinding]) -> None:
        """Add a scan; its findings take the place of those of the one before, unless it judged nothing."""
        now: dict[str, list[StoredFinding]] = {}
        for one in findings:
            now.setdefault(one.assignment, []).append(one)
        with self._writing() as database:
            cursor = database.execute(
                "INSERT INTO scans (target, evaluated_at, aksp, state, percent, non_compliant, tracked, left_out)"
                " VALUES (?, ?, ?, ?, ?, ?, 1, ?)",
                (
                    subject.key,
                    report.evaluated_at.astimezone(UTC).isoformat(),
                    report.version,
                    report.state.value,
                    report.compliance_percent,
                    report.counts.resources.get(ComplianceState.NON_COMPLIANT, 0),
                    json.dumps(sorted(left_out(report))),
                ),
            )
            database.executemany(
                "INSERT INTO assignments VALUES (?, ?, ?, ?, ?)",
                [
                    (cursor.lastrowid, line.name, line.state.value, line.compliance_percent, line.reach)
                    for line in report.lines
                ],
            )
            if report.state is ComplianceState.NOT_STARTED:
                return
            # The scan that judged something before this one can be gone back to, if there is one.
            earlier = database.execute(
                "SELECT 1 FROM scans WHERE target = ? AND id < ? AND state != ?",
                (subject.key, cursor.lastrowid, ComplianceState.NOT_STARTED.value),
            ).fetchone()
            # One assignment after the other: the texts of all, and what they say, would take more memory than the scan.
            for name in dict.fromkeys((*assignments_of(database, subject.key), *now)):
                before, those = text_of(database, subject.key, name), now.get(name, ())
                text = encoded(those) if those else None
                if text == before:
                    continue  # Nearly all are as they were: to write them again would take as long as to judge.
                if earlier:
                    changes = _changes(decoded(before) if before is not None else (), those)
                    database.executemany(
                        "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        ((cursor.lastrowid, one.fingerprint, state, *row_of(one)[2:]) for state, one in changes),
                    )
                if text is None:
                    database.execute(
                        "DELETE FROM last_findings WHERE target = ? AND assignment = ?", (subject.key, name)
                    )
                else:
                    database.execute("INSERT OR REPLACE INTO last_findings VALUES (?, ?, ?)", (subject.key, name, text))

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
        with self._errors("read"), closing(self._open()) as database:
            # Another process may record a scan between two queries of one answer.
            database.execute("BEGIN")
            # Another process may have just made the file, and no tables yet.
            yield database if self._check(database) else None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._errors("written"):
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
                for statement in RENEWALS[version].split(";"):
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
    def _errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
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


def _changes(
    before: Iterable[StoredFinding], now: Iterable[StoredFinding]
) -> Iterator[tuple[str | None, StoredFinding]]:
    """What a scan changes of an assignment's findings: the state before, None for one that was not there, and the finding."""
    were, are = ({one.fingerprint: one for one in those} for those in (before, now))
    for key in {**were, **are}:
        known, found = were.get(key), are.get(key)
        if known is None:
            yield None, are[key]
        elif found is None or (known.state, known.observed) != (found.state, found.observed):
            yield known.state.value, known


def _identity(file: Path) -> tuple[int, int] | None:
    """Which file it is that has this name; None without one."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
