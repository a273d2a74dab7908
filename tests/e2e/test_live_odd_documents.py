"""Odd documents: kubectl and the API server say what is taken. What they take is judged, what they refuse is told."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
import yaml

from aksp.model.kinds import BUILT_IN
from tests.e2e.command import Aksp
from tests.replacing import replace
from tests.testbed.controlplane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")]

HEAD = "apiVersion: v1\nkind: Pod\nmetadata: {name: odd}\n"
POD = HEAD + "spec: {containers: [{name: c, image: a}]}\n"
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\n"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: odd}
spec:
  selector: {matchLabels: {app: a}}
  template: {metadata: {labels: {app: a}}, spec: {containers: %s}}
"""


def labelled(metadata: str) -> str:
    return POD.replace("name: odd", f"name: odd, {metadata}")


def with_spec(spec: str) -> str:
    return POD.replace("spec: {", "spec: {" + spec + ", ")


def with_container(fields: str) -> str:
    return POD.replace("image: a", f"image: a, {fields}")


TAKEN = {
    "null labels": labelled("labels: {a: null}, annotations: {b: null}"),
    "null lists": with_spec("volumes: null, initContainers: null"),
    "carriage returns": POD.replace("\n", "\r\n"),
    "UTF-16": ("\ufeff" + POD).encode("utf-16-le"),
    "a byte order mark": "\ufeff" + POD,
    "a comment at a marker": f"{MAP}---# next\n{POD}",
    "items in a ConfigMap": MAP + "items:\n- " + POD.replace("\n", "\n  ") + "\n",
    "an escaped key": '{"\\u006bind": "List", "apiVersion": "v1", "\\u0069tems": ['
    + json.dumps(yaml.safe_load(POD))
    + "]}",
    "a key beside a merge": HEAD + "spec:\n  containers:\n  - &c {name: c, image: a}\n  - <<: *c\n    name: d\n",
    "a typed list": "apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: odd}\n  spec: {containers: [{name: c, image: a}]}\n",
}
REFUSED = {
    "a number as a label": labelled("labels: {a: 1}"),
    "a boolean as a label": labelled("labels: {a: true}"),
    "labels in a list": labelled("labels: [a]"),
    "annotations in a list": labelled("annotations: [a]"),
    "a spec in a list": HEAD + "spec: []\n",
    "containers in a mapping": HEAD + "spec: {containers: {name: c, image: a}}\n",
    "volumes in a mapping": with_spec("volumes: {name: v}"),
    "tolerations in a mapping": with_spec("tolerations: {key: a}"),
    "an affinity in a list": with_spec("affinity: [a]"),
    "ports in a mapping": with_container("ports: {containerPort: 80}"),
    "env in a mapping": with_container("env: {A: b}"),
    "a number as the value of a variable": with_container("env: [{name: A, value: 1}]"),
    "a number as an argument": with_container("args: [1]"),
    "a text as a security context": with_container("securityContext: x"),
    "a number as a name": POD.replace("name: odd", "name: 1"),
    "containers of a template in a mapping": DEPLOYMENT % "{name: c, image: a}",
    "a number as a label of a template": (DEPLOYMENT % "[{name: c, image: a}]").replace(
        "labels: {app: a}", "labels: {app: a, v: 1}"
    ),
    "a List without items": "apiVersion: v1\nkind: List\nlist: []\n",
    "items that are no list": "apiVersion: v1\nkind: List\nitems: {a: b}\n",
    "an item without a kind": "apiVersion: v1\nkind: List\nitems:\n- metadata: {name: odd}\n",
    "an item that is null": "apiVersion: v1\nkind: List\nitems: [null]\n",
    "a marker glued to text": f"# c\n---{POD}",
    "content at a marker": "--- {apiVersion: v1, kind: Pod}\n",
    "a Helm template": "{{- if .a }}\n" + POD + "{{- end }}\n",
    "a slash that is escaped": POD.replace("image: a", 'image: "a\\/b"'),
    "no kind": "metadata: {name: odd}\n",
    "a text": "odd\n",
    "no spec": HEAD,
    "a spec that is null": HEAD + "spec: null\n",
    "no containers": HEAD + "spec: {hostNetwork: true}\n",
    "init containers alone": HEAD + "spec: {initContainers: [{name: c, image: a}]}\n",
    "a container without a name": HEAD + "spec: {containers: [{image: a}]}\n",
    "a container without an image": HEAD + "spec: {containers: [{name: c}]}\n",
    "an empty image": HEAD + "spec: {containers: [{name: c, image: ''}]}\n",
    "an image that is a number": HEAD + "spec: {containers: [{name: c, image: 1}]}\n",
    "a text as hostNetwork": with_spec("hostNetwork: 'true'"),
    "a name of two containers": with_spec("initContainers: [{name: c, image: a}]"),
    "a template without containers": DEPLOYMENT % "[]",
    "a template's container without an image": DEPLOYMENT % "[{name: c}]",
}
#: What the API server cannot decode, and a rule finds something in.
REFUSED_AND_VIOLATING = {
    "a text as privileged": with_container("securityContext: {privileged: 'yes'}"),
}
#: What kubectl refuses and YAML does not, and what the API server refuses for a value
#: (see docs/definitions.md): it is judged all the same.
REFUSED_AND_JUDGED = {
    "a directive": f"%YAML 1.1\n---\n{POD}",
    "a port out of range": with_container("ports: [{containerPort: 70000}]"),
    "an unknown field": with_spec("contianers: []"),
    "a restart policy that is none": with_spec("restartPolicy: Sometimes"),
    "a label value with a space": labelled("labels: {a: b c}"),
    "a negative uid": with_container("securityContext: {runAsUser: -1}"),
    "a wrong type where no rule looks": with_container("securityContext: {runAsUser: '0'}"),
    "a selector that does not match": DEPLOYMENT.replace("matchLabels: {app: a}", "matchLabels: {app: b}")
    % "[{name: c, image: a}]",
}


@pytest.fixture
def assigned(aksp: Aksp) -> Aksp:
    inside = replace(aksp, within=True)
    assert inside.run("assign", "no-privileged", "--no-default-exclusions").code == 0
    return inside


def taken(plane: ControlPlane, path: str) -> subprocess.CompletedProcess[str]:
    """A server-side dry run of kubectl create."""
    command = ["kubectl", "--kubeconfig", str(plane.kubeconfig), "create", "--dry-run=server", "-o", "name", "-f", path]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN)
def test_what_the_api_server_takes_is_judged(text: str | bytes, assigned: Aksp, plane: ControlPlane) -> None:
    path = assigned.folder / "odd.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    answer = taken(plane, str(path))
    ended = assigned.run("compliance", "-f", str(path), "--show", "all", "-o", "json", "--no-history")

    assert answer.returncode == 0 and "pod/odd" in answer.stdout, answer.stderr
    assert (ended.code, ended.report["gaps"]) == (0, [])
    assert {(one["resource"]["name"], one["state"]) for one in ended.report["results"]} == {("odd", "Compliant")}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_the_api_server_refuses_is_told(text: str, assigned: Aksp, plane: ControlPlane) -> None:
    path = assigned.folder / "odd.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    answer = taken(plane, str(path))
    ended = assigned.run("compliance", "-f", str(path), "-o", "json", "--no-history")

    assert answer.returncode != 0, answer.stdout
    assert ended.code == 4 and ended.report["gaps"], ended.stdout


@pytest.mark.parametrize("text", REFUSED_AND_VIOLATING.values(), ids=REFUSED_AND_VIOLATING)
def test_a_violation_does_not_hide_what_the_api_server_refuses(text: str, assigned: Aksp, plane: ControlPlane) -> None:
    path = assigned.folder / "odd.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    ended = assigned.run("compliance", "-f", str(path), "-o", "json", "--no-history")

    assert taken(plane, str(path)).returncode != 0
    assert ended.code == 1 and ended.report["gaps"], ended.stdout


@pytest.mark.parametrize("text", REFUSED_AND_JUDGED.values(), ids=REFUSED_AND_JUDGED)
def test_what_kubectl_alone_refuses_is_judged(text: str, assigned: Aksp, plane: ControlPlane) -> None:
    path = assigned.folder / "odd.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    ended = assigned.run("compliance", "-f", str(path), "--show", "all", "-o", "json", "--no-history")

    assert taken(plane, str(path)).returncode != 0
    assert ended.code == 0
    assert {(one["resource"]["name"], one["state"]) for one in ended.report["results"]} == {("odd", "Compliant")}


def test_the_table_of_built_in_kinds_has_what_an_api_server_serves(plane: ControlPlane) -> None:
    served: dict[tuple[str, str], bool] = {}
    groups = plane.request("GET", "/apis")["groups"]
    for group, path in [
        ("", "/api/v1"),
        *((g["name"], "/apis/" + g["preferredVersion"]["groupVersion"]) for g in groups),
    ]:
        for one in plane.request("GET", path)["resources"]:
            if "/" not in one["name"] and "list" in one["verbs"]:
                served[group, one["kind"]] = not one["namespaced"]
    built_in = {group for group, _ in served if "." not in group or group.endswith(".k8s.io")}
    expected = {
        key: cluster for key, cluster in served.items() if key[0] in built_in and key != ("", "ComponentStatus")
    }

    assert {(one.group, one.kind): one.cluster for one in BUILT_IN if (one.group, one.kind) in expected} == expected


def test_an_object_without_namespaces_is_in_none_whatever_is_written(assigned: Aksp, plane: ControlPlane) -> None:
    path = assigned.folder / "role.yaml"
    path.write_text(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: odd, namespace: kube-system}\n"
    )
    command = ["kubectl", "--kubeconfig", str(plane.kubeconfig), "create", "--dry-run=server", "-o", "json", "-f"]
    made = subprocess.run([*command, str(path)], capture_output=True, text=True, timeout=60, check=True)

    assert "namespace" not in json.loads(made.stdout)["metadata"]
