"""Resources as kubectl writes them: ``pod/web-1``, ``deploy/web``, ``ingress.networking.k8s.io/front``."""

from __future__ import annotations

import re

from msgspec import Struct

from aksp.errors import InvalidInput
from aksp.kube.kinds import KINDS, plural_of
from aksp.model.kinds import BUILT_IN

#: kubectl's short names of built-in kinds (`kubectl api-resources`).
SHORT_NAMES = {one.short: one.kind for one in BUILT_IN if one.short}
_FORM = re.compile(r"(?P<kind>[A-Za-z][-A-Za-z0-9]*)(?:\.(?P<qualifier>[-a-zA-Z0-9.]+))?/(?P<name>[^/\s]+)")


class ResourceName(Struct, frozen=True, kw_only=True):
    """A kind in any spelling, its API group where given (perhaps with a version before it), and an object's name."""

    kind: str
    qualifier: str
    name: str

    @classmethod
    def parse(cls, text: str) -> ResourceName:
        """Read KIND[.GROUP]/NAME. Raises InvalidInput."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise InvalidInput(
                f"{text!r} is no KIND/NAME", hint="e.g. pod/web-1, deploy/web, ingress.networking.k8s.io/front"
            )
        return cls(kind=match["kind"].lower(), qualifier=(match["qualifier"] or "").lower(), name=match["name"])

    def is_kind(self, group: str, kind: str) -> bool:
        """Whether the kind is the one that is named, in the singular, the plural or kubectl's short form."""
        if (
            self.qualifier
            and self.qualifier != group
            and not re.fullmatch(rf"v\d\w*\.?{re.escape(group)}", self.qualifier)
        ):
            return False
        if self.kind in (kind.lower(), plural_of(kind)):
            return True
        return SHORT_NAMES.get(self.kind) == kind and (group, kind) in KINDS

    def __str__(self) -> str:
        return f"{self.kind}{'.' if self.qualifier else ''}{self.qualifier}/{self.name}"
