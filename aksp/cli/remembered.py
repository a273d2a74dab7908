"""Which of the targets whose scans are remembered a command means, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aksp.errors import InvalidInput

if TYPE_CHECKING:
    from aksp.history import ScanTarget


#: Clusters that a title names, and what else a note names; the report has them all.
_NAMED = 10


def shortened(names: Sequence[str]) -> str:
    """Names for a title or a note: the first, and how many more."""
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def title(subject: ScanTarget) -> str:
    """As in ``cluster prod -n shop``."""
    several = subject.kind.value == "Clusters"  # the model is imported where it is needed
    name = shortened(clusters_of(subject)) if several else subject.name
    return " ".join((subject.kind.value.lower(), name, *subject.filters))


def chosen(
    subjects: Sequence[ScanTarget], clusters: Sequence[str], files: Sequence[str] | None, *, every: bool = False
) -> list[ScanTarget]:
    """Those that the options name, ``every`` cluster with what was judged together. Raises InvalidInput for a name that none has.

    First the result of several clusters that were judged together.
    """
    from aksp.model.compliance import TargetKind

    if every:
        found = [one for one in subjects if one.kind is not TargetKind.MANIFESTS]
        if not found:
            raise InvalidInput("no scan of a cluster is remembered", hint="`aksp compliance` leaves a record of each")
        return sorted(found, key=lambda one: (one.kind is not TargetKind.CLUSTERS, one.name))
    if not clusters and not files:
        return list(subjects)
    wanted = [(TargetKind.CLUSTER, name) for name in dict.fromkeys(clusters)]
    if files:
        wanted.append((TargetKind.MANIFESTS, " ".join(files)))
    known = {(one.kind, one.name) for one in subjects}
    for kind, name in wanted:
        if (kind, name) not in known:
            names = ", ".join(dict.fromkeys(title(one) for one in subjects)) or "none yet"
            raise InvalidInput(f"no scan of {kind.value.lower()} {name} is remembered", hint=f"there are: {names}")
    if len(set(clusters)) > 1:
        wanted.insert(0, (TargetKind.CLUSTERS, ", ".join(sorted(set(clusters)))))
    return [one for each in wanted for one in subjects if (one.kind, one.name) == each]


def parts_of(subject: ScanTarget, subjects: Sequence[ScanTarget]) -> list[ScanTarget]:
    """The clusters of a target that is several, each as it is remembered with the same filters; none for any other."""
    from aksp.model.compliance import TargetKind

    if subject.kind is not TargetKind.CLUSTERS:
        return []
    names = clusters_of(subject)
    alone = [one for one in subjects if one.kind is TargetKind.CLUSTER and one.filters == subject.filters]
    return sorted((one for one in alone if one.name in names), key=lambda one: one.name)


def clusters_of(subject: ScanTarget) -> list[str]:
    """The names of the clusters of a target that is several."""
    return subject.name.split(", ")


def refuse_two_ways(clusters: Sequence[str] | None, files: Sequence[str] | None, *, all_clusters: bool) -> None:
    """Raise InvalidInput for --all-clusters beside options that it includes or excludes."""
    for option, given in (("--cluster", clusters), ("-f", files)):
        if all_clusters and given:
            raise InvalidInput(f"{option} does not combine with --all-clusters", hint="give one of them")
