"""YAML in block style of JSON values: the structure written here, every scalar that is not plain by PyYAML.

It means the same to whatever reads YAML, 1.1 or 1.2. PyYAML takes a third of a millisecond for one result of a report,
nearly all of it to find out for each string again how it may be written. Most strings of a report come again and again,
so that is remembered.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, Final

from aksp.model.json_text import Number
from aksp.runners import commands, in_quotes

# Words that nobody could take for anything but text: YAML's other scalars (numbers, dates, true, null, yes, …) are told
# by PyYAML.
_PLAIN: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./()@=+,-]*(?:[ :][A-Za-z0-9_./()@=+-][A-Za-z0-9_./()@=+,-]*)*")
_SPECIAL: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "="})
# What is a number, true or false for Go's YAML library or in YAML 1.2, and text for PyYAML.
_NO_TEXT_ELSEWHERE: Final = re.compile(
    r"(?:[yYnN]|[-+]?_*(?:\.[0-9_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+0-9_]+)?|[-+]?0_*[xXoObB][0-9A-Fa-f_]+)\Z"
)
#: Longest key that stands alone before its colon: of longer ones than 1,024 characters, written out, readers know no
#: end. Those stand behind a question mark.
LONGEST_KEY: Final = 1000
#: Longest text that is remembered, and how many.
_LONGEST: Final = 512
_REMEMBERED: Final = 1 << 13


def to_yaml(value: Any, *, literal: bool = False) -> str:
    """A mapping, or a list of values, as lines of YAML; readable, and escaped where something does not print.

    With ``literal`` texts of several lines, such as Rego, stand as they are (``|``), where they can.
    Half a surrogate pair, as in a file name that is no UTF-8, cannot be written in YAML and becomes a question mark.
    """
    lines: list[str] = []
    _block(value, "", lines, literal)
    return "\n".join(lines) + "\n"


def _block(value: Any, indent: str, lines: list[str], literal: bool) -> None:
    """The lines of a mapping or a list that has something in it."""
    if isinstance(value, list | tuple):
        for item in value:
            if _nested(item):
                at = len(lines)
                _block(item, f"{indent}  ", lines, literal)
                lines[at] = f"{indent}- {lines[at][len(indent) + 2 :]}"
            elif literal and _stands(item):
                lines += _literal(f"{indent}- ", item, indent)
            else:
                lines.append(f"{indent}- {_flow(item)}")
        return
    for key, item in value.items():
        name = _scalar(key)
        if len(name) > LONGEST_KEY:
            lines.append(f"{indent}? {name}")
            at = len(lines)
            _block(item, f"{indent}  ", lines, literal) if _nested(item) else lines.append(f"{indent}  {_flow(item)}")
            lines[at] = f"{indent}: {lines[at][len(indent) + 2 :]}"
        elif _nested(item):
            lines.append(f"{indent}{name}:")
            # A list stands under its key, not to the right of it, as PyYAML and kubectl write it.
            _block(item, indent if isinstance(item, list | tuple) else f"{indent}  ", lines, literal)
        elif literal and _stands(item):
            lines += _literal(f"{indent}{name}: ", item, indent)
        else:
            lines.append(f"{indent}{name}: {_flow(item)}")


def _stands(item: Any) -> bool:
    """Whether a text can stand as it is: of several lines, all of which print, with no indent or blanks that YAML would lose."""
    if (
        not isinstance(item, str)
        or "\n" not in item[:-1]
        or item[0].isspace()
        or item.endswith("\n\n")
        or commands(item)
    ):
        return False
    return all(line.replace("\t", "").isprintable() and (line.strip() or not line) for line in item.split("\n"))


def _literal(head: str, text: str, indent: str) -> list[str]:
    """The lines of a text that stands as it is, below its key."""
    mark = "|" if text.endswith("\n") else "|-"
    body = text.removesuffix("\n").split("\n")
    return [f"{head}{mark}", *(f"{indent}  {line}" if line else "" for line in body)]


def _nested(value: Any) -> bool:
    return isinstance(value, dict | list | tuple) and bool(value)


def _flow(value: Any) -> str:
    """A value on one line: a scalar, or something empty."""
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, Number):
        return value.text
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, str):
        return _remembered(value) if len(value) <= _LONGEST else _text(value)
    return _other(value)


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _SPECIAL:
        return str(text)
    return _other(text)


_remembered = functools.lru_cache(maxsize=_REMEMBERED)(_text)


def _other(value: Any) -> str:
    """What PyYAML makes of a scalar, on one line."""
    if isinstance(value, str) and not value.isascii():
        value = value.encode(errors="replace").decode()
    text = _dump()(value)
    if isinstance(value, str) and (commands(value) or text.startswith("::")):
        # In quotes the mark can be escaped, and no line begins with colons.
        return in_quotes(_dump()(value, unicode=value.isprintable(), quoted=True))
    # As in JSON: readable, but escaped where something does not print.
    return text if text.isprintable() else _dump()(value, unicode=False)


@functools.cache
def _dump() -> Callable[..., str]:
    import yaml

    # libyaml's emitter is seven times faster; PyYAML is built without it in places.
    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        """Quotes what another reader takes for something else than text."""

    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NO_TEXT_ELSEWHERE, list("-+.0123456789_yYnN"))

    def dump(value: Any, *, unicode: bool = True, quoted: bool = False) -> str:
        # JSON's escapes are YAML's, and a line of its own is what a text with line ends would begin.
        style = '"' if quoted or (isinstance(value, str) and not value.isprintable()) else None
        text: str = yaml.dump(
            value, Dumper=Dumper, default_style=style, width=1 << 30, allow_unicode=unicode, explicit_end=False
        )
        return text.removesuffix("\n").removesuffix("\n...")

    return dump
