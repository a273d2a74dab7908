"""The effects and parameters of Azure's own definitions for Kubernetes, against which their assignments are checked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

from msgspec import Struct, json


class AzureBuiltIn(Struct, frozen=True, kw_only=True):
    """One of them: its effects, the names of its parameters, and those of them that have no default."""

    effects: tuple[str, ...]
    parameters: tuple[str, ...]
    required: tuple[str, ...]


@cache
def built_ins() -> Mapping[str, AzureBuiltIn]:
    """All that judge, by their GUIDs."""
    written = resources.files(__package__).joinpath("built_ins.json").read_bytes()
    return json.decode(written, type=dict[str, AzureBuiltIn])
