"""What admission finds in an object is what a scan finds in it: 1,000 generated objects that come or change, 15 assignments.

Each difference has a name in docs/addon.md ("Where admission and a scan differ") and a condition here.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from aksp.addon.in_force.policies import Standing, stand
from aksp.addon.review import wording
from aksp.addon.review.decision import Decision, Outcome, Violation
from aksp.addon.review.owners import Owners
from aksp.addon.review.reviewer import Reviewer
from aksp.engine import Engine
from aksp.kube.connection import Connection
from aksp.kube.kinds import plural_of
from aksp.model.compliance import ComplianceState, Finding, Target, TargetKind
from aksp.model.kinds import WORKLOADS
from aksp.model.scope import Scope
from aksp.report.text import clipped
from aksp.scan import Scan
from aksp.sources.cluster import Cluster
from tests.addon.custom import Memory, assigned, defined, exempted
from tests.engine.reviews import review

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CLUSTER = Scope.cluster("c")
CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"
NAMESPACES = ("shop", "blog", "kube-system", "pay")
#: Group and version, and plural.
KINDS = {
    "Pod": ("v1", "pods"), "Service": ("v1", "services"), "Ingress": ("networking.k8s.io/v1", "ingresses"),
    "ClusterRole": ("rbac.authorization.k8s.io/v1", "clusterroles"),
    **{kind: (one.api_version, plural_of(kind)) for kind, one in WORKLOADS.items()},
}  # fmt: skip
#: Whose workloads another one makes, and what that is.
MAKERS = {"ReplicaSet": "Deployment", "Job": "CronJob"}
Object = dict[str, Any]
Violations = Counter[tuple[Any, ...]]


def assignments() -> list[Object]:
    """Fifteen, of every definition, with exclusions, selectors and scopes."""

    def one(name: str, definition: str, **more: Any) -> Object:
        return assigned(name, definition, parameters=more.pop("parameters", {}), **more)

    ours = {"allowedContainerImagesRegex": r"^contoso\.azurecr\.io/"}
    return [
        one("privileged", "no-privileged"),
        one("privileged-selected", "no-privileged", parameters={"labelSelector": {"matchLabels": {"tier": "web"}}}),
        one("privileged-all", "no-privileged", parameters={"excludedNamespaces": [], "effect": "Audit"}),
        one("images", "allowed-images", parameters=ours),
        one("images-excluded", "allowed-images", parameters={**ours, "excludedImages": ["docker.io/*"]}),
        one("images-shop", "allowed-images", parameters={"allowedRegistries": ["contoso.azurecr.io"]},
            scope="/clusters/c/namespaces/shop"),
        one("ports", "allowed-container-ports", parameters={"allowedContainerPortsRegex": "^(80|443)$"}),
        one("ports-excluded", "allowed-container-ports",
            parameters={"allowedPorts": ["80", "443"], "excludedContainers": ["c1", "i*"]}),
        one("limits", "resource-limits", parameters={"maxCpu": "500m", "maxMemory": "128Mi"},
            notScopes=["/clusters/c/namespaces/pay"]),
        one("labels", "required-labels", parameters={"labels": ["tier"], "effect": "Audit"}),
        one("services", "allowed-service-ports", parameters={"allowedServicePortsRegex": "^(80|443)$"}),
        one("balancers", "internal-load-balancers", parameters={"allowNodePort": False}),
        one("https", "https-ingress", parameters={"namespaces": ["shop", "blog"]}),
        one("hosts", "unique-ingress-hosts", parameters={"allowSameNamespace": False}),
        one("unowned", "ours", parameters={"effect": "Deny"}),
    ]  # fmt: skip


#: Assignments that refuse nothing.
AUDITS = {
    one["metadata"]["name"]
    for one in assignments()
    if one["spec"]["parameters"].get("effect", {}).get("value") == "Audit"
}


def exemptions() -> list[Object]:
    return [
        exempted("web", "privileged", resources=[{"kind": "Deployment", "name": "web"}]),
        exempted("daemons", "privileged", resources=[{"kind": "DaemonSet", "name": "o*"}]),
        exempted("job", "images", resources=[{"kind": "ReplicaSet", "name": "api-*", "container": "c0"}]),
        exempted("pods", "ports", resources=[{"namespace": "blog", "kind": "Pod", "name": "p1*"}]),
        exempted("images", "images-excluded", resources=[{"image": "docker.io/library/redis*"}]),
        exempted("place", "services", scope="/clusters/c/namespaces/pay"),
        exempted("roles", "unowned", resources=[{"kind": "ClusterRole", "name": "o*1"}]),
        exempted(
            "made", "unowned", resources=[{"kind": "Deployment", "name": "web"}, {"kind": "CronJob", "name": "api"}]
        ),
    ]


def rule() -> Object:
    """A definition about a kind without namespaces, and about all workloads themselves."""
    found = (
        'violation contains {"msg": "no team", "details": {"path": "metadata.labels"}} '
        "if not input.review.object.metadata.labels.team"
    )
    made = defined("ours", found)
    details = made["spec"]["policyRule"]["then"]["details"]
    details["apiGroups"], details["kinds"] = (
        sorted({"rbac.authorization.k8s.io", *(one.group for one in WORKLOADS.values())}),
        ["ClusterRole", *WORKLOADS],
    )
    return made


#: Where the template is.
TEMPLATES = {kind: one.template for kind, one in WORKLOADS.items()}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An object that comes or, with ``old``, changes, and who asks for it."""

    new: Object
    old: Object | None = None
    user: str

    @property
    def name(self) -> str:
        return str(self.new["metadata"]["name"])


class Generator:
    """Objects as an API server stores them, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.cluster = Memory()

    def object(self, number: int) -> Asked:
        """An object that comes, or one that changes, and who asks for it."""
        draw = self.draw
        weights = {"Pod": 6.0, "Service": 2.0, "Ingress": 2.0, "ClusterRole": 1.0}
        kind = draw.choices(list(KINDS), weights=[weights.get(one, 0.6) for one in KINDS])[0]
        identity: Object = {"name": f"{'p' if kind == 'Pod' else 'o'}{number}", "uid": f"uid-{number}"}
        if kind != "ClusterRole":
            identity["namespace"] = draw.choice(NAMESPACES)
        metadata, user = identity | self.labelled(), "jane"
        if kind in ("Pod", *MAKERS) and draw.random() < 0.6:
            user = self.own(kind, metadata)
        new = {"apiVersion": KINDS[kind][0], "kind": kind, "metadata": metadata} | self.content(kind)
        if draw.random() < 0.5:
            return Asked(new=new, user=user)
        written = {key: metadata[key] for key in ("ownerReferences",) if key in metadata}
        old = new | {"metadata": identity | written | self.labelled()}
        if kind != "Ingress" and draw.random() < 0.7:
            # The hosts of Ingresses stay: what there was before is compared with others as they are now.
            old |= self.content(kind)
        return Asked(new=new, old=old, user=user)

    def labelled(self) -> Object:
        draw, metadata = self.draw, Object()
        if draw.random() < 0.7:
            metadata["labels"] = {
                key: draw.choice(("web", "", "a.b_c")) for key in ("tier", "team", "x.example/y") if draw.random() < 0.5
            }
        if draw.random() < 0.3:
            metadata["annotations"] = draw.choice(
                ({}, {"ü": "≠\u2028<"}, {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"})
            )
        return metadata

    def own(self, kind: str, metadata: Object) -> str:
        """Give a Pod, or a workload that another one makes, an owner, true or false; who asks for it."""
        draw, place = self.draw, metadata["namespace"]
        name, code = draw.choice(("web", "api", "db")), draw.choice(("abc", "7d9"))
        maker = MAKERS.get(kind)
        if maker is not None:
            version, plural = KINDS[maker]
            uid = f"{place}-{maker}-{name}"
            reference = {"apiVersion": version, "kind": maker, "name": name, "uid": uid}
            path = f"/apis/{version}/namespaces/{place}/{plural}/{name}"
            self.cluster.others[path] = {"metadata": {"name": name, "uid": uid}}
        else:
            reference = self.replica_set(place, name, code)
            metadata["labels"] = {**metadata.get("labels", {}), "pod-template-hash": code}
        metadata["ownerReferences"] = [reference | {"controller": True}]
        way = draw.random()
        if way < 0.2:
            metadata["ownerReferences"][0]["uid"] = "false"
        return CONTROLLER if way < 0.7 else "mallory"

    def replica_set(self, place: str, name: str, code: str) -> Object:
        """The reference to a ReplicaSet that is there, as its Deployment is."""
        path, uid = f"/apis/apps/v1/namespaces/{place}", f"{place}-{name}-{code}"
        above = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": f"{place}-Deployment-{name}"}
        self.cluster.others[f"{path}/deployments/{name}"] = {"metadata": {"name": name, "uid": above["uid"]}}
        # One of them was made by hand, and is nobody's.
        references = [] if code == "7d9" else [above | {"controller": True}]
        self.cluster.others[f"{path}/replicasets/{name}-{code}"] = {
            "metadata": {"name": f"{name}-{code}", "uid": uid, "ownerReferences": references}
        }
        return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{name}-{code}", "uid": uid}

    def content(self, kind: str) -> Object:
        """All but the metadata, of any kind."""
        if kind in TEMPLATES:
            return self.workload(kind)
        made = {"Pod": self.pod, "Service": self.service, "Ingress": self.ingress, "ClusterRole": self.clusterrole}
        return made[kind]()

    def container(self, name: str) -> Object:
        draw = self.draw
        images = (
            "contoso.azurecr.io/app:1",
            "docker.io/library/redis:7",
            "nginx",
            f"contoso.azurecr.io/a@sha256:{'0' * 64}",
        )
        one: Object = {"name": name, "image": draw.choice(images)}
        for field, values in {
            "securityContext": ({}, None, {"privileged": True}, {"privileged": False}, {"privileged": None}),
            "ports": ([], None, [{"containerPort": 80}], [{"containerPort": 8080, "protocol": "UDP", "hostPort": 8080}],
                      [{"containerPort": 80}, {"containerPort": 81, "name": "x"}, {"containerPort": 81, "protocol": "SCTP"}]),
            "resources": ({}, None, {"limits": {"cpu": "0.5", "memory": "129e6"}}, {"limits": {"cpu": "1", "memory": "64Mi"}},
                          {"limits": {"cpu": "100000000n", "memory": "134217728"}, "requests": {"cpu": "1m"}},
                          {"limits": {"memory": "1E"}}),
        }.items():  # fmt: skip
            if draw.random() < 0.7:
                one[field] = draw.choice(values)
        return one

    def pod(self) -> Object:
        spec: Object = {"containers": [self.container(f"c{at}") for at in range(self.draw.randint(1, 3))]}
        for field, prefix in (("initContainers", "i"), ("ephemeralContainers", "e")):
            if self.draw.random() < 0.3:
                spec[field] = [self.container(f"{prefix}{at}") for at in range(self.draw.randint(0, 2))]
        return {"spec": spec}

    def service(self) -> Object:
        draw = self.draw
        kind = draw.choice(("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"))
        ports = [{"port": draw.choice((80, 443, 9999)), "nodePort": 30000 + at} for at in range(draw.randint(0, 3))]
        return {"spec": {"type": kind, **({} if kind == "ExternalName" and draw.random() < 0.5 else {"ports": ports})}}

    def ingress(self) -> Object:
        draw = self.draw
        hosts = ("a.example.com", "*.example.com", "b.example.com", None, *(f"h{at}.example.com" for at in range(60)))
        rules = [{"host": host} if (host := draw.choice(hosts)) else {} for _ in range(draw.randint(0, 2))]
        tls = [{"hosts": [rule["host"]], "secretName": "s"} for rule in rules if "host" in rule and draw.random() < 0.6]
        return {"spec": {"rules": rules} | ({"tls": tls} if tls or draw.random() < 0.2 else {})}

    def workload(self, kind: str) -> Object:
        labels: Object = {key: "web" for key in ("tier", "team") if self.draw.random() < 0.5}
        made: Object = {"metadata": {"labels": {"a": "b", **labels}}, **self.pod()}
        made["spec"].pop("ephemeralContainers", None)  # Kubernetes takes none in a template.
        for name in reversed(TEMPLATES[kind].split(".")):
            made = {name: made}
        return made

    def clusterrole(self) -> Object:
        return {"rules": self.draw.choice(([], None, [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]))}


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[Engine, Engine]]:
    with Engine() as scanning, Engine(evaluation_deadline_ms=5000) as answering:
        yield scanning, answering


def in_force(engine: Engine) -> Standing:
    standing = stand(
        engine, definitions=[rule()], assignments=assignments(), exemptions=exemptions(), cluster=CLUSTER, now=NOW
    )
    assert [one.problem for one in standing.assignments if one.problem] == []
    assert len(standing.plan.ready) == 15 and list(standing.plan.notes) == []
    return standing


def told(assignment: str, finding: Finding) -> tuple[Any, ...]:
    container = finding.container and (finding.container.type, finding.container.name, finding.container.image)
    return (
        assignment,
        finding.message,
        container,
        finding.path,
        json.dumps(finding.observed),
        json.dumps(finding.expected),
    )


@dataclass(frozen=True, kw_only=True)
class Scanned:
    """What a scan of a cluster finds in each object, by its name: the violations, and what is exempt."""

    violations: Mapping[str, Violations]
    exempt: Mapping[str, Violations]
    warnings: Mapping[str, set[str]]
    """The violations in the words in which admission warns of them."""


def scanned(engine: Engine, objects: Iterable[Object]) -> Scanned:
    """Scan a cluster that has these objects."""
    listed, objects = Memory(), list(objects)
    for kind, (version, plural) in KINDS.items():
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        # The items of a list do not say what they are.
        items = [{key: value for key, value in one.items() if key not in ("apiVersion", "kind")}
                 for one in objects if one["kind"] == kind]  # fmt: skip
        listed.others[f"{root}/{plural}"] = {
            "apiVersion": version,
            "kind": f"{kind}List",
            "metadata": {},
            "items": items,
        }
    target = Target(kind=TargetKind.CLUSTER, name="c", scope=str(CLUSTER), server=listed.server)
    plan = in_force(engine).plan
    ready = {one.key.name: one for one in plan.ready}
    report = Scan(plan, engine).run(Cluster(engine, cast(Connection, listed)), target, NOW).report
    assert list(report.gaps) == []
    found: dict[ComplianceState, dict[str, Violations]] = {}
    warnings: dict[str, set[str]] = {}
    for result in report.results:
        each = found.setdefault(result.state, {}).setdefault(result.resource.name, Counter())
        each[told(result.assignment.name, result.finding)] += 1
        if result.state is ComplianceState.NON_COMPLIANT:
            words = wording.violation(result.shared, ready[result.assignment.name])
            warnings.setdefault(result.resource.name, set()).add(words)
    violations, exempt = found.pop(ComplianceState.NON_COMPLIANT), found.pop(ComplianceState.EXEMPT)
    assert not found
    return Scanned(violations=violations, exempt=exempt, warnings=warnings)


def admitted(engine: Engine, asked: Iterable[Asked], cluster: Memory) -> dict[str, Outcome]:
    """What admission says of each object, by its name, with all others there."""
    asked = list(asked)
    ingresses = [json.dumps(one.new).encode() for one in asked if one.new["kind"] == "Ingress"]
    decisions: list[Decision] = []
    reviewer = Reviewer(
        engine, owners=Owners(cast(Connection, cluster)), fail_closed=False, decided=decisions.append,
        disagreed=lambda one: pytest.fail(one.message),
    )  # fmt: skip
    reviewer.use(in_force(engine).plan)
    engine.put_inventory(ingresses)

    async def ask() -> None:
        for one in asked:
            assert (await reviewer(review(one.new, one.old, userInfo={"username": one.user}))).status == 200

    asyncio.run(ask())
    assert not any(decision.outcome.errors for decision in decisions)
    return {decision.request.resource.name: decision.outcome for decision in decisions}


def counted(violations: Iterable[Violation]) -> Violations:
    return Counter(told(one.assignment.name, one.finding) for one in violations)


def difference(one: Asked, cluster: Memory) -> str | None:
    """The name of what may make a difference in an object, None when nothing may."""
    owner = next(iter(one.new["metadata"].get("ownerReferences", ())), None)
    if owner is None:
        return None
    if one.user != CONTROLLER:
        return "an owner that somebody wrote"
    version, plural = KINDS[owner["kind"]]
    made = cluster.others[f"/apis/{version}/namespaces/{one.new['metadata']['namespace']}/{plural}/{owner['name']}"]
    if made["metadata"]["uid"] != owner["uid"]:
        return "an owner that is not there"
    if owner["kind"] != "ReplicaSet" or made["metadata"]["ownerReferences"]:
        return None
    return "a ReplicaSet that only has the name"


def generated(number: int) -> tuple[list[Asked], Memory]:
    """So many objects, and the cluster in which their owners are."""
    generator = Generator(seed=20261128)
    return [generator.object(at) for at in range(number)], generator.cluster


def test_admission_finds_what_a_scan_finds_but_for_the_differences_that_have_a_name(
    engines: tuple[Engine, Engine],
) -> None:
    asked, cluster = generated(1000)
    scan = scanned(engines[0], (one.new for one in asked))
    # An object that comes is none that was there before.
    earlier = scanned(engines[0], (one.old or one.new for one in asked))
    at_admission = admitted(engines[1], asked, cluster)
    named: Counter[str] = Counter()
    found: Counter[str] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    for one in asked:
        in_scan, outcome = scan.violations.get(one.name, Counter()), at_admission[one.name]
        here = counted(outcome.violations)
        found.update(key[0] for key in in_scan)
        if in_scan != here:
            why = difference(one, cluster)
            assert why is not None, (one, in_scan - here, here - in_scan)
            # Admission alone finds it, and a scan finds it exempted: by nothing else may they differ.
            assert not in_scan - here and not (here - in_scan) - scan.exempt[one.name], one
            named[why] += 1
        # A change is refused for what a scan finds now and did not find before, exempted or not.
        before: set[Any] = set()
        if one.old is not None:
            known = (earlier.violations.get(one.name, Counter()), earlier.exempt.get(one.name, Counter()))
            before = {same(key) for violations in known for key in violations}
        expected = {key: count for key, count in here.items() if key[0] not in AUDITS and same(key) not in before}
        assert counted(outcome.refused_by) == expected, one
        assert outcome.allowed == (not expected)
        refused["CREATE" if one.old is None else "UPDATE", "allowed" if outcome.allowed else "refused"] += 1
    assert_explained(named)
    assert set(found) == {one["metadata"]["name"] for one in assignments()}, (
        "an assignment that found nothing tests nothing"
    )
    assert {one.new["kind"] for one in asked if at_admission[one.name].violations} == set(KINDS)
    assert min(refused.values()) > 100 and len(refused) == 4, refused


def same(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """What makes a violation the same one before and after a change: neither its place nor what was expected."""
    assignment, message, container, _, observed, _ = key
    return assignment, message, container, observed


def test_what_admission_warns_of_a_workload_is_what_a_scan_finds_in_its_pods(engines: tuple[Engine, Engine]) -> None:
    asked, cluster = generated(2000)
    workloads = [one for one in asked if one.new["kind"] in TEMPLATES and "ownerReferences" not in one.new["metadata"]]
    scan = scanned(engines[0], (pod_of(one.new) for one in workloads))
    at_admission = admitted(engines[1], workloads, cluster)
    for one in workloads:
        warned = {
            line.partition(": ")[2]
            for line in at_admission[one.name].warnings
            if line.startswith(f"this {one.new['kind']}'s Pods ")
        }
        expected = {worded(one.new["kind"], words) for words in scan.warnings.get(one.name, ())}
        if at_admission[one.name].warnings[-1:] and at_admission[one.name].warnings[-1].endswith(" more"):
            assert warned < expected, one
        else:
            assert warned == expected, one
    kinds = Counter(one.new["kind"] for one in workloads if scan.warnings.get(one.name))
    assert set(kinds) == set(TEMPLATES) and min(kinds.values()) >= 10, kinds


def worded(kind: str, words: str) -> str:
    """The words about a Pod as a warning about the workload has them: the path is that of its template, and it is cut."""
    audited = words[1:].partition("]")[0] in AUDITS
    begin = f"this {kind}'s {'Pods do not comply' if audited else 'Pods will be refused'}: "
    words = re.sub(r"\((spec|metadata)\.", rf"({TEMPLATES[kind]}.\1.", words, count=1)
    return clipped(begin + words, wording.LONGEST_WARNING).removeprefix(begin)


def pod_of(one: Object) -> Object:
    """A Pod as the workload's controller makes it, under the workload's name."""
    template = one
    for name in TEMPLATES[one["kind"]].split("."):
        template = template[name]
    metadata = {
        "name": one["metadata"]["name"],
        "namespace": one["metadata"]["namespace"],
        "uid": one["metadata"]["uid"],
        "ownerReferences": [
            {
                "apiVersion": one["apiVersion"],
                "kind": one["kind"],
                "name": one["metadata"]["name"],
                "uid": "1",
                "controller": True,
            }
        ],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], **metadata},
        "spec": template["spec"],
    }


def assert_explained(named: Mapping[str, int]) -> None:
    """Each name has been met, and stands in the documentation; so has the documentation no other."""
    _, _, section = (
        (Path(__file__).parents[2] / "docs" / "addon.md").read_text().partition("### Where admission and a scan differ")
    )
    table = section.partition("\n#")[0].splitlines()
    rows = [line.split("|")[1].strip() for line in table if line.startswith("| ")][1:]
    tested = {row for row in rows if not row.startswith("(")}
    assert set(named) == tested
