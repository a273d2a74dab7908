"""How check-ins end, written where `aksp addon status` finds it also when nothing else could be: the Lease's annotations.

Statuses of assignments tell when they were judged. They cannot tell that a check-in broke off, or could not write them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct, structs

from aksp.addon.names import GROUP, LEASE
from aksp.errors import ClusterError
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.fetch import Backoff
from aksp.model.times import rfc3339
from aksp.report.text import clipped

LAST = f"{GROUP}/last-check-in"
"""When the last one ended that could judge and write everything."""
FAILED = f"{GROUP}/failed-check-in"
"""JSON of a Failure; absent when the last one did not fail."""
LONGEST = 1024

_log = logging.getLogger("aksp.addon.checkins.leader")


class Failure(Struct, frozen=True, kw_only=True):
    """Check-ins that failed one after the other: the first one's time, the last one's, how many, and the last cause. JSON has it so."""

    since: str
    last: str
    times: int
    cause: str


class CheckInRecord:
    """Keeps the annotations; called by whoever leads, after each check-in."""

    def __init__(
        self, connection: Connection, namespace: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._connection = connection
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{LEASE}"
        self._now = now
        self._failure: Failure | None = None

    def take(self, summary: Mapping[str, Any]) -> None:
        """Write how this one ended. What cannot be written is logged: the next one writes it."""
        time = rfc3339(self._now())
        if cause := cause_of(summary):
            before = self._failure
            self._failure = Failure(
                since=before.since if before else time, last=time, times=before.times + 1 if before else 1, cause=cause
            )
            told: dict[str, str | None] = {FAILED: json.dumps(structs.asdict(self._failure), ensure_ascii=False)}
        else:
            self._failure = None
            told = {LAST: time, FAILED: None}
        try:
            patch = {"metadata": {"annotations": told}}
            objects.merge_patch(self._connection, self._path, patch, backoff=Backoff(tries=1))
        except ClusterError as error:
            _log.warning("how the check-in ended cannot be written: %s", error)


def cause_of(summary: Mapping[str, Any]) -> str:
    """Why a check-in failed, or what it could not write; empty when all went well."""
    cause = str(summary.get("failure") or "")
    if not cause and summary.get("failed"):
        cause = "it ended without a word"
    problems = summary.get("problems") or ()
    if not cause and problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        cause = f"not everything could be written: {problems[0]}{more}"
    return clipped(cause, LONGEST)


def read(lease: Mapping[str, Any] | None) -> tuple[str | None, Failure | None]:
    """When the last good one ended, and the failure since; None where there was none."""
    annotations = ((lease or {}).get("metadata") or {}).get("annotations") or {}
    try:
        failure = msgspec.json.decode(annotations.get(FAILED) or "null", type=Failure | None)
    except (msgspec.DecodeError, TypeError, ValueError):
        failure = None
    return annotations.get(LAST), failure
