"""Where aksp differs from Gatekeeper (docs/definitions.md), held against gator on the same template and objects."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.peers.build import GATOR, gatekeeper
from tests.cli.conftest import Aksp, aksp, commands, compiler
from tests.e2e.conftest import REQUIRED
from tests.testbed.build import BuildError, cache_folder

__all__ = ["aksp", "commands", "compiler"]

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "shop", "labels": {"number": "0"}},
    "spec": {"hostNetwork": True, "containers": [{"name": "web", "image": "web"}]},
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD["spec"]},
    },
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"ports": [{"port": 80}]},
}


@pytest.fixture(scope="session")
def gator() -> Path:
    """gator, built when it is missing and Go is there."""
    cached = cache_folder("AKSP_PEERS_DIR", "peers")
    if shutil.which("go") is None and GATOR.complete(cached):
        return cached / "gator"
    try:
        return gatekeeper() / "gator"
    except BuildError as error:
        reason = f"no gator: {error}; `make e2e` builds one"
        if os.environ.get(REQUIRED) not in (None, "", "0"):
            pytest.fail(f"{reason} ({REQUIRED} is set)")
        pytest.skip(reason)


@dataclass(frozen=True)
class Both:
    """What the two say: gator's messages, and aksp's (state, message)."""

    gator: list[str]
    aksp: list[tuple[str, str]]
    report: Any


Judge = Callable[..., Both]


@pytest.fixture
def judge(gator: Path, aksp: Aksp) -> Judge:
    def both(rego: str, *objects: dict[str, Any]) -> Both:
        template: dict[str, Any] = {
            "apiVersion": "templates.gatekeeper.sh/v1",
            "kind": "ConstraintTemplate",
            "metadata": {"name": "ours"},
            "spec": {
                "crd": {"spec": {"names": {"kind": "Ours"}}},
                "targets": [
                    {
                        "target": "admission.k8s.gatekeeper.sh",
                        "code": [{"engine": "Rego", "source": {"version": "v1", "rego": f"package ours\n{rego}"}}],
                    }
                ],
            },
        }
        kinds = [{"apiGroups": [""], "kinds": ["Pod", "Service"]}]
        constraint = {
            "apiVersion": "constraints.gatekeeper.sh/v1beta1",
            "kind": "Ours",
            "metadata": {"name": "ours"},
            "spec": {"match": {"kinds": kinds}},
        }
        definition = {
            "properties": {
                "mode": "Microsoft.Kubernetes.Data",
                "parameters": {"effect": {"type": "String", "defaultValue": "Audit"}},
                "policyRule": {
                    "if": {},
                    "then": {
                        "effect": "[parameters('effect')]",
                        "details": {"templateInfo": {"sourceType": "File", "path": "template.yaml"}, "kinds": kinds},
                    },
                },
            }
        }
        folder = aksp.workspace / "definitions" / "ours"
        folder.mkdir(parents=True)
        (folder / "template.yaml").write_text(yaml.safe_dump(template))
        (folder / "definition.json").write_text(json.dumps(definition))
        assert aksp("assign", "ours").code == 0
        text = "---\n".join(yaml.safe_dump(json.loads(json.dumps(one))) for one in objects)
        (aksp.folder / "objects.yaml").write_text(text)
        (aksp.folder / "constraint.yaml").write_text(yaml.safe_dump(constraint))
        files = [folder / "template.yaml", aksp.folder / "constraint.yaml", aksp.folder / "objects.yaml"]
        command = [str(gator), "test", "-o", "json", *(f"--filename={file}" for file in files)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode in (0, 1), done.stderr
        run = aksp.judge("objects.yaml")
        return Both(
            gator=sorted(one["msg"] for one in json.loads(done.stdout or "null") or []),
            aksp=sorted((one["state"], one["message"]) for one in run.json["results"]),
            report=run.json,
        )

    return both


def test_a_built_in_that_fails_hides_a_violation_from_gatekeeper_and_is_an_error_here(judge: Judge) -> None:
    rego = """
violation contains {"msg": "divided"} if 1 / to_number(input.review.object.metadata.labels.number) > 0
violation contains {"msg": "network"} if input.review.object.spec.hostNetwork
"""
    both = judge(rego, POD)

    assert both.gator == ["network"]
    assert [state for state, _ in both.aksp] == ["Error", "NonCompliant"]
    assert "divide by zero" in both.aksp[0][1]


def test_what_fails_as_a_whole_is_a_violation_for_gatekeeper_and_an_error_here(judge: Judge) -> None:
    rego = """
violation contains {"msg": sprintf("%v", [value])} if true
value := 1 if input.review.object.spec.hostNetwork
value := 2 if input.review.object.metadata.name
"""
    both = judge(rego, POD)

    (message,) = both.gator
    ((state, own),) = both.aksp
    assert state == "Error"
    assert "complete rules must not produce multiple outputs" in message
    assert "data.ours.value" in own


def test_the_pods_of_workloads_are_judged_here_without_an_expansion_template(judge: Judge) -> None:
    both = judge('violation contains {"msg": "network"} if input.review.object.spec.hostNetwork', DEPLOYMENT)

    assert both.gator == []
    assert both.aksp == [("NonCompliant", "network")]


def test_files_are_judged_here_as_the_api_server_would_store_them(judge: Judge) -> None:
    both = judge('violation contains {"msg": "no type"} if not input.review.object.spec.type', SERVICE)

    assert both.gator == ["no type"]
    assert both.aksp == []


def test_a_scan_gives_in_place_of_a_request_what_gatekeeper_gives(judge: Judge) -> None:
    both = judge(
        'violation contains {"msg": json.marshal(object.remove(input.review, ["object", "namespaceObject"]))} if true',
        POD,
    )

    assert [json.loads(message) for _, message in both.aksp] == [json.loads(message) for message in both.gator]


def test_a_rule_that_finds_nothing_without_the_request_is_not_started_here_and_passes_there(judge: Judge) -> None:
    both = judge('violation contains {"msg": "x"} if input.review.operation == "CREATE"', POD)

    assert both.gator == []
    assert both.aksp == []
    assert [line["state"] for line in both.report["assignments"]] == ["NotStarted"]


def test_what_gatekeeper_adds_of_the_namespace_is_not_given_here_and_that_is_an_error(judge: Judge) -> None:
    both = judge('violation contains {"msg": "x"} if is_object(input.review.namespaceObject)', POD)

    assert both.gator == ["x"]
    assert [state for state, _ in both.aksp] == ["Error"]


def test_a_deletion_is_judged_there_and_a_gap_here(judge: Judge, gator: Path, aksp: Aksp) -> None:
    review = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u",
            "operation": "DELETE",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "namespace": "shop",
            "name": "web",
            "object": None,
            "oldObject": POD,
        },
    }
    both = judge('violation contains {"msg": "kept"} if input.review.operation == "DELETE"', POD)
    assert both.gator == []
    folder = aksp.workspace / "definitions" / "ours"
    shutil.copy(aksp.folder / "constraint.yaml", folder)
    (folder / "review.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(review))))
    case = {"name": "deleted", "object": "review.yaml", "assertions": [{"violations": 1, "message": "kept"}]}
    test = {"name": "ours", "template": "template.yaml", "constraint": "constraint.yaml", "cases": [case]}
    suite = {"apiVersion": "test.gatekeeper.sh/v1alpha1", "kind": "Suite", "tests": [test]}
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite))
    command = [str(gator), "verify", str(folder / "suite.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr

    run = aksp.judge(str(folder / "review.yaml"))
    assert run.code == 4
    assert any('operation "DELETE"' in gap for gap in run.gaps)
