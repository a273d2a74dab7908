"""What is rendered, and how."""

from __future__ import annotations

from msgspec import Struct

from aksp.sources.rendering.helm import Chart, ChartOptions
from aksp.sources.rendering.kustomize import Overlay

#: What is rendered as a whole. Its ``folder`` names it; ``home`` is the file that stands for it where it has no other.
Unit = Chart | Overlay


class Rendering(Struct, frozen=True, kw_only=True):
    """How charts are rendered, folders that are rendered as overlays, and whether what Argo CD and Flux name is read."""

    chart: ChartOptions = ChartOptions()
    overlays: tuple[str, ...] = ()
    follow: bool = False
