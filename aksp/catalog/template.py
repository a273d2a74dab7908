"""A Gatekeeper ConstraintTemplate: its Rego, and what this compares with (notes: Gatekeeper, "Constraint Templates")."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from aksp.errors import InvalidInput, InvalidPolicy
from aksp.model.definition import RegoModule, ResourceKind
from aksp.model.fields import within
from aksp.yaml_reader import read_yaml

TARGET = "admission.k8s.gatekeeper.sh"
#: The annotation that names the kinds in data.inventory (Gatekeeper: "Replicating Data").
SYNC_DATA = "metadata.gatekeeper.sh/requires-sync-data"


class Template(Struct, frozen=True, kw_only=True):
    """The policy and its libraries, the kinds that the template says it compares with, and what it says of values.

    ``kind`` is that of its constraints, empty where it names none.
    """

    modules: tuple[RegoModule, ...]
    requires_inventory: tuple[ResourceKind, ...] = ()
    values_schema: Mapping[str, Any] | None = None
    kind: str = ""


#: Where a text of a file begins: line and column, both from 1.
_Places = Mapping[str, tuple[int, int]]


def template_from(text: str, origin: str, name: str = "") -> Template:
    """Read a template. Raises InvalidPolicy.

    A template's Rego is v0 unless its source says ``version: v1``. ``name`` is what its lines are counted in, by
    default the file ``origin``.
    """
    try:
        found = read_yaml(text, origin)
    except InvalidInput as error:
        raise InvalidPolicy(error.what, where=error.where, hint=error.hint) from error
    if len(found) > 1:
        raise InvalidPolicy("holds several documents, expected one ConstraintTemplate", where=origin)
    document, node = found[0] if found else (None, None)
    places = _places(node, text.splitlines())
    if not isinstance(document, Mapping) or document.get("kind") != "ConstraintTemplate":
        raise InvalidPolicy("not a ConstraintTemplate", where=origin)
    kind = within(document, "spec", "crd", "spec", "names", "kind")
    return Template(
        modules=_modules_of(document, origin, places, name or origin),
        requires_inventory=_sync_data(document, origin),
        values_schema=_values_schema(document, origin),
        kind=kind if isinstance(kind, str) else "",
    )


def _places(root: Any, lines: Sequence[str]) -> _Places:
    """Where the texts of block scalars (``|``) begin; of others lines are not those of the file."""
    import yaml

    found: dict[str, tuple[int, int]] = {}
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.ScalarNode) and node.style == "|":
            first = node.start_mark.line + 1
            for at, line in enumerate(node.value.splitlines()):
                if line.strip() and first + at < len(lines) and lines[first + at].endswith(line):
                    found[node.value] = (first + 1, len(lines[first + at]) - len(line) + 1)
                    break
    return found


def _values_schema(document: Mapping[str, Any], origin: str) -> Mapping[str, Any] | None:
    """What a template says of its parameters; None where it says nothing, or takes any (``legacySchema``)."""
    found = within(document, "spec", "crd", "spec", "validation")
    if not isinstance(found, Mapping):
        return None
    legacy = found.get("legacySchema", not str(document.get("apiVersion")).endswith("/v1"))
    schema = found.get("openAPIV3Schema")
    if legacy or schema is None:
        return None
    if not isinstance(schema, Mapping):
        raise InvalidPolicy("spec.crd.spec.validation.openAPIV3Schema is not an object", where=origin)
    return schema


def _modules_of(document: Mapping[str, Any], origin: str, places: _Places, name: str) -> tuple[RegoModule, ...]:
    targets = within(document, "spec", "targets")
    if not isinstance(targets, list) or len(targets) != 1 or not isinstance(targets[0], Mapping):
        raise InvalidPolicy("spec.targets must have exactly one target", where=origin)
    target: Mapping[str, Any] = targets[0]
    if target.get("target") != TARGET:
        raise InvalidPolicy(f"spec.targets[0].target is {target.get('target')!r}, expected {TARGET}", where=origin)
    codes = target.get("code") or []
    if not isinstance(codes, list) or not all(isinstance(code, Mapping) for code in codes):
        raise InvalidPolicy("spec.targets[0].code must be a list of {engine, source}", where=origin)
    engines = [code.get("engine") for code in codes]
    for code in codes:
        if code.get("engine") == "Rego":
            return _modules(code.get("source"), origin, places, name)
    if isinstance(target.get("rego"), str):
        return _modules(target, origin, places, name)
    if engines:
        raise InvalidPolicy(f"no Rego: the template's engines are {', '.join(map(str, engines))}", where=origin)
    raise InvalidPolicy("spec.targets[0] has neither rego nor code", where=origin)


def template_from_base64(content: str, origin: str) -> Template:
    """Read a template as ``templateInfo.content`` holds it. Raises InvalidPolicy."""
    try:
        text = base64.b64decode(content, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidPolicy(f"templateInfo.content is not base64 of UTF-8 text: {error}", where=origin) from error
    return template_from(text, origin, f"{origin} (the template in templateInfo.content)")


def _sync_data(document: Mapping[str, Any], origin: str) -> tuple[ResourceKind, ...]:
    """The kinds of the annotation: a JSON list of requirements, each a list of alternatives, in quotes or not."""
    written = within(document, "metadata", "annotations", SYNC_DATA)
    if written is None:
        return ()
    field = f"metadata.annotations[{SYNC_DATA!r}]"
    if not isinstance(written, str):
        raise InvalidPolicy(f"{field} is not a string", where=origin)
    try:
        requirements = json.loads(written.strip('\n" '))
    except (ValueError, RecursionError) as error:
        raise InvalidPolicy(f"{field} is not JSON: {error}", where=origin) from error
    expected = InvalidPolicy(
        f"{field} is not as expected",
        where=origin,
        hint='[[{"groups": [""], "versions": ["v1"], "kinds": ["Service"]}]]',
    )
    kinds: list[ResourceKind] = []
    for alternatives in _list_of(list, requirements, expected):
        for one in _list_of(dict, alternatives, expected):
            kinds += [
                ResourceKind(group=group, kind=kind)
                for group in _list_of(str, one.get("groups"), expected)
                for kind in _list_of(str, one.get("kinds"), expected)
            ]
    return tuple(dict.fromkeys(kinds))


def _list_of(kind: type, value: Any, otherwise: InvalidPolicy) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(one, kind) for one in value):
        raise otherwise
    return value


def template_of(slug: str, modules: tuple[RegoModule, ...], origin: str) -> str:
    """The ConstraintTemplate, as YAML, that `template_from` reads these modules from. Raises as `template_document`."""
    import yaml

    kind = "".join(word.capitalize() for word in re.split(r"[^A-Za-z0-9]+", slug))
    # In a cluster the text is compared with what was stored before.
    return yaml.safe_dump(template_document(kind, slug, modules, origin), sort_keys=False, allow_unicode=True)


def template_document(kind: str, slug: str, modules: tuple[RegoModule, ...], origin: str) -> dict[str, Any]:
    """The ConstraintTemplate of the modules of a definition, with this kind of constraints.

    A template's Rego has one version. Raises InvalidPolicy for modules of several.
    """
    versions = sorted({module.version for module in modules})
    if len(versions) != 1:
        raise InvalidPolicy(
            f"the Rego of definition {slug!r} is of the versions {', '.join(versions) or 'none'}, and a template has one",
            where=origin,
            hint="write all of its modules in Rego v1",
        )
    rule, *libraries = (module.source for module in modules)
    source: dict[str, Any] = {"version": versions[0], "rego": rule}
    if libraries:
        source["libs"] = libraries
    return {
        "apiVersion": "templates.gatekeeper.sh/v1",
        "kind": "ConstraintTemplate",
        # Gatekeeper wants it named as the kind in lower case.
        "metadata": {"name": kind.lower()},
        "spec": {
            "crd": {"spec": {"names": {"kind": kind}}},
            "targets": [{"target": TARGET, "code": [{"engine": "Rego", "source": source}]}],
        },
    }


def _modules(source: Any, origin: str, places: _Places, name: str) -> tuple[RegoModule, ...]:
    if not isinstance(source, Mapping):
        raise InvalidPolicy("spec.targets[0].code has no source", where=origin)
    rego, libraries = source.get("rego"), source.get("libs") or []
    version = source.get("version") or "v0"
    if (
        not isinstance(rego, str)
        or not isinstance(libraries, list)
        or not all(isinstance(library, str) for library in libraries)
    ):
        raise InvalidPolicy("the template's rego and libs must be text", where=origin)
    if version not in ("v0", "v1"):
        raise InvalidPolicy(f"the template's Rego version {version!r} is not v0 or v1", where=origin)
    modules = []
    for field, text in [("rego", rego), *((f"libs[{n}]", text) for n, text in enumerate(libraries))]:
        if text in places:
            line, column = places[text]
            modules.append(RegoModule(name=name, source=text, version=version, line=line, indent=column - 1))
        else:
            modules.append(RegoModule(name=f"{origin} (lines of {field})", source=text, version=version))
    return tuple(modules)
