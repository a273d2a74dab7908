"""An estate as ``az`` prints it is imported in one command, and 200 manifests are judged as was worked out beforehand.

What is expected is worked out here, by what each policy says of a Pod in words, and not by any rule.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.azure.builders import (
    CLUSTER,
    GROUP,
    SUBSCRIPTION,
    Resource,
    assignment,
    definition,
    exemption,
    flattened,
    id_of,
    initiative,
    text,
)
from tests.cli.conftest import Aksp

OF_AZURE = "/providers/Microsoft.Authorization/policyDefinitions"
SYSTEM = ("kube-system", "gatekeeper-system", "azure-arc")
DEFAULT = (*SYSTEM, "azure-extensions-usage-system", "aksp-system")
NAMESPACES = ("shop", "legacy", "web", "ops", "azure-extensions-usage-system", *SYSTEM)
REGEX = r"^contoso\.azurecr\.io/.+$"

Pod = dict[str, Any]


def privileged(pod: Pod) -> bool:
    return any(one.get("securityContext", {}).get("privileged") for one in pod["spec"]["containers"])


def host(pod: Pod) -> bool:
    return bool(pod["spec"].get("hostNetwork"))


def latest(pod: Pod) -> bool:
    return any(one["image"].endswith((":latest", "/app")) for one in pod["spec"]["containers"])


def foreign(pod: Pod) -> bool:
    return any(not one["image"].startswith("contoso.azurecr.io/") for one in pod["spec"]["containers"])


def without(*labels: str) -> Callable[[Pod], bool]:
    return lambda pod: any(one not in pod["metadata"]["labels"] for one in labels)


@dataclass(frozen=True)
class Policy:
    """One of Azure's, what it says of a Pod, and the parameters that it needs."""

    id: str
    violated: Callable[[Pod], bool]
    values: dict[str, Any] = field(default_factory=dict)


NO_PRIVILEGE = Policy(f"{OF_AZURE}/95edb821-ddaf-4404-9732-666045e056b4", privileged)
HOST = Policy(f"{OF_AZURE}/47a1ee2f-2a2a-4576-bf2a-e0e36709c2b8", host)
LATEST = Policy(f"{OF_AZURE}/021f8078-41a0-40e6-81b6-c6597da9f3ee", latest)
IMAGES = Policy(f"{OF_AZURE}/febd0533-8e55-448f-b837-bd0e06f16469", foreign, {"allowedContainerImagesRegex": REGEX})
LABELS = Policy(
    f"{OF_AZURE}/46592696-4c7b-4bf3-9e45-6c2763bdc0a6", without("team", "cost"), {"labelsList": ["team", "cost"]}
)
TEAM = Policy(id_of("policyDefinitions", "Require-Team"), without("team"), {"label": "team"})
COST = Policy(id_of("policyDefinitions", "Require-Team"), without("cost"), {"label": "cost"})
#: The members of the initiatives, by reference id.
SETS = {
    "Shop Rules": {"team": TEAM, "privilege": NO_PRIVILEGE},
    "Web Rules": {"cost": COST, "latest": LATEST, "images": IMAGES},
}


def sets() -> list[Resource]:
    web = initiative("Web Rules")
    web["properties"]["policyDefinitions"] = [
        {"policyDefinitionId": one.id, "policyDefinitionReferenceId": reference,
         "parameters": {name: {"value": value} for name, value in one.values.items()}}
        for reference, one in SETS["Web Rules"].items()
    ]  # fmt: skip
    return [initiative("Shop Rules"), web]


@dataclass
class Expected:
    """What an assignment judges: the policies by reference id, where, and what is waived."""

    policies: dict[str, Policy]
    excluded: tuple[str, ...] = DEFAULT
    namespaces: tuple[str, ...] = ()
    off: bool = False
    waived: frozenset[str] = frozenset()


def estate() -> tuple[list[Resource], dict[str, Expected]]:
    """30 assignments, 5 exemptions, 2 initiatives and a definition, and what the assignments judge."""
    documents: list[Resource] = [definition(), *sets()]
    expected: dict[str, Expected] = {}
    scopes = (SUBSCRIPTION, GROUP, CLUSTER)
    for at, policy in enumerate([NO_PRIVILEGE, HOST, LATEST, IMAGES, LABELS, TEAM, COST] * 4 + [None, None]):
        name, values = f"Assigned-{at:02}", dict(policy.values) if policy else {}
        judged = Expected({"": policy} if policy else SETS["Shop Rules" if at == 28 else "Web Rules"])
        custom = policy in (TEAM, COST)
        if policy is None or custom:
            judged.excluded = ()
        if policy and not custom:
            round_ = at // 7
            if round_ == 1:
                values["excludedNamespaces"], judged.excluded = ["legacy"], ("legacy",)
            elif round_ == 2:
                values["namespaces"], judged.namespaces = ["shop", "azure-arc"], ("shop", "azure-arc")
                values["excludedNamespaces"], judged.excluded = [], ()
            elif round_ == 3:
                values["effect"], judged.off = ("disabled", True) if policy is HOST else ("audit", False)
        one = assignment(
            name, scopes[at % 3], policyDefinitionId=policy.id if policy else id_of("policySetDefinitions", ["Shop Rules", "Web Rules"][at - 28]),
            definitionVersion=None, parameters={key: {"value": value} for key, value in values.items()},
            enforcementMode="Default" if at % 2 else "DoNotEnforce",
            notScopes=[f"{SUBSCRIPTION}/resourceGroups/other"] if at % 3 == 0 else [],
        )  # fmt: skip
        documents.append(one)
        expected[name.lower()] = judged

    def exempt(name: str, at: int, references: tuple[str, ...] = (), **more: Any) -> None:
        of = id_of("policyAssignments", f"Assigned-{at:02}", scopes[at % 3])
        documents.append(
            exemption(name, scope=CLUSTER, policyAssignmentId=of, policyDefinitionReferenceIds=list(references), **more)
        )

    exempt("Whole", 0)
    exempt("Mitigated", 5, exemptionCategory="Mitigated")
    exempt("Member", 28, ("team",))
    exempt("Members", 29, ("cost", "images"))
    exempt("Expired", 2, expiresOn="2020-01-01T00:00:00Z")
    expected["assigned-00"].waived = expected["assigned-05"].waived = frozenset({""})
    expected["assigned-28"].waived = frozenset({"team"})
    expected["assigned-29"].waived = frozenset({"cost", "images"})
    return documents, expected


def pods() -> list[Pod]:
    """200 Pods, 25 in each of eight namespaces."""
    chance, made = random.Random(7), []
    for at in range(200):
        containers: list[Pod] = [
            {"name": f"c{number}", "image": chance.choice(["contoso.azurecr.io/", "docker.io/x/"]) + chance.choice(["app", "app:latest", "app:1.2", "app:1"])}
            for number in range(chance.randint(1, 2))
        ]  # fmt: skip
        if chance.random() < 0.4:
            chance.choice(containers)["securityContext"] = {"privileged": True}
        labels = {name: "x" for name in ("team", "cost") if chance.random() < 0.6}
        spec: Pod = {"containers": containers, **({"hostNetwork": True} if chance.random() < 0.3 else {})}
        made.append({
            "apiVersion": "v1", "kind": "Pod", "spec": spec,
            "metadata": {"name": f"p{at:03}", "namespace": NAMESPACES[at % len(NAMESPACES)], "labels": labels},
        })  # fmt: skip
    return made


def verdicts(expected: dict[str, Expected], found: list[Pod]) -> set[tuple[str, str, str]]:
    made = set()
    for name, judged in expected.items():
        for pod in found:
            namespace = pod["metadata"]["namespace"]
            outside = judged.namespaces and namespace not in judged.namespaces
            if namespace in SYSTEM or namespace in judged.excluded or outside or judged.off:
                continue
            for reference, policy in judged.policies.items():
                # An initiative's members that are Azure's have their own default, and one's own definition has none.
                if reference and policy not in (TEAM, COST) and namespace in DEFAULT:
                    continue
                state = "Exempt" if reference in judged.waived else "NonCompliant"
                full = f"{name}/{reference}" if reference else name
                made.add((full, pod["metadata"]["name"], state if policy.violated(pod) else "Compliant"))
    return made


#: The better of two states comes first.
ORDER = ("Compliant", "Exempt", "NonCompliant")


def test_two_hundred_manifests_are_judged_by_the_estate_as_was_worked_out(aksp: Aksp) -> None:
    documents, expected = estate()
    kinds = [one["type"].rpartition("/")[2] for one in documents]
    assert [kinds.count(f"policy{kind}") for kind in ("Assignments", "Exemptions", "SetDefinitions")] == [30, 5, 2]
    for kind in sorted(set(kinds)):
        aksp.put(f"azure/{kind}.json", text(flattened([one for one in documents if one["type"].endswith(kind)])))
    run = aksp.done("import", "azure", "azure", "--scope-map", f"{CLUSTER}=/clusters/prod")
    assert len(run.out.splitlines()) == len(documents) == 38

    found = pods()
    for one in found:
        aksp.put(f"pods/{one['metadata']['name']}.json", one)
    report = aksp("compliance", "-f", "pods", "--show", "all", "-o", "json", "--no-history").json
    judged: dict[tuple[str, str], str] = {}
    for one in report["results"]:
        name = one["assignment"] + (f"/{one['referenceId']}" if one.get("referenceId") else "")
        key = (name, one["resource"]["name"])
        judged[key] = max(judged.get(key, ORDER[0]), one["state"], key=ORDER.index)
    assert {(*key, state) for key, state in judged.items()} == verdicts(expected, found)
    assert report["gaps"] == []
    # All of it goes back as it came.
    exported = {one["id"].lower() for one in json.loads(aksp.done("export", "azure").out)["value"]}
    assert exported == {one["id"].lower() for one in documents}
