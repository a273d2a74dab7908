"""Many policies: the restricted level of the Pod Security Standards, and all definitions about Pods, on Pods that all differ."""

import json
from collections.abc import Mapping
from typing import Any

from aksp.catalog.folder import bundled
from bench import fleet, generate, subjects
from bench.measure import Command, Series, interleaved
from bench.peers import build, gatekeeper
from bench.results import Goal, Section, Table, at_most, ratio, series_table
from bench.setting import Setting
from tests.pod_security import LEVELS

Values = Mapping[str, Mapping[str, Any]]
RESTRICTED = "pod-security-restricted"


def run(setting: Setting) -> Section:
    """Measures the tools by each set of policies in one run; the others alone where aksp is not there."""
    pods = setting.scratch / "many-policies.yaml"
    generate.write(fleet.unlike_pods(setting.pods, setting.seed), "yaml", pods)
    sets = {
        RESTRICTED: LEVELS["restricted"],
        "all Pod definitions": _every_pod_definition(),
    }
    tables: list[Table] = []
    goals: list[Goal] = []
    shown: list[str] = []
    ours: dict[str, tuple[int, Series]] = {}
    for name, values in sets.items():
        commands = _commands(setting, name.replace(" ", "-"), values)
        series = interleaved(
            [
                (command, setting.repetitions if tool in ("aksp", "reading") else setting.peer_repetitions)
                for tool, command in commands.items()
            ]
        )
        shown += [command.shell() for command in commands.values()]
        mine = series.get("aksp")
        tables.append(series_table(f"{setting.pods:,} Pods by {name}: {len(values)} policies", series.values(), mine))
        if name == RESTRICTED:
            tables.append(_found(name, commands))
        if mine:
            goals += [
                ratio(f"{name}: faster than {tool}", series[tool].seconds, mine.seconds, at_least=times)
                for tool, times in (("gator", 12), ("kyverno", 8))
                if tool in series
            ]
            ours[name] = len(values), mine
    if ours:
        (few, quick), (many, slow) = ours.values()
        growth = slow.cpu_seconds / quick.cpu_seconds * few / many
        goals.append(at_most("processor time for each policy, all to restricted", growth, 1, "×"))
    return Section(
        title="Many policies",
        notes=(
            "Each Pod has images, limits and labels that no other one has. Definitions have the values of the level, and "
            "those of the other scenarios or their defaults; one that needs values beside these is left out. Kyverno "
            "judges by its own rule for the restricted level, one for all its controls, and has no counterpart of the rest.",
        ),
        commands=tuple(shown),
        tables=tuple(tables),
        goals=tuple(goals),
    )


def _every_pod_definition() -> Values:
    given = {**subjects.parameters(), **LEVELS["restricted"]}
    return {
        one.slug: given.get(one.slug, {})
        for one in bundled()
        if any(kind.kind == "Pod" for kind in one.kinds)
        and (one.slug in given or not any(each.required for each in one.parameters.values()))
        and (one.slug in given or not one.require_any_of)
        and not one.requires_inventory
    }


def _commands(setting: Setting, name: str, values: Values) -> dict[str, Command]:
    pods, policies = setting.scratch / "many-policies.yaml", setting.scratch / f"gatekeeper-{name}"
    parameters = setting.scratch / f"{name}.json"
    parameters.write_text(json.dumps(values))
    gatekeeper.write(policies, parameters=parameters)
    found = {}
    if setting.aksp:
        workspace = subjects.write_workspace(setting.scratch / f"workspace-{name}", values)
        report = setting.scratch / f"{name}-aksp.json"
        found["aksp"] = subjects.aksp("aksp", setting.aksp, workspace, ("-f", str(pods)), report)
        found["reading"] = subjects.reading(workspace, pods, report.with_suffix(".read"))
    output = setting.scratch / f"{name}-gator.txt"
    found["gator"] = subjects.gator("gator", build.gatekeeper(), policies, pods, output)
    if setting.with_kyverno and name == RESTRICTED:
        output = setting.scratch / f"{name}-kyverno.txt"
        arguments = ("--resource", str(pods))
        found["kyverno"] = subjects.kyverno("kyverno", build.peers(), arguments, output, subjects.KYVERNO_POD_SECURITY)
    return found


def _found(name: str, commands: Mapping[str, Command]) -> Table:
    """How many Pods do not comply by each tool: they should agree where they judge by the same controls."""
    rows = []
    for tool, command in commands.items():
        if tool not in subjects.READERS:
            continue
        output = command.output.with_suffix(".json") if tool == "aksp" else command.output
        resources = subjects.READERS[tool](output).resources
        rows.append((tool, f"{len({pod for each in resources.values() for pod in each}):,}"))
    return Table(caption=f"Pods that do not comply, by {name}", header=("tool", "Pods"), rows=tuple(rows))
