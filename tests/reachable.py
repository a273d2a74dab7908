"""What an object keeps alive, told without its names for it."""

from __future__ import annotations

import gc
from types import FunctionType, ModuleType
from typing import Any, TypeVar

T = TypeVar("T")


def reachable(root: object, kind: type[T]) -> list[T]:
    """The objects of a kind that can be reached from another one, but through functions, classes and modules."""
    known: dict[int, Any] = {id(root): root}
    waiting = [root]
    while waiting:
        for one in gc.get_referents(waiting.pop()):
            if id(one) not in known and not isinstance(one, type | ModuleType | FunctionType):
                known[id(one)] = one
                waiting.append(one)
    return [one for one in known.values() if isinstance(one, kind)]
