"""A long module says why it is one."""

from __future__ import annotations

import ast

from tests.modules import modules

_LINES = 400


def test_a_long_module_says_why() -> None:
    long = {
        module: ast.get_docstring(tree) or ""
        for module, tree in modules()
        if max((node.end_lineno or 0 for node in tree.body), default=0) > _LINES
    }
    assert "engine/client.py" in long
    assert [module for module, text in long.items() if "Longer than other modules: " not in text] == []
