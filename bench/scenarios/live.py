"""Live: a scan of a real API server beside the bare listing of its Pods, and memory as the cluster grows."""

import json
import statistics
import sys
from dataclasses import dataclass

from bench import load, subjects
from bench.measure import Command, Series, interleaved, measure
from bench.peers.build import peers
from bench.results import MEBIBYTE, Goal, Section, Table, at_most, series_table
from bench.setting import Setting
from tests.testbed.controlplane import ControlPlane

_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class _Fleet:
    """Pods of one kind, and what is wanted of their scan: its time against the listing's, and how its memory grows."""

    unlike: bool
    caption: str
    listing: float
    growth: float


_FLEETS = (
    _Fleet(unlike=False, caption="", listing=1.5, growth=1.15),
    _Fleet(unlike=True, caption=", Pods that all differ", listing=2, growth=1.3),
)


def run(setting: Setting) -> Section:
    """Both fleets, each on a control plane of its own."""
    tables, goals, commands = [], [], []
    for fleet in _FLEETS:
        found = _measured(setting, fleet)
        tables += found[0]
        goals += found[1]
        commands += found[2]
    return Section(
        title="Live cluster",
        notes=(
            (
                f"A real kube-apiserver and etcd on the same machine, sharing its cores; {setting.pods:,} Pods with "
                f"their status, ten replicas to a workload, {setting.others(setting.pods)} Services and as many "
                "Ingresses; then as many Pods that all differ, in another one. The raw list is `bench/rawlist.py`: "
                f"Pods of all namespaces in pages of {_CHUNK} through the kubernetes package with "
                "`_preload_content=False`, the bytes dropped. The listing alone leaves out starting Python and "
                "importing the package."
            ),
        ),
        commands=tuple(commands),
        tables=tuple(tables),
        goals=tuple(goals),
    )


def _measured(setting: Setting, fleet: _Fleet) -> tuple[list[Table], list[Goal], list[str]]:
    """Fills a control plane, measures, fills it further, measures again."""
    # Without the controllers nothing deletes Pods whose ReplicaSet and node are made up.
    with ControlPlane(controllers=None) as plane:
        load.load_namespaces(plane.client)
        others = setting.others(setting.pods)
        load.load_others(plane.client, services=others, ingresses=others, seed=setting.seed)
        load.load_pods(plane.client, first=0, last=setting.pods, seed=setting.seed, unlike=fleet.unlike)
        few = _commands(setting, plane, setting.pods)
        listing: list[float] = []
        sizes: list[int] = []

        def note(command: Command) -> None:
            if command.label == _raw_label(setting.pods):
                answer = json.loads(command.output.read_text())
                listing.append(float(answer["seconds"]))
                sizes.append(int(answer["bytes"]))

        series = interleaved([(command, setting.repetitions) for command in few.values()], note)
        if setting.with_kyverno and not fleet.unlike:
            series |= interleaved([(_kyverno(setting, plane), 1)])
        load.load_pods(plane.client, first=setting.pods, last=setting.many_pods, seed=setting.seed, unlike=fleet.unlike)
        many = _commands(setting, plane, setting.many_pods)
        more = {label: Series(label=label, samples=(measure(command),)) for label, command in many.items()}
    processes = [*series.values(), *more.values()]
    row = (
        f"{setting.pods:,} Pods",
        *(f"{value:.2f}" for value in _spread(listing)),
        f"{sizes[-1] / setting.pods:,.0f}",
    )
    header = ("", "min", "median", "max", "bytes a Pod")
    tables = [
        series_table(f"Whole processes{fleet.caption}", processes, series.get(_label(setting.pods))),
        Table(caption=f"The listing alone (s){fleet.caption}", header=header, rows=(row,)),
    ]
    goals = _goals(setting, fleet, series, more, statistics.median(listing))
    return tables, goals, [command.shell() for command in few.values()]


def _label(pods: int) -> str:
    return f"aksp, {pods:,} Pods"


def _raw_label(pods: int) -> str:
    return f"raw list, {pods:,} Pods"


def _commands(setting: Setting, plane: ControlPlane, pods: int) -> dict[str, Command]:
    script = str(subjects.ROOT / "bench" / "rawlist.py")
    raw = Command(
        label=_raw_label(pods),
        argv=(sys.executable, script, str(plane.kubeconfig), str(_CHUNK)),
        output=setting.scratch / f"rawlist-{pods}.json",
    )
    commands = [raw]
    if setting.aksp:
        workspace = subjects.write_workspace(setting.scratch / "workspace-live", subjects.parameters())
        arguments = ("--cluster", "--kubeconfig", str(plane.kubeconfig))
        report = setting.scratch / f"live-{pods}.json"
        commands.append(subjects.aksp(_label(pods), setting.aksp, workspace, arguments, report))
    return {command.label: command for command in commands}


def _kyverno(setting: Setting, plane: ControlPlane) -> Command:
    arguments = ("--cluster", "--kubeconfig", str(plane.kubeconfig))
    return subjects.kyverno(f"kyverno, {setting.pods:,} Pods", peers(), arguments, setting.scratch / "live-kyverno.txt")


def _spread(values: list[float]) -> tuple[float, float, float]:
    return min(values), statistics.median(values), max(values)


def _goals(
    setting: Setting, fleet: _Fleet, series: dict[str, Series], more: dict[str, Series], listing: float
) -> list[Goal]:
    mine = series.get(_label(setting.pods))
    if not mine:
        return []
    what = f"live{fleet.caption}: "
    peak = more[_label(setting.many_pods)].peak_bytes
    raw = series[_raw_label(setting.pods)]
    alone = "wall time ÷ the listing alone, without starting Python"
    return [
        at_most(f"{what}wall time ÷ the raw list, a command each", mine.seconds / raw.seconds, 3, "×"),
        at_most(f"{what}{alone}", mine.seconds / listing, fleet.listing, "×"),
        at_most(f"{what}memory, {setting.pods:,} Pods", mine.peak_bytes / MEBIBYTE, 300, "MiB"),
        at_most(f"{what}memory, {setting.many_pods:,} Pods", peak / MEBIBYTE, 300, "MiB"),
        at_most(f"{what}memory, growth between the two", peak / mine.peak_bytes, fleet.growth, "×"),
    ]
