"""What ``aksp addon status`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from aksp.addon.names import EngineName
from aksp.addon.status_view import AddonStatus, AssignmentLine, look
from aksp.cli.ci import note, say
from aksp.cli.clusters import ClusterChoice
from aksp.cli.listing import print_document, print_list
from aksp.cli.options import ListFormat
from aksp.errors import ExitCode
from aksp.model.times import age, moment
from aksp.report.figures import plural
from aksp.report.text import safe


def show(where: ClusterChoice, namespace: str | None, output: ListFormat) -> ExitCode:
    """Print, and give the exit code. Raises ClusterError."""
    from aksp.addon.install.installation import installed_in
    from aksp.addon.names import NAMESPACE
    from aksp.kube.kinds import refuse_other_servers

    now = datetime.now(UTC)
    with where.connected() as connection:
        refuse_other_servers(connection)
        found = look(connection, namespace or installed_in(connection) or NAMESPACE, now)
    if output in (ListFormat.JSON, ListFormat.YAML):
        print_document(output, found.to_json())
    else:
        if output is not ListFormat.NAME:
            for line in _head(found, now):
                say(safe(line))
            say("")
        wide = output is ListFormat.WIDE
        print_list(
            output,
            headers=["NAME", "STATE", "COMPLIANCE", "EFFECT", "WANTED", "APPLIED", "CHECKED IN",
                     *(["DEFINITION", "MODE"] if wide else []), "MESSAGE"],
            rows=[_row(line, now, wide) for line in found.assignments],
            names=[f"policyassignment.policy.aksp.io/{line.name}" for line in found.assignments],
            empty="Nothing is assigned in this cluster. `aksp assign --store cluster` or `aksp sync` assign.",
        )  # fmt: skip
    for problem in found.problems:
        note(problem)
    return ExitCode.INCONCLUSIVE if found.problems else ExitCode.OK


def _head(found: AddonStatus, now: datetime) -> list[str]:
    if not found.enabled:
        return ["Add-on:    not enabled"]
    where = (
        f"{found.ready_replicas} of {found.replicas} replicas ready in {found.namespace}, {found.image}"
        if found.replicas is not None
        else f"outside the cluster, at {found.webhook}"
    )
    leader = f"{found.leader}, renewed {age(now, moment(found.leader_renewed))} ago" if found.leader else "none"
    excluded = ", ".join(found.excluded_namespaces) or "none"
    asked = [
        f"Webhook:   failure policy {found.failure_policy}; namespaces left out: {excluded}",
        f"Asked for: {_asked_for(found.webhook_rules)}",
    ]
    if found.engine is EngineName.GATEKEEPER:
        asked = ["Refusing:  Gatekeeper, by the templates and constraints that the add-on keeps in step"]
    return [
        f"Add-on:    {where}",
        f"Leader:    {leader}",
        f"Check-in:  {_check_in(found, now)}",
        *asked,
    ]


def _check_in(found: AddonStatus, now: datetime) -> str:
    last = f"{age(now, moment(found.last_check_in))} ago" if found.last_check_in else "none yet"
    if (failed := found.failed_check_in) is None:
        return last
    times = f"for {age(now, moment(failed.since))}, " if failed.times > 1 else ""
    return (
        f"failed {age(now, moment(failed.last))} ago ({times}{plural(failed.times, 'time')}); the last good one: {last}"
    )


def _asked_for(rules: Sequence[str]) -> str:
    """The rules; resources with the same operations are one rule."""
    together: dict[str, list[str]] = {}
    for rule in rules:
        operations, _, resource = rule.partition(" ")
        together.setdefault(operations, []).append(resource)
    return "; ".join(f"{operations} of {', '.join(named)}" for operations, named in together.items()) or "nothing yet"


def _row(line: AssignmentLine, now: datetime, wide: bool) -> list[str]:
    percent = line.compliance_percent
    row = [
        line.name,
        line.state,
        "-" if percent is None else f"{percent:g}%",
        line.effect or "-",
        str(line.generation),
        "-" if line.applied_generation is None else str(line.applied_generation),
        "never" if line.last_check_in is None else f"{age(now, moment(line.last_check_in))} ago",
        *([line.definition, line.enforcement_mode] if wide else []),
        line.message,
    ]
    return [safe(cell) for cell in row]
