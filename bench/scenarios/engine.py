"""Engine: how fast it evaluates, what a second core adds, and how time grows with Pods and with policies."""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import subjects
from bench.measure import Command, Series, interleaved
from bench.results import Goal, Section, Table, at_most, ratio, series_table
from bench.setting import Setting

_RATE, _UNLIKE_RATE = 150_000, 60_000
_LINEAR = 1.25
_THREE, _FIVE, _ALL = "the first three", "these five", "all nine"
_UNLIKE = "all nine, Pods that all differ"


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What bench/evaluate.py says about a run: seconds, evaluations, findings."""

    loading: float
    judging: float
    evaluations: int
    findings: int


def run(setting: Setting) -> Section:
    """Measures aksp alone; an empty section when it is not there."""
    if not setting.aksp:
        return Section(title="Engine", notes=("aksp is not installed beside this interpreter: not measured.",))
    policies = tuple(subjects.parameters())
    sets: dict[str, tuple[str, ...]] = {slug: (slug,) for slug in subjects.POD_POLICIES}
    sets |= {_THREE: policies[:3], _FIVE: subjects.POD_POLICIES, _ALL: policies}
    alone = {name: _evaluate(setting, name, slugs, processors=1) for name, slugs in sets.items()}
    alone[_UNLIKE] = _evaluate(setting, _UNLIKE, policies, processors=1, unlike=True)
    two = _evaluate(setting, f"{_ALL}, two cores", policies, processors=2)
    runs: dict[str, list[_Run]] = {}

    def note(command: Command) -> None:
        runs.setdefault(command.label, []).append(_Run(**json.loads(command.output.read_text())))

    interleaved([(command, setting.repetitions) for command in (*alone.values(), two)], note)
    sizes = (setting.pods // 2, setting.pods, 2 * setting.pods)
    scans = {size: _scan(setting, policies, size) for size in sizes}
    series = interleaved([(command, setting.repetitions) for command in scans.values()])
    by_size = {size: series[command.label] for size, command in scans.items()}
    return Section(
        title="Engine",
        notes=(
            (
                f"{setting.pods:,} Pods, {setting.others(setting.pods)} Services and as many Ingresses, in pages of "
                "500 as an API server sends them, through the engine's client (`bench/evaluate.py`). An evaluation is "
                "an object and a policy that applies to its kind. Judging includes the way of the answers back to "
                "Python; loading is the parsing. `AKSP_ENGINE_PROCS` sets the cores that the engine uses."
            ),
        ),
        commands=(alone[_ALL].shell(), scans[setting.pods].shell()),
        tables=(
            _runs_table(runs),
            series_table("Whole scans of JSON documents by number of Pods, all policies, all cores", by_size.values()),
        ),
        goals=tuple(_goals(runs, by_size, two.label)),
    )


def _evaluate(setting: Setting, label: str, slugs: Sequence[str], processors: int, *, unlike: bool = False) -> Command:
    stem = label.replace(" ", "-").replace(",", "")
    workspace = subjects.write_workspace(
        setting.scratch / f"workspace-{stem}", {one: subjects.parameters()[one] for one in slugs}
    )
    script = str(subjects.ROOT / "bench" / "evaluate.py")
    return Command(
        label=label,
        argv=(sys.executable, script, str(workspace), str(setting.manifests("list", unlike=unlike))),
        output=setting.scratch / f"evaluate-{stem}.json",
        environment={"AKSP_ENGINE_PROCS": str(processors)},
    )


def _scan(setting: Setting, slugs: Sequence[str], pods: int) -> Command:
    assert setting.aksp
    workspace = subjects.write_workspace(
        setting.scratch / "workspace-scan", {one: subjects.parameters()[one] for one in slugs}
    )
    path = setting.manifests("json", pods=pods)
    report = setting.scratch / f"scan-{pods}.json"
    return subjects.aksp(f"{pods:,} Pods", setting.aksp, workspace, ("-f", str(path)), report)


def _judging(runs: Sequence[_Run]) -> float:
    """The median of the seconds of judging."""
    return statistics.median(run.judging for run in runs)


def _runs_table(runs: Mapping[str, Sequence[_Run]]) -> Table:
    rows = []
    for label, found in runs.items():
        walls = [run.judging for run in found]
        evaluations = found[0].evaluations
        row = (
            label,
            f"{statistics.median(run.loading for run in found):.2f}",
            *(f"{value:.2f}" for value in (min(walls), statistics.median(walls), max(walls))),
            f"{evaluations:,}",
            f"{found[0].findings:,}",
            f"{evaluations / statistics.median(walls):,.0f}",
        )
        rows.append(row)
    header = (
        "one core",
        "loading (s)",
        "judging min",
        "median",
        "max (s)",
        "evaluations",
        "findings",
        "evaluations / s",
    )
    return Table(caption="The engine alone", header=header, rows=tuple(rows))


def _goals(runs: Mapping[str, Sequence[_Run]], by_size: Mapping[int, Series], two: str) -> list[Goal]:
    one = _judging(runs[_ALL])
    rates = [
        (what, runs[label][0].evaluations / _judging(runs[label]), wanted)
        for what, label, wanted in (("", _ALL, _RATE), (", Pods that all differ", _UNLIKE, _UNLIKE_RATE))
    ]
    singles = sum(_judging(runs[slug]) for slug in subjects.POD_POLICIES)
    together = _judging(runs[_FIVE])
    per_pod = [series.seconds / size for size, series in by_size.items()]
    return [
        *(
            Goal(
                what=f"evaluations a second on a core, nine policies{what}",
                wanted=f"≥ {wanted:,}",
                measured=f"{rate:,.0f}",
                reached=rate >= wanted,
            )
            for what, rate, wanted in rates
        ),
        ratio("judging: a second core", one, _judging(runs[two]), at_least=1.6),
        at_most("judging: five policies ÷ the sum of each alone", together / singles, _LINEAR, "×"),
        at_most("scan: time per Pod, most Pods ÷ fewest", per_pod[-1] / per_pod[0], _LINEAR, "×"),
    ]
