"""``aksp denials``: who was refused, when, by which assignment, for which workload."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aksp.cli.clusters import ClusterOptions
from aksp.cli.groups import with_shared_options
from aksp.cli.listing import print_list
from aksp.cli.options import AllNamespacesOption, ListFormat, OutputOption, duration
from aksp.model.fields import mapping, spec_of
from aksp.model.times import age

if TYPE_CHECKING:
    from aksp.kube.connection import Connection


PLACE = 54

_LONGEST_CELL = 100


@with_shared_options
def denials(
    *,
    since: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Only those of the last 30s, 15m, 2h, 7d, 1h30m. Default: all."),
    ] = None,
    where: ClusterOptions,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Only this namespace.")
    ] = None,
    all_namespaces: AllNamespacesOption = False,
    assignment: Annotated[str | None, typer.Option(metavar="NAME", help="Only those of this assignment.")] = None,
    output: OutputOption = ListFormat.TABLE,
) -> None:
    """What the add-on has refused: who, when, by which assignment, for which workload.

    The add-on keeps it for seven days, refusals of one workload by one assignment as one.

    Example: `aksp denials -n shop --since 1d`
    """
    from aksp.addon.record.denials import last_time

    limit = datetime.now(UTC) - duration("--since", since) if since is not None else None
    with where.connected() as connection:
        found = _list(connection, None if all_namespaces else namespace)
    kept = sorted(
        (
            _document(each)
            for each in found
            if (assignment is None or _is_of(assignment, str(spec_of(each).get("assignment"))))
            and (limit is None or last_time(each) >= limit)
        ),
        key=lambda each: (-last_time(each).timestamp(), each["metadata"]["namespace"], each["metadata"]["name"]),
    )
    wide = output is ListFormat.WIDE
    more = ["FIRST", "OPERATION", "CONTAINERS"] if wide else []
    now = datetime.now(UTC)
    print_list(
        output,
        headers=["LAST", "COUNT", "ASSIGNMENT", "WORKLOAD", "USER", *more, "MESSAGE"],
        rows=(_row(each, now, wide=wide) for each in kept),
        documents=kept,
        names=[f"policydenial.policy.aksp.io/{each['metadata']['name']}" for each in kept],
        empty=_nothing(since, namespace, assignment),
    )


def _list(connection: Connection, namespace: str | None) -> list[dict[str, Any]]:
    from aksp.addon.record.denials import collection_path
    from aksp.errors import ClusterError
    from aksp.kube.errors import NotServed
    from aksp.kube.kinds import refuse_other_servers
    from aksp.kube.objects import list_all

    try:
        return list_all(connection, collection_path(namespace))
    except NotServed as error:
        refuse_other_servers(connection)
        raise ClusterError(
            f"the add-on is not enabled on cluster {connection.name}: nothing is refused, nothing remembered",
            hint="`aksp addon enable` installs it",
        ) from error


def _is_of(assignment: str, full_name: str) -> bool:
    """Whether a denial is by an assignment, or by any member of its initiative."""
    return assignment in (full_name, full_name.partition("/")[0])


def _nothing(since: str | None, namespace: str | None, assignment: str | None) -> str:
    by = f" by assignment {assignment}" if assignment else ""
    place = f" in namespace {namespace}" if namespace else ""
    return f"Nothing was refused{by}{place} {f'in the last {since}' if since else 'in the last seven days'}."


def _row(document: Mapping[str, Any], now: datetime, *, wide: bool) -> list[str]:
    from aksp.addon.record.denials import first_time, last_time
    from aksp.report.text import clipped, safe

    spec = spec_of(document)
    count = spec.get("count")
    containers = spec.get("containers")
    shown = [
        f"{c.get('name', '')}={c.get('image', '')}".rstrip("=") for c in containers or () if isinstance(c, Mapping)
    ]
    more = [age(now, first_time(document)), str(spec.get("operation", "")), ", ".join(shown)] if wide else []
    message = str(spec.get("message", ""))
    cells = [
        age(now, last_time(document)),
        str(count) if isinstance(count, int) else "?",
        str(spec.get("assignment", "")),
        _workload(spec),
        str(spec.get("user", "")),
        *more,
    ]
    line = safe(message)
    return [*(safe(cell) for cell in cells), line if wide else clipped(line, _LONGEST_CELL)]


def _workload(spec: Mapping[str, Any]) -> str:
    """``namespace/Kind/name``, without the namespace where there is none."""
    resource = mapping(spec.get("resource"))
    subject = mapping(spec.get("workload")) or resource
    return "/".join(str(part) for part in (resource.get("namespace"), subject.get("kind"), subject.get("name")) if part)


def _document(found: Mapping[str, Any]) -> dict[str, Any]:
    """The custom resource without what only the API server needs."""
    metadata = {name: value for name, value in (found.get("metadata") or {}).items() if name != "managedFields"}
    return {**found, "metadata": {"namespace": "", "name": "", **metadata}}
