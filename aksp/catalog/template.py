"""The Rego of a Gatekeeper ConstraintTemplate (notes: Gatekeeper, "Constraint Templates")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aksp.errors import InvalidPolicy
from aksp.model.definition import RegoModule

TARGET = "admission.k8s.gatekeeper.sh"


def modules_of_template(text: str, origin: str) -> tuple[RegoModule, ...]:
    """The policy and its libraries, as a template gives them. Raises InvalidPolicy.

    A template's Rego is v0 unless its source says ``version: v1``.
    """
    import yaml

    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidPolicy(f"not YAML: {error}", where=origin) from error
    if not isinstance(document, Mapping) or document.get("kind") != "ConstraintTemplate":
        raise InvalidPolicy("not a ConstraintTemplate", where=origin)
    spec = document.get("spec")
    targets = spec.get("targets") if isinstance(spec, Mapping) else None
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
            return _modules(code.get("source"), origin)
    if isinstance(target.get("rego"), str):
        return _modules(target, origin)
    if engines:
        raise InvalidPolicy(f"no Rego: the template's engines are {', '.join(map(str, engines))}", where=origin)
    raise InvalidPolicy("spec.targets[0] has neither rego nor code", where=origin)


def _modules(source: Any, origin: str) -> tuple[RegoModule, ...]:
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
    names = [origin, *(f"{origin} (libs[{n}])" for n in range(len(libraries)))]
    return tuple(
        RegoModule(name=name, source=text, version=version)
        for name, text in zip(names, [rego, *libraries], strict=True)
    )
