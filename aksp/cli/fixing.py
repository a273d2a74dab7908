"""What ``aksp fix`` does: judge, change, judge again, write, and say what is left."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from aksp.cli.ci import note, say, tell
from aksp.cli.clusters import ClusterChoice
from aksp.cli.filters import Filters
from aksp.cli.manifests import ManifestOptions
from aksp.compliance.results import order
from aksp.engine import Engine
from aksp.errors import ExitCode, InvalidInput
from aksp.fixing import Fixed, fixed
from aksp.model.compliance import Report, Result
from aksp.model.scope import Scope
from aksp.report.fields import place
from aksp.report.figures import plural
from aksp.report.text import safe
from aksp.scan import Scan
from aksp.sources.encoding import LONGEST_TEXT, as_utf8
from aksp.sources.paths import STDIN
from aksp.store.files import write_beside
from aksp.workspace import Workspace, prepare


class FixRequest(Struct, frozen=True, kw_only=True):
    """The command line of one fix."""

    manifests: ManifestOptions
    diff: bool
    check: bool
    filters: Filters
    where: ClusterChoice
    workspace: str | None


def fix_files(request: FixRequest) -> ExitCode:
    """Change the files, or say what would change; 0 when nothing is left, 1 when something is, 4 for gaps alone."""
    if not request.manifests.files:
        raise InvalidInput("no manifests are named", hint="e.g. aksp fix deploy --diff")
    if STDIN in request.manifests.files:
        raise InvalidInput("files are changed, and standard input is none", hint="write it to a file first")
    judge = _Judge(request)
    originals: dict[str, bytes] = {}
    found = fixed(judge, lambda file: _read(file, originals))
    dry = request.diff or request.check
    if request.diff:
        for file, text in sorted(found.texts.items()):
            say("\n".join(_difference(file, originals[file], text)))
    if not dry:
        _write(found.texts, originals)
    _tell(found, request)
    for told in judge.notes:
        note(told)
    if found.left or (dry and found.texts):
        return ExitCode.NON_COMPLIANT
    return ExitCode.INCONCLUSIVE if found.gaps else ExitCode.OK


class _Judge:
    """Judges the files, or other texts in place of some. Each time with a new engine, which knows no older text."""

    def __init__(self, request: FixRequest) -> None:
        self._request = request
        self._workspace = Workspace.open(request.workspace)
        self._scope = Scope.cluster(request.where.name()) if request.where.cluster or request.where.context else None
        self._now = datetime.now(UTC).replace(microsecond=0)
        self.notes: Sequence[str] = ()

    def __call__(self, instead: Mapping[str, bytes]) -> Report:
        asked = self._request
        with Engine() as engine:
            plan = asked.filters.chosen(self._workspace.plan(self._scope, self._now), self._workspace)
            plan = prepare(engine, plan)
            objects = asked.manifests.read(engine, self._workspace.root, instead=instead)
            target = asked.manifests.target(self._scope, asked.filters.words)
            outcome = Scan(plan, engine).run(objects, target, self._now)
            if outcome.interrupted:
                raise KeyboardInterrupt
            self.notes = [*plan.notes, *objects.notes]
            # Lines are looked up in the engine, which ends here.
            for one in outcome.report.results:
                if one.source is not None:
                    place(one.source)
            return outcome.report


def _read(file: str, originals: dict[str, bytes]) -> bytes | str:
    """The bytes of a file, or why it stays as it is."""
    if Path(file).is_symlink():
        return "it is a link: name the file that it leads to"
    try:
        status = os.stat(file)
        if not stat.S_ISREG(status.st_mode):
            return "it is no regular file"
        if status.st_nlink > 1:
            return "it has another name (a hard link), which would keep what it was"
        if not status.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
            return "it is read-only"
        if status.st_size > LONGEST_TEXT:
            return f"it is longer than {LONGEST_TEXT >> 20:,} MiB"
        data = Path(file).read_bytes()
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if as_utf8(data) != data:
        return "it is not in UTF-8"
    originals[file] = data
    return data


def _write(texts: Mapping[str, bytes], originals: Mapping[str, bytes]) -> None:
    """Write the files, each whole or not at all. Raises InvalidInput where one was changed meanwhile."""
    for file in texts:
        if _read(file, {}) != originals[file]:
            raise InvalidInput("was changed meanwhile, so nothing was written", where=file, hint="run it again")
    for file, text in texts.items():
        write_beside(Path(file), text.decode(), as_open=True)


def _difference(file: str, before: bytes, after: bytes) -> Iterator[str]:
    """A unified difference, as ``patch`` takes it."""
    lines = difflib.unified_diff(
        before.decode().splitlines(keepends=True), after.decode().splitlines(keepends=True), file, file
    )
    for line in lines:
        yield line.removesuffix("\n")
        if not line.endswith("\n"):
            yield "\\ No newline at end of file"


def _tell(found: Fixed, request: FixRequest) -> None:
    """What was fixed and what is left. With --diff standard output has the difference alone."""
    out = tell if request.diff else say
    dry = request.diff or request.check
    for file, results in sorted(found.done.items()):
        done = "would be fixed" if dry else "fixed"
        out(safe(f"{file}: {plural(len(results), 'violation')} {done}"))
        for one in sorted(results, key=order):
            out(safe(f"  {_subject(one)}: {one.assignment.name}: {one.finding.message}"))
    for left in found.left:
        where = place(left.result.source) if left.result.source else "-"
        out(
            safe(
                f"{where}: left: {_subject(left.result)}: {left.result.assignment.name}: {left.result.finding.message}"
            )
        )
        out(safe(f"  {left.why}"))
    for gap in found.gaps:
        out(safe(f"not judged: {gap.message}"))
    fixed_count = sum(map(len, found.done.values()))
    files = plural(len(found.texts), "file")
    verb = "can be fixed" if dry else "fixed"
    gaps = f", {plural(len(found.gaps), 'gap')}" if found.gaps else ""
    out(f"{plural(fixed_count, 'violation')} {verb} in {files}, {len(found.left)} left{gaps}")


def _subject(one: Result) -> str:
    container = f" [{one.finding.container.name}]" if one.finding.container else ""
    return f"{one.resource}{container}"
