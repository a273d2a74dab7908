"""The Rego of a Gatekeeper ConstraintTemplate (notes: Gatekeeper, "Constraint Templates")."""

from __future__ import annotations

import base64
import binascii
import re
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


def modules_of_base64(content: str, origin: str) -> tuple[RegoModule, ...]:
    """The modules of a template as ``templateInfo.content`` holds it. Raises InvalidPolicy."""
    try:
        text = base64.b64decode(content, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidPolicy(f"templateInfo.content is not base64 of UTF-8 text: {error}", where=origin) from error
    return modules_of_template(text, origin)


def template_of(slug: str, modules: tuple[RegoModule, ...], origin: str) -> str:
    """The ConstraintTemplate, as YAML, that `modules_of_template` reads these modules from.

    A template's Rego has one version. Raises InvalidPolicy for modules of several.
    """
    import yaml

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
    # Gatekeeper wants the template named as the kind in lower case.
    kind = "".join(word.capitalize() for word in re.split(r"[^A-Za-z0-9]+", slug))
    template = {
        "apiVersion": "templates.gatekeeper.sh/v1",
        "kind": "ConstraintTemplate",
        "metadata": {"name": kind.lower()},
        "spec": {
            "crd": {"spec": {"names": {"kind": kind}}},
            "targets": [{"target": TARGET, "code": [{"engine": "Rego", "source": source}]}],
        },
    }
    return yaml.safe_dump(template, sort_keys=False, allow_unicode=True)


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
