"""Which of the targets whose scans are remembered a command means, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aksp.errors import InvalidInput

if TYPE_CHECKING:
    from aksp.history import ScanTarget


def title(subject: ScanTarget) -> str:
    """As in ``cluster prod -n shop``."""
    return " ".join((subject.kind.value.lower(), subject.name, *subject.filters))


def chosen(subjects: Sequence[ScanTarget], cluster: str | None, files: Sequence[str] | None) -> list[ScanTarget]:
    """Those that the options name. Raises InvalidInput when they name none."""
    from aksp.model.compliance import TargetKind

    if cluster is None and not files:
        return list(subjects)
    wanted = []
    if cluster is not None:
        wanted.append((TargetKind.CLUSTER, cluster))
    if files:
        wanted.append((TargetKind.MANIFESTS, " ".join(files)))
    found = [one for one in subjects if (one.kind, one.name) in wanted]
    if not found:
        names = ", ".join(dict.fromkeys(title(one) for one in subjects)) or "none yet"
        raise InvalidInput(
            f"no scan of {' or '.join(f'{kind.value.lower()} {name}' for kind, name in wanted)} is remembered",
            hint=f"there are: {names}",
        )
    return found
