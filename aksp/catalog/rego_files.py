"""Where the Rego of definitions lies, and which shared modules a rule uses.

Little is imported here: a command looks for the Rego of what is assigned before all else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

BUNDLED = Path(__file__).parent.parent / "definitions"
#: The folder of shared modules.
LIBRARIES = "lib"
#: The folder of initiatives.
INITIATIVES = "initiatives"
#: What definitions and initiatives are called.
SLUG = re.compile(r"[a-z0-9-]+")
_LIBRARY_IMPORT = re.compile(r"\bdata\.lib\.([A-Za-z_]\w*)")


def used_libraries(source: str, source_of: Callable[[str], str]) -> list[str]:
    """The libraries that a module names, and those that they name. ``source_of`` gives the text of one."""
    found: dict[str, None] = {}
    queue = [source]
    while queue:
        for name in _named(queue.pop()):
            text = source_of(name)
            if name not in found:
                found[name] = None
                queue.append(text)
    return list(found)


@lru_cache(maxsize=256)
def _named(source: str) -> tuple[str, ...]:
    """The libraries that a module names. Remembered, since many rules import the same library."""
    return tuple(_LIBRARY_IMPORT.findall(re.sub(r"#.*", "", source)))
