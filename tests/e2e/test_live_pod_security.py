"""The initiatives of Pod security judge Pods as the API server does that enforces the Pod Security Standards."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aksp.engine import Engine
from aksp.model.assignment import Assignment
from aksp.model.compliance import ComplianceState, Result, Target, TargetKind
from aksp.scan import Scan
from aksp.sources.manifests import Manifests
from aksp.workspace import Workspace, prepare
from tests.definitions.samples import NOW
from tests.e2e.objects import namespace
from tests.e2e.pod_security import SORTS, Object, base, specs
from tests.pod_security import LEVELS
from tests.testbed.controlplane import ControlPlane

#: What the API server says of a control, by the definition, and by the field where a definition has two of them.
CONTROLS = {
    "allowed-capabilities": "capabilities",
    "allowed-host-paths": "hostPath volumes",
    "allowed-proc-mount-types": "procMount",
    "allowed-sysctls": "forbidden sysctls",
    "allowed-volume-types": "restricted volume types",
    "apparmor-profiles": "forbidden AppArmor profile",
    "block-host-namespaces": "host namespaces",
    "host-network-ports": "hostPort",
    "no-host-process": "hostProcess",
    "no-privilege-escalation": "allowPrivilegeEscalation != false",
    "no-privileged": "privileged",
    "no-probe-hosts": "probe or lifecycle host",
    "run-as-non-root": "runAsNonRoot != true",
    "seccomp-profiles": "seccompProfile",
    "selinux-options": "seLinuxOptions",
}
OF_FIELD = {"hostNetwork": "host namespaces", "hostProcess": "hostProcess", "runAsUser": "runAsUser=0"}
SAID = re.compile(rf"(?:^|[ :,])({'|'.join(map(re.escape, {*CONTROLS.values(), *OF_FIELD.values()}))})s? \(")
THREADS = 6


@dataclass
class Case:
    """A Pod, and the controls that the API server refuses it for, by level."""

    words: str
    annotations: Object
    spec: Object
    refused: dict[str, frozenset[str]] = field(default_factory=dict)
    invalid: bool = False

    @property
    def ephemeral(self) -> bool:
        """Whether it is about an ephemeral container, which can only be added to a Pod that is there."""
        return "ephemeralContainers" in self.words


@pytest.fixture(scope="module")
def cases(plane: ControlPlane) -> list[Case]:
    """The Pods that the API server takes, as far as no level forbids them."""
    for level in LEVELS:
        plane.apply([namespace(f"pss-{level}")])
        plane.apply([_stored(level, sort, good) for sort in SORTS for good in (True, False)])
        labels = {"pod-security.kubernetes.io/enforce": level, "pod-security.kubernetes.io/enforce-version": "latest"}
        plane.apply([{**namespace(f"pss-{level}"), "metadata": {"name": f"pss-{level}", "labels": labels}}])
    found = [Case(*each) for each in specs()]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda case: _ask(plane, case), found))
    return [case for case in found if not case.invalid]


def _stored(level: str, sort: str, good: bool) -> Object:
    spec = base(sort, good=good)
    del spec["ephemeralContainers"]
    return _pod(_name(sort, good), spec, {}) | {"metadata": {"name": _name(sort, good), "namespace": f"pss-{level}"}}


def _name(sort: str, good: bool) -> str:
    return f"{sort.replace(' ', '-')}-{'good' if good else 'bare'}"


def _pod(name: str, spec: Object, annotations: Object) -> Object:
    metadata = {"name": name, "namespace": "shop", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _ask(plane: ControlPlane, case: Case) -> None:
    spec = case.spec if case.ephemeral else {k: v for k, v in case.spec.items() if k != "ephemeralContainers"}
    case.spec = spec
    for level in LEVELS:
        path = f"/api/v1/namespaces/pss-{level}/pods"
        if case.ephemeral:
            sort, good = case.words.partition(":")[0].split(", ")
            patch = json.dumps({"spec": {"ephemeralContainers": spec["ephemeralContainers"]}})
            path += f"/{_name(sort, good == 'good')}/ephemeralcontainers?dryRun=All"
            status, body = plane.client.raw("PATCH", path, patch.encode(), "application/strategic-merge-patch+json")
        else:
            pod = {**_pod("a", spec, case.annotations), "metadata": {"name": "a", "annotations": case.annotations}}
            status, body = plane.client.raw("POST", path + "?dryRun=All", json.dumps(pod).encode())
        if status == 403:
            message = json.loads(body)["message"]
            assert f'violates PodSecurity "{level}:latest"' in message, message
            case.refused[level] = frozenset(SAID.findall(message.partition('latest"')[2]))
            assert case.refused[level], message
        elif status < 300:
            case.refused[level] = frozenset()
        else:
            assert status == 422, (case.words, status, body)
            case.invalid = True
            return


def _control(result: Result) -> str:
    of_field = str(result.finding.path).rpartition(".")[2]
    return OF_FIELD.get(of_field) or CONTROLS[result.assignment.definition]


def _judged(level: str, cases: list[Case], folder: Path) -> dict[str, frozenset[str]]:
    """The controls that each Pod violates, by its name: its number."""
    path = folder / f"{level}.json"
    items = [_pod(f"p{number}", case.spec, case.annotations) for number, case in enumerate(cases)]
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), encoding="utf-8")
    workspace = Workspace.open(str(folder / "workspace"), new=True)
    assignment = Assignment(name="level", definition_id=f"pod-security-{level}", parameters={"effect": "Audit"})
    workspace.store.save(assignment, replace=False)
    found: defaultdict[str, set[str]] = defaultdict(set)
    with Engine() as engine:
        plan = prepare(engine, workspace.plan(None, NOW))
        target = Target(kind=TargetKind.MANIFESTS, name=level, scope="/")
        report = Scan(plan, engine).run(Manifests(engine, [str(path)]), target, NOW).report
    assert not report.gaps, report.gaps[:3]
    (whole,) = report.assignments
    assert [member.definition for member in whole.members] == list(LEVELS[level])
    for result in report.results:
        assert result.state is ComplianceState.NON_COMPLIANT, result
        found[result.resource.name].add(_control(result))
    return {name: frozenset(controls) for name, controls in found.items()}


@pytest.mark.parametrize("level", LEVELS)
def test_a_pod_violates_the_controls_that_the_api_server_refuses_it_for(
    level: str, cases: list[Case], tmp_path: Path
) -> None:
    judged = _judged(level, cases, tmp_path)
    wrong = {
        case.words: (sorted(case.refused[level]), sorted(judged.get(f"p{number}", ())))
        for number, case in enumerate(cases)
        if case.refused[level] != judged.get(f"p{number}", frozenset())
    }

    assert wrong == {}
    # Unmasked is valid in user namespaces alone, where the baseline level allows it.
    never = {"procMount"} if level == "baseline" else set()
    asked = {control for case in cases for control in case.refused[level]}
    assert asked >= {CONTROLS[slug] for slug in LEVELS[level]} - never


def test_enough_pods_were_asked_about_of_each_sort(cases: list[Case]) -> None:
    sorts = Counter(case.words.partition(",")[0] for case in cases)

    assert sum(sorts.values()) >= 2000
    assert set(sorts) == set(SORTS) and min(sorts.values()) > 100
    assert sum(case.ephemeral for case in cases) > 300
    for level in LEVELS:
        assert 500 < sum(not case.refused[level] for case in cases) < len(cases)
