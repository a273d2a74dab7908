"""The built-in kinds, as one table that the engine reads, too: kinds.json here is a link to engine/kinds.json."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Mapping

from msgspec import Struct


def api_version(group: str, version: str) -> str:
    """As objects have it."""
    return f"{group}/{version}" if group else version


class BuiltIn(Struct, frozen=True, kw_only=True):
    """A built-in kind.

    ``version`` is the one that every supported Kubernetes serves, empty where a cluster is asked; ``short`` is kubectl's short name,
    ``template`` the path of the Pod that it makes.
    """

    group: str
    kind: str
    version: str = ""
    cluster: bool = False
    short: str = ""
    template: str = ""

    @property
    def api_version(self) -> str:
        """As manifests have it."""
        return api_version(self.group, self.version)


def _built_in() -> tuple[BuiltIn, ...]:
    text = pkgutil.get_data(__package__, "kinds.json")
    assert text is not None
    return tuple(BuiltIn(**row) for row in json.loads(text)["kinds"])


BUILT_IN: tuple[BuiltIn, ...] = _built_in()
#: Those that make Pods, or hold the template of some, by kind.
WORKLOADS: Mapping[str, BuiltIn] = {one.kind: one for one in BUILT_IN if one.template and one.version}
