"""Startup: what the command line costs before it does anything."""

import sys

from bench import subjects
from bench.measure import Command, interleaved
from bench.results import Section, at_most, series_table
from bench.setting import Setting

_RUNS = 9


def run(setting: Setting) -> Section:
    """Measures `python -c pass`, and aksp's help and its scan of one small file when it is there."""
    python = Command(label="python -c pass", argv=(sys.executable, "-c", "pass"), output=setting.scratch / "pass.txt")
    commands = [python]
    if setting.aksp:
        output = setting.scratch / "help.txt"
        commands.append(Command(label="aksp --help", argv=(str(setting.aksp), "--help"), output=output))
        workspace = subjects.write_workspace(setting.scratch / "workspace-startup", subjects.parameters())
        small = setting.manifests("yaml", pods=3)
        report = setting.scratch / "startup.json"
        commands.append(subjects.aksp("aksp compliance, 3 Pods", setting.aksp, workspace, ("-f", str(small)), report))
    series = interleaved([(command, _RUNS) for command in commands])
    goals = []
    if setting.aksp:
        goals.append(at_most("aksp --help", series["aksp --help"].seconds, 0.2, "s"))
        small_file = series["aksp compliance, 3 Pods"].seconds
        goals.append(at_most("aksp compliance on one small file", small_file, 0.15, "s"))
    return Section(
        title="Startup",
        notes=("Nine policies are assigned. Files are in the page cache, as they are from the second call on.",),
        commands=tuple(command.shell() for command in commands),
        tables=(series_table("Startup", series.values(), series[python.label]),),
        goals=tuple(goals),
    )
