"""What an assignment selects is what Gatekeeper matches: some hundred generated matches, put to both.

Needs ``gator`` (v3.23), on the PATH or where AKSP_GATOR says; skipped without.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.model.resource import Document
from tests.compliance.builders import pod, thing
from tests.compliance.test_match import selection_of
from tests.replacing import replace

CACHED = Path.home() / ".cache" / "aksp" / "peers" / "gator"
GATOR = os.environ.get("AKSP_GATOR") or shutil.which("gator") or (str(CACHED) if CACHED.exists() else "")
MATCHES = 300

NAMESPACES = {
    "shop": {"env": "prod"},
    "shop-test": {"env": "test", "app": "prod"},
    "kube-system": {},
    "web-1": {"app": "test"},
}
GLOBS = ["shop", "shop*", "*-test", "*-*", "*", "web-*", "*1", "kube-*", "*o*"]
SELECTORS: list[dict[str, Any]] = [
    {"matchLabels": {"env": "prod"}},
    {"matchLabels": {"env": "test", "app": "prod"}},
    {"matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["prod"]}]},
    {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
    {"matchExpressions": [{"key": "env", "operator": "DoesNotExist"}]},
    {"matchExpressions": [{"key": "app", "operator": "In", "values": ["prod", "x"]}]},
]
KINDS: list[list[dict[str, Any]]] = [
    [{"apiGroups": [""], "kinds": ["Pod"]}],
    [{"apiGroups": ["apps"], "kinds": ["*"]}, {"apiGroups": ["*"], "kinds": ["Namespace", "Node"]}],
    [{"apiGroups": ["*"], "kinds": ["*"]}],
]


def matches() -> list[dict[str, Any]]:
    chance = random.Random(9)
    fields: dict[str, Any] = {
        "kinds": lambda: chance.choice(KINDS),
        "scope": lambda: chance.choice(["*", "Cluster", "Namespaced"]),
        "name": lambda: chance.choice(GLOBS),
        "namespaces": lambda: chance.sample(GLOBS, 2),
        "excludedNamespaces": lambda: [chance.choice(GLOBS)],
        "labelSelector": lambda: chance.choice(SELECTORS),
        "namespaceSelector": lambda: chance.choice(SELECTORS),
    }
    return [{key: make() for key, make in fields.items() if chance.random() < 0.4} for _ in range(MATCHES)]


def documents() -> list[Document]:
    found = [thing("v1", "Namespace", name, namespace="", labels=labels) for name, labels in NAMESPACES.items()]
    for number, (space, labels) in enumerate(NAMESPACES.items()):
        found += [
            pod(f"web-{number}", namespace=space, labels=labels),
            pod("shop", namespace=space, labels={"app": "prod"}),
            thing("apps/v1", "Deployment", "a", namespace=space, labels={"env": "prod"}),
        ]
    # No Nodes: gator puts what lies in no namespace into one without name and labels (its NamespaceForResource),
    # which the webhook and the audit do not.
    return found


def manifest(document: Document) -> dict[str, Any]:
    one = document.resource
    metadata = {"name": one.name, "labels": dict(document.labels)} | (
        {"namespace": one.namespace} if one.namespace else {}
    )
    return {"apiVersion": one.api_version, "kind": one.kind, "metadata": metadata}


TEMPLATE = {
    "apiVersion": "templates.gatekeeper.sh/v1",
    "kind": "ConstraintTemplate",
    "metadata": {"name": "always"},
    "spec": {
        "crd": {"spec": {"names": {"kind": "Always"}}},
        "targets": [
            {
                "target": "admission.k8s.gatekeeper.sh",
                "rego": 'package always\n\nviolation[{"msg": "matched"}] { true }\n',
            }
        ],
    },
}


@pytest.mark.skipif(not GATOR, reason="needs gator")
def test_gatekeeper_matches_what_an_assignment_selects(tmp_path: Path) -> None:
    objects, made = documents(), matches()
    constraints = [
        {"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "Always", "metadata": {"name": f"m{n}"},
         "spec": {"match": match}}
        for n, match in enumerate(made)
    ]  # fmt: skip
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all([TEMPLATE, *constraints, *map(manifest, objects)]), encoding="utf-8")
    run = subprocess.run(
        [GATOR, "test", "-f", str(file), "-o", "json"], capture_output=True, text=True, timeout=300, check=False
    )
    assert run.stdout.startswith("["), run.stderr
    theirs = {
        (
            one["constraint"]["metadata"]["name"],
            one["violatingObject"]["kind"],
            one["violatingObject"]["metadata"].get("namespace", ""),
            one["violatingObject"]["metadata"]["name"],
        )
        for one in json.loads(run.stdout)
        # gator judges the template and the constraints, too.
        if one["violatingObject"]["kind"] in ("Pod", "Deployment", "Namespace")
    }
    seen = [replace(one, namespace_labels=NAMESPACES.get(one.resource.namespace)) for one in objects]
    ours = {
        (f"m{n}", one.resource.kind, one.resource.namespace, one.resource.name)
        for n, match in enumerate(made)
        for one in (seen[at] for at in selection_of(match).choose(seen))
    }

    assert len(theirs) > MATCHES / 2
    differing = sorted(ours ^ theirs)
    assert not differing, [(name, made[int(name[1:])], *rest) for name, *rest in differing[:5]]
