"""Which of the targets whose scans are remembered a command means, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aksp.errors import InvalidInput

if TYPE_CHECKING:
    from aksp.history import ScanTarget


#: Clusters that a title names.
_NAMED = 10


def shortened(names: Sequence[str]) -> str:
    """The names of clusters as a title has them: the first, and how many more."""
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def title(subject: ScanTarget) -> str:
    """As in ``cluster prod -n shop``."""
    several = subject.kind.value == "Clusters"  # the model is imported where it is needed
    name = shortened(subject.name.split(", ")) if several else subject.name
    return " ".join((subject.kind.value.lower(), name, *subject.filters))


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
