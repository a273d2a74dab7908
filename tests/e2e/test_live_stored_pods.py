"""What the API server stores of each Pod, and the controllers make of each template, against what rules see of the same manifests."""

from __future__ import annotations

import copy
import datetime
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.compliance.judgement import Task
from aksp.engine import Engine
from aksp.model.definition import RegoModule
from tests.e2e.objects import Object, made, namespace
from tests.e2e.pod_templates import TEMPLATES
from tests.testbed.client import MERGE
from tests.testbed.controlplane import ControlPlane

pytestmark = pytest.mark.e2e

PLAIN, LIMITED = "plain", "limited"
KINDS = {
    "Pod": "v1", "Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "ReplicaSet": "apps/v1",
    "ReplicationController": "v1", "Job": "batch/v1", "Indexed Job": "batch/v1", "CronJob": "batch/v1",
}  # fmt: skip
#: With the defaults of a LimitRange its containers ask for more than it does: the API server refuses the Pod.
REFUSED = (LIMITED, "pod resources")
CASE = "case"
"""The label that tells whose Pod it is."""

SURROUNDINGS = [
    *(
        made("v1", "ServiceAccount", name, where, imagePullSecrets=[{"name": "pull"}], **fields)
        for where in (PLAIN, LIMITED)
        for name, fields in {"puller": {}, "untrusting": {"automountServiceAccountToken": False}}.items()
    ),
    made("v1", "LimitRange", "a", LIMITED, spec={"limits": [
        {"type": "Container", "default": {"memory": "128Mi"}, "defaultRequest": {"cpu": "50m"}, "max": {"cpu": "2"}},
    ]}),
    # Which of two LimitRanges comes first is not settled, so these have no field in common.
    made("v1", "LimitRange", "b", LIMITED, spec={"limits": [
        {"type": "Container", "default": {"ephemeral-storage": "1Gi"}}, {"type": "Pod", "max": {"memory": "8Gi"}},
    ]}),
]  # fmt: skip

WHOLE = """package whole
violation contains {"msg": "", "details": {"path": "spec", "observed": input.review.object}} if true
"""


def workload(where: str, kind: str, template_name: str) -> Object:
    """The manifest of a kind with this template."""
    template = copy.deepcopy(TEMPLATES[template_name])
    name = f"{kind} {template_name}".lower().replace(" ", "-")
    labels = {CASE: name}
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**metadata.get("labels", {}), **labels}
    one = made(KINDS[kind], kind.split()[-1], name, where)
    if kind == "Pod":
        one["metadata"] |= metadata
        one["spec"] = template["spec"]
        return one
    if kind in ("Job", "Indexed Job", "CronJob"):
        template["spec"]["restartPolicy"] = "Never"
    if kind == "CronJob":
        one["spec"] = {
            "schedule": "* * * * *", "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": {"template": template}},
        }  # fmt: skip
    elif kind == "Job":
        one["spec"] = {"template": template}
    elif kind == "Indexed Job":
        one["spec"] = {"template": template, "completionMode": "Indexed", "completions": 1}
    elif kind == "ReplicationController":
        one["spec"] = {"selector": labels, "template": template}
    else:
        one["spec"] = {"selector": {"matchLabels": labels}, "template": template}
    if kind == "StatefulSet":
        one["spec"] |= {"serviceName": "svc", "volumeClaimTemplates": [claim("data"), claim("empty")]}
    return one


def claim(name: str) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": name}, "spec": spec}


MANIFESTS = [
    workload(where, kind, template)
    for where in (PLAIN, LIMITED)
    for kind in KINDS
    for template in TEMPLATES
    if (where, template) != REFUSED
]
Pods = dict[tuple[str, str], Object]
"""By namespace and manifest's name."""


def case(one: Object) -> tuple[str, str]:
    return one["metadata"]["namespace"], one["metadata"]["labels"][CASE]


@pytest.fixture(scope="module")
def stored(plane: ControlPlane) -> Iterator[Pods]:
    """The Pods as the API server has them, with all of its plugins, in a control plane of its own."""
    # The plane of the other tests is asked for since it knows where the binaries are.
    with ControlPlane(service_accounts=True) as own:
        own.apply([namespace(PLAIN), namespace(LIMITED), *SURROUNDINGS])
        # A DaemonSet makes a Pod for each Node that its Pods tolerate.
        own.apply([made("v1", "Node", "node-1") | {"metadata": {"name": "node-1", "labels": {"disk": "ssd"}}}])
        own.request("PATCH", "/api/v1/nodes/node-1", {"spec": {"taints": None}}, MERGE)
        for where in (PLAIN, LIMITED):
            own.wait_for(f"/api/v1/namespaces/{where}/serviceaccounts", lambda answer: len(answer["items"]) == 3)
        # One run is overdue, so the controller does not wait for the minute.
        missed = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=70)
        due = {"status": {"lastScheduleTime": missed.strftime("%Y-%m-%dT%H:%M:%SZ")}}
        for one in MANIFESTS:
            collection = own.client.collection(one["apiVersion"], one["kind"], one["metadata"]["namespace"])
            own.request("POST", collection, one)
            if one["kind"] == "CronJob":
                own.request("PATCH", f"{collection}/{one['metadata']['name']}/status", due, MERGE)
        wanted = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in MANIFESTS}
        pods = own.wait_for("/api/v1/pods", lambda answer: wanted <= {case(pod) for pod in answer["items"]}, 120)
        yield {case(pod): {"apiVersion": "v1", "kind": "Pod", **pod} for pod in pods["items"]}


@pytest.fixture(scope="module")
def seen() -> Pods:
    """The Pods as a rule sees them of manifests with all of this."""
    text = yaml.safe_dump_all([*SURROUNDINGS, *MANIFESTS]).encode()
    parts = [{"length": len(text)}]
    with Engine() as engine:
        assert engine.compile("whole", [RegoModule(name="whole", source=WHOLE, version="v1")]) == []
        batch = engine.loaded(engine.load_files(parts, text, surroundings=engine.gather(parts, text)))
        pods = [index for index, document in enumerate(batch.documents) if document["kind"] == "Pod"]
        judgement = engine.judge(batch, [Task(policy="whole", parameters={}, documents=pods)])
    assert batch.problems == [] and judgement.faults == [] and len(pods) == len(MANIFESTS)
    objects = [json.loads(finding["details"])["observed"] for finding in judgement.findings]
    return {case(one): one for one in objects}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where what a rule sees of manifests is another than what the API server stores. Each is in docs/definitions.md."""

    told: str
    """The words of the docs."""
    path: str
    """A pattern of the paths that differ."""
    kinds: tuple[str, ...] = tuple(KINDS)
    fits: Callable[[Any, Any], bool]
    """Whether values differ in this way: that of manifests, that of the API server, None where there is none."""


def owner(seen: Any, stored: Any) -> bool:
    return (seen, stored) in (("Deployment", "ReplicaSet"), ("CronJob", "Job")) or stored.startswith(f"{seen}-")


def same_amount(seen: Any, stored: Any) -> bool:
    return amount(seen) == amount(stored)


def amount(text: Any) -> Decimal:
    found = re.fullmatch(r"([\d.]+)(m|Mi|Gi|)", str(text))
    assert found, text
    return (
        Decimal(found[1])
        * {"m": Decimal("0.001"), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "": Decimal(1)}[found[2]]
    )


def only_seen(*values: Any) -> Callable[[Any, Any], bool]:
    return lambda seen, stored: stored is None and any(seen == one and type(seen) is type(one) for one in values)


def only_stored(pattern: str) -> Callable[[Any, Any], bool]:
    return lambda seen, stored: seen is None and re.fullmatch(pattern, stored) is not None


DIFFERENCES = (
    Difference(
        told="In a cluster there is a ReplicaSet between a Deployment and its Pods, and a Job between them and a CronJob",
        path=r"metadata\.ownerReferences\[0\]\.(kind|name)", kinds=("Deployment", "CronJob"), fits=owner,
    ),
    Difference(
        told="Quantities stand as they are written",
        path=r"spec\.((initC|c)ontainers\[\d\]\.)?resources\.(limits|requests)\.(cpu|memory)", fits=same_amount,
    ),
    Difference(
        told="`false`, empty texts, lists and objects that say no more than their absence",
        path=r"spec\.(hostIPC|hostNetwork|hostPID|hostname|imagePullSecrets|initContainers|nodeName|nodeSelector"
        r"|containers\[0\]\.(args|command|env|ports|stdin|tty|workingDir))",
        fits=only_seen(False, "", [], {}),
    ),
    Difference(
        told="fields that Kubernetes does not know",
        path=r"spec\.(notAField|containers\[0\]\.imagePullPolice)", fits=only_seen(1, "Always"),
    ),
    Difference(
        told="the annotation of the LimitRanger",
        path=r"metadata\.annotations\['kubernetes\.io/limit-ranger'\]", fits=only_stored("LimitRanger plugin set: .*"),
    ),
    Difference(
        told="the affinity to its node of a Pod of a DaemonSet",
        path=r"spec\.affinity\.nodeAffinity\.requiredDuringSchedulingIgnoredDuringExecution\.nodeSelectorTerms\[0\]\.matchFields\[0\]\..*",
        kinds=("DaemonSet",), fits=only_stored(r"metadata\.name|In|node-1"),
    ),
)  # fmt: skip
#: What the API server keeps for itself, and what becomes of the Pod once it is there.
KEPT = ("managedFields", "resourceVersion", "creationTimestamp", "generation")
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DRAWN = {"xxxxxxxxxx": "[a-z0-9]{5,10}", "xxxxx": "[a-z0-9]{5}", "00000000": "[0-9]{8}"}
"""What stands in manifests for what a cluster draws or counts."""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The paths of an object, and the values that have nothing below them."""
    if isinstance(value, dict) and value:
        for key, entry in value.items():
            step = f".{key}" if re.fullmatch(r"[\w-]+", key) else f"['{key}']"
            yield from leaves(entry, (path + step).removeprefix("."))
    elif isinstance(value, list) and value:
        for index, entry in enumerate(value):
            # Volumes of claims are in no order that one can tell.
            named = path == "spec.volumes" and isinstance(entry, dict)
            key = re.sub("(?<=^kube-api-access-).*", "", entry["name"]) if named else index
            yield from leaves(entry, f"{path}[{key}]")
    else:
        yield path, value


def alike(path: str, seen: Any, stored: Any) -> bool:
    if not isinstance(seen, str) or not isinstance(stored, str):
        return type(seen) is type(stored) and bool(seen == stored)
    if path.endswith(("uid", "controller-uid']")):
        return bool(UID.fullmatch(seen) and UID.fullmatch(stored))
    pattern = re.escape(seen)
    for text, what in DRAWN.items():
        pattern = pattern.replace(text, what)
    return re.fullmatch(pattern, stored) is not None


def differences(seen: Object, stored: Object) -> Iterator[tuple[str, Any, Any]]:
    """The paths at which two Pods differ, and both values."""
    metadata = {key: value for key, value in stored["metadata"].items() if key not in KEPT}
    mine = dict(leaves(seen))
    theirs = dict(leaves({key: value for key, value in stored.items() if key != "status"} | {"metadata": metadata}))
    for path in sorted({*mine, *theirs}):
        if not alike(path, mine.get(path), theirs.get(path)):
            yield path, mine.get(path), theirs.get(path)


def told(kind: str, path: str, seen: Any, stored: Any) -> Difference | None:
    return next(
        (d for d in DIFFERENCES if kind in d.kinds and re.fullmatch(d.path, path) and d.fits(seen, stored)), None
    )


def names(where: str, kind: str) -> list[tuple[str, str]]:
    """The manifests of a kind in a namespace."""
    return [
        (where, workload(where, kind, template)["metadata"]["name"])
        for template in TEMPLATES
        if (where, template) != REFUSED
    ]


@pytest.mark.parametrize("where", [PLAIN, LIMITED])
@pytest.mark.parametrize("kind", KINDS)
def test_rules_see_of_manifests_what_the_api_server_stores(where: str, kind: str, stored: Pods, seen: Pods) -> None:
    untold = [
        (key[1], *one)
        for key in names(where, kind)
        for one in differences(seen[key], stored[key])
        if told(kind, *one) is None
    ]

    assert untold == []


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda one: one.told[:40])
def test_each_difference_that_the_docs_tell_is_there(difference: Difference, stored: Pods, seen: Pods) -> None:
    docs = Path(__file__).parents[2] / "docs" / "definitions.md"
    met = {
        kind
        for where in (PLAIN, LIMITED)
        for kind in KINDS
        for key in names(where, kind)
        for one in differences(seen[key], stored[key])
        if told(kind, *one) is difference
    }

    assert met == set(difference.kinds)
    assert difference.told in " ".join(docs.read_text(encoding="utf-8").split())


def test_volumes_of_claims_come_first_in_a_cluster_and_after_the_templates_own_here(stored: Pods, seen: Pods) -> None:
    key = (PLAIN, "statefulset-older-volumes")
    own = [volume["name"] for volume in TEMPLATES["older volumes"]["spec"]["volumes"]]

    in_cluster = [volume["name"] for volume in stored[key]["spec"]["volumes"]][:-1]
    here = [volume["name"] for volume in seen[key]["spec"]["volumes"]][:-1]

    # So that paths into the volumes are those of the template.
    assert here == [*own, "data", "empty"]
    assert sorted(in_cluster[:2]) == ["data", "empty"] and in_cluster[2:] == own
