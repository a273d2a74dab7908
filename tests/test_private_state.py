"""Tests use what aksp has for its own callers: nothing that is private to a class or a module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent

#: What tests may read all the same, by file, and why.
EXCEPTIONS: dict[str, dict[str, str]] = {}


def private(name: object) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.startswith("__") and name[1:].isidentifier()


def reads(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Private names of others, and their lines: ``one._name``, imported, or named to getattr, setattr or a patch."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not own and ast.unparse(node.value) != "super()":
                yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, each.name) for each in node.names if private(each.name))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("attr"):
            words = [each.value for each in node.args[:2] if isinstance(each, ast.Constant)]
            named = [str(word).rpartition(".")[2] for word in words]
            yield from ((node.lineno, name) for name in named if private(name))


def test_no_test_reads_private_state() -> None:
    found: dict[str, dict[str, list[int]]] = {}
    for path in sorted(TESTS.rglob("*.py")):
        for line, name in reads(ast.parse(path.read_text())):
            found.setdefault(path.relative_to(TESTS).as_posix(), {}).setdefault(name, []).append(line)
    allowed = {(file, name) for file, names in EXCEPTIONS.items() for name in names}
    there = {(file, name) for file, names in found.items() for name in names}
    assert there - allowed == set()
    assert allowed - there == set(), "no longer needed"


def test_each_way_to_read_it_is_found() -> None:
    source = """
from aksp.x import _one
thing._two
thing.first()._three.four
monkeypatch.setattr(thing, "_five", 1)
monkeypatch.setattr("aksp.x._six", 1)
getattr(thing, "_seven")
self._own
super()._own
thing.__class__
"""
    assert {name for _, name in reads(ast.parse(source))} == {"_one", "_two", "_three", "_five", "_six", "_seven"}
