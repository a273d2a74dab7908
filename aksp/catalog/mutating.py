"""What a mutation would make of an object, as Gatekeeper applies it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from aksp.catalog.mutations import Mutation, MutationOperation

#: A step of a location: a key, or all objects of a list by one of their keys.
_STEP: Final = re.compile(r"(?P<key>[^.\[\]]+)(?P<each>\[[^\]:]+:\*\])?")


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchOperation:
    """One operation of a JSON patch (RFC 6902)."""

    op: str
    path: str
    value: Any = None

    def document(self) -> dict[str, Any]:
        """As it is written."""
        return {"op": self.op, "path": self.path} | ({} if self.op == "remove" else {"value": self.value})


def patch_of(mutation: Mutation, document: Any, at: str = "") -> list[PatchOperation]:
    """What a mutation changes in a document, whose JSON pointer is ``at``."""
    steps = [(match["key"], bool(match["each"])) for match in _STEP.finditer(mutation.location)]
    return list(_walk(mutation, document, at, steps))


def _walk(mutation: Mutation, found: Any, at: str, steps: Sequence[tuple[str, bool]]) -> Iterator[PatchOperation]:
    if not isinstance(found, dict):
        return  # what is no object there cannot have the field
    (key, each), *rest = steps
    here = f"{at}/{key.replace('~', '~0').replace('/', '~1')}"
    value = found.get(key)
    if each:
        for index, one in enumerate(value if isinstance(value, list) else ()):
            yield from _walk(mutation, one, f"{here}/{index}", rest)
    elif rest:
        if value is None:
            if mutation.operation is not MutationOperation.PRUNE and not any(listed for _, listed in rest):
                yield PatchOperation(op="add", path=here, value=_made(mutation, [name for name, _ in rest]))
        else:
            yield from _walk(mutation, value, here, rest)
    else:
        yield from _changed(mutation, value, here, key in found)


def _changed(mutation: Mutation, value: Any, here: str, there: bool) -> Iterator[PatchOperation]:
    match mutation.operation:
        case MutationOperation.ASSIGN:
            if not there or (not mutation.only_absent and value != mutation.value):
                yield PatchOperation(op="replace" if there else "add", path=here, value=mutation.value)
        case MutationOperation.MERGE:
            kept = value if isinstance(value, list) else []
            missing = [one for one in mutation.value if one not in kept]
            if missing:
                yield PatchOperation(op="replace" if there else "add", path=here, value=[*kept, *missing])
        case MutationOperation.PRUNE:
            left = [one for one in value if one not in mutation.value] if isinstance(value, list) else value
            if left != value:
                yield PatchOperation(op="replace", path=here, value=left)


def _made(mutation: Mutation, keys: Sequence[str]) -> Any:
    made = deepcopy(mutation.value)
    for key in reversed(keys):
        made = {key: made}
    return made


def applied(document: Any, patch: Sequence[PatchOperation]) -> Any:
    """A document with a patch in it."""
    changed = deepcopy(document)
    for one in patch:
        *path, last = (part.replace("~1", "/").replace("~0", "~") for part in one.path.split("/")[1:])
        found = changed
        for part in path:
            found = found[int(part)] if isinstance(found, list) else found[part]
        found[last] = deepcopy(one.value)
    return changed
