"""The levels of the Pod Security Standards, as the definitions of their initiatives with the parameters given there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aksp.catalog.folder import bundled_initiatives
from aksp.compliance.expressions import has_expression

#: The initiative of each level.
INITIATIVES = {
    level: next(one for one in bundled_initiatives() if one.slug == f"pod-security-{level}")
    for level in ("baseline", "restricted")
}
#: The definitions of each level with their parameters; what the initiative passes on from its own is not among them.
LEVELS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    level: {
        member.definition_id: {name: value for name, value in member.parameters.items() if not has_expression(value)}
        for member in initiative.members
    }
    for level, initiative in INITIATIVES.items()
}
