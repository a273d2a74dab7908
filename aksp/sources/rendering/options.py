"""What is rendered, and how."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from aksp.sources.rendering.helm import ChartOptions

#: What a text has that may hold such a resource.
_MARKS: Final = (b"argoproj.io/", b".toolkit.fluxcd.io/")


class Rendering(Struct, frozen=True, kw_only=True):
    """How charts are rendered, folders that are rendered as overlays, and whether what Argo CD and Flux name is read."""

    chart: ChartOptions = ChartOptions()
    overlays: tuple[str, ...] = ()
    follow: bool = False


def may_name(text: bytes) -> bool:
    """Whether a text may have something to follow, without reading it."""
    return any(mark in text for mark in _MARKS)
