"""``aksp compliance --from addon``: the report that the add-on wrote, and how old it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from aksp.cli.clusters import ClusterChoice
from aksp.cli.progress import Notes
from aksp.errors import InvalidInput
from aksp.model.compliance import Report
from aksp.report.figures import plural
from aksp.report.interface import Show

#: The add-on's default interval of check-ins, and after how many of them it seems to be down.
SYNC_INTERVAL = timedelta(minutes=5)
STALE_AFTER = 3 * SYNC_INTERVAL


def refuse_filters(*, files: Sequence[str], filters: Sequence[str], show: Show) -> None:
    """Raise InvalidInput for options that a report which was already made cannot follow."""
    scan = "leave out --from addon to scan the cluster now"
    if files:
        raise InvalidInput("-f judges manifests, and --from addon is about a cluster", hint="give one of the two")
    if filters:
        option = filters[0].partition(" ")[0]
        raise InvalidInput(
            f"{option} does not combine with --from addon: the add-on counts the whole cluster, and its counts cannot"
            " be told apart afterwards",
            hint=scan,
        )
    if show is Show.ALL:
        raise InvalidInput(
            "--show all does not combine with --from addon: the add-on's report counts what complies but does not list it",
            hint=scan,
        )


def last_report(choice: ClusterChoice, notes: Notes, *, now: datetime | None = None) -> Report:
    """The report, with its age told as a note. Raises ClusterError, InvalidInput."""
    from aksp.addon.checkins.reports import read_report
    from aksp.catalog.folder import bundled

    with choice.connected(notes.note) as connection:
        report, made = read_report(connection)
    notes.all(ages(made, now or datetime.now(UTC)))
    if not report.assignments:
        notes.note(
            "nothing is assigned in the cluster: `aksp assign … --store cluster` does, `aksp sync` sends what is here"
        )
    named = {each.definition for each in report.judged}
    return replace(report, rules={each.slug: each.rule for each in bundled() if each.slug in named})


def ages(made: datetime, now: datetime) -> list[str]:
    """How old a report is, in a sentence, and in a second one that it is too old."""
    age = now - made
    made = made.astimezone(UTC)
    at = f"{made:%H:%M:%SZ}" if made.date() == now.astimezone(UTC).date() else f"{made:%Y-%m-%d %H:%M:%SZ}"
    said = [f"as of {at}, {_ago(age)}, by the add-on"]
    if age > STALE_AFTER:
        said.append(
            f"warning: this report is stale: the add-on checks in every {SYNC_INTERVAL // timedelta(minutes=1)} minutes"
            " unless told otherwise; `aksp addon status` tells how it is, and without --from addon the cluster is"
            " scanned now"
        )
    return said


def _ago(age: timedelta) -> str:
    for unit, noun in ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        if age >= unit:
            return f"{plural(age // unit, noun)} ago"
    # Clocks differ by seconds: a time in the future counts as now.
    return f"{plural(max(age // timedelta(seconds=1), 0), 'second')} ago"
