"""What a check-in found, as objects in the cluster: written by the add-on, read by `aksp compliance --from addon`.

The whole report is the JSON of `aksp compliance -o json`, gzipped, in ComplianceReports `latest-0`, `latest-1`, …::

    kubectl get compliancereport latest-0 -o jsonpath={.spec.data} | base64 -d | gunzip

Beside it stand PolicyReports, where a cluster serves them, for the tools that read those.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from aksp.addon import names
from aksp.compliance.changes import unlisted
from aksp.errors import AkspError, ClusterError, InvalidInput
from aksp.kube import errors, objects
from aksp.kube.connection import Connection
from aksp.kube.kinds import Kind, list_path, refuse_other_servers
from aksp.model.assignment import API_VERSION
from aksp.model.compliance import ComplianceState, Report
from aksp.model.json_text import decode
from aksp.model.times import rfc3339
from aksp.report import wire
from aksp.report.figures import plural
from aksp.report.formats.json import render_json
from aksp.report.formats.policyreport import OPEN_REPORTS, POLICY_REPORTS, Kinds, policy_reports
from aksp.report.interface import Show, Style
from aksp.report.parse import report_from

ENCODING: Final = "gzip+base64"
PART_BYTES: Final = 675_000
"""Of one part, before base64 makes 900,000 of it: etcd takes 1.5 MiB in all."""
LARGEST_REPORT_BYTES: Final = 1 << 30
"""What a reader unpacks at most: some bytes in a cluster must not fill the memory of whoever looks at them."""
MOST_PARTS: Final = 1000
TRIES: Final = 5
"""How often a reader looks for parts that belong together, while the add-on may be writing them."""
PAUSE_SECONDS: Final = 1.0
_ERROR: Final = ComplianceState.ERROR
DAMAGED: Final = "it is written anew at the next check-in; without --from addon the cluster is scanned now"
WRITTEN_BY: Final = f"{names.GROUP}/written-by"
"""The annotation that tells, as namespace/name, which add-on wrote a report."""


def publish(connection: Connection, report: Report, *, evaluation: str, namespace: str) -> list[str]:
    """Write the report. What could not be written, a sentence each; a cluster's errors are not raised.

    ``evaluation`` is the id of this check-in, ``namespace`` where the add-on runs.
    """
    return [
        *_store(connection, report, evaluation, namespace),
        *_tell(connection, report),
    ]


def read_report(connection: Connection, *, sleep: Callable[[float], None] = time.sleep) -> tuple[Report, datetime]:
    """The add-on's last report, and when it was made.

    Raises ClusterError: the add-on is not enabled or has not checked in, the parts do not belong together, or what the
    API server says; InvalidInput for a report of another version.
    """
    for attempt in range(1, TRIES + 1):
        data = _packed(connection)
        if data is not None:
            break
        if attempt < TRIES:
            sleep(PAUSE_SECONDS)
    else:
        raise ClusterError(
            "the parts of the add-on's report do not belong together: it is being written, or was written by half",
            where=connection.server + _path(0),
            hint="try again after its next check-in; `aksp addon status` tells what it writes",
        )
    try:
        report = report_from(_unpacked(data))
    except InvalidInput as error:
        error.where = connection.server + _path(0)
        error.hint = error.hint or DAMAGED
        raise
    except (binascii.Error, OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise ClusterError(
            f"the add-on's report is damaged: {error}",
            where=connection.server + _path(0),
            hint=DAMAGED,
        ) from error
    # Exit codes go by what is listed: violations, and what could not be judged, must not be lost with it.
    lost = None
    if missing := unlisted(report):
        lost = f"counts {plural(missing, 'resource')} that do not comply, and does not list them"
    elif not report.gaps and any(one.state is _ERROR or one.counts.resources[_ERROR] for one in report.lines):
        lost = "has assignments in error, and no gap"
    if lost is not None:
        raise ClusterError(
            f"the add-on's report is damaged: it {lost}", where=connection.server + _path(0), hint=DAMAGED
        )
    return report, report.evaluated_at


def _store(connection: Connection, report: Report, evaluation: str, namespace: str) -> list[str]:
    """Write the ComplianceReports, the first one last: by it readers know which parts belong together."""
    data = _pack(report)
    slices = [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)]
    for part in reversed(range(len(slices))):
        document = {
            "apiVersion": API_VERSION,
            "kind": "ComplianceReport",
            "metadata": {
                "name": f"latest-{part}",
                "labels": dict(names.MANAGED_BY),
                "annotations": {WRITTEN_BY: f"{namespace}/{names.NAME}"},
            },
            "spec": {
                "evaluatedAt": rfc3339(report.evaluated_at),
                "evaluation": evaluation,
                "part": part,
                "parts": len(slices),
                "encoding": ENCODING,
                "data": base64.b64encode(slices[part]).decode("ascii"),
            },
        }
        try:
            objects.apply(connection, _path(part), document, manager=names.FIELD_MANAGER)
        except ClusterError as error:
            # Without all its parts the new report is of no use, and the old first part says so to readers.
            return [f"ComplianceReport latest-{part} could not be written: {error}"]
    superseded = len(slices)
    try:
        while objects.delete(connection, _path(superseded)):
            superseded += 1
    except ClusterError as error:
        return [f"ComplianceReport latest-{superseded}, which is superseded, could not be deleted: {error}"]
    return []


def _tell(connection: Connection, report: Report) -> list[str]:
    """Write PolicyReports, else OpenReports, where either is served; neither is not a problem."""
    try:
        for kinds in (POLICY_REPORTS, OPEN_REPORTS):
            if served := _served(connection, kinds):
                return list(_write(connection, report, kinds, *served))
    except errors.Unreachable as error:
        return [f"PolicyReports could not be written: {error}"]
    except ClusterError as error:
        return [f"whether the cluster serves PolicyReports could not be asked: {error}"]
    return []


def _served(connection: Connection, kinds: Kinds) -> tuple[Kind, Kind] | None:
    """The two kinds as the cluster serves them; None when it does not serve this version of both."""
    listed = objects.get(connection, f"/apis/{kinds.group}/{kinds.version}")
    plurals = {each.get("kind"): each.get("name") for each in (listed or {}).get("resources") or ()}

    def kind(name: str, *, namespaced: bool) -> Kind:
        return Kind(
            group=kinds.group, version=kinds.version, kind=name, plural=str(plurals[name]), namespaced=namespaced
        )

    if not {kinds.namespaced, kinds.cluster} <= plurals.keys():
        return None
    return kind(kinds.namespaced, namespaced=True), kind(kinds.cluster, namespaced=False)


def _write(connection: Connection, report: Report, kinds: Kinds, namespaced: Kind, cluster: Kind) -> Iterator[str]:
    """Apply what differs from what is there, and delete those of ours that are no longer needed.

    Yields what failed. Raises Unreachable, since the others would wait as long for the same.
    """
    there: dict[str, Mapping[str, Any]] = {}
    for kind in (namespaced, cluster):
        try:
            found = objects.list_all(connection, list_path(kind), label_selector=names.OURS)
        except errors.Unreachable:
            raise
        except ClusterError as error:
            yield f"the {kind.kind}s that are there could not be listed, so old ones stay: {error}"
            continue
        there |= {_place(kind, each): each for each in found}
    wanted: set[str] = set()
    for document in policy_reports(report, wire.shown(report, Show.NON_COMPLIANT), kinds):
        kind = namespaced if document["kind"] == namespaced.kind else cluster
        place = _place(kind, document)
        wanted.add(place)
        if place in there and _without_times(there[place]) == _without_times(document):
            continue
        try:
            objects.apply(connection, place, document, manager=names.FIELD_MANAGER)
        except errors.Unreachable:
            raise
        except ClusterError as error:
            yield f"{document['kind']} {_called(document)} could not be written: {error}"
    for place in there.keys() - wanted:
        try:
            objects.delete(connection, place)
        except errors.Unreachable:
            raise
        except ClusterError as error:
            old = there[place]
            yield f"{old.get('kind')} {_called(old)}, which is superseded, could not be deleted: {error}"


def _without_times(document: Mapping[str, Any]) -> list[Any]:
    """What makes two objects say the same. A result keeps the time at which it was first found."""
    results: Iterable[Mapping[str, Any]] = document.get("results") or ()
    found = [{name: value for name, value in each.items() if name != "timestamp"} for each in results]
    return [document.get("source"), document.get("scope"), document.get("summary"), found]


def _place(kind: Kind, document: Mapping[str, Any]) -> str:
    return objects.object_path_of(kind, document["metadata"]["name"], document["metadata"].get("namespace"))


def _called(document: Mapping[str, Any]) -> str:
    metadata = document["metadata"]
    return "/".join(metadata[name] for name in ("namespace", "name") if metadata.get(name))


def _path(part: int) -> str:
    return f"{names.collection(names.REPORTS)}/latest-{part}"


def _pack(report: Report) -> bytes:
    """The JSON, gzipped as it is made. The same report gives the same bytes."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6, mtime=0) as compressor,
        io.TextIOWrapper(compressor, encoding="utf-8", newline="") as text,
    ):
        render_json(report, text, Style(show=Show.NON_COMPLIANT))
    return packed.getvalue()


def _unpacked(data: bytes) -> dict[str, Any]:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as compressed:
        text = compressed.read(LARGEST_REPORT_BYTES + 1)
    if len(text) > LARGEST_REPORT_BYTES:
        raise ValueError(f"it unpacks to more than {LARGEST_REPORT_BYTES >> 20} MiB")
    document = decode(text.decode())
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")
    return document


def _packed(connection: Connection) -> bytes | None:
    """The parts put together; None when they are not of one evaluation. Raises ClusterError, InvalidInput."""
    first = objects.get(connection, _path(0))
    if first is None:
        raise _missing(connection)
    head = _spec(connection, first, 0)
    specs = [head]
    for part in range(1, head["parts"]):
        document = objects.get(connection, _path(part))
        if document is None:
            return None
        specs.append(_spec(connection, document, part))
    if any((spec["evaluation"], spec["part"]) != (head["evaluation"], at) for at, spec in enumerate(specs)):
        return None
    try:
        return b"".join(base64.b64decode(spec["data"], validate=True) for spec in specs)
    except ValueError as error:
        raise ClusterError(f"the add-on's report is damaged: {error}", where=connection.server + _path(0)) from error


def _spec(connection: Connection, document: Mapping[str, Any], part: int) -> Mapping[str, Any]:
    spec = document.get("spec")
    where = connection.server + _path(part)
    if not isinstance(spec, Mapping) or spec.get("encoding") != ENCODING:
        encoding = spec.get("encoding") if isinstance(spec, Mapping) else None
        raise InvalidInput(
            f"spec.encoding {encoding!r} is not {ENCODING}",
            where=where,
            hint="the add-on may be of another version than this aksp",
        )
    for name, kind in (("evaluation", str), ("data", str), ("part", int), ("parts", int)):
        if not isinstance(spec.get(name), kind):
            raise InvalidInput(f"spec.{name} is missing or of the wrong type", where=where)
    if not 1 <= spec["parts"] <= MOST_PARTS:
        raise InvalidInput(f"spec.parts is {spec['parts']}, not 1 to {MOST_PARTS}", where=where)
    return spec


def _missing(connection: Connection) -> AkspError:
    """Why there is no report: the add-on was never enabled, or has not checked in."""
    listed = objects.get(connection, names.API) or {}
    if not listed:
        refuse_other_servers(connection)
    if names.REPORTS not in [each.get("name") for each in listed.get("resources") or ()]:
        return ClusterError(
            "the add-on is not enabled in this cluster",
            where=connection.server,
            hint="enable it with `aksp addon enable`; without --from addon the cluster is scanned now",
        )
    return ClusterError(
        "the add-on has no report yet: it has not checked in since it was enabled",
        where=connection.server,
        hint="`aksp addon status` tells how it is; without --from addon the cluster is scanned now",
    )
