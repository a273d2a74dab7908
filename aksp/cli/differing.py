"""What ``aksp diff`` does: find the two moments, compare them, and write what changed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from aksp.cli.ci import note, say
from aksp.cli.clusters import named_clusters
from aksp.cli.listing import print_document
from aksp.cli.options import ColorWhen, ListFormat
from aksp.cli.outputs import on_stdout
from aksp.cli.remembered import chosen, clusters_of, refuse_two_ways, title
from aksp.compliance.changes import compare, hides, judged_by, left_out, narrowed, remembered, unlisted
from aksp.errors import ExitCode, InvalidInput
from aksp.history import History, PastScan, ScanTarget
from aksp.model import times
from aksp.model.compliance import Report, TargetKind
from aksp.report.difference import Difference, Moment, blocks, document, together
from aksp.report.figures import plural
from aksp.report.formats.markdown import LIMIT
from aksp.report.formats.table import draw
from aksp.report.interface import Style
from aksp.report.parse import read_report
from aksp.report.pipeline.shortened import shortened_difference
from aksp.runners import as_it_is
from aksp.workspace_folder import workspace_root


class DiffRequest(Struct, frozen=True, kw_only=True):
    """The command line of one difference."""

    reports: Sequence[str]
    since: str | None
    clusters: Sequence[str]
    every: bool
    files: Sequence[str]
    output: str
    fail_on_new: bool
    color: ColorWhen
    kubeconfig: str | None
    workspace: str | None


def differ(request: DiffRequest) -> ExitCode:
    """Write what changed. If asked for, the exit code is 1 for new violations, 4 where there may be some. Raises InvalidInput."""
    difference = _of_reports(request) if request.reports else _of_scans(request)
    _write(difference, request)
    if not request.fail_on_new:
        return ExitCode.OK
    if difference.new_violations:
        return ExitCode.NON_COMPLIANT
    return ExitCode.INCONCLUSIVE if difference.not_compared else ExitCode.OK


def _of_reports(request: DiffRequest) -> Difference:
    if request.since or request.clusters or request.every or request.files:
        raise InvalidInput(
            "--since, --cluster, --all-clusters and -f are about remembered scans, and reports are given"
        )
    if len(request.reports) != 2:
        raise InvalidInput("two reports are compared, the earlier one first", hint="aksp diff BEFORE.json AFTER.json")
    if list(request.reports) == ["-", "-"]:
        raise InvalidInput("- is given twice, and standard input can be read once", hint="write one of them to a file")
    before, after = (read_report(path, of_many=True) for path in request.reports)
    _refuse_other_clusters(before, after)
    means = "what it could not judge may pass for new", "what it could not judge is not called resolved"
    for path, report, meaning in zip(request.reports, (before, after), means, strict=True):
        if report.gaps:
            note(f"{path} has {plural(len(report.gaps), 'gap')}: {meaning}")
    means = "what it does not list may pass for new", "what it does not list is not called resolved"
    for path, report, meaning in zip(request.reports, (before, after), means, strict=True):
        if unlisted(report):
            note(f"{path} does not list all that does not comply, as with --show new: {meaning}")
    if before.target.filters != after.target.filters:
        parts = (" ".join(one.target.filters) or "everything" for one in (before, after))
        note(f"the reports are about other parts, {' and '.join(parts)}: what the first leaves out may pass for new")
    if before.evaluated_at > after.evaluated_at:
        note(f"{request.reports[0]} is the later one: what is called new went, and what is called resolved came")
    return Difference(
        before=_moment_of(before),
        after=_moment_of(after),
        changes=compare(
            remembered(before.results),
            remembered(after.results),
            since=before.evaluated_at,
            percent_before=before.compliance_percent,
            judged=judged_by(after),
            hidden=hides(left_out(before), left_out(after)) or unlisted(after) > 0,
            # Of what an assignment selects, a report has only the scope.
            narrowed=narrowed(*({line.name: line.scope for line in one.judged} for one in (before, after))),
        ),
    )


def _refuse_other_clusters(before: Report, after: Report) -> None:
    """Raise InvalidInput for reports of different sets of clusters: findings of a cluster that one lacks are not resolved."""
    first, second = ({one.name for one in report.clusters} for report in (before, after))
    if first != second:
        raise InvalidInput(
            f"the reports are of other clusters: {', '.join(sorted(first ^ second))} is in one of them alone",
            hint="compare reports of the same clusters",
        )


def _moment_of(report: Report) -> Moment:
    return Moment(
        target=title(ScanTarget.of(report)),
        evaluated_at=report.evaluated_at,
        state=report.state,
        compliance_percent=report.compliance_percent,
    )


def _of_scans(request: DiffRequest) -> Difference:
    history = History(workspace_root(request.workspace))
    refuse_two_ways(request.clusters, request.files, all_clusters=request.every)
    names = named_clusters(request.clusters, request.kubeconfig)
    # The history of several clusters together has no findings: that of each cluster has its own.
    known = history.subjects()
    subjects = [one for one in known if one.kind is not TargetKind.CLUSTERS]
    found = chosen(subjects, names, request.files, every=request.every)
    until = moment(request.since, datetime.now(UTC)) if request.since else None
    if request.every or len(set(names)) > 1:
        # The clusters of the last scan of several, of which one may never have been reached.
        last = next((one for one in known if one.kind is TargetKind.CLUSTERS), None) if request.every else None
        return _of_clusters(found, clusters_of(last) if last else (), history, until)
    return _of_subject(_one(found, history), history, until)


def _of_clusters(
    subjects: Sequence[ScanTarget], others: Sequence[str], history: History, until: datetime | None
) -> Difference:
    """Each cluster compared with itself, and all of it together. Raises InvalidInput where none can be compared."""
    found: dict[str, Difference] = {}
    lost: dict[str, str] = {}
    last: InvalidInput | None = None
    for name in sorted({*others, *(one.name for one in subjects)}):
        try:
            own = [one for one in subjects if one.name == name]
            if not own:
                raise InvalidInput("no scan of it alone is remembered")
            subject = _one(own, history)
            found[name] = _of_subject(subject, history, until)
        except InvalidInput as problem:
            last, lost[name] = problem, problem.what
            note(f"{name} is not compared: {problem.what}")
    if not found:
        assert last is not None  # there is at least one cluster, and none could be compared
        raise last
    return together(found, title(ScanTarget(kind=TargetKind.CLUSTERS, name=", ".join(found), scope="/")), lost)


def _of_subject(subject: ScanTarget, history: History, until: datetime | None) -> Difference:
    after = history.scan(subject)
    before = history.scan(subject, until=until) if until else history.scan(subject, back=1)
    if after is None or before is None:
        when = f" at or before {times.rfc3339(until)}" if until else " before the last"
        raise InvalidInput(
            f"no scan of {title(subject)}{when} is remembered that judged something",
            hint="`aksp history` lists the scans; `aksp compliance` leaves a record of each",
        )
    return Difference(
        before=_past(subject, before),
        after=_past(subject, after),
        changes=compare(
            before.findings,
            after.findings,
            since=before.evaluated_at,
            percent_before=before.compliance_percent,
            judged=after.judged,
            hidden=hides(before.left_out, after.left_out),
            narrowed=narrowed(before.reach, after.reach),
        ),
    )


def _one(subjects: Sequence[ScanTarget], history: History) -> ScanTarget:
    """The one target that is meant; the whole, where its parts were scanned too."""
    if not subjects:
        raise InvalidInput(f"no scan is remembered in {history.file}", hint="`aksp compliance` leaves a record of each")
    whole = [one for one in subjects if not one.filters]
    found = whole if len(whole) == 1 else subjects
    if len(found) > 1:
        raise InvalidInput(
            f"several targets are remembered: {', '.join(title(one) for one in found)}",
            hint="choose: --cluster NAME, --all-clusters, or -f PATH as it was given then",
        )
    return found[0]


def _past(subject: ScanTarget, scan: PastScan) -> Moment:
    return Moment(
        target=title(subject),
        evaluated_at=scan.evaluated_at,
        state=scan.state,
        compliance_percent=scan.compliance_percent,
    )


def moment(text: str, now: datetime) -> datetime:
    """The moment that --since gives. Raises InvalidInput."""
    if text == "yesterday":
        return now - timedelta(days=1)
    try:
        return now - times.duration(text)
    except ValueError:
        found = times.moment(text)
    if found is None:
        raise InvalidInput(
            f"--since {text}: this is no moment", hint="e.g. yesterday, 7d, 2026-11-28 or 2026-11-28T10:00:00Z"
        )
    return found


def _write(difference: Difference, request: DiffRequest) -> None:
    if request.output in ("json", "yaml"):
        print_document(ListFormat(request.output), document(difference))
        return
    out = io.StringIO()
    if request.output == "html":
        # jinja2 takes longer to import than all else.
        from aksp.report.html.page import write_difference

        write_difference(difference, out)
        say(out.getvalue().removesuffix("\n"), as_it_is)
        return
    if request.output == "markdown":
        out.write(shortened_difference(difference, room=LIMIT))
    else:
        style = on_stdout(request.color, Style())
        draw(blocks(difference), out, style, width=style.width)
    say(out.getvalue().removesuffix("\n"))
