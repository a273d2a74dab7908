"""What is rendered, and how."""

from __future__ import annotations

from dataclasses import dataclass, field

from aksp.sources.rendering.helm import ChartOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendering:
    """How charts are rendered, folders that are rendered as overlays, and whether what Argo CD and Flux name is read."""

    chart: ChartOptions = field(default_factory=ChartOptions)
    overlays: tuple[str, ...] = ()
    follow: bool = False
