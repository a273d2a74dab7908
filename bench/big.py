"""Objects as large as an API server takes them, and what the nine policies of the benchmark find in them.

A request to an API server has up to 3 MiB, an object in etcd 1.5 MiB (as protobuf, so that its JSON may be larger). What
comes to a webhook has the API server's defaults, and six bytes (``\\u003c``) in place of each ``<``.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

#: Bytes of an object as a client writes it.
LARGEST = 3 << 20
USER = "system:serviceaccount:kube-system:replicaset-controller"
_OURS, _FOREIGN = "contoso.azurecr.io/shop/web:1.27", "docker.io/evil/tool:latest"
_LABELS = {"app.kubernetes.io/name": "web", "team": "shop", "cost-center": "cc-1234"}
_POD = frozenset({"allowed-images", "allowed-container-ports", "no-privileged", "resource-limits", "required-labels"})


@dataclass(frozen=True, kw_only=True)
class Big:
    """A large object, what it was before if it is a change, and the policies for which it must be refused."""

    name: str
    object: Object
    old: Object | None = None
    bad: frozenset[str] = frozenset()

    def review(self, uid: str = "big") -> bytes:
        """The AdmissionReview as an API server writes it."""
        api_version, kind = self.object["apiVersion"], self.object["kind"]
        group, _, version = api_version.rpartition("/")
        fields = {
            "uid": uid,
            "kind": {"group": group, "version": version, "kind": kind},
            "resource": {"group": group, "version": version, "resource": kind.lower() + "s"},
            "name": self.object["metadata"]["name"],
            "namespace": self.object["metadata"]["namespace"],
            "operation": "UPDATE" if self.old else "CREATE",
            "userInfo": {"username": USER, "groups": ["system:authenticated"]},
            "object": self.object,
            "oldObject": self.old,
            "dryRun": True,
            "options": None,
        }
        review = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": fields}
        text = json.dumps(review, separators=(",", ":"))
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode()


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a response decides: refused by which policies, and which of them could not judge: "" stands for a review of which none could."""

    allowed: bool
    refused_by: frozenset[str]
    unjudged: frozenset[str]

    @classmethod
    def of(cls, response: Object) -> Answered:
        told = [*response.get("warnings", ()), *response.get("status", {}).get("message", "").split("\n")]
        by = response.get("auditAnnotations", {}).get("refused-by", "")
        return cls(
            allowed=response["allowed"],
            refused_by=frozenset(by.split(",") if by else ()),
            unjudged=frozenset(found[1] or "" for line in told if (found := _UNJUDGED.match(line))),
        )

    def wrong(self, big: Big) -> str:
        """What is wrong about it; empty when every policy either decided rightly or said that it could not."""
        if false := self.refused_by - big.bad:
            return f"refused by {', '.join(sorted(false))}"
        if missed := big.bad - self.refused_by - self.unjudged:
            return f"passed by {', '.join(sorted(missed))}"
        return "" if self.allowed != bool(self.refused_by) else "allowed and refused at once"


_UNJUDGED = re.compile(r"(?:\[([^]]+)\] )?could not be judged: ")


def container(name: str, *bad: str, **more: Any) -> Object:
    """A container with the API server's defaults, which breaks the policies that are named, and no other."""
    return {
        "name": name,
        "image": _FOREIGN if "allowed-images" in bad else _OURS,
        "ports": [{"containerPort": 22 if "allowed-container-ports" in bad else 443, "protocol": "TCP"}],
        "resources": {"limits": {"cpu": "5" if "resource-limits" in bad else "1", "memory": "1Gi"}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {"privileged": "no-privileged" in bad},
        **more,
    }


def pod(containers: list[Object], *, labels: Object | None = None, kind: str = "Pod", **metadata: Any) -> Object:
    """A Pod of which the first is the container and the others are init containers; or what has one as its template."""
    labels = _LABELS if labels is None else labels
    spec = {"containers": containers[:1], "initContainers": containers[1:]}
    named = {"name": "big", "namespace": "shop", "labels": labels, **metadata}
    if kind == "Pod":
        return {"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": named,
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


def many(count: int, bad: tuple[str, ...] = (), which: Callable[[int], bool] = lambda n: True) -> list[Object]:
    """So many containers, of which some break policies."""
    return [container(f"c{n}", *(bad if which(n) else ())) for n in range(count)]


def extremes() -> Iterator[Big]:
    """One object for each way to be large."""
    every = ("allowed-images", "allowed-container-ports", "no-privileged", "resource-limits")
    count = 8_000
    yield Big(name="8,000 init containers, all forbidden", object=pod(many(count, every)), bad=frozenset(every))
    yield Big(name="8,000 init containers", object=pod(many(count)))
    last = many(count, every, lambda n: n == count - 1)
    yield Big(name="8,000 init containers, the last forbidden", object=pod(last), bad=frozenset(every))
    for slug in every:
        made = pod(many(count, (slug,)))
        yield Big(name=f"8,000 init containers, all against {slug}", object=made, bad=frozenset({slug}))
    # An entry of etcd with as many of them as it takes, which a client writes without defaults.
    bare = [{**container(f"c{n}", image="x"), "resources": {}, "ports": None} for n in range(20_000)]
    yield Big(
        name="20,000 short init containers", object=pod(bare), bad=frozenset({"allowed-images", "resource-limits"})
    )
    for forbidden in (None, 24_999, 0):
        ports = [{"containerPort": 22 if n == forbidden else 9090 + n % 10, "protocol": "TCP"} for n in range(25_000)]
        bad = frozenset() if forbidden is None else frozenset({"allowed-container-ports"})
        name = f"25,000 ports{'' if forbidden is None else f', number {forbidden} forbidden'}"
        yield Big(name=name, object=pod([container("c", ports=ports)]), bad=bad)
    wrong = [{"containerPort": 10_000 + n, "protocol": "TCP"} for n in range(25_000)]
    yield Big(
        name="25,000 forbidden ports",
        object=pod([container("c", ports=wrong)]),
        bad=frozenset({"allowed-container-ports"}),
    )
    env = [{"name": f"V{n}", "value": "value"} for n in range(60_000)]
    yield Big(
        name="60,000 variables",
        object=pod([container("c", "no-privileged", env=env)]),
        bad=frozenset({"no-privileged"}),
    )
    text = "<" * (LARGEST - 2_000)
    escaped = container("c", "allowed-images", env=[{"name": "V", "value": text}])
    yield Big(name="3 MiB of <", object=pod([escaped]), bad=frozenset({"allowed-images"}))
    labels = {f"label-{n}": "x" * 60 for n in range(30_000)}
    yield Big(name="30,000 labels", object=pod([container("c")], labels=labels), bad=frozenset({"required-labels"}))
    notes = {f"note-{n}": "&" for n in range(12_000)}
    yield Big(name="12,000 annotations", object=pod([container("c")], annotations=notes))
    yield Big(
        name="a long image",
        object=pod([container("c", image="x/" * 1_400_000)]),
        bad=frozenset({"allowed-images"}),
    )
    yield Big(name="a Deployment with 8,000 containers", object=pod(many(count, every), kind="Deployment"))
    half = 4_000
    yield Big(name="a change of the label of 4,000 containers", object=pod(many(half), note="n"), old=pod(many(half)))
    yield Big(
        name="a change of 4,000 images",
        object=pod(many(half, ("allowed-images",))),
        old=pod(many(half)),
        bad=frozenset({"allowed-images"}),
    )
    yield Big(
        name="a change of nothing in 4,000 forbidden images",
        object=pod(many(half, ("allowed-images",))),
        old=pod(many(half, ("allowed-images",))),
    )
    older = pod([container("c", env=[{"name": "V", "value": text[: LARGEST // 2]}])])
    newer = pod([container("c", "no-privileged", env=[{"name": "V", "value": text[: LARGEST // 2]}])])
    yield Big(name="a change beside 1.5 MiB of <", object=newer, old=older, bad=frozenset({"no-privileged"}))
    service = [{"name": f"p{n}", "port": 80 if n else 22, "protocol": "TCP", "targetPort": 80} for n in range(20_000)]
    yield Big(name="20,000 ports of a Service", object=_service(service), bad=frozenset({"allowed-service-ports"}))
    yield Big(name="10,000 rules of an Ingress", object=_ingress(10_000), bad=frozenset({"https-ingress"}))


def generated(seed: int) -> Iterator[Big]:
    """Pods without end, large in ways that are drawn: containers, ports, variables, labels, texts, and what they break."""
    draw = random.Random(seed)
    number = 0
    while True:
        number += 1
        yield _drawn(draw, f"drawn {seed}/{number}")


def _drawn(draw: random.Random, name: str) -> Big:
    bad = frozenset(slug for slug in sorted(_POD) if draw.random() < 0.4)
    of_containers = tuple(sorted(bad - {"required-labels"}))
    parts = [draw.random() ** 2 for _ in range(5)]
    containers, ports, variables, labels, text = (int(LARGEST * part / sum(parts)) for part in parts)
    count = max(1, containers // 330)
    where = draw.choice(
        (lambda n: True, lambda n: n == 0, lambda n: n == count - 1, lambda n: n % 7 == 0 or n == count - 1)
    )
    made = many(count, of_containers, where)
    for _ in range(ports // 45):
        made[draw.randrange(count)]["ports"].append({"containerPort": 9090 + draw.randrange(10), "protocol": "TCP"})
    for number in range(variables // 40):
        made[draw.randrange(count)].setdefault("env", []).append({"name": f"V{number}", "value": "a value"})
    made[-1].setdefault("env", []).append({"name": "TEXT", "value": draw.choice("<a☃\\") * (text // 3)})
    given = {} if "required-labels" in bad else dict(_LABELS)
    given |= {f"label-{number}": "x" * 40 for number in range(labels // 60)}
    return Big(name=name, object=pod(made, labels=given), bad=bad)


def _service(ports: list[Object]) -> Object:
    spec = {"type": "ClusterIP", "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "big", "namespace": "shop"}, "spec": spec}


def _ingress(rules: int) -> Object:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    spec = {"rules": [{"host": f"h{n}.example.com", "http": {"paths": [path]}} for n in range(rules)]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "big", "namespace": "shop"},
        "spec": spec,
    }
