"""Many documents of a workspace: as many assignments as the other scenarios have Pods, and a thousand exemptions."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import subjects
from bench.generate import compact
from bench.measure import Command, interleaved
from bench.results import Goal, Section, Table, at_most, series_table
from bench.setting import Setting

#: Pods that each assignment judges, and finds something in.
_PODS = 10
#: MB of all processes for each thousand of the assignments, and of those besides.
_EACH, _BESIDES = 30, 100
_EXEMPTIONS = 1_000
#: Namespaces that the Pods of the assignments with exemptions lie in, and how many assignments reach each Pod.
_NAMESPACES, _REACHING = 100, 10
#: Assignments of everything, and exemptions, at most; and which share of the Pods breaks them: one in so many.
_MOST, _ONE_BAD = 1_000, 100
_POLICY = "allowed-images"
#: The policy that finds most in the fleet.
_WAIVED = "resource-limits"


def run(setting: Setting) -> Section:
    """Measures aksp alone; an empty section when it is not there."""
    if not setting.aksp:
        return Section(title="Many documents", notes=("aksp is not installed beside this interpreter: not measured.",))
    assignments, goals = _assignments(setting)
    exemptions, goal = _exemptions(setting)
    pairs, per_pair = _pairs(setting)
    product, per_product = _product(setting)
    return Section(
        title="Many documents",
        notes=(
            f"Assignments of {_POLICY} that each name another registry, {_PODS} Pods of which each breaks all, and the "
            f"table. Then the fleet of {setting.pods:,} Pods with nine policies and its JSON report, without exemptions "
            f"and with {_EXEMPTIONS:,} from {_WAIVED}, by name, by image, by container and by namespace. Last "
            f"{setting.pods:,} Pods in {_NAMESPACES} namespaces that {_REACHING} assignments of everything judge, or "
            f"{_reaching_few(setting):,} assignments of a namespace each with as many exemptions: as many pairs of an assignment "
            f"and a Pod are judged. At the end {_most(setting):,} assignments of everything with as many exemptions, and all Pods, of "
            f"which one in {_ONE_BAD} breaks each of them: every pair is judged, and the one line of -o summary is written.",
        ),
        tables=(assignments, exemptions, pairs, product),
        goals=(*goals, goal, per_pair, per_product),
    )


def _assignments(setting: Setting) -> tuple[Table, list[Goal]]:
    path = setting.scratch / "few-pods.yaml"
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"web-{at}", "namespace": "shop"},
            "spec": {"containers": [{"name": "web", "image": f"docker.io/library/app-{at}:1"}]},
        }
        for at in range(_PODS)
    ]
    path.write_text("".join(f"---\n{compact(pod)}\n" for pod in pods), encoding="utf-8")
    counts = (setting.pods // 4, setting.pods)
    commands = []
    for count in counts:
        workspace = setting.scratch / f"workspace-{count}-assignments"
        for at in range(count):
            _assign(workspace, at, {})
        commands.append(_command(setting, f"{count:,} assignments", workspace, path, "table"))
    series = interleaved([(command, 1) for command in commands])
    goals = [
        at_most(f"{label}: memory", one.peak_bytes / 1e6, _BESIDES + _EACH * count / 1000, "MB")
        for count, (label, one) in zip(counts, series.items(), strict=True)
    ]
    return series_table("Assignments", series.values()), goals


def _exemptions(setting: Setting) -> tuple[Table, Goal]:
    path = setting.manifests("yaml-list")
    plain = subjects.write_workspace(setting.scratch / "workspace-plain", subjects.parameters())
    waiving = subjects.write_workspace(setting.scratch / "workspace-waiving", subjects.parameters())
    for at in range(_EXEMPTIONS):
        resources = (
            {"namespace": "shop", "name": f"web-{at}-*"},
            {"kind": "Pod", "image": f"*/app-{at}:1"},
            {"container": f"c{at}"},
            {"namespace": f"team-{at}"},
        )
        spec = {"policyAssignmentId": _WAIVED, "exemptionCategory": "Waiver", "resources": [resources[at % 4]]}
        _write(waiving / "exemptions", "PolicyExemption", f"waived-{at}", spec)
    commands = [
        _command(setting, label, workspace, path, "json")
        for label, workspace in (("no exemptions", plain), (f"{_EXEMPTIONS:,} exemptions", waiving))
    ]
    without, with_ = interleaved([(command, setting.repetitions) for command in commands]).values()
    return series_table("Exemptions", (without, with_), without), at_most(
        f"{setting.pods:,} Pods: processor time with {_EXEMPTIONS:,} exemptions ÷ without",
        with_.cpu_seconds / without.cpu_seconds,
        1.5,
        "×",
    )


def _reaching_few(setting: Setting) -> int:
    """How many assignments of one namespace each judge as many pairs as those of everything."""
    return min(_NAMESPACES, setting.pods) * _REACHING


def _write_pods(setting: Setting, name: str, namespaces: int, registries: Sequence[str]) -> Path:
    """A file of Pods, whose namespaces and registries follow one another."""
    path = setting.scratch / name
    pods = (
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"web-{at}", "namespace": f"team-{at % namespaces}"},
            "spec": {
                "containers": [{"name": "web", "image": f"{registries[at % len(registries)]}/library/app-{at}:1"}]
            },
        }
        for at in range(setting.pods)
    )
    path.write_text("".join(f"---\n{compact(pod)}\n" for pod in pods), encoding="utf-8")
    return path


def _pairs(setting: Setting) -> tuple[Table, Goal]:
    """The processor time of a judged pair, with few assignments and with many that each reach a hundredth."""
    path = _write_pods(setting, "pods-of-teams.yaml", _NAMESPACES, ("docker.io",))
    few, many = setting.scratch / "workspace-few", setting.scratch / "workspace-many"
    for at in range(_REACHING):
        _assign(few, at, {})
    for at in range(_reaching_few(setting)):
        namespace = f"team-{at % _NAMESPACES}"
        _assign(many, at, {"namespaces": {"value": [namespace]}})
        waived = {"namespace": namespace, "kind": "Pod", "name": f"web-*{at % 10}"}
        spec = {"policyAssignmentId": f"images-{at}", "exemptionCategory": "Waiver", "resources": [waived]}
        _write(many / "exemptions", "PolicyExemption", f"waived-{at}", spec)
    commands = [
        _command(setting, "few assignments of everything", few, path, "json"),
        _command(setting, "many assignments and exemptions", many, path, "json"),
    ]
    without, with_ = interleaved([(command, setting.repetitions) for command in commands]).values()
    return series_table("Pairs", (without, with_), without), at_most(
        f"{setting.pods * _REACHING:,} pairs: processor time of {_reaching_few(setting):,} assignments and exemptions ÷ {_REACHING} "
        "assignments",
        with_.cpu_seconds / without.cpu_seconds,
        3,
        "×",
    )


def _most(setting: Setting) -> int:
    """How many assignments of everything judge all Pods, and how many exemptions there are."""
    return min(_MOST, setting.pods)


def _product(setting: Setting) -> tuple[Table, Goal]:
    """The processor time of a judged pair where all of very many assignments judge all Pods."""
    path = _write_pods(setting, "pods-of-all.yaml", _NAMESPACES - 3, ("quay.io", *["docker.io"] * (_ONE_BAD - 1)))
    few, all_ = setting.scratch / "workspace-few-of-all", setting.scratch / "workspace-all-of-all"
    for workspace, count in ((few, _REACHING), (all_, _most(setting))):
        for at in range(count):
            regex = rf"^(docker\.io|contoso-{at}\.azurecr\.io)/.+$"
            _assign(workspace, at, {"allowedContainerImagesRegex": {"value": regex}})
    for at in range(_most(setting)):
        waived = {"namespace": f"team-{at % _NAMESPACES}", "kind": "Pod", "name": f"web-*{at % 10}"}
        spec = {"policyAssignmentId": f"images-{at}", "exemptionCategory": "Waiver", "resources": [waived]}
        _write(all_ / "exemptions", "PolicyExemption", f"waived-{at}", spec)
    commands = [
        _command(setting, f"{_REACHING} assignments of everything", few, path, "summary"),
        _command(setting, f"{_most(setting):,} assignments, as many exemptions", all_, path, "summary"),
    ]
    # The second judges a hundred times as many pairs: once is enough to tell.
    without, with_ = interleaved([(command, 1) for command in commands]).values()
    pairs = _most(setting) * setting.pods
    return series_table("All pairs", (without, with_), without), at_most(
        f"{pairs:,} pairs: processor time of one ÷ that with {_REACHING} assignments",
        (with_.cpu_seconds / pairs) / (without.cpu_seconds / (_REACHING * setting.pods)),
        3,
        "×",
    )


def _assign(workspace: Path, at: int, more: dict[str, Any]) -> None:
    spec = {
        "policyDefinitionId": _POLICY,
        "scope": "/",
        "parameters": {"allowedContainerImagesRegex": {"value": rf"^contoso-{at}\.azurecr\.io/.+$"}, **more},
    }
    _write(workspace / "assignments", "PolicyAssignment", f"images-{at}", spec)


def _write(folder: Path, kind: str, name: str, spec: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    document = {"apiVersion": "policy.aksp.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    (folder / f"{name}.yaml").write_text(json.dumps(document) + "\n")


def _command(setting: Setting, label: str, workspace: Path, path: Path, form: str) -> Command:
    return Command(
        label=label,
        argv=(str(setting.aksp), "compliance", "-f", str(path), "-o", form, "--no-history"),
        output=setting.scratch / f"many-{label.replace(' ', '-')}.out",
        environment={"AKSP_WORKSPACE": str(workspace)},
        expected=(0, 1),
    )
