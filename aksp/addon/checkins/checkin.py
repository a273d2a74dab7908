"""One check-in: what is in force is read, the cluster scanned, statuses and reports written.

It runs in a process of its own (``aksp addon check-in``), which the leader starts: a scan takes
nothing from admission, and its memory is given back. It remembers nothing; what a PolicyAssignment
has in force stands in its status.
"""

from __future__ import annotations

import gc
import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from aksp.addon.checkins import reports
from aksp.addon.checkins.status import (
    Evaluation,
    assignment_status,
    definition_status,
    exemption_status,
)
from aksp.addon.checkins.status_writer import StatusWriter
from aksp.addon.checkins.summary import AssignmentOutcome, Summary
from aksp.addon.checkins.webhook_coverage import CoverageReader, WebhookCoverage
from aksp.addon.gatekeeper.conditions import ExportCondition, GatekeeperReader
from aksp.addon.gatekeeper.wanted import WantedObjects, wanted_objects
from aksp.addon.in_force.documents import Seen, conditions_of
from aksp.addon.in_force.policies import InForce, Standing, stand
from aksp.addon.in_force.problems import Reason, sentence
from aksp.addon.names import ASSIGNMENTS, DEFINITIONS, EXEMPTIONS, INITIATIVES, collection, left_out
from aksp.compliance.plan import Ready
from aksp.engine import Engine
from aksp.errors import AkspError, ClusterError, ExitCode
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.errors import NotServed
from aksp.model.compliance import ComplianceState, Gap, Report, Target, TargetKind
from aksp.model.definition import ResourceKind
from aksp.model.fields import status_of
from aksp.model.scope import Scope
from aksp.report.figures import plural
from aksp.scan import Scan
from aksp.sources.cluster import Cluster
from aksp.sources.interface import NAMESPACE, ObjectSource
from aksp.store.cluster import PLURALS


def check_in(
    connection: Connection,
    engine: Engine,
    *,
    cluster_name: str,
    namespace: str,
    now: datetime,
    gatekeeper: bool = False,
    exclude_namespaces: Sequence[str] = (),
    source: ObjectSource | None = None,
    publish: Callable[..., Sequence[str]] = reports.publish,
    clock: Callable[[], float] = time.monotonic,
) -> Summary:
    """Read, scan, write. ``namespace`` is where the add-on runs, ``now`` when the evaluation is said to be made.
    ``gatekeeper``: Gatekeeper refuses, and not the add-on's own webhook, but not in ``exclude_namespaces``.

    Raises ClusterError when the custom resources cannot be read. A scan that fails is told in the
    summary, and in the statuses, whose states stay.
    """
    began = clock()
    evaluation = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    documents = {plural: _listed(connection, plural) for plural in (DEFINITIONS, INITIATIVES, ASSIGNMENTS, EXEMPTIONS)}
    scope = Scope.cluster(cluster_name)
    standing = stand(
        engine,
        definitions=list(documents[DEFINITIONS].values()),
        initiatives=list(documents[INITIATIVES].values()),
        assignments=list(documents[ASSIGNMENTS].values()),
        exemptions=list(documents[EXEMPTIONS].values()),
        cluster=scope,
        now=now,
    )
    writing = _Writing(
        connection,
        documents,
        now,
        wanted_objects(engine, standing, left_out(namespace, exclude_namespaces)) if gatekeeper else None,
    )
    writing.before_the_scan(standing)

    target = Target(kind=TargetKind.CLUSTER, name=cluster_name, scope=str(scope), server=connection.server)
    failure, report, notes = "", None, list(standing.plan.notes)
    failed: Mapping[ResourceKind, Sequence[str]] = {}
    try:
        outcome = Scan(standing.plan, engine).run(source or Cluster(engine, connection), target, now)
        if outcome.interrupted:
            raise KeyboardInterrupt
        report = replace(outcome.report, gaps=[*_policy_gaps(standing), *outcome.report.gaps])
        notes, failed = [*notes, *outcome.notes], outcome.failed
    except AkspError as error:
        failure = f"nothing could be scanned: {sentence(error)}"

    found = _evaluations(standing, report, failed, now, failure)
    outcomes = writing.after_the_scan(standing, found)
    problems = writing.statuses.problems
    if report is not None:
        problems += publish(connection, report, namespace=namespace, evaluation=evaluation)
    results = _result_counts(report)
    return Summary(
        evaluation=evaluation,
        started_at=now,
        seconds=clock() - began,
        assignments=[replace(one, violations=results[one.name, ComplianceState.NON_COMPLIANT]) for one in outcomes],
        violations=sum(count for (_, state), count in results.items() if state is ComplianceState.NON_COMPLIANT),
        gaps=len(report.gaps) if report else 0,
        policy_errors={
            name: count for (name, state), count in sorted(results.items()) if state is ComplianceState.ERROR
        },
        problems=problems,
        notes=notes,
        failure=failure,
    )


def run_check_in(
    *,
    kubeconfig: str | None,
    context: str | None,
    cluster_name: str | None = None,
    namespace: str,
    gatekeeper: bool = False,
    exclude_namespaces: Sequence[str] = (),
) -> ExitCode:
    """Connect, check in, and print the summary as one line of JSON. Raises AkspError.

    The exit code is CLUSTER when nothing could be scanned, else OK: states are no failure here.
    """
    from aksp.kube.config import connect

    # As in `aksp compliance`: hundreds of thousands of small objects without cycles.
    gc.disable()
    now = datetime.now(UTC).replace(microsecond=0)
    with connect(context, kubeconfig) as connection, Engine() as engine:
        summary = check_in(
            connection,
            engine,
            cluster_name=cluster_name or connection.name,
            namespace=namespace,
            now=now,
            gatekeeper=gatekeeper,
            exclude_namespaces=exclude_namespaces,
        )
    sys.stdout.write(json.dumps(summary.to_json(), ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()
    return ExitCode.CLUSTER if summary.failure else ExitCode.OK


class _Writing:
    """The statuses of one check-in."""

    def __init__(
        self,
        connection: Connection,
        documents: Mapping[str, dict[str, Mapping[str, Any]]],
        now: datetime,
        wanted: WantedObjects | None,
    ) -> None:
        self._connection = connection
        self._wanted = wanted
        self.statuses = StatusWriter(connection)
        self._documents = documents
        self._now = now

    def before_the_scan(self, standing: Standing) -> None:
        """Write the statuses that need no scan first: errors, and that a change was applied."""
        for one in standing.definitions:
            document = self._documents[PLURALS[one.kind]][one.name]
            self.statuses.write(PLURALS[one.kind], document, definition_status(one, document, self._now))
        for other in standing.exemptions:
            document = self._documents[EXEMPTIONS][other.name]
            self.statuses.write(EXEMPTIONS, document, exemption_status(other, document, self._now))
        seen = self._look()
        for assignment in standing.assignments:
            document = self._documents[ASSIGNMENTS][assignment.name]
            # Unknown: only the watch that first saw it has looked at it, and no check-in.
            looked_at = conditions_of(document).get("Applied", {"status": "Unknown"}).get("status") != "Unknown"
            if status_of(document).get("observedGeneration") != assignment.generation or not looked_at:
                asked, exported = seen(assignment)
                status = assignment_status(assignment, document, self._now, asked=asked, exported=exported)
                self._documents[ASSIGNMENTS][assignment.name] = self.statuses.write(ASSIGNMENTS, document, status)

    def after_the_scan(self, standing: Standing, found: Mapping[str, Evaluation]) -> list[AssignmentOutcome]:
        """What became of each assignment. The webhook's rules may have been written during the scan."""
        seen = self._look()
        return [self._assignment(one, found[one.name], *seen(one)) for one in standing.assignments]

    def _look(self) -> Callable[[InForce], tuple[WebhookCoverage, ExportCondition | None]]:
        """What the API server, or Gatekeeper, has of each assignment at this moment."""
        if self._wanted is None:
            questions = CoverageReader(self._connection)
            return lambda one: (_asked(questions, one), None)
        reader = GatekeeperReader(self._connection, self._wanted, self._now)
        return lambda one: (WebhookCoverage.YES, reader.about(one.name) if one.judged is not None else None)

    def _assignment(
        self, one: InForce, evaluation: Evaluation, asked: WebhookCoverage, exported: ExportCondition | None
    ) -> AssignmentOutcome:
        document = self._documents[ASSIGNMENTS][one.name]
        status = assignment_status(one, document, self._now, evaluation=evaluation, asked=asked, exported=exported)
        self.statuses.write(ASSIGNMENTS, document, status)
        return AssignmentOutcome(
            name=one.name,
            state=status["state"],
            effect=status.get("effect"),
            generation=one.generation,
            applied_generation=one.applied_generation,
            applied=one.problem is None,
            compliance_percent=status.get("compliancePercent"),
            counts=status.get("counts"),
            violations=0,
            errors=[*([one.problem] if one.problem else []), *evaluation.errors],
        )


def _listed(connection: Connection, plural: str) -> dict[str, Mapping[str, Any]]:
    """The custom resources of a kind by name."""
    try:
        found = objects.list_all(connection, collection(plural))
    except NotServed as error:
        raise ClusterError(
            f"this cluster has no {plural}: the add-on is not enabled",
            where=connection.server,
            hint="`aksp addon enable` installs them",
        ) from error
    return {Seen.of(document).name: document for document in found}


def _asked(questions: CoverageReader, one: InForce) -> WebhookCoverage:
    """Whether the API server asks about all that it refuses; YES for one that refuses nothing."""
    refusing = [ready for ready in one.ready if ready.refuses]
    return questions.about(refusing) if refusing else WebhookCoverage.YES


def _policy_gaps(standing: Standing) -> list[Gap]:
    """A gap for every document that is not in force as it stands: nothing was judged by what it says now."""
    gaps = [
        Gap(
            reason=str(one.reason or Reason.INVALID_DEFINITION),
            message=f"assignment {one.name}: {one.problem or one.note}",
        )
        for one in standing.assignments
        if (one.problem or one.note) and one.reason is not Reason.NOT_IN_SCOPE
    ]
    return gaps + [
        Gap(reason="InvalidExemption", message=one.problem)
        for one in standing.exemptions
        if one.problem and one.reason is Reason.INVALID
    ]


def _result_counts(report: Report | None) -> Counter[tuple[str, ComplianceState]]:
    """How many results there are by assignment and state."""
    return Counter((result.assignment.assignment, result.state) for result in report.results) if report else Counter()


def _needed(ready: Ready) -> tuple[ResourceKind, ...]:
    """The kinds that an assignment is about, compares with, or asks for labels."""
    selecting = () if ready.selection.namespace_selector.empty else (NAMESPACE,)
    return (*ready.selection.kinds, *ready.definition.requires_inventory, *selecting)


def _evaluations(
    standing: Standing,
    report: Report | None,
    failed: Mapping[ResourceKind, Sequence[str]],
    now: datetime,
    failure: str,
) -> dict[str, Evaluation]:
    """What the scan found, by assignment."""
    if report is None:
        return {one.name: Evaluation(at=now, failure=failure) for one in standing.assignments}
    summaries = {summary.name: summary for summary in report.assignments}
    faults: dict[str, Counter[str]] = {}
    for result in report.results:
        if result.state is ComplianceState.ERROR:
            faults.setdefault(result.assignment.assignment, Counter())[result.finding.message] += 1
    found = {}
    for one in standing.assignments:
        errors: list[str] = []
        if one.judges:
            needed = {kind for ready in one.ready if ready.effect.judges for kind in _needed(ready)}
            errors += [
                message
                for kind, messages in failed.items()
                if any(own.covers(kind.group, kind.kind) for own in needed)
                for message in messages
            ]
            errors += [
                f"{message} ({plural(count, 'resource')})"
                for message, count in sorted(faults.get(one.name, Counter()).items())
            ]
        found[one.name] = Evaluation(at=now, summary=summaries.get(one.name), errors=errors)
    return found
