"""Text that a pipeline's runner would take for a command, and how the formats say it so that only their parsers read it.

Azure Pipelines takes ``##vso[`` anywhere in a line, GitHub ``::`` at its start and its old form ``##[`` anywhere,
TeamCity ``##teamcity[``. GitLab's markers of sections need control characters, which no format writes.
"""

from __future__ import annotations

import re
from typing import Final

_START: Final = re.compile(r"^([ \t]*):(?=:)", re.MULTILINE)
_MARK: Final = re.compile(r"#(?=#(?:\[|vso\[|teamcity\[))", re.IGNORECASE)
#: GitHub's commands have a second pair of colons; a page's style sheet has lines that begin with one.
_COMMAND: Final = re.compile(r"^[ \t]*::.*::", re.MULTILINE)
#: The marks that do not begin a line, where a format writes its own commands.
_LATER: Final = re.compile(rf"(?<=.){_MARK.pattern}", re.IGNORECASE)


def commands(text: str) -> bool:
    """Whether a runner would find a command in lines of text."""
    return bool(_MARK.search(text) or _COMMAND.search(text))


def parted(text: str) -> str:
    """Text for people: a blank parts what would be a command."""
    return _START.sub(r"\1: ", _MARK.sub("# ", text))


def in_json(text: str) -> str:
    """A JSON document, in which marks stand in texts alone, and no line begins with a text."""
    return _MARK.sub(r"\\u0023", text)


def in_xml(text: str) -> str:
    """An XML document, in which marks and colons at the start of a line stand in texts alone."""
    return _START.sub(r"\1&#58;", _MARK.sub("&#35;", text))


def in_quotes(text: str) -> str:
    """A scalar of YAML in double quotes."""
    return _MARK.sub(r"\\x23", text)


def as_it_is(text: str) -> str:
    """A format whose texts are written so that they are no commands."""
    return text


def in_github(text: str) -> str:
    """GitHub's annotations, which are commands themselves and have no escape for the mark."""
    return _MARK.sub("# ", text)


def in_azure(text: str) -> str:
    """Azure's commands, each at the start of its line."""
    return _LATER.sub("# ", text)
