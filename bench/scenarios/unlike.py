"""Objects of which no two are alike: Pods in one file, and Deployments in many files, as repositories have them."""

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from bench import fleet, generate, subjects
from bench.measure import Command, Series, interleaved
from bench.peers import build, gatekeeper
from bench.results import Goal, Section, Table, ratio, series_table
from bench.setting import Setting
from bench.workload import Object

#: Deployments, for each Pod of the other fleet, and in a file.
_SHARE = 5
_IN_A_FILE = 5
_TOOLS = ("aksp", "gator", "gator -o json", "kyverno")


def run(setting: Setting) -> Section:
    """Measures every tool on both fleets."""
    deployments = setting.pods // _SHARE
    pods = setting.scratch / "unlike.yaml"
    generate.write(fleet.unlike_pods(setting.pods, setting.seed), "yaml", pods)
    repository = setting.scratch / "repository"
    _write_files(fleet.deployments(deployments, setting.seed), repository)
    fleets = {
        f"{setting.pods:,} Pods that all differ": pods,
        f"{deployments:,} Deployments in {deployments // _IN_A_FILE:,} files": repository,
    }
    tables, goals, shown = [], [], []
    for name, path in fleets.items():
        commands = _commands(setting, path)
        series = interleaved(
            [
                (one, setting.repetitions if tool in ("aksp", "reading") else setting.peer_repetitions)
                for tool, one in commands.items()
            ]
        )
        shown += [one.shell() for one in commands.values()]
        tables += [series_table(name, series.values(), series.get("aksp")), _findings(name, commands)]
        goals += _goals(name, series)
    return Section(
        title="Objects that all differ",
        notes=(
            (
                "The fleet of Manifests has ten replicas to a workload. Here each Pod, and each Deployment, has images, "
                "memory limits and labels that no other one has, so that nothing that was found before helps; YAML, the "
                "same nine policies and parameters. gator judges the Pods of Deployments by an ExpansionTemplate, Kyverno by the "
                "rules that it makes of those for Pods, and reports one finding for a policy and an object. Reading and parsing "
                "alone is what aksp does before it judges: no scan by it takes less time than that."
            ),
        ),
        commands=tuple(shown),
        tables=tuple(tables),
        goals=tuple(goals),
    )


def _write_files(objects: Iterable[Object], folder: Path) -> None:
    """YAML files of a few objects each."""
    rest, number = iter(objects), 0
    while some := list(islice(rest, _IN_A_FILE)):
        generate.write(some, "yaml", folder / f"{number:04}.yaml")
        number += 1


def _commands(setting: Setting, path: Path) -> dict[str, Command]:
    """The tools on a file or a folder; without Kyverno where it is left out."""
    binaries = build.peers() if setting.with_kyverno else build.gatekeeper()
    policies = setting.scratch / "gatekeeper-unlike"
    gatekeeper.write(policies)
    (policies / "expansion.yaml").write_text(json.dumps(gatekeeper.expansion(), indent=2) + "\n")
    found = {}
    outputs = {tool: setting.scratch / f"{path.stem}-{tool.partition(' ')[0]}" for tool in _TOOLS}
    if setting.aksp:
        workspace = subjects.write_workspace(setting.scratch / "workspace-unlike", subjects.parameters())
        report = outputs["aksp"].with_suffix(".json")
        found["aksp"] = subjects.aksp("aksp", setting.aksp, workspace, ("-f", str(path)), report)
        found["reading"] = subjects.reading(workspace, path, outputs["aksp"].with_suffix(".read"))
    for tool, suffix in (("gator", ".txt"), ("gator -o json", ".json")):
        found[tool] = subjects.gator(tool, binaries, policies, path, outputs[tool].with_suffix(suffix))
    if setting.with_kyverno:
        output = outputs["kyverno"].with_suffix(".txt")
        found["kyverno"] = subjects.kyverno("kyverno", binaries, ("--resource", str(path)), output)
    return found


def _findings(name: str, commands: dict[str, Command]) -> Table:
    """How many findings each tool has, and in how many objects; aksp's report lies beside its output."""
    found = {
        tool: subjects.READERS[tool.partition(" ")[0]](
            command.output.with_suffix(".json") if tool == "aksp" else command.output
        )
        for tool, command in commands.items()
        if tool != "reading"
    }
    rows = [
        (policy, *(_counted(one, policy) for one in found.values()))
        for policy in subjects.parameters()
        if any(one.counts.get(policy) for one in found.values())
    ]
    caption = f"Findings (and objects that have them) in {name}"
    return Table(caption=caption, header=("policy", *found), rows=tuple(rows))


def _counted(found: subjects.Findings, policy: str) -> str:
    """Findings, and the objects that have them, where the output is read for these."""
    objects = f" ({len(found.resources[policy]):,})" if policy in found.resources else ""
    return f"{found.counts.get(policy, 0):,}{objects}"


def _goals(name: str, series: dict[str, Series]) -> list[Goal]:
    mine = series.get("aksp")
    if mine is None:
        return []
    wanted = {"gator": 25, "gator -o json": 40, "kyverno": 15}
    goals = [
        ratio(f"{name}: faster than {tool}", series[tool].seconds, mine.seconds, at_least=wanted[tool])
        for tool in wanted
        if tool in series
    ]
    return [*goals, ratio(f"{name}: less memory than gator", series["gator"].peak_bytes, mine.peak_bytes, at_least=10)]
