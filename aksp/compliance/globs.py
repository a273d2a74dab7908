"""Patterns for names, as Gatekeeper's match has them: ``*`` stands for any text, nothing else is special.

Gatekeeper takes a ``*`` only at the beginning and at the end; here it may stand anywhere.
"""

from __future__ import annotations

import re
from functools import lru_cache

#: What a pattern may have of what ``fnmatch`` understands and no name of Kubernetes has.
_OTHER_WILDCARDS = re.compile(r"[?\[\]]")


def check_glob(what: str, glob: str) -> None:
    """Raise ValueError for a pattern with wildcards that are not understood; ``what`` is the field it stands in."""
    if _OTHER_WILDCARDS.search(glob):
        raise ValueError(f"{what}: in the pattern {glob!r} only * is a wildcard")


def matches_glob(glob: str, name: str) -> bool:
    """Whether a pattern matches a name.

    A name that ends in ``*`` is one that the API server is still to complete (``generateName``): only a
    pattern that ends in ``*`` can match it, and it must match what is there already.
    """
    if name.endswith("*"):
        return glob.endswith("*") and _compiled(glob).fullmatch(name[:-1]) is not None
    return glob == name or _compiled(glob).fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _compiled(glob: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, glob.split("*"))), re.DOTALL)
