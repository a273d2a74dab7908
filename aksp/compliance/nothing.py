"""When nothing was judged: why one assignment judged nothing, and the gaps that say that there was nothing at all.

Nothing judged is never Compliant. An assignment that judged nothing is NotStarted with a reason. A run that could judge
nothing because there was nothing has a gap, so that every format tells it and the exit code is 4; documents or objects
that no assignment is about are no gap.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aksp.compliance.plan import Plan, Ready
from aksp.model.compliance import Gap, Target, TargetKind
from aksp.model.effect import Effect

#: The reasons of the gaps that say that there was nothing.
NOTHING_ASSIGNED: Final = "NothingAssigned"
NOTHING: Final = (NOTHING_ASSIGNED, "NoDocument", "NoSuchNamespace")
_SO = ", so nothing was judged"
#: Why an assignment judged nothing.
ADMISSION_ONLY = "judged at admission only: the rule finds nothing without the request"
INTERRUPTED = "the evaluation was interrupted before it"


def disabled(effect: Effect) -> str:
    """Why an assignment with an effect that judges nothing judged nothing."""
    return f"its effect is {effect}"


def idle(ready: Ready) -> str:
    """Why an assignment judged nothing although all that it is about could be had."""
    if not ready.effect.judges:
        return disabled(ready.effect)
    if ready.not_started:
        return ready.not_started
    kinds = ", ".join(dict.fromkeys(kind.kind for kind in ready.selection.kinds))
    return f"matched nothing: no {kinds} that it reaches"


def no_assignment(plan: Plan, target: Target) -> Gap | None:
    """The gap of a plan by which a scan can judge nothing; None for any other."""
    # A broken assignment has a gap of its own.
    if plan.broken or any(not ready.not_started for ready in plan.ready):
        return None
    where = "these manifests" if target.kind is TargetKind.MANIFESTS and target.scope == "/" else target.scope
    counts: dict[str, int] = {}
    for reason in (idle(ready) for ready in (*plan.disabled, *plan.ready)):
        counts[reason] = counts.get(reason, 0) + 1
    there = "; ".join(f"{count} {'is' if count == 1 else 'are'} not: {reason}" for reason, count in counts.items())
    message = f"no assignment that is in force reaches {where}{_SO}{f' ({there})' if there else ''}"
    return Gap(reason="NothingAssigned", message=message)


def no_document(paths: Iterable[str]) -> Gap:
    """The gap of manifests without any document."""
    where = ", ".join("standard input" if path == "-" else path for path in paths)
    return Gap(reason="NoDocument", message=f"there is no document in {where}{_SO}")


def no_namespace(name: str, where: str) -> Gap:
    """The gap of a namespace that was asked for and is not there; ``where`` as in ``in cluster prod``."""
    return Gap(reason="NoSuchNamespace", message=f"there is no namespace {name} {where}")


def besides(gaps: Iterable[Gap]) -> str:
    """What else there was nothing of where nothing is assigned, as a sentence; empty where that is all."""
    told = "; ".join(gap.message.removesuffix(_SO) for gap in gaps if gap.reason in NOTHING[1:])
    return told[:1].upper() + told[1:]
