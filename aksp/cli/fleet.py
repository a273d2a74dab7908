"""What ``aksp compliance`` does for several clusters: each judged by itself, some at once, and one report of all."""

from __future__ import annotations

import gc
import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from aksp import __version__
from aksp.cli.clusters import ClusterChoice
from aksp.cli.comparison import BaselineOptions, Comparison
from aksp.cli.evaluation import ComplianceRequest, begun, exit_code, judge_connected
from aksp.cli.options import CURRENT, ReportSource
from aksp.cli.progress import Notes
from aksp.cli.remembered import shortened
from aksp.compliance.fleet import ClusterOutcome, fleet_report
from aksp.compliance.nothing import NOTHING_ASSIGNED
from aksp.compliance.plan import Plan
from aksp.engine import Engine
from aksp.errors import ClusterError, ExitCode, Forbidden, InvalidInput
from aksp.kube import config, objects
from aksp.kube.connection import Connection
from aksp.kube.kubeconfig import Kubeconfig, not_found, read
from aksp.model.compliance import Gap, Report, Target, TargetKind
from aksp.model.scope import Scope
from aksp.model.scope_tree import ClusterPlace, ScopeTree
from aksp.report.interface import Show
from aksp.scan import ScanResult
from aksp.workspace import Workspace, prepare

#: Seconds between two looks for Ctrl-C.
_TICK = 0.2
#: The namespace that every cluster has, and that lives as long as the cluster.
_SYSTEM = "kube-system"
#: Reasons of gaps that are no fault of the cluster's.
_OF_WORKSPACE = ("UnknownScope", NOTHING_ASSIGNED)


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetChoice:
    """Which clusters: those that are named, those below a scope, or all."""

    clusters: Sequence[str] = ()
    scope: str | None = None
    every: bool = False
    at_once: int = 4


class _OneOfMany(Notes):
    """Notes of one cluster, by its name; it has no progress bar of its own."""

    def __init__(self, notes: Notes, name: str) -> None:
        super().__init__(quiet=True)
        self._notes, self._name = notes, name

    def note(self, text: str) -> None:
        """Print a note, unless it was printed or notes are not wanted."""
        self._notes.note(f"{self._name}: {text}")


@dataclass(kw_only=True)
class _ClusterWork:
    """One cluster to judge, and what came of it."""

    name: str
    place: ClusterPlace
    plan: Plan
    result: ScanResult | None = None
    problem: Gap | None = None
    fault: BaseException | None = None
    uid: str | None = None
    """That of the cluster's namespace kube-system, which no other cluster has; None where it is not known."""
    done: bool = field(default=False)

    def outcome(self, report: Report | None) -> ClusterOutcome:
        problem = self.problem
        if not self.done:
            problem = Gap(reason="Interrupted", message="the evaluation was interrupted before this cluster was judged")
        return ClusterOutcome(name=self.name, place=self.place, plan=self.plan, report=report, problem=problem)


def judge_clusters(request: ComplianceRequest, choice: FleetChoice) -> ExitCode:
    """Judge several clusters, write the outputs, and give the exit code. A cluster that cannot be judged is a gap."""
    gc.disable()  # as for one
    _refuse(request)
    notes, outputs = begun(request)
    outputs.refuse_one_cluster_formats()
    now = datetime.now(UTC).replace(microsecond=0)
    workspace = Workspace.open(request.workspace)
    # One baseline covers all clusters. The history has each cluster as if it was judged alone, and the percentage of all.
    whole = Comparison(options=replace(request.compared, diff=False), workspace=workspace.root, notes=notes)
    whole.prepare(request.filters.of_assignments)
    alone = BaselineOptions(history=request.compared.history, diff=request.compared.diff)
    tree = workspace.scope_tree()
    compliant = request.show is Show.ALL or outputs.need_compliant
    chosen, same = _once(_chosen(request, choice, tree), read(request.where.kubeconfig), tree)
    for name, other in same.items():
        notes.note(f"{name} and {other} are contexts of one API server: it is judged once, as {other}")
    works = [_work(request, workspace, tree, name, known, now) for name, known in chosen.items()]
    for work in works:
        _OneOfMany(notes, work.name).all(work.plan.notes)
    with outputs:
        interrupted = _judge_all(request, works, now, notes, choice.at_once, compliant=compliant)
        works = _told_apart(works, notes)
        comparisons = {
            work.name: Comparison(options=alone, workspace=workspace.root, notes=_OneOfMany(notes, work.name))
            for work in works
        }
        reports = {
            work.name: comparisons[work.name].begin(work.result.report) for work in works if work.result is not None
        }
        report = fleet_report(
            [work.outcome(reports.get(work.name)) for work in works],
            tree,
            _target(request, choice, [work.name for work in works]),
            now,
            __version__,
        )
        # What an interrupted scan did not reach would be taken for gone.
        if not interrupted:
            report = whole.begin(report)
        outputs.write(report, color=request.color, show=request.show, group_by=request.group_by, limit=request.limit)
    for work in works:
        _OneOfMany(notes, work.name).all(work.result.notes if work.result else ())
    if interrupted:
        return ExitCode.INTERRUPTED
    for name in reports:
        comparisons[name].end()
    whole.end()
    return exit_code(request, report, whole.new if request.compared.fail_on_new else ())


def _refuse(request: ComplianceRequest) -> None:
    """Raise InvalidInput for options that mean one cluster, or manifests."""
    for option, given in {
        "-f": bool(request.manifests.files),
        "--context": bool(request.where.context),
        f"--from {request.source.value}": request.source is not ReportSource.SCAN,
    }.items():
        if given:
            raise InvalidInput(
                f"{option} does not combine with several clusters", hint="run the command once for each cluster"
            )


def _chosen(request: ComplianceRequest, choice: FleetChoice, tree: ScopeTree) -> Mapping[str, bool]:
    """The clusters' names, by name, each with whether the kubeconfig knows it. Raises InvalidInput or KubeconfigError."""
    if sum((bool(choice.clusters), choice.scope is not None, choice.every)) > 1:
        raise InvalidInput(
            "--cluster, --scope and --all-clusters are three ways to say which clusters", hint="give one"
        )
    kubeconfig = read(request.where.kubeconfig)
    contexts = list(kubeconfig.contexts) if kubeconfig else []
    if choice.clusters:
        if kubeconfig is None:
            raise not_found(request.where.kubeconfig)
        found = {}
        for text in choice.clusters:
            name = (
                ClusterChoice(cluster=CURRENT, kubeconfig=request.where.kubeconfig).name() if text == CURRENT else text
            )
            entry = tree.find(name)
            name = entry.cluster if entry is not None and entry.cluster else name
            kubeconfig.context(name)
            found[name] = True
        return dict(sorted(found.items()))
    names = [one.cluster for one in tree.clusters]
    if choice.scope is not None:
        scope = _scope(choice.scope, tree)
        names = [name for name in names if scope.covers(tree.place(Scope.cluster(name)).scope)]
        if not names:
            raise InvalidInput(
                f"--scope {choice.scope}: no cluster of the scope tree lies there",
                hint="`aksp scope list` shows the tree, `aksp scope add` says where clusters lie",
            )
    names = names or sorted(contexts)
    if not names:
        raise InvalidInput(
            "--all-clusters: the scope tree has no cluster, and the kubeconfig no context", hint="see `aksp scope add`"
        )
    return {name: name in contexts for name in names}


def _once(
    names: Mapping[str, bool], kubeconfig: Kubeconfig | None, tree: ScopeTree
) -> tuple[Mapping[str, bool], Mapping[str, str]]:
    """Each cluster once; and those left out, each with the name that its API server is judged by.

    That is the one that the scope tree knows, else the first.
    """
    placed = {one.cluster for one in tree.clusters}
    kept: dict[object, str] = {}
    same: dict[str, str] = {}
    for name in sorted(names, key=lambda one: (one not in placed, one)):
        server = kubeconfig.api_server(name) if kubeconfig is not None and names[name] else None
        other = kept.setdefault(server if server is not None else name, name)
        if other != name:
            same[name] = other
    return {name: known for name, known in names.items() if name not in same}, same


def _scope(text: str, tree: ScopeTree) -> Scope:
    entry = tree.find(text)
    try:
        scope = entry.scope if entry is not None else Scope.parse(text)
    except ValueError as error:
        raise InvalidInput(f"--scope: {error}", hint="an id, or a name of `aksp scope list`") from error
    if scope.key[-2:-1] == ("namespaces",):
        raise InvalidInput(f"--scope {text} is a namespace", hint="-n NAMESPACE judges one namespace")
    return scope


def _work(
    request: ComplianceRequest, workspace: Workspace, tree: ScopeTree, name: str, known: bool, now: datetime
) -> _ClusterWork:
    """What is to be judged in one cluster. Raises InvalidInput for what is wrong with the workspace."""
    scope = Scope.cluster(name)
    work = _ClusterWork(
        name=name, place=tree.place(scope), plan=request.filters.chosen(workspace.plan(scope, now), workspace)
    )
    if not known:
        work.problem = Gap(reason="ClusterUnreachable", message=f"no kubeconfig context is called {name}")
        work.done = True
    return work


def _judge_all(
    request: ComplianceRequest,
    works: Sequence[_ClusterWork],
    now: datetime,
    notes: Notes,
    at_once: int,
    *,
    compliant: bool,
) -> bool:
    """Judge the clusters, some at once; whether that was interrupted. Raises what is no cluster's fault."""
    waiting: queue.SimpleQueue[_ClusterWork] = queue.SimpleQueue()
    todo = [work for work in works if not work.done]
    for work in todo:
        waiting.put(work)
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            try:
                work = waiting.get_nowait()
            except queue.Empty:
                return
            _judge(request, work, now, _OneOfMany(notes, work.name), compliant=compliant)

    # Daemons: an end by Ctrl-C waits for no server.
    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(at_once, len(todo)))]
    config.warm()
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(_TICK)
            if any(work.fault is not None for work in todo):
                stopped.set()
                break
    except KeyboardInterrupt:
        stopped.set()
        return True
    for work in todo:
        if work.fault is not None:
            raise work.fault
    return False


def _judge(request: ComplianceRequest, work: _ClusterWork, now: datetime, notes: Notes, *, compliant: bool) -> None:
    """Judge one cluster, in a thread and with an engine of its own. Its gap or its fault is kept."""
    where = replace(request.where, cluster=work.name)
    try:
        with Engine() as engine, where.connected(notes.note) as connection:
            target = replace(where.target(connection), filters=request.words)
            plan = prepare(engine, work.plan)
            work.result = judge_connected(request, connection, target, plan, engine, now, notes, compliant)
            work.uid = _uid(connection, work.result.report)
    except ClusterError as error:
        reason = "ClusterForbidden" if isinstance(error, Forbidden) else "ClusterUnreachable"
        work.problem = Gap(reason=reason, message=str(error))
    except BaseException as fault:  # noqa: BLE001 - it is raised again where others can handle it
        work.fault = fault
    work.done = True


def _uid(connection: Connection, report: Report) -> str | None:
    """What tells the cluster, whatever it is called. One that did not answer all is not asked any more."""
    if any(gap.reason not in _OF_WORKSPACE for gap in report.gaps):
        return None
    try:
        found = objects.get(connection, f"/api/v1/namespaces/{_SYSTEM}")
    except ClusterError:
        return None
    return str(found["metadata"]["uid"]) if found else None


def _told_apart(works: Sequence[_ClusterWork], notes: Notes) -> list[_ClusterWork]:
    """Each cluster once, though it may have been reached by several URLs; that it was is told.

    That is the one that the scope tree knows, else the first.
    """
    kept: dict[str, _ClusterWork] = {}
    found = []
    for work in sorted(works, key=lambda one: (one.place.entry is None, one.name)):
        other = kept.setdefault(work.uid or f"/{work.name}", work)
        if other is work:
            found.append(work)
        else:
            notes.note(
                f"{work.name} and {other.name} are one cluster, by the uid of {_SYSTEM}: it counts once, as {other.name}"
            )
    return sorted(found, key=lambda one: one.name)


def _target(request: ComplianceRequest, choice: FleetChoice, names: Sequence[str]) -> Target:
    scope = choice.scope if choice.scope is not None and choice.scope.startswith("/") else "/"
    return Target(kind=TargetKind.CLUSTERS, name=shortened(names), scope=scope, filters=request.words)
