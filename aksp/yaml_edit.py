"""Fields of a YAML or JSON text changed in place: every byte that does not say the field stays as it is.

A text is parsed for the places of its values alone, and what is changed is cut out and put in there: comments, order,
quotes, anchors and line ends of all else are never written anew. What such an edit cannot do well is CannotEdit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from aksp.yaml_places import CannotEdit, Places, constructed

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node, SequenceNode

__all__ = ["CannotEdit", "assigned", "edited"]

Steps = Sequence[str | int]

#: Texts that are no number, no boolean and nothing else but text without quotes, to every reader of YAML; quantities are.
_PLAIN: Final = re.compile(r"[A-Za-z_/][\w./-]*(?::[\w./-]+)*|\d+(?:m|k|[KMGT]i?)")
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_MERGE: Final = "tag:yaml.org,2002:merge"
_NULL: Final = "tag:yaml.org,2002:null"
#: Stands for entries of lists that are no scalars, which are like none.
_OTHER: Final = object()


def edited(text: str, steps: Steps, value: Any) -> str:
    """The text of one document with the field at a path set to a JSON value, or, for None, removed.

    Raises CannotEdit. What comes out holds the same as before but for that field.
    """
    try:
        edit = _Edit(Places(text))
        changed = edit.set(edit.root, steps, value)
    except RecursionError as error:
        raise CannotEdit("the document is too deep") from error
    expected = assigned(constructed(text), steps, value)
    try:
        same = constructed(changed) == expected
    except CannotEdit:
        same = False
    if not same:
        raise CannotEdit("the way it is written leaves no place to change this field alone")
    return changed


def assigned(data: Any, steps: Steps, value: Any) -> Any:
    """JSON data with the field at a path set, or removed for None; mappings that are missing are made."""
    first, *rest = steps
    if isinstance(first, int):
        if not isinstance(data, list) or first >= len(data):
            raise CannotEdit("the list has no such entry")
        if not rest and value is None:
            raise CannotEdit("an entry of a list is not removed by its number")
        made = list(data)
        made[first] = assigned(made[first], rest, value) if rest else value
        return made
    if data is not None and not isinstance(data, dict):
        raise CannotEdit(f"{first} is no field of what is there")
    fields = dict(data or {})
    if rest:
        if value is not None or first in fields:
            fields[first] = assigned(fields.get(first), rest, value)
    elif value is None:
        fields.pop(first, None)
    else:
        fields[first] = value
    return fields


class _Edit:
    """One change of one text."""

    def __init__(self, places: Places) -> None:
        self._at, self._text, self.root = places, places.text, places.root
        self._newline = "\r\n" if "\r\n" in places.text else "\n"

    def set(self, node: Node, steps: Steps, value: Any, key: Node | None = None) -> str:
        """The text with the field below a node changed; ``key`` is what the node is the value of."""
        import yaml

        if self._at.shared(node):
            raise CannotEdit("it has an anchor, and other places would change with it")
        if not steps:
            return self._replace(node, value, key)
        first, *rest = steps
        if isinstance(node, yaml.SequenceNode) and isinstance(first, int) and first < len(node.value):
            return self.set(node.value[first], rest, value)
        if isinstance(node, yaml.ScalarNode) and node.tag == _NULL and isinstance(first, str):
            return self._text if value is None else self._replace(node, _nested(steps, value), key)
        if not isinstance(node, yaml.MappingNode) or not isinstance(first, str):
            raise CannotEdit("its path leads to nothing that is written there")
        found = next(((k, v) for k, v in node.value if k.value == first and k.tag != _MERGE), None)
        if found is None:
            if any(k.tag == _MERGE for k, _ in node.value):
                raise CannotEdit("it may come from a merge key (<<), which other places use")
            return self._text if value is None else self._insert(node, first, _nested(rest, value))
        if rest or value is not None:
            return self.set(found[1], rest, value, found[0])
        return self._remove_key(node, *found, owner=key)

    # Values

    def _replace(self, node: Node, value: Any, key: Node | None) -> str:
        import yaml

        if isinstance(node, yaml.MappingNode) and isinstance(value, dict):
            text = self._text
            names = [k.value for k, _ in node.value]
            for name in [*value, *(name for name in names if name not in value)]:
                # Places move with each change.
                text = edited(text, [*Places(text).path_of(node), name], value.get(name))
            return text
        if isinstance(node, yaml.SequenceNode) and isinstance(value, list):
            return self._replace_list(node, value, key)
        if not isinstance(node, yaml.ScalarNode):
            raise CannotEdit("a list or a mapping would have to be written anew")
        start, end = self._at.start(node), self._at.end(node)
        if isinstance(value, dict | list) and not self._flow(node) and value:
            if key is None or end > start:
                raise CannotEdit("a value would have to become a list or a mapping")
            column = key.start_mark.column
            return self._spliced(start, end, "".join(self._newline + line for line in self._block(value, column + 2)))
        written = _quoted(value, node.style) if isinstance(value, str) else _flow_text(value, as_json=self._json)
        return self._spliced(start, end, f" {written}" if start == end else written)

    def _replace_list(self, node: SequenceNode, value: list[Any], key: Node | None) -> str:
        """Entries that are not wanted go, and those that are missing come at the end."""
        if any(map(self._at.shared, node.value)):
            raise CannotEdit("an entry of the list has an anchor, and other places would change with it")
        old = [self._scalar(one) for one in node.value]
        kept, gone = 0, []
        for at, entry in enumerate(old):
            if kept < len(value) and entry == value[kept] and type(entry) is type(value[kept]):
                kept += 1
            else:
                gone.append(at)
        if not all(isinstance(one, str | int | float | bool) for one in value[kept:]):
            raise CannotEdit("entries of a list would have to be written anew")
        text = self._text
        spans = self._spans(node, gone)
        more = value[kept:]
        if len(gone) == len(old):
            written = _flow_text(value, as_json=self._json)
            if node.flow_style:
                return self._spliced(self._at.start(node), self._at.end(node), written)
            if key is None:
                raise CannotEdit("a list within a list would have to be written anew")
            first, last = spans[0][0], spans[-1][1]
            colon = self._at.colon(key)
            return f"{text[:colon]} {written}{text[colon:first]}{text[last:]}"
        if more:
            text = self._appended(node, more)
        for start, end in reversed(spans):
            text = text[:start] + text[end:]
        return text

    def _appended(self, node: SequenceNode, more: Sequence[Any]) -> str:
        last = node.value[-1]
        if node.flow_style:
            written = "".join(f", {_flow_text(one, as_json=self._json)}" for one in more)
            return self._spliced(self._at.end(last), self._at.end(last), written)
        dash = self._at.dash(last)
        indent = " " * (dash - self._at.line_start(dash))
        at = self._at.line_end(self._at.end(last))
        written = "".join(f"{self._newline}{indent}- {_flow_text(one)}" for one in more)
        return self._spliced(at, at, written)

    def _spans(self, node: SequenceNode, gone: Sequence[int]) -> list[tuple[int, int]]:
        """What goes with entries: their lines, or they and their commas."""
        entries = node.value
        if not node.flow_style:
            return [self._lines(entries[at]) for at in gone]
        spans: list[tuple[int, int]] = []
        for at in gone:
            start = int(entries[at].start_mark.index)
            if set(range(at, len(entries))) <= set(gone):
                # Nothing is kept from here on: the comma before goes with them.
                spans.append((self._at.end(entries[at - 1]) if at else start, self._at.end(entries[-1])))
                break
            spans.append((start, int(entries[at + 1].start_mark.index)))
        return spans

    def _lines(self, entry: Node) -> tuple[int, int]:
        dash = self._at.dash(entry)
        if not self._at.alone(dash):
            raise CannotEdit("a list within a list would have to be written anew")
        return self._at.line_start(dash), self._at.next_line(self._at.end(entry))

    def _scalar(self, node: Node) -> Any:
        """The value of an entry; what is like none for a list or a mapping."""
        if not isinstance(node.value, str):
            return _OTHER
        return constructed(self._text[node.start_mark.index : self._at.end(node)])

    # Fields

    def _insert(self, node: MappingNode, name: str, value: Any) -> str:
        text = self._text
        if self._flow(node):
            end = node.end_mark.index - 1
            if not node.value:
                return self._spliced(end, end, f"{self._name(name)}: {_flow_text(value, as_json=self._json)}")
            last = self._at.end_of_field(*node.value[-1])
            first = node.value[0][0].start_mark.index
            line = self._at.line_start(first)
            apart = text[line:first] if not text[line:first].strip() and "\n" in text[last:end] else ""
            gap = f"{self._newline}{apart}" if apart else " "
            return self._spliced(last, last, f",{gap}{self._name(name)}: {_flow_text(value, as_json=self._json)}")
        column = node.value[0][0].start_mark.column
        at = self._at.line_end(self._at.end_of_field(*node.value[-1]))
        lines = self._block({name: value}, column)
        return self._spliced(at, at, "".join(self._newline + line for line in lines))

    def _remove_key(self, node: MappingNode, key: Node, value: Node, owner: Node | None) -> str:
        at = next(number for number, pair in enumerate(node.value) if pair[0] is key)
        start, end = key.start_mark.index, self._at.end_of_field(key, value)
        following = node.value[at + 1][0].start_mark.index if at + 1 < len(node.value) else None
        if self._flow(node):
            if following is not None:
                return self._spliced(start, following, "")
            return self._spliced(self._at.end_of_field(*node.value[at - 1]) if at else start, end, "")
        if len(node.value) == 1:
            if owner is None or not self._at.alone(start):
                return self._spliced(start, end, "{}")
            colon = self._at.colon(owner)
            return f"{self._text[:colon]} {{}}{self._text[colon : self._at.line_start(start)]}{self._text[self._at.next_line(end) :]}"
        if not self._at.alone(start):
            # It stands behind the dash of an entry, where the next field comes to stand.
            assert following is not None  # else it would be the last of several, which has a line of its own
            return self._spliced(start, following, "")
        return self._spliced(self._at.line_start(start), self._at.next_line(end), "")

    # Text

    @property
    def _json(self) -> bool:
        return self._text.lstrip().startswith(("{", "["))

    def _name(self, name: str) -> str:
        return json.dumps(name) if self._json else _flow_text(name)

    def _block(self, value: Any, column: int) -> list[str]:
        """The lines of a mapping or a list, from a column on."""
        indent = " " * column
        lines: list[str] = []
        if isinstance(value, list):
            return [f"{indent}- {_flow_text(one)}" for one in value]
        for name, one in value.items():
            head = f"{indent}{_flow_text(name)}:"
            if isinstance(one, dict) and one:
                lines += [head, *self._block(one, column + 2)]
            elif isinstance(one, list) and one and all(not isinstance(each, dict | list) for each in one):
                lines += [head, *self._block(one, column + self._at.list_indent())]
            else:
                lines.append(f"{head} {_flow_text(one)}")
        return lines

    def _spliced(self, start: int, end: int, new: str) -> str:
        return self._text[:start] + new + self._text[end:]

    def _flow(self, node: Node) -> bool:
        return bool(getattr(node, "flow_style", False)) or self._json


def _nested(steps: Steps, value: Any) -> Any:
    for step in reversed(steps):
        if isinstance(step, int):
            raise CannotEdit("the list has no such entry")
        value = {step: value}
    return value


def _quoted(value: str, style: str | None) -> str:
    """A text in the quotes that the one before had."""
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return json.dumps(value, ensure_ascii=False) if style == '"' else _flow_text(value)


def _flow_text(value: Any, *, as_json: bool = False) -> str:
    if as_json:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ", ".join(_flow_text(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow_text(name)}: {_flow_text(one)}" for name, one in value.items()) + "}"
    return json.dumps(value)
