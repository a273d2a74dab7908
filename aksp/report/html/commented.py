"""YAML with comments, which YAML libraries do not write: for excerpts that say what is expected."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from aksp.model.json_text import encode
from aksp.yaml_writer import LONGEST_KEY, to_yaml


class CommentedValue(Struct, frozen=True):
    """A value with comments that stand on the lines before it. Each must be safe text."""

    value: Any
    notes: tuple[str, ...] = ()


_PLAIN_WITHIN: Final = re.compile(r"[\w./-]+(?:[ :@][\w./-]+)*", re.ASCII)
#: No value: only its key is written.
NOTHING: Final = object()


def lines(value: Any, indent: str = "") -> Iterator[str]:
    """The lines of a value in block style, in which everything prints. Reads back as the value without the comments."""
    match value:
        case CommentedValue():
            yield from lines(value.value, indent)
        case dict() if value:
            for key, inner in value.items():
                name = flow(str(key))
                if len(name) > LONGEST_KEY:
                    yield f"{indent}? {name}"
                    yield from _item(inner, indent, ":")
                else:
                    yield from _entry(f"{indent}{name}:", inner, indent)
        case list() | tuple() if value:
            for item in value:
                yield from _item(item, indent)
        case _:
            yield indent + flow(value)


def flow(value: Any) -> str:
    """A value on one line, whatever is in it."""
    match value:
        case dict() if value:
            return "{" + ", ".join(f"{_key_within(str(key))}: {_within(inner)}" for key, inner in value.items()) + "}"
        case list() | tuple() if value:
            return "[" + ", ".join(map(_within, value)) + "]"
        case str():
            return _text(value)
        case _:
            return to_yaml([value])[2:-1]


@functools.lru_cache(maxsize=4096)
def _text(text: str) -> str:
    """As an entry of a list, without the dash."""
    return to_yaml([text])[2:-1]


def _within(value: Any) -> str:
    """A value inside brackets, where more characters have a meaning than elsewhere."""
    text = flow(value)
    if isinstance(value, str) and text == value and not _PLAIN_WITHIN.fullmatch(text):
        return encode(text)
    return text


def _key_within(key: str) -> str:
    text = _within(key)
    return f"? {text} " if len(text) > LONGEST_KEY else text


def _entry(key: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, CommentedValue):
        yield from (f"{indent}# {note}" for note in value.notes)
        value = value.value
    if value is NOTHING:
        yield key
    elif isinstance(value, dict) and value:
        yield key
        yield from lines(value, indent + "  ")
    elif isinstance(value, list | tuple) and value:
        yield key
        yield from lines(value, indent)
    else:
        yield f"{key} {flow(value)}"


def _item(item: Any, indent: str, mark: str = "-") -> Iterator[str]:
    if isinstance(item, CommentedValue):
        yield from (f"{indent}# {note}" for note in item.notes)
        item = item.value
    if item is NOTHING:
        yield f"{indent}{mark}"
        return
    dashed = False
    for line in lines(item, indent + "  "):
        if dashed or line.lstrip().startswith("# "):
            # Comments on the first key stand above the dash (or the colon of a long key).
            yield line
        else:
            dashed = True
            yield f"{indent}{mark} {line[len(indent) + 2 :]}"
