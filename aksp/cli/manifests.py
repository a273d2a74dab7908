"""Which manifests a command is about, as its command line says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from aksp.engine import Engine
from aksp.model.compliance import Target, TargetKind
from aksp.model.scope import Scope
from aksp.sources.rendering.options import Rendering

if TYPE_CHECKING:
    from aksp.sources.manifests import Manifests


class ManifestOptions(Struct, frozen=True, kw_only=True):
    """The paths, and how they are read. Without ``rendering`` nothing is rendered."""

    files: Sequence[str] = ()
    recursive: bool = False
    exclude: Sequence[str] = ()
    custom_workloads: bool = True
    rendering: Rendering | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The paths, and the overlays; none for a cluster."""
        return (*self.files, *(self.rendering.overlays if self.rendering else ()))

    def target(self, scope: Scope | None, filters: Sequence[str] = ()) -> Target:
        """What a report says that it is about. ``scope`` is the cluster by whose assignments they are judged."""
        return Target(
            kind=TargetKind.MANIFESTS, name=" ".join(self.names), scope=str(scope or "/"), filters=tuple(filters)
        )

    def read(self, engine: Engine, workspace: Path | None, **more: Any) -> Manifests:
        """The documents; ``more`` goes to `Manifests`."""
        from aksp.sources.manifests import Manifests

        return Manifests(
            engine,
            self.files,
            recursive=self.recursive,
            exclude=self.exclude,
            custom_workloads=self.custom_workloads,
            rendering=self.rendering,
            workspace=workspace,
            **more,
        )
