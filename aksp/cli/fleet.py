"""What ``aksp compliance`` does for several clusters: each judged by itself, some at once, and one report of all."""

from __future__ import annotations

import gc
import queue
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct, field
from msgspec.structs import replace

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
from aksp.kube.connection import Connection
from aksp.kube.fetch import get_json
from aksp.kube.kubeconfig import Kubeconfig, not_found, read
from aksp.model.compliance import ComplianceState, Gap, Report, Target, TargetKind
from aksp.model.json_text import encode
from aksp.model.resource import Resource
from aksp.model.scope import Scope
from aksp.model.scope_tree import ClusterPlace, ScopeTree
from aksp.report.interface import Show
from aksp.scan import ScanResult
from aksp.workspace import Workspace, prepare

#: Seconds between two looks for Ctrl-C.
_TICK = 0.2


class FleetChoice(Struct, frozen=True, kw_only=True):
    """Which clusters: those that are named, those below a scope, or all."""

    clusters: Sequence[str] = ()
    scope: str | None = None
    every: bool = False
    at_once: int = 4


class _OneOfMany(Notes):
    """Notes of one cluster, each with its name; without a progress bar."""

    def __init__(self, notes: Notes, name: str) -> None:
        super().__init__(quiet=True)
        self._notes, self._name = notes, name

    def note(self, text: str) -> None:
        """Print a note, unless it was printed or notes are not wanted."""
        self._notes.note(f"{self._name}: {text}")


class _ClusterWork(Struct, kw_only=True):
    """One cluster to judge, and what came of it."""

    name: str
    place: ClusterPlace
    plan: Plan
    result: ScanResult | None = None
    problem: Gap | None = None
    fault: BaseException | None = None
    done: bool = field(default=False)
    uid: str = ""
    same: str = ""
    """The name by which this cluster is judged; empty where it is this one."""

    def stands_for(self, other: _ClusterWork) -> bool:
        """Whether this is the same cluster as another, judged without a gap and by all that is assigned there."""
        if self.result is None or self.result.interrupted:
            return False
        whole = all(gap.reason == NOTHING_ASSIGNED for gap in self.result.report.gaps)
        return whole and self.uid == other.uid and _covers(self.plan, other.plan)

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
    # One baseline is for all clusters. The history has each cluster as if it was judged alone, and the percentage of all.
    whole = Comparison(options=replace(request.compared, diff=False), workspace=workspace.root, notes=notes)
    whole.prepare(request.filters.of_assignments)
    alone = BaselineOptions(history=request.compared.history, diff=request.compared.diff)
    tree = workspace.scope_tree()
    compliant = request.show is Show.ALL or outputs.need_compliant
    works = [
        _work(request, workspace, tree, name, known, now) for name, known in _chosen(request, choice, tree).items()
    ]
    groups = _together(works, read(request.where.kubeconfig), tree)
    for work in works:
        if not work.same:
            _OneOfMany(notes, work.name).all(work.plan.notes)
    with outputs:
        interrupted = _judge_all(request, groups, now, notes, choice.at_once, compliant=compliant)
        # One cluster may have several URLs, which only its uid tells.
        judged = [work for group in groups for work in group]
        for at, work in enumerate(judged):
            work.same = work.same or _same(work, judged[:at])
        same = {work.name: work.same for work in works if work.same}
        for name, other in same.items():
            # The one that stood for it may itself have been another.
            kept = same.get(other, other)
            notes.note(f"{name} and {kept} are contexts of one cluster: it counts once, as {kept}")
        works = [work for work in works if not work.same]
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
        outputs.write(report, request.color, request.shown)
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


def _together(
    works: Sequence[_ClusterWork], kubeconfig: Kubeconfig | None, tree: ScopeTree
) -> Sequence[Sequence[_ClusterWork]]:
    """The clusters to judge, in groups that may be one cluster, since their contexts name the same API server.

    In a group the one that the scope tree knows is first. Contexts that also have the same user are one cluster.
    """
    placed = {one.cluster for one in tree.clusters}
    groups: dict[object, list[_ClusterWork]] = {}
    for work in sorted(works, key=lambda one: (one.name not in placed, one.name)):
        if work.done or kubeconfig is None:
            continue
        group = groups.setdefault(kubeconfig.api_server(work.name) or work.name, [])
        user = kubeconfig.contexts[work.name].value.get("user")
        alike = (one for one in group if kubeconfig.contexts[one.name].value.get("user") == user)
        work.same = next((one.name for one in alike if _covers(one.plan, work.plan)), "")
        if not work.same:
            group.append(work)
    return list(groups.values())


def _covers(plan: Plan, other: Plan) -> bool:
    """Whether all that is known to be assigned by one context's name is assigned by another's."""

    def assigned(one: Plan) -> set[tuple[str, str]]:
        judged = {(each.key.name, encode([each.effect, each.values])) for each in (*one.ready, *one.disabled)}
        return judged | {(each.assignment.full_name, each.problem) for each in one.broken if not each.unplaced}

    return assigned(other) <= assigned(plan)


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
    groups: Sequence[Sequence[_ClusterWork]],
    now: datetime,
    notes: Notes,
    at_once: int,
    *,
    compliant: bool,
) -> bool:
    """Judge the clusters, several at a time. Returns whether that was interrupted. Raises errors that are not of one cluster."""
    waiting: queue.SimpleQueue[Sequence[_ClusterWork]] = queue.SimpleQueue()
    todo = [work for group in groups for work in group]
    for group in groups:
        waiting.put(group)
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            try:
                group = waiting.get_nowait()
            except queue.Empty:
                return
            # One after the other, so that which of them is judged does not depend on who answers first.
            for at, work in enumerate(group):
                if not stopped.is_set():
                    _judge(request, work, group[:at], now, _OneOfMany(notes, work.name), compliant=compliant)

    # Daemons, so that an end by Ctrl-C does not wait for servers.
    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(at_once, len(groups)))]
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


def _judge(
    request: ComplianceRequest,
    work: _ClusterWork,
    before: Sequence[_ClusterWork],
    now: datetime,
    notes: Notes,
    *,
    compliant: bool,
) -> None:
    """Judge one cluster, in a thread and with an engine of its own. Its gap or its error is kept.

    It is not judged if it is the same cluster as one ``before`` it, of the same server, that was judged whole.
    """
    where = replace(request.where, cluster=work.name)
    try:
        with Engine() as engine, where.connected(notes.note) as connection:
            work.uid = _uid(connection)
            work.same = _same(work, before)
            if work.same:
                work.done = True
                return
            target = replace(where.target(connection), filters=request.words)
            plan = prepare(engine, work.plan)
            work.result = judge_connected(request, connection, target, plan, engine, now, notes, compliant)
    except ClusterError as error:
        reason = "ClusterForbidden" if isinstance(error, Forbidden) else "ClusterUnreachable"
        work.problem = Gap(reason=reason, message=str(error))
    except BaseException as fault:  # noqa: BLE001 - it is raised again where others can handle it
        work.fault = fault
    work.done = True


def _same(work: _ClusterWork, before: Sequence[_ClusterWork]) -> str:
    """The name of the one before it that is the same cluster and was judged whole; empty where there is none.

    A cluster that was restored elsewhere has the uid of the first: where both were judged, one with findings of its own is
    another cluster.
    """
    alike = (one for one in before if work.uid and not one.same and one.stands_for(work))
    return next((one.name for one in alike if _found(work) <= _found(one)), "")


def _found(work: _ClusterWork) -> set[tuple[Resource, str, ComplianceState]]:
    results = work.result.report.results if work.result is not None else ()
    return {(one.resource, one.assignment.name, one.state) for one in results}


def _uid(connection: Connection) -> str:
    """What tells a cluster from all others, as one URL may lead to several; empty where this user is not told it."""
    try:
        return str(get_json(connection, "/api/v1/namespaces/kube-system").get("metadata", {}).get("uid") or "")
    except ClusterError:
        return ""


def _target(request: ComplianceRequest, choice: FleetChoice, names: Sequence[str]) -> Target:
    scope = choice.scope if choice.scope is not None and choice.scope.startswith("/") else "/"
    return Target(kind=TargetKind.CLUSTERS, name=shortened(names), scope=scope, filters=request.words)
