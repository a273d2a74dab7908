"""What reviews are judged by, and how the engine gets it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from aksp.addon.review import wording
from aksp.addon.review.decision_cache import DecisionCache
from aksp.compliance.plan import MatchSource, Plan
from aksp.engine import RegisteredTask
from aksp.model.resource import Document
from aksp.sources.interface import names_of


class PoliciesInForce(Struct, frozen=True, kw_only=True):
    """What requests are judged by. ``unready`` has the assignments that cannot be asked, and why.

    ``name`` is the engine's for the plan's tasks, ``namespaces`` the labels of those that assignments select by.
    """

    plan: Plan
    decisions: DecisionCache
    unready: Mapping[str, str] = {}
    name: str = ""
    namespaces: Mapping[str, Mapping[str, str]] = {}

    def unready_for(self, document: Document) -> dict[str, str]:
        """The assignments that select a document and cannot be asked, and why."""
        return {
            ready.key.name: self.unready[ready.key.name]
            for ready in self.plan.ready
            if ready.key.name in self.unready and ready.selection.selects(document)
        }


def registered(plan: Plan, unready: Mapping[str, str]) -> list[RegisteredTask]:
    """The tasks for the engine, by the assignments' numbers; those that cannot be asked are about no kind."""
    return [
        RegisteredTask(
            policy=ready.definition.slug,
            parameters=ready.values,
            kinds=() if ready.key.name in unready else names_of(ready.selection.kinds),
            before=ready.refuses,
            before_template=ready.refuses and ready.source is not MatchSource.ORIGINAL,
            # With exemptions all violations are needed: the first ones may all be exempt.
            enough=0 if ready.exemptions else wording.ENOUGH,
        )
        for ready in plan.ready
    ]
