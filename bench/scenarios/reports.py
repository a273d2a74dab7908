"""Reports: how long each format takes for 10,000 findings, the table of a YAML List, and the HTML page: 20,000 rows in a
browser, and the memory that 120,000 rows take."""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import subjects
from bench.generate import compact
from bench.measure import Command, Series, interleaved
from bench.results import Goal, Section, Table, at_most, series_table
from bench.setting import Setting

_FINDINGS = 10_000
#: So many Pods of the fleet have more findings than that.
_PODS = 3_400
_LIMIT = 3.0
_ROWS = 20_000
#: Pods in the large page, for each one of the main scenarios: 120,000 of 10,000.
_LARGE = 12
#: MB of all processes that make it.
_LARGE_LIMIT = 600
#: The two pages that bench/page.py measures, and what of its actions is no filter.
_KINDS = ("ten replicas", "all different")
_NO_FILTER = ("sort", "scroll", "replicas")


def run(setting: Setting) -> Section:
    """Measures aksp alone; an empty section when it is not there."""
    if not setting.aksp:
        return Section(title="Reports", notes=("aksp is not installed beside this interpreter: not measured.",))
    workspace = subjects.write_workspace(setting.scratch / "workspace-reports", subjects.parameters())
    folder = setting.scratch / "reports"
    folder.mkdir()
    findings = min(_FINDINGS, setting.pods)
    command = Command(
        label="formats",
        argv=(
            sys.executable,
            str(subjects.ROOT / "bench" / "formats.py"),
            str(workspace),
            str(setting.manifests("yaml", pods=_PODS)),
            str(findings),
            str(folder),
        ),
        output=setting.scratch / "formats.json",
    )
    page = Command(
        label="page",
        argv=(sys.executable, str(subjects.ROOT / "bench" / "page.py"), str(_ROWS)),
        output=setting.scratch / "page.json",
    )
    runs: list[Mapping[str, Any]] = []
    pages: list[Mapping[str, Any]] = []
    interleaved(
        [(command, setting.repetitions), (page, 1)],
        after=lambda done: (runs if done is command else pages).append(json.loads(done.output.read_text())),
    )
    (html,) = pages
    lists = _lists(setting, workspace)
    large = _large(setting)
    table, page_of_all = lists["table"], large["html"]
    return Section(
        title="Reports",
        notes=(
            f"A report of {findings:,} findings in files, {runs[0]['results']:,} results with what complies (which junit "
            "lists). Each format is written to a file; medians of the runs. The lines of all findings are looked up once, "
            "before, and count in the sums.",
            f"The HTML page of {_ROWS:,} rows in headless Chromium: once with ten replicas to a workload, every replica a row, "
            "and once with no two rows alike. Times are from the event to the end of script, style and layout.",
        ),
        commands=(command.shell(), page.shell()),
        tables=(
            _table(runs),
            series_table(f"{setting.pods:,} Pods as one YAML List", lists.values(), lists["json"]),
            _page_table(html),
            series_table(f"HTML of {_LARGE * setting.pods:,} rows that all differ", large.values()),
        ),
        goals=(
            at_most(
                f"all {len(runs[0]['formats'])} formats of {findings:,} findings together", _sum(runs), _LIMIT, "s"
            ),
            at_most("a YAML List: processor time of the table ÷ of -o json", _quotient(table, lists["json"]), 1.3, "×"),
            *_page_goals(html),
            at_most(
                f"HTML of {_LARGE * setting.pods:,} rows: memory of all processes",
                page_of_all.peak_bytes / 1e6,
                _LARGE_LIMIT,
                "MB",
            ),
        ),
    )


def _lists(setting: Setting, workspace: Path) -> Mapping[str, Series]:
    """The same YAML List as JSON and as the table, which names the place of every finding."""
    path = setting.manifests("yaml-list")
    commands = [_command(setting, form, workspace, path) for form in ("json", "table")]
    return interleaved([(command, setting.repetitions) for command in commands])


def _large(setting: Setting) -> Mapping[str, Series]:
    """Small Pods that all differ, each with one finding: what is measured is the page."""
    path = setting.scratch / "large.yaml"
    with path.open("w", encoding="utf-8") as out:
        for number in range(_LARGE * setting.pods):
            container = {"name": f"c{number}", "image": f"docker.io/library/app-{number}:1"}
            metadata = {"name": f"web-{number}", "namespace": f"ns-{number % 50}"}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
            out.write(f"---\n{compact(pod)}\n")
    workspace = subjects.write_workspace(
        setting.scratch / "workspace-large", {"allowed-images": subjects.parameters()["allowed-images"]}
    )
    return interleaved([(_command(setting, "html", workspace, path), 1)])


def _command(setting: Setting, form: str, workspace: Path, path: Path) -> Command:
    return Command(
        label=form,
        argv=(str(setting.aksp), "compliance", "-f", str(path), "-o", form, "--no-history"),
        output=setting.scratch / f"reports-{form}.out",
        environment={"AKSP_WORKSPACE": str(workspace)},
        expected=(0, 1),
    )


def _quotient(one: Series, other: Series) -> float:
    return one.cpu_seconds / other.cpu_seconds


def _page_goals(page: Mapping[str, Any]) -> list[Goal]:
    """Size and the slowest filter, by its median, of the larger page."""
    kinds = [page[kind] for kind in _KINDS]
    slowest: float = max(
        figures["laidOut"] for kind in kinds for name, figures in kind["actions"].items() if name not in _NO_FILTER
    )
    return [
        at_most(f"HTML of {_ROWS:,} rows: size", max(kind["megabytes"] for kind in kinds), 6, "MB"),
        at_most(f"HTML of {_ROWS:,} rows: the slowest filter, median", slowest, 100, "ms"),
    ]


def _page_table(page: Mapping[str, Any]) -> Table:
    rows = [
        ("size (MB)", *(f"{page[kind]['megabytes']:.2f}" for kind in _KINDS)),
        ("rendering (s)", *(f"{page[kind]['renderSeconds']:.2f}" for kind in _KINDS)),
        ("loading, until it can be used (ms)", *(f"{page[kind]['loadMilliseconds']:.0f}" for kind in _KINDS)),
    ]
    for name in page[_KINDS[0]]["actions"]:
        figures = [page[kind]["actions"][name] for kind in _KINDS]
        rows.append(
            (f"{name}: median, worst (ms)", *(f"{one['laidOut']:.0f}, {one['worstLaidOut']:.0f}" for one in figures))
        )
    return Table(caption=f"HTML page, {_ROWS:,} rows", header=("", *_KINDS), rows=tuple(rows))


def _sum(runs: Sequence[Mapping[str, Any]]) -> float:
    """The median of the runs' sums, in seconds."""
    seconds: float = statistics.median(
        run["lines"] + sum(each["seconds"] for each in run["formats"].values()) for run in runs
    )
    return seconds


def _table(runs: Sequence[Mapping[str, Any]]) -> Table:
    rows = [("looking up the lines", f"{statistics.median(run['lines'] for run in runs):.2f}", "")]
    for name in runs[0]["formats"]:
        seconds = statistics.median(run["formats"][name]["seconds"] for run in runs)
        rows.append((name, f"{seconds:.2f}", f"{runs[0]['formats'][name]['bytes'] / 1e6:.2f}"))
    rows.append(("all together", f"{_sum(runs):.2f}", ""))
    return Table(caption="Formats", header=("", "median (s)", "size (MB)"), rows=tuple(rows))
