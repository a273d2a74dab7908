"""This scan held against a baseline and against the scan before: what ``aksp compliance`` does besides judging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from aksp.cli.progress import Notes
from aksp.compliance.changes import compare, new_results, order, remembered
from aksp.errors import InvalidInput
from aksp.history import History, Subject
from aksp.model.compliance import ComplianceState, Remembered, Report
from aksp.report.changes import gist
from aksp.report.figures import plural, rfc3339
from aksp.store.baseline import FILE, read_baseline, write_baseline

#: Scans that a report's chart reaches back.
PAST = 100
#: New violations that a note names; the report has them all.
_NAMED = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """The options that compare: ``baseline`` is the file that was named, if one was."""

    baseline: str | None = None
    fail_on_new: bool = False
    write_baseline: bool = False
    diff: bool = False
    history: bool = True
    only_new: bool = False

    @property
    def known(self) -> bool:
        """Whether there must be a baseline to compare with."""
        return (self.baseline is not None or self.fail_on_new or self.only_new) and not self.write_baseline


@dataclass(kw_only=True)
class Comparison:
    """What is compared, and what came of it. ``workspace`` is where a baseline and the history usually lie."""

    wishes: Wishes
    workspace: Path
    filters: Sequence[str]
    notes: Notes
    baseline: Mapping[str, Remembered] = field(default_factory=dict)
    report: Report | None = None

    @property
    def file(self) -> Path:
        """The baseline's file."""
        return Path(self.wishes.baseline) if self.wishes.baseline else self.workspace / FILE

    @cached_property
    def found(self) -> Mapping[str, Remembered]:
        """This scan's findings by fingerprint."""
        assert self.report is not None  # begin comes first
        return remembered(self.report.results)

    @cached_property
    def new(self) -> list[Remembered]:
        """Violations that the baseline does not know."""
        bad = ComplianceState.NON_COMPLIANT
        return [one for key, one in self.found.items() if one.state is bad and key not in self.baseline]

    def prepare(self) -> None:
        """Read the baseline, before any work is done. Raises InvalidInput."""
        if self.wishes.known:
            self.baseline = read_baseline(self.file)

    def begin(self, report: Report) -> Report:
        """The report with its past and its changes, and with just what is new where that is asked for."""
        self.report = report
        if self.wishes.history or self.wishes.diff:
            report = self._with_past(report)
        if self.wishes.known:
            self._tell()
        if self.wishes.only_new:
            report = replace(report, results=new_results(report.results, self.baseline))
        return report

    def _with_past(self, report: Report) -> Report:
        history, subject = History(self.workspace), Subject.of(report, self.filters)
        try:
            past = history.snapshots(subject, PAST)
            before = history.findings(subject) if self.wishes.diff else {}
        except InvalidInput as error:
            if self.wishes.diff:
                raise
            self.notes.note(str(error))
            return report
        changes = None
        if self.wishes.diff and past:
            last = past[-1]
            changes = compare(before, self.found, since=last.evaluated_at, percent_before=last.compliance_percent)
            self.notes.note(f"since {rfc3339(last.evaluated_at)}: {gist(changes)}")
        elif self.wishes.diff:
            kept = "; this one is remembered" if self.wishes.history else ""
            self.notes.note(f"there is no earlier scan of this target to compare with{kept}")
        return replace(report, past=past, changes=changes)

    def _tell(self) -> None:
        known = sum(1 for key in self.baseline if key in self.found)
        gone = len(self.baseline) - known
        self.notes.note(
            f"baseline {self.file}: {plural(len(self.new), 'new violation')}, {known} known, {gone} no longer found"
        )
        named = sorted(self.new, key=order)
        for one in named[:_NAMED]:
            place = f"{one.namespace}/" if one.namespace else ""
            container = f" [{one.container}]" if one.container else ""
            self.notes.note(f"new: {one.kind} {place}{one.name}{container}: {one.assignment}: {one.message}")
        if len(named) > _NAMED:
            self.notes.note(f"new: and {len(named) - _NAMED} more; --show new lists just those")

    def end(self) -> None:
        """Write the baseline where that is asked for, then the history. Raises InvalidInput for a baseline alone."""
        assert self.report is not None  # begin comes first
        if self.wishes.write_baseline:
            count = write_baseline(self.file, self.report, sorted(self.found.values(), key=order))
            self.notes.note(f"{plural(count, 'violation')} written to {self.file}")
        if self.wishes.history and self.report.assignments:
            try:
                History(self.workspace).record(Subject.of(self.report, self.filters), self.report, self.found.values())
            except InvalidInput as error:
                # A read-only checkout is no reason to fail a pipeline.
                self.notes.note(f"not remembered: {error}")
