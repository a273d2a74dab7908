"""What ``aksp compliance`` does: plan, objects, scan, outputs, exit code."""

from __future__ import annotations

import gc
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from aksp.cli.clusters import ClusterChoice
from aksp.cli.comparison import BaselineOptions, Comparison
from aksp.cli.filters import Filters
from aksp.cli.manifests import ManifestOptions
from aksp.cli.options import ColorWhen, FailOn, ReportSource
from aksp.cli.outputs import Outputs
from aksp.cli.progress import Notes, progress_bar
from aksp.cli.remembered import shortened
from aksp.compliance.exemptions import unneeded
from aksp.compliance.plan import Plan
from aksp.compliance.selection import Selector
from aksp.engine import Engine
from aksp.errors import ExitCode, InvalidInput, KubeconfigError
from aksp.model.assignment import Assignment
from aksp.model.compliance import ComplianceState, Report, StoredFinding, Target
from aksp.model.scope import Scope
from aksp.report.interface import GroupBy, Show, Style
from aksp.scan import Scan, ScanResult
from aksp.workspace import Workspace, prepare
from aksp.workspace_folder import workspace_root

if TYPE_CHECKING:
    from aksp.kube.connection import Connection

#: Kubernetes' names of namespaces: RFC 1123 labels.
NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


class ComplianceRequest(Struct, frozen=True, kw_only=True):
    """The command line of one evaluation."""

    where: ClusterChoice
    manifests: ManifestOptions
    outputs: Sequence[str]
    source: ReportSource
    filters: Filters
    show: Show
    group_by: GroupBy
    fail_on: FailOn
    require_match: bool
    color: ColorWhen
    chunk_size: int
    quiet: bool
    workspace: str | None
    compared: BaselineOptions
    limit: int | None = None
    what_if: Assignment | None = None
    """An assignment to judge by in place of all that there are."""

    @property
    def shown(self) -> Style:
        """What the outputs show of the report."""
        return Style(show=self.show, group_by=self.group_by, limit=self.limit)

    @property
    def words(self) -> tuple[str, ...]:
        """The options that leave something out, as the command line names them."""
        return (*self.filters.words, *([f"--what-if {self.what_if.name}"] if self.what_if else []))


def judge(request: ComplianceRequest) -> tuple[ExitCode, Report]:
    """Judge, write the outputs, and give the exit code and the report."""
    try:
        return _judge(request)
    except KubeconfigError as error:
        if not request.manifests.names and request.source is ReportSource.SCAN:
            error.hint = "; or ".join(filter(None, (error.hint, "judge manifests with -f")))
        raise


def _judge(request: ComplianceRequest) -> tuple[ExitCode, Report]:
    # A report is hundreds of thousands of small objects without cycles, which the collector would
    # walk again and again; the process ends with it.
    gc.disable()
    notes, outputs = begun(request)
    if request.source is ReportSource.ADDON:
        return _last(request, outputs, notes)
    if request.source is ReportSource.GATEKEEPER:
        request = _of_gatekeeper(request)
    now = datetime.now(UTC).replace(microsecond=0)
    compliant = request.show is Show.ALL or outputs.need_compliant
    workspace = Workspace.open(request.workspace, new=request.what_if is not None)
    if request.what_if is not None:
        workspace = workspace.assuming(request.what_if)
    comparison = _comparison(request, workspace.root, notes)
    with outputs, Engine() as engine:
        outcome = (
            _manifests(request, workspace, engine, now, notes, compliant)
            if request.manifests.names
            else _cluster(request, workspace, engine, now, notes, compliant)
        )
        report = outcome.report
        # Findings that an interrupted scan did not reach would be taken for resolved.
        if not outcome.interrupted:
            report = comparison.begin(report)
        outputs.write(report, request.color, request.shown)
    for note in outcome.notes:
        notes.note(note)
    if request.source is ReportSource.GATEKEEPER:
        if not report.assignments:
            notes.note(f"Gatekeeper has no constraint in {report.target.name}")
    elif not report.assignments and request.what_if is None:
        notes.note(
            f"nothing is assigned in {workspace.root} that reaches {report.target.scope}: `aksp assign` lists what can be"
            if not request.filters.of_assignments
            else f"of what is assigned in {workspace.root} nothing that reaches {report.target.scope} is chosen by"
            f" {' '.join(request.filters.of_assignments)}"
        )
    if outcome.interrupted:
        return ExitCode.INTERRUPTED, report
    comparison.end()
    return _judged_code(request, comparison), report


def begun(request: ComplianceRequest) -> tuple[Notes, Outputs]:
    """Notes and outputs, made once the options that need no cluster are checked. Raises InvalidInput."""
    notes = Notes(quiet=request.quiet)
    outputs = Outputs.parse(request.outputs, notes)
    _check_namespaces(request.filters.namespaces)
    return notes, outputs


def _last(request: ComplianceRequest, outputs: Outputs, notes: Notes) -> tuple[ExitCode, Report]:
    """Write the outputs of the add-on's last report. Needs neither a workspace nor the engine."""
    from aksp.cli.last_report import last_report, refuse_filters

    refuse_filters(files=request.manifests.names, filters=request.filters.words, show=request.show)
    if request.compared.diff:
        raise InvalidInput(
            "--diff compares scans, and --from addon does not scan",
            hint="leave --from addon out to scan the cluster now",
        )
    # Scans of the add-on do not belong in the history of this workspace.
    comparison = _comparison(
        replace(request, compared=replace(request.compared, history=False)), workspace_root(request.workspace), notes
    )
    with outputs:
        report = last_report(request.where, notes)
        outputs.write(comparison.begin(report), request.color, request.shown)
    comparison.end()
    return _judged_code(request, comparison), report


def _judged_code(request: ComplianceRequest, comparison: Comparison) -> ExitCode:
    assert comparison.report is not None  # it is written by now
    return exit_code(request, comparison.report, comparison.new if request.compared.fail_on_new else ())


def _of_gatekeeper(request: ComplianceRequest) -> ComplianceRequest:
    """The request without history: a cluster's constraints are no assignments of the workspace. Raises InvalidInput."""
    others = {
        "-f": bool(request.manifests.names),
        "-l": bool(request.filters.selector),
        "--diff": request.compared.diff,
        **dict.fromkeys(request.filters.of_assignments, True),
    }
    for option, given in others.items():
        if given:
            raise InvalidInput(
                f"{option} does not combine with --from gatekeeper",
                hint="`aksp import gatekeeper --cluster` makes assignments of its constraints, to judge anything by",
            )
    return replace(request, compared=replace(request.compared, history=False))


def _comparison(request: ComplianceRequest, root: Path, notes: Notes) -> Comparison:
    """What this scan is compared with. Raises InvalidInput for a baseline that cannot be read."""
    comparison = Comparison(options=request.compared, workspace=root, notes=notes)
    comparison.prepare(request.filters.of_assignments)
    return comparison


def _check_namespaces(names: Sequence[str]) -> None:
    """Raise InvalidInput for what cannot be the name of a namespace: a list or a glob would silently match nothing."""
    for name in names:
        if not NAMESPACE.fullmatch(name):
            raise InvalidInput(
                f"-n {name}: no namespace has such a name", hint="give one name, and -n again for each other namespace"
            )


def _manifests(
    request: ComplianceRequest, workspace: Workspace, engine: Engine, now: datetime, notes: Notes, compliant: bool
) -> ScanResult:
    if not request.where.cluster and request.where.given:
        raise InvalidInput(
            "--context and --kubeconfig name a cluster, and -f judges manifests",
            hint="add --cluster to judge the manifests by what reaches that cluster",
        )
    if len(request.filters.namespaces) > 1:
        raise InvalidInput("-n is given more than once, and manifests can be filtered by one namespace")
    try:
        selector = Selector.parse_text(request.filters.selector) if request.filters.selector else None
    except ValueError as error:
        raise InvalidInput(f"-l: {error}") from error
    scope = Scope.cluster(request.where.name()) if request.where.cluster else None
    plan = _plan(request, workspace, engine, scope, now)
    notes.all(plan.notes)
    namespace = next(iter(request.filters.namespaces), None)
    objects = request.manifests.read(engine, workspace.root, namespace=namespace, selector=selector)
    target = request.manifests.target(scope, request.words)
    with progress_bar(notes, len(objects.files)) as progress:
        result = Scan(plan, engine, collect_compliant=compliant).run(objects, target, now, progress)
    notes.all(objects.notes)
    _tell_unneeded(request, plan, result, notes)
    return result


def _cluster(
    request: ComplianceRequest, workspace: Workspace, engine: Engine, now: datetime, notes: Notes, compliant: bool
) -> ScanResult:
    with request.where.connected(notes.note) as connection:
        target = replace(request.where.target(connection), filters=request.words)
        audits = None
        if request.source is ReportSource.GATEKEEPER:
            from aksp.gatekeeper import audits as gatekeeper
            from aksp.gatekeeper.documents import from_cluster

            audits = gatekeeper.audits(engine, from_cluster(connection), Scope(target.scope), now)
            plan = prepare(engine, audits.plan)
        else:
            plan = _plan(request, workspace, engine, Scope(target.scope), now)
        notes.all(plan.notes)
        result = judge_connected(request, connection, target, plan, engine, now, notes, compliant)
        if audits is not None:
            return replace(result, report=audits.compared(result.report, now, request.filters.namespaces))
        return result


def judge_connected(
    request: ComplianceRequest,
    connection: Connection,
    target: Target,
    plan: Plan,
    engine: Engine,
    now: datetime,
    notes: Notes,
    compliant: bool,
) -> ScanResult:
    """Judge a cluster that is connected by a plan that is prepared."""
    from aksp.sources.cluster import Cluster

    objects = Cluster(
        engine,
        connection,
        namespaces=request.filters.namespaces,
        selector=request.filters.selector,
        chunk_size=request.chunk_size,
        on_retry=lambda retry: notes.note(f"{retry.path}: {retry.reason}; trying again in {retry.seconds:.1f} s"),
        hint="-n NAMESPACE asks for one namespace alone",
    )
    with progress_bar(notes, None) as progress:
        result = Scan(plan, engine, collect_compliant=compliant).run(objects, target, now, progress)
    if request.source is not ReportSource.GATEKEEPER:
        _tell_unneeded(request, plan, result, notes)
    return result


def _plan(request: ComplianceRequest, workspace: Workspace, engine: Engine, scope: Scope | None, now: datetime) -> Plan:
    """What is judged, ready for the scan."""
    return prepare(engine, request.filters.chosen(workspace.plan(scope, now), workspace))


def _tell_unneeded(request: ComplianceRequest, plan: Plan, result: ScanResult, notes: Notes) -> None:
    """Tell which exemptions waive nothing, unless only a part of the target was judged, or there are gaps."""
    if request.filters.namespaces or request.filters.selector or result.interrupted or result.report.gaps:
        return
    here = (each for one in plan.ready if not one.not_started for each in one.exemptions)
    idle = unneeded((one for one in here if one.scope.meets(plan.target)), result.report.results)
    if idle:
        names = shortened([one.name for one in idle])
        many = len(idle) > 1
        notes.note(
            f"exemption{'s' * many} {names} waive{'s' * (not many)} nothing here: what {'they cover' if many else 'it covers'}"
            " complies, or is not there"
        )


def exit_code(request: ComplianceRequest, report: Report, new: Sequence[StoredFinding] = ()) -> ExitCode:
    """130 beats 1 beats 4 beats 0 (README.md, exit codes). ``new`` are the violations that no baseline knows."""
    if request.fail_on is not FailOn.NONE and not request.compared.write_baseline:
        enforced = report.enforced
        bad = ComplianceState.NON_COMPLIANT
        broken = (
            ((one.cluster, one.assignment) for one in new)
            if request.compared.fail_on_new
            else ((one.resource.cluster, one.assignment.name) for one in report.results if one.state is bad)
        )
        if any(request.fail_on is FailOn.ANY or line in enforced for line in broken):
            return ExitCode.NON_COMPLIANT
    judged = sum(report.counts.resources.values())
    if report.gaps or (request.require_match and not judged):
        return ExitCode.INCONCLUSIVE
    return ExitCode.OK
