"""What most definitions have in common, written once and joined to each that asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from aksp.catalog.document import Reader
from aksp.catalog.rego_files import BUNDLED
from aksp.compliance.expressions import is_expression
from aksp.compliance.parameters import nearest
from aksp.errors import InvalidPolicy
from aksp.model.fields import mapping
from aksp.model.json_text import decode_held
from aksp.yaml_reader import read_file

#: The mode of Azure's definitions of the preview of 2019 (catalog/preview.py).
PREVIEW_MODE = "Microsoft.ContainerService.Data"


@cache
def _common() -> Any:
    """Parameters by name, and a policyRule that uses them."""
    return decode_held(read_file(BUNDLED / "lib" / "common.json"))


def unavailable() -> list[dict[str, str]]:
    """The built-ins of Azure's that no definition here stands for, each with the reason."""
    found: list[dict[str, str]] = decode_held(read_file(BUNDLED / "lib" / "unavailable.json"))
    return found


def is_preview(document: Any) -> bool:
    """Whether it is a definition of the preview."""
    mode = mapping(mapping(document).get("properties")).get("mode")
    return isinstance(mode, str) and mode.lower() == PREVIEW_MODE.lower()


def joined(document: Any, origin: str) -> Any:
    """A definition's document as Azure has it: ``properties.common`` is replaced by the parameters and the rule it stands for.

    ``common`` has ``apiGroups``, ``kinds``, perhaps ``scope``, the names of common ``parameters``, and other ``defaults`` for
    some of them. A parameter that the rule uses nowhere else is passed to the Rego as a value. A parameter that the
    document defines itself is not replaced. Raises InvalidPolicy.
    """
    properties = Reader(document, origin).object("properties")
    if not properties.has("common"):
        return document
    if properties.has("policyRule"):
        raise InvalidPolicy(
            "properties has both policyRule and common", where=origin, hint="common makes the policyRule"
        )
    asked = properties.object("common").only(("apiGroups", "kinds", "scope", "parameters", "defaults"))
    shared, own, defaults = _common(), properties.mapping("parameters"), asked.mapping("defaults")
    entries = asked.array("kinds")
    paired = any(isinstance(one, Mapping) for one in entries)
    kinds = (
        [kind for pair in asked.objects("kinds") for kind in pair.texts("kinds")] if paired else asked.texts("kinds")
    )
    parameters = dict(own)
    for name in asked.texts("parameters"):
        default = {"defaultValue": defaults[name]} if name in defaults else {}
        parameters.setdefault(name, {**_about(kinds, name, asked), **default})
    for name in defaults:
        if name not in asked.texts("parameters"):
            raise InvalidPolicy(f"{asked.path}.defaults names {name!r}, which is not in its parameters", where=origin)
    then = shared["policyRule"]["then"]
    details = {
        # An entry that names a parameter which this definition does not have is left out.
        key: value
        for key, value in then["details"].items()
        if key not in shared["parameters"] or key in parameters
    }
    if asked.has("scope"):
        details["scope"] = asked.any("scope")
    used = {"effect", *details}
    if paired:
        del details["apiGroups"]
    else:
        details["apiGroups"] = list(asked.texts("apiGroups"))
    details |= {
        "kinds": list(entries),
        "values": {name: f"[parameters('{name}')]" for name in parameters if name not in used},
    }
    rule = {**shared["policyRule"], "then": {**then, "details": details}}
    rest = {key: value for key, value in document["properties"].items() if key not in ("common", "parameters")}
    return {**document, "properties": {**rest, "parameters": parameters, "policyRule": rule}}


def joined_initiative(document: Any, origin: str) -> Any:
    """An initiative's document as Azure has it: ``properties.common`` names common parameters that all members take.

    Each becomes a parameter of the initiative, and is passed on to each member that does not set it itself. A member whose
    definition has no such parameter names it in ``without``. Raises InvalidPolicy.
    """
    properties = Reader(document, origin).object("properties")
    if not properties.has("common"):
        return document
    asked = properties.object("common").only(("parameters",))
    names = asked.texts("parameters")
    parameters = dict(properties.mapping("parameters"))
    for name in names:
        parameters.setdefault(name, _about(["object"], name, asked))
    members = []
    for at, member in enumerate(properties.objects("policyDefinitions")):
        without = member.texts("without")
        passed = {name: {"value": f"[parameters('{name}')]"} for name in names if name not in without}
        written = {k: v for k, v in properties.array("policyDefinitions")[at].items() if k != "without"}
        members.append({**written, "parameters": {**passed, **member.mapping("parameters")}})
    rest = {key: value for key, value in document["properties"].items() if key != "common"}
    return {**document, "properties": {**rest, "parameters": parameters, "policyDefinitions": members}}


def _about(kinds: Any, name: str, asked: Reader) -> Any:
    """The common parameter of a name with the kinds that it is about in its description. Raises InvalidPolicy for none."""
    known = _common()["parameters"]
    if name not in known:
        raise InvalidPolicy(
            f"{asked.path}.parameters names {name!r}, which is no common parameter",
            where=asked.origin,
            hint=nearest(name, list(known)),
        )
    parameter, metadata = known[name], known[name]["metadata"]
    named = "objects" if len(kinds) > 4 or any(map(is_expression, kinds)) else " and ".join(map(_plural, kinds))
    told = metadata["description"].replace("{kinds}", named)
    return {**parameter, "metadata": {**metadata, "description": told}}


def _plural(kind: str) -> str:
    if re.search(r"(s|x|ch|sh)$", kind):
        return f"{kind}es"
    return re.sub(r"(?<=[^aeiou])y$", "ie", kind) + "s"
