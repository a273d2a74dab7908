"""A library of 49 ConstraintTemplates in the layout of Gatekeeper's own: a folder for each with suite, constraints and examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.gatekeeper.builders import constraint

Object = dict[str, Any]
COUNT = 49
EXEMPT = """package lib.exempt_container

is_exempt(container) {
  exempt := object.get(object.get(input, "parameters", {}), "exemptImages", [])
  startswith(container.image, exempt[_])
}
"""
LABELS = """package labels

violation[{"msg": msg, "details": {"missing_labels": missing}}] {
  provided := {label | input.review.object.metadata.labels[label]}
  required := {label | label := input.parameters.labels[_].key}
  missing := required - provided
  count(missing) > 0
  msg := sprintf("%v has no labels %v", [input.review.object.metadata.name, missing])
}

violation[{"msg": msg}] {
  value := input.review.object.metadata.labels[key]
  expected := input.parameters.labels[_]
  expected.key == key
  expected.allowedRegex != ""
  not re_match(expected.allowedRegex, value)
  msg := sprintf("label %v is %v", [key, value])
}
"""
REPOSITORIES = """package repositories

import data.lib.exempt_container.is_exempt

violation[{"msg": msg}] {
  container := containers[_]
  not is_exempt(container)
  satisfied := [good | repo := input.parameters.repos[_]; good := startswith(container.image, repo)]
  not any(satisfied)
  msg := sprintf("container <%v> has the image <%v>", [container.name, container.image])
}

containers[container] { container := input.review.object.spec.containers[_] }
containers[container] { container := input.review.object.spec.initContainers[_] }
"""
PRIVILEGED = """package privileged

violation contains {"msg": msg, "details": {}} if {
  some container in input.review.object.spec.containers
  container.securityContext.privileged
  msg := sprintf("privileged: %v", [container.name])
}
"""
REPLICAS = """package replicas

violation[{"msg": msg}] {
  spec := input.review.object.spec
  not within(spec.replicas)
  msg := sprintf("%v replicas are not allowed", [spec.replicas])
}

within(value) {
  range := input.parameters.ranges[_]
  range.min_replicas <= value
  range.max_replicas >= value
}
"""
SERVICE = """package service

violation[{"msg": "NodePort is not allowed"}] {
  input.review.kind.kind == "Service"
  input.review.object.spec.type == "NodePort"
}
"""
HOSTS = """package hosts

identical(one, review) { one.metadata.namespace == review.namespace; one.metadata.name == review.name }

violation[{"msg": msg}] {
  input.review.kind.kind == "Ingress"
  host := input.review.object.spec.rules[_].host
  other := data.inventory.namespace[_][version]["Ingress"][_]
  re_match("^(extensions|networking.k8s.io)/.+$", version)
  other.spec.rules[_].host == host
  not identical(other, input.review)
  msg := sprintf("host %v is taken", [host])
}
"""
ANNOTATED = """package annotated

violation[{"msg": msg}] {
  not input.review.object.metadata.annotations[input.parameters.annotation]
  msg := input.parameters.message
}
"""


def pod(image: str = "theirs/web", **more: Any) -> Object:
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop", **more},
        "spec": {"containers": [{"name": "web", "image": image}]},
    }  # fmt: skip


def spec(api_version: str, kind: str, name: str = "web", **fields: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": fields}


def deployment(replicas: int) -> Object:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "i"}]}}
    return spec("apps/v1", "Deployment", replicas=replicas, selector={"matchLabels": labels}, template=template)


def ingress(name: str) -> Object:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    return spec("networking.k8s.io/v1", "Ingress", name, rules=[{"host": "x.example", "http": {"paths": paths}}])


def privileged() -> Object:
    made = pod()
    made["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    return made


@dataclass(frozen=True, kw_only=True)
class Form:
    """How some templates of the library are made: ``target`` is what their only target has, ``parameters`` by number."""

    kinds: Mapping[str, list[str]]
    target: Mapping[str, Any]
    schema: Mapping[str, Any] | None
    parameters: Callable[[int], Object]
    allowed: Callable[[int], Object]
    disallowed: Callable[[int], Object]
    annotations: Mapping[str, str] | None = None
    inventory: Object | None = None
    api_version: str = "templates.gatekeeper.sh/v1"


def texts(*names: str) -> Object:
    return {"type": "object", "properties": {name: {"type": "array", "items": {"type": "string"}} for name in names}}


FORMS = [
    Form(
        kinds={"": ["Pod", "Service"]},
        target={"rego": LABELS},
        schema={
            "type": "object",
            "properties": {
                "labels": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"key": {"type": "string"}, "allowedRegex": {"type": "string", "default": ""}},
                    },
                }
            },
        },
        parameters=lambda number: {"labels": [{"key": f"owner-{number}", "allowedRegex": "^[a-z]+$"}]},
        allowed=lambda number: pod(labels={f"owner-{number}": "team"}),
        disallowed=lambda number: pod(labels={f"owner-{number}": "7"}),
    ),
    Form(
        kinds={"": ["Pod"]},
        target={"rego": REPOSITORIES, "libs": [EXEMPT]},
        schema=texts("repos", "exemptImages"),
        parameters=lambda number: {"repos": [f"ours-{number}/"], "exemptImages": ["exempt/"]},
        allowed=lambda number: pod(f"ours-{number}/web"),
        disallowed=lambda number: pod(f"other-{number}/web"),
    ),
    Form(
        kinds={"": ["Pod"]},
        target={"code": [{"engine": "Rego", "source": {"version": "v1", "rego": PRIVILEGED}}]},
        schema=None,
        parameters=lambda number: {},
        allowed=lambda number: pod(),
        disallowed=lambda number: privileged(),
    ),
    Form(
        kinds={"apps": ["Deployment"]},
        target={"code": [{"engine": "Rego", "source": {"rego": REPLICAS}}]},
        schema={
            "type": "object",
            "properties": {
                "ranges": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"min_replicas": {"type": "integer"}, "max_replicas": {"type": "integer"}},
                    },
                }
            },
        },
        parameters=lambda number: {"ranges": [{"min_replicas": number, "max_replicas": number + 5}]},
        allowed=lambda number: deployment(number + 1),
        disallowed=lambda number: deployment(number + 6),
    ),
    Form(
        kinds={"": ["Service"]},
        target={"rego": SERVICE},
        schema=None,
        parameters=lambda number: {},
        allowed=lambda number: spec("v1", "Service", type="ClusterIP", ports=[{"port": 80}]),
        disallowed=lambda number: spec("v1", "Service", type="NodePort", ports=[{"port": 80}]),
    ),
    Form(
        kinds={"networking.k8s.io": ["Ingress"]},
        target={"rego": HOSTS},
        schema=None,
        parameters=lambda number: {},
        allowed=lambda number: spec(
            "networking.k8s.io/v1", "Ingress", "other", defaultBackend={"service": {"name": "a", "port": {"number": 1}}}
        ),
        disallowed=lambda number: ingress("second"),
        annotations={
            "metadata.gatekeeper.sh/requires-sync-data": '"[[{"groups": ["networking.k8s.io"], "versions": ["v1"],'
            ' "kinds": ["Ingress"]}]]"\n'
        },
        inventory=ingress("first"),
    ),
    Form(
        kinds={"": ["Pod"]},
        target={"rego": ANNOTATED},
        schema={"properties": {"annotation": {"type": "string"}, "message": {"type": "string"}}},
        parameters=lambda number: {"annotation": f"contact-{number}", "message": f"who is it ({number})?"},
        allowed=lambda number: pod(annotations={f"contact-{number}": "me"}),
        disallowed=lambda number: pod(),
        api_version="templates.gatekeeper.sh/v1beta1",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One template of the library, its constraint, and what the constraint makes of two objects."""

    name: str
    template: Object
    constraint: Object
    allowed: Object
    disallowed: Object
    inventory: Object | None


def entries() -> list[Entry]:
    """The library; names and kinds are not in one order."""
    made = []
    for number in range(COUNT):
        form = FORMS[number % len(FORMS)]
        kind = f"K8s{'ZYX'[number % 3]}Rule{number}"
        crd: Object = {"names": {"kind": kind}}
        if form.schema is not None:
            crd["validation"] = {"openAPIV3Schema": dict(form.schema)}
        annotations = {
            "metadata.gatekeeper.sh/title": f"Rule {number}",
            "description": "A rule.",
            **(form.annotations or {}),
        }
        template = {
            "apiVersion": form.api_version, "kind": "ConstraintTemplate",
            "metadata": {"name": kind.lower(), "annotations": annotations},
            "spec": {
                "crd": {"spec": crd}, "targets": [{"target": "admission.k8s.gatekeeper.sh", **form.target}],
            },
        }  # fmt: skip
        match = {"kinds": [{"apiGroups": [group], "kinds": kinds} for group, kinds in form.kinds.items()]}
        made.append(
            Entry(
                name=f"rule-{number}",
                template=template,
                constraint=constraint(f"c-{(number * 31) % COUNT:02}", kind, form.parameters(number), match),
                allowed=form.allowed(number),
                disallowed=form.disallowed(number),
                inventory=form.inventory,
            )
        )
    return made


def suite(one: Entry) -> Object:
    inventory = {"inventory": ["samples/own/example_inventory.yaml"]} if one.inventory else {}
    cases = [
        {
            "name": name,
            "object": f"samples/own/example_{name}.yaml",
            "assertions": [{"violations": violations}],
            **inventory,
        }
        for name, violations in (("allowed", "no"), ("disallowed", "yes"))
    ]
    test = {"name": one.name, "template": "template.yaml", "constraint": "samples/own/constraint.yaml", "cases": cases}
    return {
        "kind": "Suite",
        "apiVersion": "test.gatekeeper.sh/v1alpha1",
        "metadata": {"name": one.name},
        "tests": [test],
    }


def write(folder: Path) -> None:
    """The library as files."""
    from aksp.yaml_writer import to_yaml

    for at, one in enumerate(entries()):
        place = folder / ("general" if at % 2 else "pod-security-policy") / one.name
        samples = place / "samples" / "own"
        samples.mkdir(parents=True)
        documents = {
            place / "template.yaml": one.template,
            place / "suite.yaml": suite(one),
            samples / "constraint.yaml": one.constraint,
            samples / "example_allowed.yaml": one.allowed,
            samples / "example_disallowed.yaml": one.disallowed,
            **({samples / "example_inventory.yaml": one.inventory} if one.inventory else {}),
        }
        for path, document in documents.items():
            path.write_text(to_yaml(document, literal=True), encoding="utf-8")
