"""A class name has one meaning in the whole of aksp."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.modules import modules


def test_no_class_name_occurs_twice() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for module, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{module}:{node.lineno}")
    assert len(places) > 200
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_a_struct_that_says_what_is_equal_says_what_is_not() -> None:
    """Python makes != of ==, except where a base class has one of its own, as a struct has."""
    for module, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and "Struct" in map(ast.unparse, node.bases):
                own = {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
                assert ("__eq__" in own) == ("__ne__" in own), f"{module}:{node.lineno}"
