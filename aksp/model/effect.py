"""Effects: what an assignment does about a violation. All that depends on the effect alone is said here."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

#: Stands for the effect of an assignment whose definition cannot be loaded.
UNKNOWN_EFFECT = "Unknown"
#: Stands for the effects of an initiative's members when they are not the same.
MIXED_EFFECT = "Mixed"

_REFUSED = "where the add-on runs, what does not comply is refused"


class Effect(StrEnum):
    """What an assignment does about a violation (Azure: "Understand Azure Policy effects").

    ``meaning`` is that in words. With ``judges`` resources have states by it. With ``refuses`` a request
    that violates is refused at admission; with ``warns`` whoever sent it hears of the violation even
    where the definition says ``warn: false``. With ``scored`` a violation counts as a failure in policy
    reports, else as a warning.
    """

    meaning: str
    judges: bool
    refuses: bool
    warns: bool
    scored: bool

    def __new__(
        cls,
        value: str,
        meaning: str,
        judges: bool = True,
        refuses: bool = False,
        warns: bool = False,
        scored: bool = True,
    ) -> Self:
        """A member and its attributes."""
        one = str.__new__(cls, value)
        one._value_ = value
        one.meaning, one.judges, one.refuses, one.warns, one.scored = meaning, judges, refuses, warns, scored
        return one

    ENFORCE_REGO_POLICY = "EnforceRegoPolicy", _REFUSED, True, True, True
    DENY = "Deny", _REFUSED, True, True, True
    AUDIT = "Audit", "reported, not refused"
    WARN = "Warn", "reported; where the add-on runs, with a warning at admission", True, False, True, False
    DISABLED = "Disabled", "not evaluated", False

    @classmethod
    def named(cls, name: object) -> Effect | None:
        """The effect of a name in any case, as Azure reads it; None for anything else."""
        return next((one for one in cls if isinstance(name, str) and one.lower() == name.lower()), None)

    @property
    def at_azure(self) -> Effect:
        """The effect that Azure's definitions of today have for it; whoever asks is warned by their parameter ``warn``."""
        if self.refuses:
            return Effect.DENY
        return Effect.AUDIT if self.judges else self
