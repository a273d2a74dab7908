"""What ``copy.replace`` is from Python 3.13 on."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from msgspec import Struct, structs

T = TypeVar("T")


def replace(one: T, /, **changes: Any) -> T:
    """A dataclass or a struct with other values."""
    if isinstance(one, Struct):
        return structs.replace(one, **changes)
    return dataclasses.replace(one, **changes)  # type: ignore[type-var]
