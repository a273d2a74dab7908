"""An initiative: a named set of definitions with parameters of its own, in the shape of an Azure policy set definition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from aksp.model.definition import AzureDefinition, Parameter


class Member(Struct, frozen=True, kw_only=True):
    """One definition of an initiative. ``reference`` is what assignments, exemptions and reports call it there.

    ``definition_id`` names the definition as an assignment does; ``version`` is the one it is meant in, such as ``6.*.*``,
    empty for any. The values of ``parameters`` may hold expressions over the initiative's parameters. ``arm_id`` is what an
    imported initiative calls the definition, where that is called otherwise here.
    """

    reference: str
    definition_id: str
    version: str = ""
    parameters: Mapping[str, Any] = {}
    groups: tuple[str, ...] = ()
    arm_id: str = ""


class MemberGroup(Struct, frozen=True, kw_only=True):
    """Members of an initiative that belong together, such as those of one control of a standard."""

    name: str
    display_name: str = ""
    description: str = ""
    category: str = ""


class Initiative(Struct, frozen=True, kw_only=True):
    """A named set of definitions. ``slug`` is what commands call it, ``name`` Azure's GUID.

    ``differences`` tell, in sentences, where it is otherwise than the one of Azure's that it stands for. ``arm_id`` is
    the id that an imported one has at Azure. ``azure`` and
    ``require_any_of`` are those of a Definition, which an initiative has not: values are checked for both alike.
    """

    slug: str
    name: str
    display_name: str
    description: str
    category: str
    version: str
    members: tuple[Member, ...]
    azure_policy_id: str | None = None
    policy_type: str = "BuiltIn"
    parameters: Mapping[str, Parameter] = {}
    groups: tuple[MemberGroup, ...] = ()
    standards: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    arm_id: str = ""
    origin: str = ""

    def says(self, words: str) -> bool:
        """Whether all the words are in its names, texts, ids and members, in any case."""
        texts = [self.slug, self.name, self.azure_policy_id or "", self.display_name, self.description, *self.standards]
        texts += [text for one in self.members for text in (one.reference, one.definition_id)]
        said = "\n".join(texts).lower()
        return all(word in said for word in words.lower().split())

    @property
    def azure(self) -> tuple[AzureDefinition, ...]:
        """None: its parameters have the names that Azure gives them."""
        return ()

    @property
    def require_any_of(self) -> tuple[tuple[str, ...], ...]:
        """None."""
        return ()
