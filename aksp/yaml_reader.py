"""Files that people write, read with bounds: only regular files, and YAML that holds what JSON holds.

Whatever is wrong is InvalidInput with file and line: aliases that multiply, recursion, depth, tags, keys that are no
text, and scalars that are not what they say.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from aksp.errors import InvalidInput

if TYPE_CHECKING:
    from yaml.nodes import Node

#: Bytes of the longest file, levels of the deepest value, and values that a YAML file has once its aliases are written
#: out. They are read in 2 s and 300 MB; an API server keeps no object of more than 1.5 MiB.
LONGEST_FILE: Final = 4 << 20
DEEPEST: Final = 100
MOST_VALUES: Final = 200_000
#: Bits of the longest integer (640 digits, which Python writes whatever limit it is given).
_LONGEST_INTEGER: Final = 2126

_TAG: Final = "tag:yaml.org,2002:"
_SCALARS: Final = frozenset(
    _TAG + name for name in ("null", "bool", "int", "float", "str", "timestamp", "merge", "value")
)


class NoFile(OSError):
    """A pipe or a device stands where a file should."""


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file to read it. Raises OSError, ValueError for a path with a NUL; waits for nobody."""
    # Without O_NONBLOCK, opening a FIFO waits until another process writes to it.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise NoFile(None, "it is no regular file")


def read_file(path: Path) -> str:
    """The text of a regular file. Raises InvalidInput, at once for what is none."""
    try:
        with open_regular(path) as stream:
            data = stream.read(LONGEST_FILE + 1)
    except FileNotFoundError as error:
        raise InvalidInput("there is no such file", where=str(path)) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        hint = "put a file in its place, or remove it" if isinstance(error, NoFile | IsADirectoryError) else None
        raise InvalidInput(f"cannot be read: {reason}", where=str(path), hint=hint) from error
    if len(data) > LONGEST_FILE:
        raise InvalidInput(f"is longer than {LONGEST_FILE >> 20} MiB", where=str(path))
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInput(f"cannot be read: it is no UTF-8, see byte {error.start}", where=f"{path}:{line}") from error


@functools.cache
def _loader() -> Any:
    """The class of loaders. One for all texts: what is made for each stays, since a scan switches the garbage collector off."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def construct_object(self, node: Any, deep: bool = False) -> Any:
            try:
                value = super().construct_object(node, deep)
            except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
                raise _wrong(node, f"{_shown(node)} is no {node.tag.removeprefix(_TAG)}") from error
            if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER:
                raise _wrong(node, f"the number {_shown(node)} is too long")
            return value

    return Loader


def read_yaml(text: str, where: str) -> list[tuple[Any, Node]]:
    """The documents of a YAML text, each with its nodes, for their places. Raises InvalidInput."""
    import yaml

    try:
        # By events first: nodes are made by recursion, which has no bound in C.
        _check_size(yaml.parse(text, _loader()), where)
        loader = _loader()(text)
        try:
            found = []
            while loader.check_node():
                node = loader.get_node()
                _check(node)
                found.append((loader.construct_document(node), node))
            return found
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(getattr(error, "reason", "") or "not YAML")
        raise InvalidInput(f"invalid YAML: {problem}", where=f"{where}{line}") from error


def line_of(node: Node, path: str) -> int:
    """The line of a field such as ``spec.resources[0].name``; where it is not there, that of what should have it."""
    import yaml

    line: int = node.start_mark.line + 1
    rest = path
    while rest:
        if isinstance(node, yaml.SequenceNode):
            at = re.match(r"\[(\d+)\]\.?", rest)
            if at is None or int(at[1]) >= len(node.value):
                return line
            node, rest = node.value[int(at[1])], rest[at.end() :]
            line = node.start_mark.line + 1
            continue
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        # Keys may have dots: the longest that fits.
        fitting = [(key, value) for key, value in pairs if re.match(rf"{re.escape(key.value)}(?:$|[.\[])", rest)]
        if not fitting:
            return line
        key, node = max(fitting, key=lambda pair: len(pair[0].value))
        rest = rest[len(key.value) :].removeprefix(".")
        line = key.start_mark.line + 1
    return line


def _check_size(events: Any, where: str) -> None:
    """Raise InvalidInput for recursion, for too deep values and for too many, aliases counting as what they stand for."""
    import yaml

    sizes: dict[str, int | None] = {}
    open_: list[tuple[str | None, int]] = []
    total = 0
    for event in events:
        at = f"{where}:{event.start_mark.line + 1}"
        if isinstance(event, yaml.DocumentStartEvent):
            sizes = {}
        elif isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, total))
            total += 1
            if event.anchor:
                sizes[event.anchor] = None
            if len(open_) > DEEPEST:
                raise InvalidInput(f"invalid YAML: deeper than {DEEPEST} levels", where=at)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.AliasEvent):
            size = sizes.get(event.anchor or "", 1)
            if size is None:
                raise InvalidInput(f"invalid YAML: *{event.anchor} is within itself", where=at)
            total += size
        if total > MOST_VALUES:
            raise InvalidInput(
                f"invalid YAML: it has more than {MOST_VALUES:,} values, its aliases written out",
                where=at,
                hint="write it in several files, or less of it",
            )


def _check(root: Any) -> None:
    """Raise a YAMLError for tags that JSON knows nothing of, keys that are no text, and keys that are there twice."""
    import yaml

    waiting, seen = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.ScalarNode):
            if node.tag not in _SCALARS:
                raise _wrong(node, f"{node.tag.removeprefix(_TAG)} is no tag of a text or a number")
            continue
        kind = "map" if isinstance(node, yaml.MappingNode) else "seq"
        if node.tag != _TAG + kind:
            what = "mapping" if kind == "map" else "list"
            raise _wrong(node, f"{node.tag.removeprefix(_TAG)} is no tag of a {what}")
        children = node.value
        if isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise _wrong(key, "a key is a list or a mapping, expected text")
                # Of two, one would be ignored without a word.
                if key.tag != _TAG + "merge":
                    if key.value in keys:
                        raise _wrong(key, f"key {key.value!r} is there twice")
                    keys.add(key.value)
                    # As JSON has it: of 1 and true one would be lost, which for Python are the same.
                    if key.tag in _SCALARS:
                        key.tag = _TAG + "str"
            children = [part for pair in node.value for part in pair]
        for child in children:
            if id(child) not in seen:
                seen.add(id(child))
                waiting.append(child)


def _wrong(node: Any, problem: str) -> Exception:
    import yaml

    return yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)


def _shown(node: Any) -> str:
    text = node.value if isinstance(node.value, str) else "it"
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
