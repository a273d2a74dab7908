"""What a scenario measured, and how it is written down."""

import os
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Series

MEBIBYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with a caption; cells are text."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """Something to reach: what, how much, how much it is."""

    what: str
    wanted: str
    measured: str
    reached: bool


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one scenario found."""

    title: str
    notes: tuple[str, ...]
    commands: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    goals: tuple[Goal, ...] = ()


def ratio(label: str, dividend: float, divisor: float, *, at_least: float) -> Goal:
    """A goal of the form: `dividend / divisor` is at least so much."""
    value = dividend / divisor
    return Goal(what=label, wanted=f"≥ {at_least:g}×", measured=f"{value:.1f}×", reached=value >= at_least)


def at_most(label: str, value: float, limit: float, unit: str) -> Goal:
    """A goal of the form: `value` is at most `limit`, both in `unit`."""
    unit = unit if unit == "×" else f" {unit}"
    return Goal(what=label, wanted=f"≤ {limit:g}{unit}", measured=f"{value:.3g}{unit}", reached=value <= limit)


def series_table(caption: str, series: Iterable[Series], reference: Series | None = None) -> Table:
    """Wall time, processor time and memory of each series; with a reference, as multiples of it too."""
    header: tuple[str, ...] = ("", "runs", "wall min", "median", "max (s)", "CPU (s)", "peak memory (MiB)")
    rows = []
    for each in series:
        walls = [sample.seconds for sample in each.samples]
        row: tuple[str, ...] = (
            each.label,
            str(len(walls)),
            f"{min(walls):.2f}",
            f"{each.seconds:.2f}",
            f"{max(walls):.2f}",
            f"{each.cpu_seconds:.2f}",
            f"{each.peak_bytes / MEBIBYTE:.0f}",
        )
        if reference:
            times = each.seconds / reference.seconds
            row += (f"{times:.1f}×", f"{each.peak_bytes / reference.peak_bytes:.1f}×")
        rows.append(row)
    if reference:
        header += (f"time ÷ {reference.label}", "memory ÷")
    return Table(caption=caption, header=header, rows=tuple(rows))


def render(sections: Sequence[Section], shorten: Callable[[str], str] = str) -> str:
    """The whole document as Markdown; `shorten` makes commands free of this machine's paths."""
    parts = ["# Benchmark", "", "Written by `make bench` (`bench/run.py`).", "", machine(), ""]
    parts += ["Memory: " + _memory_note(), ""]
    if goals := [goal for section in sections for goal in section.goals]:
        rows = tuple((goal.what, goal.wanted, goal.measured, "yes" if goal.reached else "**no**") for goal in goals)
        parts += _table(Table(caption="Goals", header=("goal", "wanted", "measured", "reached"), rows=rows))
    for section in sections:
        parts += [f"## {section.title}", ""]
        parts += [line for note in section.notes for line in (note, "")]
        if section.commands:
            parts += ["```", *map(shorten, section.commands), "```", ""]
        for table in section.tables:
            parts += _table(table)
    return "\n".join(parts).rstrip() + "\n"


def machine() -> str:
    """A line about the machine: processor, cores, memory, kernel, Python."""
    model = re.search(r"^model name\s*: (.+)$", _text("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    size = f"{int(memory[1]) / (1 << 20):.0f} GiB of memory" if memory else "memory unknown"
    return (
        f"Machine: {model[1].strip() if model else platform.machine()}, {os.cpu_count()} cores, {size}, "
        f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}."
    )


def _memory_note() -> str:
    from bench import measure

    assert measure.__doc__ is not None
    return " ".join(measure.__doc__.partition("Memory is ")[2].split())


def _table(table: Table) -> list[str]:
    lines = [f"**{table.caption}**", "", _row(table.header), _row("---" for _ in table.header)]
    return [*lines, *map(_row, table.rows), ""]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
