"""``aksp compliance --watch``: the live table of one cluster, or a line for each change."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING

from msgspec.structs import replace

from aksp.cli.ci import logged
from aksp.cli.evaluation import ComplianceRequest, begun, exit_code
from aksp.cli.keys import Keys
from aksp.cli.options import ReportSource
from aksp.cli.outputs import wants_color
from aksp.cli.progress import Notes
from aksp.cli.scrolling import Scrolling
from aksp.cli.streams import ReaderGone
from aksp.compliance.nothing import no_assignment
from aksp.engine import Engine
from aksp.errors import ExitCode, InvalidInput, NothingToJudge
from aksp.model.compliance import Report
from aksp.model.scope import Scope
from aksp.report import events
from aksp.report.figures import compliance_words, plural
from aksp.report.interface import GroupBy, Show
from aksp.report.table import live, summary
from aksp.report.table.plain import draw_plain
from aksp.runners import as_it_is, in_json, parted
from aksp.workspace import Workspace, prepare

if TYPE_CHECKING:
    from aksp.model.event import Event
    from aksp.watching.watcher import Watcher

#: Seconds between two looks at what has come; the screen is drawn no more often.
TICK = 0.25
#: The most results that the screen is made of. Replicas are one row, and more rows are never seen.
MOST_SHOWN = 1_000


class _Terminated(Exception):
    """The process was asked to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def follow(request: ComplianceRequest) -> ExitCode:
    """Watch until q or Ctrl-C. The exit code of q is that of the last state. Raises AkspError, KeyboardInterrupt."""
    from aksp.live.source import LiveSource
    from aksp.scan import wanted_of
    from aksp.sources.cluster import absent_namespaces
    from aksp.watching.watcher import Watcher

    notes, _ = begun(request)
    _refuse(request)
    workspace = Workspace.open(request.workspace)
    with request.where.connected(notes.note) as connection, Engine() as engine:
        target = replace(request.where.target(connection), filters=request.filters.words)
        plan = request.filters.chosen(workspace.plan(Scope(target.scope), _now()), workspace)
        if no_assignment(plan, target) is not None:
            raise NothingToJudge(
                f"nothing is in force in {workspace.root} that reaches {target.scope}, so there is nothing to watch",
                hint="`aksp assign` lists what can be assigned",
            )
        plan = prepare(engine, plan)
        notes.all(plan.notes)
        source = LiveSource(
            engine,
            connection,
            wanted_of(plan),
            namespaces=request.filters.namespaces,
            selector=request.filters.selector,
            chunk_size=request.chunk_size,
        )
        # They may come while one watches.
        notes.all([f"{gap.message} yet" for gap in absent_namespaces(connection, request.filters.namespaces)])
        watcher = Watcher(plan, engine, source, target, now=_now, collect_compliant=request.show is Show.ALL)
        with source:
            if _on_screen(request):
                _show(watcher, color=wants_color(request.color, True))
            else:
                _tell(watcher, notes, as_json=list(request.outputs) == ["json"])
        report = watcher.report()
        report = replace(report, gaps=[*report.gaps, *absent_namespaces(connection, request.filters.namespaces)])
    if _on_screen(request):
        width = shutil.get_terminal_size().columns
        draw_plain([summary.heading(report), summary.closing(report)], sys.stdout, width=width, color=False)
    return exit_code(request, report)


def _refuse(request: ComplianceRequest) -> None:
    """Raise InvalidInput for options that do not go with --watch."""
    compared = request.compared
    refused = {
        "-f": bool(request.manifests.names),
        f"--from {request.source}": request.source is not ReportSource.SCAN,
        "--baseline": compared.baseline is not None,
        "--fail-on-new": compared.fail_on_new,
        "--write-baseline": compared.write_baseline,
        "--diff": compared.diff,
        "--show new": request.show is Show.NEW,
        "--limit": request.limit is not None,
        "--group-by": request.group_by is not GroupBy.OWNER,
    }
    for option, given in refused.items():
        if given:
            raise InvalidInput(
                f"{option} does not combine with --watch, which follows one cluster as it is",
                hint=f"leave out --watch, or {option}",
            )
    if list(request.outputs) not in (["table"], ["json"]):
        raise InvalidInput(
            f"--watch does not write -o {' -o '.join(request.outputs)}",
            hint="leave -o out for the table, or give -o json for a line of JSON per change; a scan, without --watch,"
            " writes every format",
        )


def _on_screen(request: ComplianceRequest) -> bool:
    return (
        list(request.outputs) == ["table"] and sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    )


def _show(watcher: Watcher, *, color: bool) -> None:
    """Keep the screen up to date until q is pressed. Raises KeyboardInterrupt, and ends the process when it is told to."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(color_system="standard" if color else None, no_color=not color, highlight=False)
    shown: tuple[object, ...] = ()
    drawn = 0.0
    try:
        with _ended(), Keys() as keys, Live(console=console, screen=True, auto_refresh=False) as window:
            scrolling = Scrolling()
            while not scrolling.ended:
                pressed = keys.pressed()
                scrolling.press(pressed, page=max(console.size.height // 2, 1))
                if not pressed:
                    watcher.step(TICK)
                state = (watcher.revision, watcher.changed_at, watcher.synced, console.size, replace(scrolling))
                if state == shown or (not pressed and time.monotonic() < drawn + TICK):
                    continue
                width, height = console.size
                view = _view(watcher, scrolling.told if keys.heard else "Ctrl-C quits")
                view = replace(view, search=scrolling.search if scrolling.search or scrolling.typing else None)
                if scrolling.first:
                    scrolling.first = min(scrolling.first, max(live.rows(view) - 1, 0))
                    view = replace(view, first=scrolling.first)
                lines = live.screen(view, width=width, height=height, color=color)
                text = Text.from_ansi("\n".join(lines), no_wrap=True, overflow="crop")
                window.update(text, refresh=True)
                shown, drawn = state, time.monotonic()
    except (_Terminated, OSError, InvalidInput) as error:
        # What is written to a window that was closed fails on the way out.
        end: BaseException | None = error
        while end is not None and not isinstance(end, _Terminated):
            end = end.__context__
        if end is None:
            raise
        # Only now is the terminal as it was.
        signal.signal(end.number, signal.SIG_DFL)
        os.kill(os.getpid(), end.number)


@contextmanager
def _ended() -> Iterator[None]:
    """Restore the terminal, also when the process is ended or the window is closed."""

    def end(number: int, frame: FrameType | None) -> None:
        raise _Terminated(number)

    numbers = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]
    before = [(number, signal.signal(number, end)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _view(watcher: Watcher, how: str) -> live.ScreenState:
    return live.ScreenState(
        report=watcher.overview(MOST_SHOWN),
        found=watcher.found,
        objects=watcher.objects,
        kinds=len(watcher.kinds),
        changed_at=watcher.changed_at,
        synced=watcher.synced,
        lost=watcher.lost,
        how=how,
    )


def _tell(watcher: Watcher, notes: Notes, *, as_json: bool) -> None:
    """Write a line for each change, until the reader has seen enough. Raises KeyboardInterrupt."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=False)  # each change is flushed whole
    with suppress(ReaderGone):
        if not as_json:
            sys.stdout.write(events.heading() + "\n")
            sys.stdout.flush()
        begun = False
        while True:
            changed = watcher.step(TICK)
            if changed:
                _write(watcher, changed, as_json)
            if watcher.synced and not begun:
                begun = True
                notes.note(_begun(watcher, watcher.overview(0)))


def _write(watcher: Watcher, changed: list[Event], as_json: bool) -> None:
    if as_json:
        report = watcher.overview(0)
        lines = (events.json_line(each, report.state, report.compliance_percent) for each in changed)
    else:
        lines = (events.line(each) for each in changed)
    in_log = (in_json if as_json else parted) if logged(os.environ) else as_it_is
    sys.stdout.writelines(in_log(line) + "\n" for line in lines)
    sys.stdout.flush()


def _begun(watcher: Watcher, report: Report) -> str:
    objects = f"{plural(watcher.objects, 'object')} of {plural(len(watcher.kinds), 'kind')}"
    return f"{report.state.value}, {compliance_words(report.compliance_percent)}; watching {objects}"


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
