"""``aksp history``: how state and percentage went, scan by scan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aksp.cli.ci import say
from aksp.cli.clusters import named_clusters
from aksp.cli.listing import print_list
from aksp.cli.options import (
    AllClustersOption,
    ClustersOption,
    KubeconfigOption,
    ListFormat,
    NamedContextOption,
    OutputOption,
    WorkspaceOption,
    duration,
    files_option,
)
from aksp.cli.remembered import chosen, clusters_of, parts_of, refuse_two_ways, title

if TYPE_CHECKING:
    from aksp.history import ScanTarget
    from aksp.model.compliance import Snapshot

PLACE = 34

#: Scans that a trend shows.
_TREND = 30


def history(
    cluster: ClustersOption = None,
    all_clusters: AllClustersOption = False,
    filename: Annotated[list[str] | None, files_option("Scans of these manifests, named as they were then.")] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many scans to list, the last ones.")] = _TREND,
    forget: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="Delete records older than 90d, 12h …; the last scan of each target stays."
        ),
    ] = None,
    output: OutputOption = ListFormat.TABLE,
    context: NamedContextOption = None,
    kubeconfig: KubeconfigOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """How the compliance of a cluster, or of manifests, went from scan to scan.

    Every `aksp compliance` leaves a small record in the workspace. Without --cluster or -f every target is listed; a
    single one in full, with each assignment and each member of an initiative. Of several clusters, by --cluster given
    again or --all-clusters, first what they came to together, with a line for each, then each in full.

    Example: `aksp history --cluster prod --cluster staging`
    """
    from aksp.history import History
    from aksp.workspace_folder import workspace_root

    kept = History(workspace_root(workspace))
    if forget is not None:
        _forget(kept, forget)
        return
    cluster = [*(cluster or ()), *([context] if context else [])]
    refuse_two_ways(cluster, filename, all_clusters=all_clusters)
    subjects = chosen(kept.subjects(), named_clusters(cluster, kubeconfig), filename, every=all_clusters)
    found = [(one, kept.snapshots(one, limit)) for one in subjects]
    if output not in (ListFormat.TABLE, ListFormat.WIDE):
        documents = [_document(one, scans) for one, scans in found]
        print_list(output, documents=documents, names=[title(one) for one, _ in found])
    elif not found:
        typer.echo(f"no scan is remembered in {kept.file}: `aksp compliance` leaves a record of each", err=True)
    elif len(found) == 1 or output is ListFormat.WIDE or cluster or filename or all_clusters:
        for at, (one, scans) in enumerate(found):
            if at:
                typer.echo()
            _in_full(one, scans, [(each, kept.snapshots(each, limit)) for each in parts_of(one, kept.subjects())])
    else:
        _overview(found)


def _overview(found: Sequence[tuple[ScanTarget, Sequence[Snapshot]]]) -> None:
    from aksp.model.times import rfc3339
    from aksp.report.figures import percent_cell
    from aksp.report.text import safe

    rows = []
    for one, scans in found:
        last = scans[-1]
        rows.append(
            [
                safe(title(one)),
                rfc3339(last.evaluated_at),
                last.state.value,
                percent_cell(last.compliance_percent),
                _line(scans, None),
            ]
        )
    headers = ["TARGET", "LAST SCAN", "STATE", "%", "TREND"]
    print_list(ListFormat.TABLE, headers=headers, rows=rows)


def _in_full(
    subject: ScanTarget, scans: Sequence[Snapshot], parts: Sequence[tuple[ScanTarget, Sequence[Snapshot]]]
) -> None:
    """All of one target. ``parts``: its clusters, if it is several."""
    from aksp.model.times import rfc3339
    from aksp.report.figures import compliance_words, one_decimal, percent_cell, plural
    from aksp.report.text import safe

    last = scans[-1]
    say(safe(f"{title(subject)}: {last.state.value}, {compliance_words(last.compliance_percent)}"))
    typer.echo()
    rows = []
    for each, own in parts:
        now = own[-1]
        rows.append([safe(each.name), now.state.value, percent_cell(now.compliance_percent), _line(own, None)])
    if subject.kind.value == "Clusters":
        # One that was never reached has no scan of its own.
        never = set(clusters_of(subject)) - {each.name for each, _ in parts}
        rows = sorted([*rows, *([safe(name), "-", "-", "no scan of it is remembered"] for name in never)])
    if rows:
        print_list(ListFormat.TABLE, headers=["CLUSTER", "STATE", "%", "SCANS"], rows=rows)
        typer.echo()
    rows = [["(all)", last.state.value, percent_cell(last.compliance_percent), _line(scans, None)]]
    # A member, NAME/REFERENCE, stands below its initiative.
    for name in sorted({name for scan in scans for name in scan.assignments}, key=lambda one: one.split("/")):
        state, percent = last.assignments.get(name, (None, None))
        rows.append([safe(name), state.value if state else "-", percent_cell(percent), _line(scans, name)])
    headers = ["ASSIGNMENT", "STATE", "%", plural(min(len(scans), _TREND), "scan").upper()]
    print_list(ListFormat.TABLE, headers=headers, rows=rows)
    typer.echo()
    rows = []
    before: float | None = None
    for scan in scans:
        percent = one_decimal(scan.compliance_percent)
        step = "" if percent is None or before is None else f"{percent - before:+.1f}" if percent != before else "="
        rows.append(
            [rfc3339(scan.evaluated_at), scan.state.value, percent_cell(percent), step, str(scan.non_compliant)]
        )
        # A scan that judged nothing is passed over: the next one is compared with the last that judged something.
        before = before if percent is None else percent
    headers = ["SCANNED", "STATE", "%", "CHANGE", "NON-COMPLIANT"]
    print_list(ListFormat.TABLE, headers=headers, rows=rows[::-1])


def _line(scans: Sequence[Snapshot], assignment: str | None) -> str:
    from aksp.report.figures import sparkline

    if assignment is None:
        return sparkline([scan.compliance_percent for scan in scans[-_TREND:]])
    return sparkline([scan.assignments.get(assignment, (None, None))[1] for scan in scans[-_TREND:]])


def _document(subject: ScanTarget, scans: Sequence[Snapshot]) -> dict[str, Any]:
    from aksp.model.times import rfc3339
    from aksp.report.figures import one_decimal

    return {
        "target": {
            "kind": subject.kind.value,
            "name": subject.name,
            "scope": subject.scope,
            "filters": list(subject.filters),
        },
        "scans": [
            {
                "evaluatedAt": rfc3339(scan.evaluated_at),
                "state": scan.state.value,
                "compliancePercent": one_decimal(scan.compliance_percent),
                "nonCompliant": scan.non_compliant,
                "assignments": [
                    {"name": name, "state": state.value, "compliancePercent": one_decimal(percent)}
                    for name, (state, percent) in sorted(scan.assignments.items(), key=lambda one: one[0].split("/"))
                ],
            }
            for scan in scans
        ],
    }


def _forget(kept: Any, text: str) -> None:
    from aksp.report.figures import plural

    gone = kept.forget(datetime.now(UTC) - duration("--forget", text))
    typer.echo(f"{plural(gone, 'record')} deleted", err=True)
