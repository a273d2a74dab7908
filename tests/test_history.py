"""The history of a workspace."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aksp.compliance.changes import remembered
from aksp.errors import InvalidInput
from aksp.history import DamagedHistory, History, ScanTarget
from aksp.model.compliance import ComplianceState, Report, StoredFinding, TargetKind
from tests.replacing import replace
from tests.report.scenarios import SCENARIOS

S = ComplianceState
NOW = datetime(2026, 9, 1, 10, tzinfo=UTC)
SHOP = ScanTarget(kind=TargetKind.CLUSTER, name="prod", scope="/clusters/prod", filters=("-n shop",))


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def scan(history: History, name: str = "violations", *, at: datetime = NOW, filters: tuple[str, ...] = ()) -> Report:
    made = SCENARIOS[name]()
    report = replace(made, evaluated_at=at, target=replace(made.target, filters=filters))
    history.record(ScanTarget.of(report), report, remembered(report.results).values())
    return report


def test_nothing_is_made_before_something_is_recorded(history: History, tmp_path: Path) -> None:
    assert history.subjects() == []
    assert history.snapshots(SHOP, 5) == []
    assert history.findings(SHOP) == {}
    assert history.forget(NOW) == 0
    assert list(tmp_path.iterdir()) == []


def test_scans_of_a_target_are_given_oldest_first_and_the_last_ones(history: History) -> None:
    for minute in range(5):
        report = scan(history, at=NOW + timedelta(minutes=minute))
    snapshots = history.snapshots(ScanTarget.of(report), 3)
    assert [one.evaluated_at.minute for one in snapshots] == [2, 3, 4]
    last = snapshots[-1]
    assert (last.state, last.compliance_percent, last.non_compliant) == (report.state, 5.625, 302)
    assert last.assignments == {one.name: (one.state, one.compliance_percent) for one in report.assignments}


def test_an_assignment_that_was_not_evaluated_has_no_percentage(history: History) -> None:
    report = scan(history, "gaps")
    (last,) = history.snapshots(ScanTarget.of(report), 1)
    assert last.assignments["unique-ingress-hosts"] == (ComplianceState.NOT_STARTED, None)


@pytest.mark.parametrize("name", ["violations", "hostile", "manifests"])
def test_the_findings_of_the_last_scan_come_back_as_they_were(history: History, name: str) -> None:
    scan(history, "gaps")
    report = scan(history, name)
    kept, found = history.findings(ScanTarget.of(report)), remembered(report.results)
    assert kept.keys() == found.keys() and found
    for key, one in found.items():
        assert kept[key] == one


def test_a_scan_of_a_part_is_another_target_than_one_of_the_whole(history: History) -> None:
    whole = ScanTarget.of(scan(history))
    scan(history, "gaps", filters=("-n shop",))
    assert history.subjects() == [SHOP, whole]
    assert len(history.snapshots(whole, 9)) == 1
    assert history.findings(whole) != history.findings(SHOP)


def test_old_records_can_be_forgotten_but_for_each_targets_last(history: History) -> None:
    for day in range(3):
        report = scan(history, at=NOW - timedelta(days=100 + day))
    other = scan(history, filters=("-n shop",), at=NOW)
    assert history.forget(NOW - timedelta(days=90)) == 2
    assert len(history.snapshots(ScanTarget.of(report), 9)) == 1
    assert len(history.snapshots(ScanTarget.of(other), 9)) == 1


def test_the_file_keeps_itself_out_of_repositories(history: History) -> None:
    scan(history)
    assert history.file.with_name(".gitignore").read_text() == "*\n"


def test_a_file_that_is_no_database_is_told_with_its_name(history: History) -> None:
    history.file.parent.mkdir()
    history.file.write_text("not a database, but long enough to have a header of one\n" * 20)
    with pytest.raises(InvalidInput, match="cannot be written") as raised:
        scan(history)
    assert str(history.file) in str(raised.value) and raised.value.hint
    with pytest.raises(InvalidInput, match="cannot be read"):
        history.subjects()


def test_a_later_versions_file_is_left_alone(history: History) -> None:
    scan(history)
    with sqlite3.connect(history.file) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    before = history.file.read_bytes()
    with pytest.raises(InvalidInput, match="later version"):
        scan(history)
    assert history.file.read_bytes() == before


def test_a_record_is_whole_or_not_there(history: History) -> None:
    report = scan(history)
    subject, findings = ScanTarget.of(report), history.findings(ScanTarget.of(report))

    def broken() -> object:
        yield from list(remembered(report.results).values())[:1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        history.record(subject, report, broken())  # type: ignore[arg-type]
    assert len(history.snapshots(subject, 9)) == 1
    assert history.findings(subject) == findings


def test_a_scan_that_judged_nothing_has_no_percentage_and_leaves_the_findings_of_the_one_before(
    history: History,
) -> None:
    report = scan(history)
    nothing = replace(SCENARIOS["unmatched"](), target=report.target)
    history.record(ScanTarget.of(nothing), nothing, remembered(nothing.results).values())

    last = history.snapshots(ScanTarget.of(report), 5)[-1]
    assert (last.state, last.compliance_percent) == (ComplianceState.NOT_STARTED, None)
    assert history.findings(ScanTarget.of(report)) == remembered(report.results)


def as_version_5(database: sqlite3.Connection) -> None:
    rows = database.execute("SELECT target, findings FROM last_findings").fetchall()
    assert rows
    database.execute("DROP TABLE last_findings")
    database.execute(
        "CREATE TABLE findings (target TEXT NOT NULL, fingerprint TEXT NOT NULL, state TEXT NOT NULL, assignment TEXT NOT NULL,"
        " namespace TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, container TEXT NOT NULL, path TEXT NOT NULL,"
        " message TEXT NOT NULL, observed TEXT NOT NULL DEFAULT '[]', PRIMARY KEY (target, fingerprint)) WITHOUT ROWID"
    )
    for target, text in rows:
        for *columns, observed, _cluster in json.loads(text):
            database.execute(
                f"INSERT INTO findings VALUES ({', '.join('?' * 11)})",
                (target, *columns, json.dumps(observed)),
            )
    database.execute("PRAGMA user_version = 5")


def as_version_3(database: sqlite3.Connection) -> None:
    as_version_5(database)
    for table, column in (
        ("findings", "observed"),
        ("changes", "observed"),
        ("assignments", "reach"),
        ("scans", "left_out"),
    ):
        database.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    database.execute("PRAGMA user_version = 3")


def as_version_2(database: sqlite3.Connection) -> None:
    as_version_3(database)
    database.execute("DROP TABLE changes")
    database.execute("ALTER TABLE scans DROP COLUMN tracked")
    database.execute("PRAGMA user_version = 2")


def test_a_file_of_the_first_version_keeps_all_its_records(history: History) -> None:
    report = scan(history)
    before = history.snapshots(ScanTarget.of(report), 5)
    # Their values were not kept then.
    findings = {key: replace(one, observed=()) for key, one in history.findings(ScanTarget.of(report)).items()}
    with sqlite3.connect(history.file, isolation_level=None) as database:
        # As the first version made it.
        as_version_2(database)
        database.execute("PRAGMA writable_schema = ON")
        database.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'percent REAL, non', 'percent REAL NOT NULL, non')"
            " WHERE name = 'scans'"
        )
        database.execute("PRAGMA user_version = 1")
    database.close()
    assert history.snapshots(ScanTarget.of(report), 5) == before

    nothing = replace(SCENARIOS["unmatched"](), target=report.target)
    history.record(ScanTarget.of(nothing), nothing, ())
    assert history.snapshots(ScanTarget.of(report), 5)[:-1] == before
    assert history.findings(ScanTarget.of(report)) == findings
    assert history.snapshots(ScanTarget.of(report), 1)[0].compliance_percent is None


# The findings of earlier scans

FINDINGS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([S.NON_COMPLIANT, S.EXEMPT, S.ERROR]), max_size=6)


def stored(states: Mapping[str, S]) -> dict[str, StoredFinding]:
    return {
        key: StoredFinding(
            fingerprint=key, state=state, assignment="a", namespace="n", kind="Pod", name=key, container="", path="",
            message="bad",
        )
        for key, state in states.items()
    }  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(st.lists(st.none() | FINDINGS, min_size=1, max_size=8), st.integers(0, 7))
def test_every_earlier_scan_has_the_findings_that_it_had(scans: list[dict[str, S] | None], since: int) -> None:
    report = SCENARIOS["violations"]()
    subject = ScanTarget.of(report)
    with TemporaryDirectory() as folder:
        history = History(Path(folder))
        for at, states in enumerate(scans):
            # None is a scan that judged nothing.
            state = S.NOT_STARTED if states is None else S.NON_COMPLIANT
            made = replace(report, state=state, evaluated_at=NOW + timedelta(minutes=at))
            history.record(subject, made, stored(states or {}).values())
            other = replace(report, target=replace(report.target, name="other"), evaluated_at=made.evaluated_at)
            history.record(ScanTarget.of(other), other, stored({"x": S.ERROR}).values())
        judged = [(at, states) for at, states in enumerate(scans) if states is not None]
        for back, (at, states) in enumerate(reversed(judged)):
            found = history.scan(subject, back=back)
            assert found is not None and found.findings == stored(states)
            assert found.evaluated_at == NOW + timedelta(minutes=at)
            assert history.scan(subject, until=found.evaluated_at) == found
        assert history.scan(subject, back=len(judged)) is None
        assert history.scan(subject, until=NOW - timedelta(days=1)) is None
        # What is forgotten takes nothing from what is left.
        history.forget(NOW + timedelta(minutes=since))
        for at, states in judged:
            if at >= since:
                left = history.scan(subject, until=NOW + timedelta(minutes=at))
                assert left is not None and left.findings == stored(states)


def test_of_scans_by_an_aksp_that_kept_the_last_findings_alone_only_these_are_known(history: History) -> None:
    subject = ScanTarget.of(scan(history, at=NOW))
    scan(history, at=NOW + timedelta(hours=1))
    with sqlite3.connect(history.file, isolation_level=None) as database:
        as_version_2(database)
    database.close()
    last = history.scan(subject)
    assert last is not None and last.findings == history.findings(subject)
    with pytest.raises(InvalidInput, match="are not known") as raised:
        history.scan(subject, back=1)
    assert raised.value.hint
    scan(history, "clean", at=NOW + timedelta(hours=2))
    assert history.scan(subject, back=1) == last
    with pytest.raises(InvalidInput, match="are not known"):
        history.scan(subject, until=NOW)


@pytest.mark.parametrize("name", ["violations", "hostile"])
def test_a_file_that_has_a_row_for_each_finding_keeps_them(history: History, name: str) -> None:
    subject = ScanTarget.of(scan(history, name, at=NOW))
    found = history.findings(subject)
    scan(history, "clean", at=NOW)
    scan(history, name, at=NOW + timedelta(hours=1))
    with sqlite3.connect(history.file, isolation_level=None) as database:
        as_version_5(database)
    database.close()
    assert history.findings(subject) == found
    scan(history, name, at=NOW + timedelta(hours=2))
    assert history.findings(subject) == found
    last, before = history.scan(subject), history.scan(subject, back=1)
    assert last is not None and before is not None and last.findings == before.findings == found


def test_what_a_later_scan_finds_too_is_not_written_again(history: History) -> None:
    subject = ScanTarget.of(scan(history, at=NOW))
    with sqlite3.connect(history.file, isolation_level=None) as database:
        database.execute("CREATE TRIGGER same BEFORE INSERT ON last_findings BEGIN SELECT raise(ABORT, 'written'); END")
        database.execute("CREATE TRIGGER more BEFORE INSERT ON changes BEGIN SELECT raise(ABORT, 'written'); END")
    database.close()
    scan(history, at=NOW + timedelta(hours=1))
    assert len(history.snapshots(subject, 9)) == 2
    with pytest.raises(InvalidInput, match="written"):
        scan(history, "clean", at=NOW + timedelta(hours=2))


def test_a_file_from_before_gaps_were_kept_is_read_and_goes_on(history: History) -> None:
    subject = ScanTarget.of(scan(history, at=NOW))
    with sqlite3.connect(history.file, isolation_level=None) as database:
        as_version_3(database)
    database.close()
    last = history.scan(subject)
    assert last is not None and last.findings == history.findings(subject) and not last.left_out
    scan(history, "clean", at=NOW + timedelta(hours=2))
    assert history.scan(subject, back=1) == last


@pytest.mark.parametrize(
    "text", [b"", b"null", b"[[1]]", b"[[" + b'"a",' * 9 + b"[" * 50_000, b'[["\\ud800",' + b"[" * 50_000, b"\xff", 5]
)
def test_a_damaged_text_of_findings_is_told_with_the_file(history: History, text: bytes | int) -> None:
    subject = ScanTarget.of(scan(history))
    with sqlite3.connect(history.file) as database:
        database.execute("UPDATE last_findings SET findings = ?", (text,))
    for read in (lambda: history.findings(subject), lambda: history.scan(subject), lambda: scan(history)):
        with pytest.raises(DamagedHistory, match=str(history.file)):
            read()
