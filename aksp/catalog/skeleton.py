"""A definition to begin with, for ``aksp definitions new``: a rule that works, and samples of both kinds."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aksp.compliance.parameters import nearest
from aksp.errors import InvalidInput
from aksp.model.assignment import API_VERSION
from aksp.model.definition import ResourceKind
from aksp.model.effect import Effect
from aksp.model.kinds import BUILT_IN, BuiltIn, api_version
from aksp.yaml_writer import to_yaml

_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
#: kubectl's way to name a kind: Widget.example.com, or Widget.v1.example.com.
_KIND = re.compile(r"(?P<kind>[A-Za-z][A-Za-z0-9]*)(?:\.(?P<version>v[0-9]+[a-z0-9]*))?(?:\.(?P<group>[a-z0-9.-]+))?")
_COMMON = ["effect", "source", "warn", "excludedNamespaces", "namespaces", "labelSelector"]
_LABEL = "owner"
_FORBIDDEN = "example.com/forbidden:1"

_POD_RULE = """\
# What the rule is for, in a sentence.
package PACKAGE

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	image := input.review.object.spec[field][i].image
	image in input.parameters.forbiddenImages
	msg := sprintf("image %s is forbidden", [image])
	details := {
		"container": {"name": input.review.object.spec[field][i].name, "type": field},
		"path": sprintf("spec.%s[%v].image", [field, i]),
		"observed": image,
		"expected": "another image",
	}
}
"""
_OBJECT_RULE = """\
# What the rule is for, in a sentence.
package PACKAGE

violation contains {"msg": msg, "details": details} if {
	some key in input.parameters.requiredLabels
	object.get(input.review.object.metadata, ["labels", key], "") == ""
	msg := sprintf("label %s is missing", [key])
	details := {
		"path": sprintf("metadata.labels['%s']", [key]),
		"observed": null,
		"expected": "a value",
	}
}
"""


def find_kind(text: str) -> BuiltIn:
    """The kind that is named, as kubectl names kinds. Raises InvalidInput for one that is not known and has no group."""
    match = _KIND.fullmatch(text)
    if match is None:
        raise InvalidInput(
            f"--kind {text!r} is no kind", hint="expected Pod, Widget.example.com or Widget.v1.example.com"
        )
    kind, version, group = match.groups()
    known = [one for one in BUILT_IN if one.kind.lower() == kind.lower() and group in (None, one.group)]
    if known and version is None:
        return known[0]
    if group is None:
        near = nearest(kind, [one.kind for one in BUILT_IN])
        hint = f"{near} Another" if near.startswith("did") else "another kind"
        raise InvalidInput(
            f"--kind {text!r} is no built-in kind", hint=f"{hint} needs its group, as in {kind}.example.com"
        )
    return BuiltIn(group=group, kind=kind, version=version or "v1")


def write(slug: str, kind: BuiltIn, folder: Path) -> Path:
    """Write the definition's folder, whole or not at all; its path. Raises InvalidInput."""
    if not _SLUG.fullmatch(slug):
        raise InvalidInput(f"{slug!r} cannot be a definition's name", hint="expected lower-case words with - between")
    place = folder / slug
    beside: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if place.exists():
            raise InvalidInput("there is something already", where=str(place), hint="take another name, or remove it")
        beside = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
        beside.chmod(0o755)
        for name, text in files(slug, kind).items():
            path = beside / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        os.rename(beside, place)
    except OSError as error:
        raise InvalidInput(f"cannot be written: {error.strerror or error}", where=str(place)) from error
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)
    return place


def files(slug: str, kind: BuiltIn) -> Mapping[str, str]:
    """The texts of the files by their paths in the folder."""
    pod = ResourceKind(group="", kind="Pod").covers(kind.group, kind.kind)
    rule = _POD_RULE if pod else _OBJECT_RULE
    samples = _pod_samples() if pod else _object_samples(kind)
    return {
        "definition.json": json.dumps(_document(slug, kind, pod=pod), indent=2) + "\n",
        "policy.rego": rule.replace("PACKAGE", slug.replace("-", "_")),
        **{f"samples/{name}.yaml": text for name, text in samples.items()},
    }


def _document(slug: str, kind: BuiltIn, *, pod: bool) -> dict[str, Any]:
    name, title, option, metavar, default = (
        ("forbiddenImages", "Forbidden images", "--image", "IMAGE", _FORBIDDEN)
        if pod
        else ("requiredLabels", "Required labels", "--label", "KEY", _LABEL)
    )
    return {
        "name": slug,
        "properties": {
            "displayName": f"{title} of {kind.kind} objects",
            "policyType": "Custom",
            "mode": "Microsoft.Kubernetes.Data",
            "description": "What it demands, and why.",
            "metadata": {
                "version": "1.0.0",
                "category": "Custom",
                "severity": "medium",
                "remediation": "How to comply.",
                "standards": [],
            },
            "parameters": {
                name: {
                    "type": "Array",
                    "metadata": {
                        "displayName": title,
                        "description": f"{title}; repeatable.",
                        "option": option,
                        "metavar": metavar,
                    },
                    "defaultValue": [default],
                    "schema": {"type": "array", "items": {"type": "string", "minLength": 1}},
                }
            },
            "common": {
                "apiGroups": [kind.group],
                "kinds": [kind.kind],
                "parameters": _COMMON,
                "defaults": {"effect": Effect.AUDIT.value},
            },
        },
    }


def _pod_samples() -> dict[str, str]:
    def pod(image: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"containers": [{"name": "web", "image": image}]},
        }

    found = {"name": "web", "container": "web", "path": "spec.containers[0].image"}
    return {
        "compliant-other-image": _sample("Other images comply.", [], pod("example.com/web:1")),
        "noncompliant-image": _sample("A forbidden image is a finding.", [found], pod(_FORBIDDEN)),
    }


def _object_samples(kind: BuiltIn) -> dict[str, str]:
    def made(labels: Mapping[str, str]) -> dict[str, Any]:
        place = {} if kind.cluster else {"namespace": "shop"}
        metadata = {"name": "web", **place, **({"labels": dict(labels)} if labels else {})}
        document = {
            "apiVersion": api_version(kind.group, kind.version or "v1"),
            "kind": kind.kind,
            "metadata": metadata,
        }
        body: Any = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web"}]}}
        for key in reversed(kind.template.split(".") if kind.template else ()):
            body = {key: body}
        return {**document, **(body if kind.template else {})}

    found = {"name": "web", "path": f"metadata.labels['{_LABEL}']"}
    return {
        "compliant-labelled": _sample("An object with the label complies.", [], made({_LABEL: "ada"})),
        "noncompliant-not-labelled": _sample("Without the label there is a finding.", [found], made({})),
    }


def _sample(title: str, expect: list[dict[str, str]], document: Mapping[str, Any]) -> str:
    head = {
        "apiVersion": API_VERSION,
        "kind": "PolicySample",
        "spec": {"title": title, "parameters": {}, "expect": expect},
    }
    return to_yaml(head) + "---\n" + to_yaml(document)
