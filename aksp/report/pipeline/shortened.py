"""The Markdown report cut to what a comment or a pipeline's page takes, saying what is left out."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from aksp.model.compliance import Report
from aksp.report import wire
from aksp.report.difference import Difference, blocks
from aksp.report.figures import plural
from aksp.report.interface import Style
from aksp.report.pipeline.markdown import escape, write_blocks, write_report
from aksp.report.worst import badness

#: The most bytes that GitHub takes of one step. It drops a larger summary as a whole.
LIMIT_BYTES: Final = 1024 * 1024

# Shorter than the limit by this share at each step, since rows differ in length.
_CAUTION: Final = 0.8


def job_summary(report: Report, style: Style, *, room: int, elsewhere: str) -> str | None:
    """The report in Markdown, of at most ``room`` bytes of UTF-8; None when not even its head fits."""
    return shortened(report, style, room=room, size=_bytes, elsewhere=elsewhere)


def cut(report: Report, style: Style, *, room: int, elsewhere: str) -> str:
    """The first lines of a report whose head alone is too long: as many as fit into ``room`` characters, and a note."""
    note = f"\n**This report would be too long: it is cut here.** All of it is {escape(elsewhere)}.\n"
    first = _render(replace(report, results=(), gaps=()), style)[: room - len(note)]
    return first[: first.rfind("\n") + 1] + note


def shortened(report: Report, style: Style, *, room: int, size: Callable[[str], int], elsewhere: str) -> str | None:
    """The report in Markdown, of at most ``room`` by ``size``; None when not even its head fits.

    When it is longer, the least severe results are left out, then the gaps. ``elsewhere`` says where all of them are,
    as in ``in report.json``.
    """
    text = _render(report, style)
    if size(text) <= room:
        return text
    shown = list(wire.shown(report, style.show))
    ranked = sorted(shown, key=lambda one: badness(one.state, one.assignment))
    kept, gaps = len(ranked), report.gaps
    while True:
        if kept:
            kept = min(int(kept * min(0.5, _CAUTION * room / size(text))), style.limit or len(ranked))
        elif gaps:
            gaps = ()
        else:
            return None
        chosen = {id(result) for result in ranked[:kept]}
        shorter = replace(report, results=[one for one in shown if id(one) in chosen], gaps=gaps)
        # From fewer results the number of those that are left out would be too small.
        text = _render(shorter, replace(style, limit=None)) + _note(
            len(shown), kept, len(report.gaps), len(gaps), elsewhere
        )
        if size(text) <= room:
            return text


def shortened_difference(difference: Difference, *, room: int) -> str:
    """What changed in Markdown, of at most ``room`` characters; what is left out is told."""
    found = len(difference.changes.findings)
    kept, note = found, ""
    while True:
        out = io.StringIO()
        write_blocks(blocks(difference, kept), out)
        text = out.getvalue() + note
        if len(text) <= room or not kept:
            # It also has a line for each cluster, and there can be too many of these.
            return text[:room]
        kept = int(kept * min(0.5, _CAUTION * room / len(text)))
        note = (
            f"\n**This would be too long: {kept:,} of {plural(found, 'change')} are listed, new violations first.**"
            " All of them are in another format, as by -o json.\n"
        )


def _render(report: Report, style: Style) -> str:
    out = io.StringIO()
    write_report(report, out, style)
    # A file name that is no UTF-8 cannot be encoded.
    return out.getvalue().encode(errors="backslashreplace").decode()


def _bytes(text: str) -> int:
    return len(text.encode())


def _note(found: int, kept: int, all_gaps: int, gaps: int, elsewhere: str) -> str:
    listed = f"the {kept:,} most severe of {found:,} results are listed" if kept else "no results are listed"
    missing = f", and none of {plural(all_gaps, 'gap')}" if all_gaps > gaps else ""
    return f"\n**This report would be too long: {listed}{missing}.** All of them are {escape(elsewhere)}.\n"
