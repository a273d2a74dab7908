"""A scan compared with a baseline and with the scan before: what ``aksp compliance`` does after judging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from aksp.cli.progress import Notes
from aksp.compliance.changes import (
    clusters_judged,
    compare,
    hides,
    judged_by,
    left_out,
    narrowed,
    new_results,
    order,
    reach_of,
    remembered,
)
from aksp.errors import InvalidInput
from aksp.history import DamagedHistory, History, ScanTarget
from aksp.model.compliance import ComplianceState, KnownViolations, Report, StoredFinding
from aksp.model.times import rfc3339
from aksp.report.figures import plural
from aksp.store.baseline import FILE, read_baseline, write_baseline

#: How many scans a report's chart shows.
PAST = 100
#: New violations that a note names; the report has them all.
_NAMED = 10


class BaselineOptions(Struct, frozen=True, kw_only=True):
    """The options that compare: ``baseline`` is the file that was named, if one was."""

    baseline: str | None = None
    fail_on_new: bool = False
    write_baseline: bool = False
    diff: bool = False
    history: bool = True
    only_new: bool = False
    fails: bool = True
    """Whether a violation that counts makes the exit code 1, whatever its effect is."""

    @property
    def known(self) -> bool:
        """Whether there must be a baseline to compare with."""
        return (self.baseline is not None or self.fail_on_new or self.only_new) and not self.write_baseline


class Comparison(Struct, kw_only=True, dict=True):
    """What is compared, and the results. ``workspace``: where a baseline and the history usually lie."""

    options: BaselineOptions
    workspace: Path
    notes: Notes
    baseline: Mapping[str, StoredFinding] = {}
    report: Report | None = None

    @property
    def file(self) -> Path:
        """The baseline's file."""
        return Path(self.options.baseline) if self.options.baseline else self.workspace / FILE

    @property
    def nothing(self) -> bool:
        """Whether this scan judged nothing: then there is nothing to compare."""
        assert self.report is not None  # begin comes first
        return self.report.state is ComplianceState.NOT_STARTED

    @cached_property
    def found(self) -> Mapping[str, StoredFinding]:
        """This scan's findings by fingerprint."""
        assert self.report is not None  # begin comes first
        return remembered(self.report.results)

    @cached_property
    def new(self) -> list[StoredFinding]:
        """Violations that the baseline does not know."""
        bad = ComplianceState.NON_COMPLIANT
        return [one for key, one in self.found.items() if one.state is bad and not one.known_by(self.baseline.get(key))]

    @property
    def known(self) -> frozenset[str]:
        """The fingerprints that the baseline knows, without those whose value has changed."""
        return frozenset(self.baseline) - {one.fingerprint for one in self.new}

    def prepare(self, chosen: Sequence[str] = ()) -> None:
        """Read the baseline, before any work is done; ``chosen`` are options that leave assignments out. Raises InvalidInput."""
        if self.options.write_baseline and chosen and self.options.baseline is None:
            raise InvalidInput(
                f"--write-baseline with {chosen[0]} would forget what is known of all other assignments",
                hint="give --baseline FILE for a baseline of these alone",
            )
        # A new baseline keeps the entries of other clusters.
        if self.options.known:
            self.baseline = read_baseline(self.file)
        elif self.options.write_baseline and self.file.is_file():
            # A file that is no baseline is replaced by one. It has no entries to keep.
            with suppress(InvalidInput):
                self.baseline = read_baseline(self.file)

    @property
    def judged(self) -> frozenset[str]:
        """The clusters that this scan has judged, as findings name them."""
        assert self.report is not None  # begin comes first
        return clusters_judged(self.report)

    def begin(self, report: Report) -> Report:
        """The report with its history and its changes; with only what is new, if that is asked for."""
        self.report = report
        if self.options.history or self.options.diff:
            report = self._with_past(report)
        if self.options.known and self.nothing:
            self.notes.note(f"baseline {self.file}: nothing was judged, so nothing is compared with it")
        elif self.options.known:
            self._tell()
        if self.options.fail_on_new and self.options.known and not self.nothing:
            report = replace(report, known=self._known())
        if self.options.only_new:
            report = replace(report, results=new_results(report.results, self.known))
        return report

    def _known(self) -> KnownViolations:
        bad = sum(one.state is ComplianceState.NON_COMPLIANT for one in self.found.values())
        return KnownViolations(
            # With --show new only new findings are left. Several at one place are then numbered anew, and would match others.
            fingerprints=frozenset() if self.options.only_new else self.known,
            new=len(self.new),
            known=bad - len(self.new),
            fails=self.options.fails,
        )

    def _with_past(self, report: Report) -> Report:
        history, subject = History(self.workspace), ScanTarget.of(report)
        try:
            past = history.snapshots(subject, PAST)
            before = history.scan(subject) if self.options.diff else None
        except DamagedHistory as error:
            self._put_aside(history, error)
            return report
        except InvalidInput as error:
            if self.options.diff:
                raise
            self.notes.note(str(error))
            return report
        changes = report.changes
        # If nothing was judged, nothing is new or resolved.
        if self.options.diff and self.nothing:
            self.notes.note("nothing was judged, so nothing is compared with the scan before")
        elif before is not None:
            changes = compare(
                before.findings,
                self.found,
                since=before.evaluated_at,
                percent_before=before.compliance_percent,
                judged=judged_by(report),
                hidden=hides(before.left_out, left_out(report)),
                narrowed=narrowed(before.reach, reach_of(report)),
            )
            from aksp.report.table.changes import gist

            self.notes.note(f"since {rfc3339(before.evaluated_at)}: {gist(changes)}")
        elif self.options.diff:
            kept = "; this one is remembered" if self.options.history else ""
            self.notes.note(f"there is no earlier scan of this target to compare with{kept}")
        return replace(report, past=past, changes=changes)

    def _tell(self) -> None:
        assert self.report is not None  # begin comes first
        known = sum(1 for key in self.baseline if key in self.found and key in self.known)
        lines = {line.name for line in self.report.judged}
        # Findings that options left out are not known to be gone.
        some = bool(self.report.target.filters)
        absent = (one for key, one in self.baseline.items() if key not in self.found and one.cluster in self.judged)
        gone = sum(not some or one.assignment in lines for one in absent)
        doubt = ", which gaps may hide" if gone and hides(self.report.target.filters, left_out(self.report)) else ""
        self.notes.note(
            f"baseline {self.file}: {plural(len(self.new), 'new violation')}, {known} known, {gone} no longer found{doubt}"
        )
        named = sorted(self.new, key=order)
        for one in named[:_NAMED]:
            place = f"{one.namespace}/" if one.namespace else ""
            container = f" [{one.container}]" if one.container else ""
            cluster = f"{one.cluster}: " if one.cluster else ""
            self.notes.note(f"new: {cluster}{one.kind} {place}{one.name}{container}: {one.assignment}: {one.message}")
        if len(named) > _NAMED:
            self.notes.note(f"new: and {len(named) - _NAMED} more; --show new lists just those")

    def end(self) -> None:
        """Write the baseline if that is asked for, then the history. Raises InvalidInput, but only for the baseline."""
        assert self.report is not None  # begin comes first
        if self.options.write_baseline and self.nothing:
            self.notes.note(f"nothing was judged, so no baseline is written: {self.file} stays as it is")
        elif self.options.write_baseline:
            kept = [one for one in self.baseline.values() if one.cluster not in self.judged]
            findings = [one for one in self.found.values() if one.cluster in self.judged]
            count = write_baseline(self.file, self.report, sorted([*findings, *kept], key=order))
            self.notes.note(f"{plural(count - len(kept), 'violation')} written to {self.file}")
            if kept:
                self.notes.note(f"{plural(len(kept), 'violation')} of what this scan did not judge stay in {self.file}")
        if self.options.history and self.report.assignments:
            history, subject = History(self.workspace), ScanTarget.of(self.report)
            # Findings of several clusters are kept in the history of each cluster.
            found = () if self.report.clusters else self.found.values()
            try:
                try:
                    history.record(subject, self.report, found)
                except DamagedHistory as error:
                    self._put_aside(history, error)
                    history.record(subject, self.report, found)
            except InvalidInput as error:
                # A read-only checkout is no reason to fail a pipeline.
                self.notes.note(f"not remembered: {error}")

    def _put_aside(self, history: History, error: DamagedHistory) -> None:
        """Move a damaged history aside, so that this scan and the next can write one."""
        try:
            self.notes.note(f"{error}; it was put aside as {history.put_aside()}, and a new one begins")
        except InvalidInput as problem:
            self.notes.note(str(problem))
