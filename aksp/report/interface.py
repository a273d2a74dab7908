"""What a report format is: a pure function with a name, and how its output should look."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, TextIO

from msgspec import Struct

if TYPE_CHECKING:
    from aksp.model.compliance import Report


class Show(StrEnum):
    """Which results a report lists. Counts are complete either way.

    ``new`` leaves out violations that a baseline knows; they are already left out when the report is made.
    """

    NON_COMPLIANT = "noncompliant"
    NEW = "new"
    ALL = "all"


class GroupBy(StrEnum):
    """How the table and Markdown put results together.

    With ``owner``, ``assignment`` and ``namespace`` replicas with the same finding are one row;
    the latter two also make a section each. With ``none`` every result is a row.
    """

    NONE = "none"
    OWNER = "owner"
    ASSIGNMENT = "assignment"
    NAMESPACE = "namespace"


class Style(Struct, frozen=True, kw_only=True):
    """How a report should look.

    ``width`` is in terminal columns; ``terminal`` says whether a person's terminal reads it
    (rich) or a log or a pipe (plain). ``limit`` is how many findings table and Markdown list; None for all. ``root`` is the root folder of the repository, empty when there
    is none, and ``base`` the folder that files are named from as seen from there, for readers that
    know files by their path in the repository.
    """

    color: bool = False
    width: int = 80
    terminal: bool = False
    show: Show = Show.NON_COMPLIANT
    group_by: GroupBy = GroupBy.OWNER
    limit: int | None = None
    base: str = ""
    root: str = ""


class Format(Struct, frozen=True, kw_only=True):
    """A report format. ``render`` writes a report. It reads no clock, no environment, nothing but the report.

    ``every_line`` says that it has every result with its line: the others put some together, or leave some out.
    ``every_result`` says that it lists what complies too, whatever else is asked for.
    ``one_cluster`` says why it cannot show several clusters, and what to do instead; None for one that can.
    ``suffixes`` are the endings of files that usually hold it, the usual one first. ``in_log`` makes whole lines of it
    such that a pipeline's runner, which reads them as its log, takes no text for a command, and a parser reads the same;
    None where the format has no way to say it.
    """

    name: str
    description: str
    render: Callable[[Report, TextIO, Style], None]
    suffixes: tuple[str, ...]
    every_line: bool = True
    every_result: bool = False
    one_cluster: tuple[str, str] | None = None
    in_log: Callable[[str], str] | None = None
