"""The same generated suites, put to gator and to aksp: every case passes at both or at neither."""

from __future__ import annotations

import json
import random
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.cli.test_test import REQUEST, UNIQUE
from tests.e2e.command import Aksp
from tests.e2e.test_gatekeeper import gator
from tests.gatekeeper.builders import LABELS_SCHEMA, V0, constraint, template
from tests.gatekeeper.test_audits import RULE

__all__ = ["gator"]

CASES = 200
KINDS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "K8sRequiredLabels": (template("K8sRequiredLabels", V0, LABELS_SCHEMA), [{"labels": [{"key": "owner"}]}, {}]),
    "Privileged": (template("Privileged", RULE, {"type": "object"}), [{}]),
    "Deleted": (template("Deleted", REQUEST, {"type": "object"}), [{}]),
    "Taken": (template("Taken", UNIQUE, {"type": "object"}), [{}]),
    "Created": (template("Created", RULE, {"type": "object"}, operations=["CREATE"]), [{}]),
}
MATCHES: list[dict[str, Any]] = [
    {},
    {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]},
    {"namespaces": ["sh*"]},
    {"excludedNamespaces": ["shop"]},
    {"labelSelector": {"matchLabels": {"owner": "a"}}},
    {"scope": "Cluster"},
    {"name": "a*"},
    {"source": "Generated"},
]
ACTIONS: list[dict[str, Any]] = [
    {},
    {"enforcementAction": "dryrun"},
    {
        "enforcementAction": "scoped",
        "scopedEnforcementActions": [{"action": "deny", "enforcementPoints": [{"name": "gator.gatekeeper.sh"}]}],
    },
]
MESSAGES = ["privileged", "label", "^taken by", "proxy$", "(web|proxy)", "eve deletes", "[.]"]
CHANCE = random.Random(16)


def a_pod() -> dict[str, Any]:
    containers = [
        {"name": name, "image": "i", "securityContext": {"privileged": CHANCE.random() < 0.5}}
        for name in ("web", "proxy")[: CHANCE.choice([1, 2])]
    ]
    metadata = {
        "name": CHANCE.choice(["a", "b", "ab"]),
        **CHANCE.choice([{"namespace": "shop"}, {"namespace": "other"}, {}]),
        "labels": CHANCE.choice([{}, {"owner": "a"}, {"app": "x"}]),
    }
    spec = {"containers": containers, "hostname": CHANCE.choice(["h", "i"])}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def reviewed(one: dict[str, Any]) -> dict[str, Any]:
    operation = CHANCE.choice(["CREATE", "UPDATE", "DELETE"])
    request: dict[str, Any] = {
        "uid": "u",
        "operation": operation,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "name": one["metadata"]["name"],
        "namespace": one["metadata"].get("namespace", ""),
        "userInfo": {"username": "eve"},
    }
    request |= {"oldObject": one} if operation == "DELETE" else {"object": one}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def an_assertion() -> dict[str, Any]:
    made: dict[str, Any] = {}
    if CHANCE.random() < 0.9:
        made["violations"] = CHANCE.choice(["yes", "no", 0, 1, 1, 2])
    if CHANCE.random() < 0.4:
        made["message"] = CHANCE.choice(MESSAGES)
    return made


def write(folder: Path, name: str, document: Any) -> str:
    (folder / name).write_text(yaml.safe_dump(json.loads(json.dumps(document)), sort_keys=False), encoding="utf-8")
    return name


def test_gator_and_aksp_agree_on_every_case(gator: Path, tmp_path: Path) -> None:
    tests: list[dict[str, Any]] = []
    for number in range(CASES // 4):
        kind = CHANCE.choice(list(KINDS))
        made, parameters = KINDS[kind]
        own = constraint("c", kind, CHANCE.choice(parameters), CHANCE.choice(MATCHES), **CHANCE.choice(ACTIONS))
        cases: list[dict[str, Any]] = []
        for at in range(4):
            one = a_pod()
            given = reviewed(one) if kind == "Deleted" or CHANCE.random() < 0.3 else one
            cases.append(
                {
                    "name": f"case-{number}-{at}",
                    "object": write(tmp_path, f"o{number}-{at}.yaml", given),
                    "inventory": [write(tmp_path, f"i{number}-{at}.yaml", a_pod())] if CHANCE.random() < 0.7 else [],
                    "assertions": [an_assertion() for _ in range(CHANCE.choice([1, 1, 2]))],
                }
            )
        tests.append(
            {
                "name": f"test-{number}",
                "template": write(tmp_path, f"t-{kind.lower()}.yaml", made),
                "constraint": write(tmp_path, f"k{number}.yaml", own),
                "cases": cases,
            }
        )
    suite = {"apiVersion": "test.gatekeeper.sh/v1alpha1", "kind": "Suite", "tests": tests}
    path = str(tmp_path / write(tmp_path, "suite.yaml", suite))
    ended = subprocess.run([str(gator), "verify", "-v", path], capture_output=True, text=True, check=False)
    theirs = {name: verdict for verdict, name in re.findall(r"--- (PASS|FAIL): (case-[\d-]+)", ended.stdout)}

    run = Aksp(folder=tmp_path).run("test", path, "-o", "json")
    assert run.code == 1, run.stderr
    ours = {
        case["name"]: {"passed": "PASS", "failed": "FAIL"}.get(case["outcome"], case["message"])
        for test in json.loads(run.stdout)["suites"][0]["tests"]
        for case in test["cases"]
    }
    assert len(theirs) == CASES, ended.stdout + ended.stderr
    assert 40 < list(theirs.values()).count("PASS") < CASES - 40
    differing = {
        case["name"]: (
            ours[case["name"]],
            test["template"],
            (tmp_path / test["constraint"]).read_text(),
            case["assertions"],
        )
        for test in tests
        for case in test["cases"]
        if ours[case["name"]] != theirs[case["name"]]
    }
    assert not differing
