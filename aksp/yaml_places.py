"""Where the values of a YAML or JSON text stand: the characters and the lines that go with each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from yaml.nodes import Node

_PROPERTIES: Final = re.compile(r"(?:[&!][^\s,\[\]{}]*\s+)+")
_ALIAS: Final = re.compile(r"\*[^\s,\[\]{}]+")


class CannotEdit(Exception):
    """A field that cannot be changed without changing more than it; the text says why."""


def composed(text: str) -> Node:
    """The nodes of a text's one document. Raises CannotEdit."""
    import yaml

    found: Node | None = _read(yaml.compose, text)
    if found is None:
        raise CannotEdit("the document is empty")
    return found


def constructed(text: str) -> Any:
    """The data of a text's one document. Raises CannotEdit."""
    import yaml

    return _read(yaml.load, text)


def _read(read: Callable[[str, Any], Any], text: str) -> Any:
    import yaml

    try:
        return read(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise CannotEdit("it is read otherwise by a second parser of YAML") from error


class Places:
    """The places of one text. An alias is the node of its anchor, so that its own place must be looked for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root = composed(text)
        self._uses = Counter(_uses(self.root))

    def shared(self, node: Node) -> bool:
        """Whether more than one place of the text says this node."""
        return self._uses[id(node)] > 1

    def start(self, node: Node) -> int:
        """Where a value begins behind its anchor. Raises CannotEdit for one with a tag."""
        at = int(node.start_mark.index)
        properties = _PROPERTIES.match(self.text, at, max(int(node.end_mark.index), at))
        if properties is None:
            return at
        if "!" in properties[0]:
            raise CannotEdit("it has a tag, which another value may not bear")
        return properties.end()

    def end(self, node: Node) -> int:
        """Behind the last character of a value, comments and blank lines behind it apart."""
        import yaml

        start, end = int(node.start_mark.index), int(node.end_mark.index)
        if isinstance(node, yaml.ScalarNode):
            return start + len(self.text[start:end].rstrip()) if node.style in ("|", ">") else end
        if getattr(node, "flow_style", False) or not node.value:
            return end
        if isinstance(node, yaml.MappingNode):
            return self.end_of_field(*node.value[-1])
        return self._end_of_entry(node.value)

    def end_of_field(self, key: Node, value: Node) -> int:
        """Behind the last character of a field."""
        colon = self.colon(key)
        if value.start_mark.index < key.end_mark.index:
            return self._alias(colon)
        return max(self.end(value), colon)

    def _end_of_entry(self, entries: Sequence[Node]) -> int:
        """Behind the last of entries."""
        *before, last = entries
        if not self.shared(last):
            return self.end(last)
        behind = self._end_of_entry(before) if before else 0
        return self.end(last) if last.start_mark.index >= behind else self._alias(behind)

    def _alias(self, at: int) -> int:
        found = _ALIAS.search(self.text, at)
        if found is None:
            raise CannotEdit("it has an anchor, and other places would change with it")
        return found.end()

    def colon(self, key: Node) -> int:
        """Behind the colon of a key."""
        return self.text.index(":", int(key.end_mark.index)) + 1

    def dash(self, entry: Node) -> int:
        """The dash of a list's entry."""
        return self.text.rindex("-", 0, int(entry.start_mark.index))

    def alone(self, at: int) -> bool:
        """Whether nothing stands before a place on its line."""
        return not self.text[self.line_start(at) : at].strip()

    def line_start(self, at: int) -> int:
        """Where the line of a place begins."""
        return self.text.rfind("\n", 0, at) + 1

    def line_end(self, at: int) -> int:
        """Where the line of a place ends, before its line end."""
        end = self.text.find("\n", at)
        end = len(self.text) if end < 0 else end
        return end - 1 if self.text[at:end].endswith("\r") else end

    def next_line(self, at: int) -> int:
        """Where the line behind that of a place begins."""
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end + 1

    def path_of(self, wanted: Node) -> list[str | int]:
        """The path to the node that begins where another one does in another text, and is of its kind. Raises CannotEdit."""
        import yaml

        waiting: list[tuple[Node, list[str | int]]] = [(self.root, [])]
        while waiting:
            node, path = waiting.pop()
            if type(node) is type(wanted) and node.start_mark.index == wanted.start_mark.index:
                return path
            if isinstance(node, yaml.MappingNode):
                waiting += [(value, [*path, key.value]) for key, value in node.value]
            elif isinstance(node, yaml.SequenceNode):
                waiting += [(value, [*path, at]) for at, value in enumerate(node.value)]
        raise CannotEdit("the mapping would have to be written anew")

    def list_indent(self) -> int:
        """By how much lists are indented: as the first of them is, else not at all."""
        import yaml

        waiting = [self.root]
        while waiting:
            node = waiting.pop(0)
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if isinstance(value, yaml.SequenceNode) and not value.flow_style and value.value:
                        return 2 if value.start_mark.column > key.start_mark.column else 0
                    waiting.append(value)
            elif isinstance(node, yaml.SequenceNode):
                waiting += node.value
        return 0


def _uses(root: Node) -> list[int]:
    """The identity of each node as often as something refers to it."""
    import yaml

    found, waiting, seen = [id(root)], [root], {id(root)}
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            below = [part for pair in node.value for part in pair]
        else:
            below = node.value if isinstance(node, yaml.SequenceNode) else []
        for child in below:
            found.append(id(child))
            if id(child) not in seen:
                seen.add(id(child))
                waiting.append(child)
    return found
