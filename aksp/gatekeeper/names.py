"""What objects of Gatekeeper are called, and the labels and annotations that tell where they come from."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from aksp.model.assignment import API_GROUP

TEMPLATES: Final = "templates.gatekeeper.sh/v1"
CONSTRAINTS: Final = "constraints.gatekeeper.sh/v1beta1"
SYNC_SETS: Final = "syncset.gatekeeper.sh/v1alpha1"
EXPANSIONS: Final = "expansion.gatekeeper.sh/v1beta1"
#: Gatekeeper's own annotations of templates.
TITLE: Final = "metadata.gatekeeper.sh/title"
VERSION: Final = "metadata.gatekeeper.sh/version"
DESCRIPTION: Final = "description"

#: On every object that is exported. Only objects with it are ever removed.
MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "aksp-export"}
#: The prefix of annotations that tell where an object comes from.
OURS: Final = f"{API_GROUP}/"

#: The name of the one SyncSet.
SYNC_SET: Final = "aksp"

#: Kubernetes' limit of a kind and, by Gatekeeper, of a constraint's name.
_LONGEST: Final = 63


def kind_of(slug: str) -> str:
    """The kind of a definition's constraints. The template is called so in lower case."""
    words = (word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", slug))
    return shortened("Aksp" + "".join(words), slug, "")


def legal(name: str) -> str:
    """A name of an assignment, or of a member of an initiative, as one that an object may have."""
    return re.sub(r"[^a-z0-9.-]+", "-", name.lower())


def shortened(name: str, text: str, between: str = "-") -> str:
    """A name of at most 63 characters. A longer one is cut, and a hash of the whole text is appended."""
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST - len(between) - len(digest)].rstrip('-.')}{between}{digest}"
