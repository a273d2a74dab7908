"""Turns aksp's definitions into Gatekeeper's objects, so that gator judges the very same Rego.

`python bench/peers/gatekeeper.py --out DIR` writes a ConstraintTemplate and a Constraint for each definition in
bench/parameters.json: its policy.rego and the libraries unchanged, its parameters resolved as aksp resolves them.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aksp.catalog.folder import as_json

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = ROOT / "definitions"
PARAMETERS = ROOT / "bench" / "parameters.json"

Object = dict[str, Any]
_ABSENT = object()


def constraint_template(slug: str, definitions: Path = DEFINITIONS) -> Object:
    """The ConstraintTemplate that carries a definition's Rego (v1)."""
    name = kind(slug)
    libraries = [path.read_text() for path in sorted((definitions / "lib").glob("*.rego")) if "_test" not in path.stem]
    source = {"version": "v1", "rego": (definitions / slug / "policy.rego").read_text(), "libs": libraries}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "templates.gatekeeper.sh/v1",
        "kind": "ConstraintTemplate",
        "metadata": {"name": name.lower()},
        "spec": {
            "crd": {"spec": {"names": {"kind": name}, "validation": {"openAPIV3Schema": schema}}},
            "targets": [
                {"target": "admission.k8s.gatekeeper.sh", "code": [{"engine": "Rego", "source": source}]},
            ],
        },
    }


def constraint(slug: str, given: Mapping[str, Any], definitions: Path = DEFINITIONS) -> Object:
    """The Constraint with a definition's selection and the parameters `given`; the others have their defaults."""
    properties = as_json(definitions / slug / "definition.json")["properties"]
    declared = properties["parameters"]
    if unknown := given.keys() - declared.keys():
        raise ValueError(f"{slug} has no parameter {', '.join(sorted(unknown))}; it has {', '.join(declared)}")
    values = {name: each["defaultValue"] for name, each in declared.items() if "defaultValue" in each} | dict(given)
    details = _resolved(properties["policyRule"]["then"]["details"], values)
    paired = isinstance(details["kinds"][0], dict)
    kinds = details["kinds"] if paired else [{"apiGroups": details["apiGroups"], "kinds": details["kinds"]}]
    match: Object = {"kinds": kinds}
    fields = ("scope", "namespaces", "excludedNamespaces", "labelSelector")
    match |= {key: details[key] for key in fields if details.get(key)}
    return {
        "apiVersion": "constraints.gatekeeper.sh/v1beta1",
        "kind": kind(slug),
        "metadata": {"name": slug},
        "spec": {"match": match, "parameters": details.get("values", {})},
    }


def expansion() -> Object:
    """What has gator judge the Pods that Deployments make."""
    return {
        "apiVersion": "expansion.gatekeeper.sh/v1beta1",
        "kind": "ExpansionTemplate",
        "metadata": {"name": "deployments"},
        "spec": {
            "applyTo": [{"groups": ["apps"], "versions": ["v1"], "kinds": ["Deployment"]}],
            "templateSource": "spec.template",
            "generatedGVK": {"group": "", "version": "v1", "kind": "Pod"},
        },
    }


def write(folder: Path, definitions: Path = DEFINITIONS, parameters: Path = PARAMETERS) -> None:
    """Writes the objects for every definition that `parameters` names; JSON, which every reader takes as YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    for slug, given in json.loads(parameters.read_text()).items():
        objects = (constraint_template(slug, definitions), constraint(slug, given, definitions))
        text = "\n---\n".join(json.dumps(item, indent=2) for item in objects)
        (folder / f"{slug}.yaml").write_text(text + "\n")


def kind(slug: str) -> str:
    """The kind of a definition's constraints."""
    return "Aksp" + "".join(word.capitalize() for word in slug.split("-"))


def _resolved(value: Any, values: Mapping[str, Any]) -> Any:
    """A value with `[parameters('x')]` replaced, the one expression that the built-in definitions use."""
    if isinstance(value, dict):
        # A parameter that is optional and not given is not there at all.
        found = {key: _resolved(item, values) for key, item in value.items()}
        return {key: item for key, item in found.items() if item is not _ABSENT}
    if isinstance(value, list):
        items = [_resolved(item, values) for item in value]
        # An entry that stands for a list is its entries.
        return [one for item in items for one in (item if isinstance(item, list) else [item])]
    if isinstance(value, str) and value.startswith("["):
        match = re.fullmatch(r"\[parameters\('(\w+)'\)\]", value)
        if not match:
            raise ValueError(f"cannot resolve the expression {value}")
        return values.get(match[1], _ABSENT)
    return value


def main() -> int:
    parser = argparse.ArgumentParser(description="Write Gatekeeper's objects for aksp's built-in definitions.")
    parser.add_argument("--out", type=Path, required=True, help="folder for a YAML file per definition")
    write(parser.parse_args().out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
