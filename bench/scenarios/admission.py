"""Admission: reviews a second, their latency and memory, beside Gatekeeper; then a check-in of many Pods."""

import itertools
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from bench import fleet, load, subjects, webhooks
from bench.measure import Command, interleaved, resident
from bench.results import MEBIBYTE, Goal, Section, Table, at_most, ratio, series_table
from bench.setting import Setting
from bench.webhooks import Webhook
from bench.workload import Object
from tests.testbed.controlplane import ControlPlane

_CONNECTIONS = 8
_RATE = 500
_SECONDS = 5.0
_PODS = 2_000
_SOAK = 200_000
_CHUNK = 500
_MARK = "mark0of0the0review"


def run(setting: Setting) -> Section:
    """Both webhooks under the same load, taking turns; an empty section without aksp."""
    if not setting.aksp:
        return Section(title="Admission", notes=("aksp is not installed beside this interpreter: not measured.",))
    same = _write(setting.scratch / "same.jsonl", [_forbidden(next(fleet.pods(1, setting.seed)))])
    varied = _write(setting.scratch / "varied.jsonl", map(_new, fleet.pods(_PODS, setting.seed)))
    unlike = _write(setting.scratch / "unlike.jsonl", map(_marked, map(_new, fleet.pods(_PODS, setting.seed))))
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    memory: dict[str, int] = {}
    with ControlPlane(controllers=None) as plane:
        load.load_namespaces(plane.client)
        with (
            webhooks.aksp(plane, setting.scratch) as ours,
            webhooks.gatekeeper_webhook(plane, setting.scratch) as peer,
            webhooks.bare(setting.scratch) as limit,
        ):
            for webhook in (ours, peer):
                webhooks.until_it_refuses(webhook, same)
            kinds = (("same", same, ""), ("varied", varied, ""), ("unlike", unlike, _MARK))
            for _ in range(setting.repetitions):
                for webhook, (label, reviews, mark) in itertools.product((ours, peer), kinds):
                    found = webhooks.hammer(webhook, reviews, seconds=_SECONDS, connections=_CONNECTIONS, mark=mark)
                    runs.setdefault((webhook.name, label), []).append(found)
                found = webhooks.hammer(limit, varied, seconds=_SECONDS, connections=_CONNECTIONS)
                runs.setdefault((limit.name, "varied"), []).append(found)
                for label, reviews, mark in kinds[1:]:
                    paced = webhooks.hammer(
                        ours, reviews, seconds=2 * _SECONDS, rate=_RATE, connections=_CONNECTIONS, mark=mark
                    )
                    runs.setdefault((ours.name, f"{label} paced"), []).append(paced)
            memory = {webhook.name: resident(webhook.pid) for webhook in (ours, peer, limit)}
        soak = _soak(setting, plane, varied)
        checked = _check_in(setting, plane)
    return Section(
        title="Admission",
        notes=(
            (
                "`aksp addon run` and Gatekeeper as local processes on one control plane, with the same nine policies "
                f"(`bench/peers/gatekeeper.py`), asked over TLS by `bench/hammer` on {_CONNECTIONS} connections, which "
                f"shares the cores with them. One Pod: the same review each time, refused. {_PODS:,} Pods: those of "
                "the fleet, one after the other, again and again. aksp remembers what it decided of Pods that are "
                "alike but for their names, so both are mostly memory, as the replicas of a workload are. Pods unlike "
                "any before: the same with an image tag and a label that no other review has had, so that every rule "
                "is evaluated and every answer made anew. Bare answers: the same reviews over the same HTTP parser, TLS and "
                "event loop, not read, each with the same answer: what no webhook in Python passes on this machine."
            ),
        ),
        tables=(_table(runs, memory), soak[0], checked[0]),
        goals=(*_goals(runs, memory), *soak[1], *checked[1]),
    )


def _table(runs: dict[tuple[str, str], list[dict[str, Any]]], memory: dict[str, int]) -> Table:
    names = {
        "same": "one Pod", "varied": f"{_PODS:,} Pods", "unlike": "Pods unlike any before",
        "varied paced": f"{_PODS:,} Pods at {_RATE}/s", "unlike paced": f"Pods unlike any before at {_RATE}/s",
    }  # fmt: skip
    rows = tuple(
        (
            f"{name}, {names[label]}",
            str(len(found)),
            *(f"{_median(found, key):,.0f}" for key in ("rate",)),
            *(f"{_median(found, key):.2f}" for key in ("p50", "p90", "p99", "max")),
            f"{memory[name] / MEBIBYTE:.0f}",
        )
        for (name, label), found in runs.items()
    )
    header = ("", "runs", "reviews/s", "p50 (ms)", "p90", "p99", "max", "memory after (MiB)")
    return Table(caption="Reviews", header=header, rows=rows)


def _goals(runs: dict[tuple[str, str], list[dict[str, Any]]], memory: dict[str, int]) -> list[Goal]:
    goals = [
        ratio(
            f"admission, {what}: reviews/s ÷ Gatekeeper's",
            _median(runs["aksp", label], "rate"),
            _median(runs["Gatekeeper", label], "rate"),
            at_least=wanted,
        )
        for label, what, wanted in (
            ("same", "one Pod", 20),
            ("varied", f"{_PODS:,} Pods", 20),
            ("unlike", "Pods unlike any before", 12),
        )
    ]
    p99 = [
        at_most(f"admission, {what}: p99 at {_RATE} reviews/s", _median(runs["aksp", label], "p99"), most, "ms")
        for label, what, most in (
            ("varied paced", f"{_PODS:,} Pods", 5),
            ("unlike paced", "Pods unlike any before", 10),
        )
    ]
    return [
        *goals,
        *p99,
        at_most("admission: memory of all our processes", memory["aksp"] / MEBIBYTE, 200, "MiB"),
    ]


def _soak(setting: Setting, plane: ControlPlane, reviews: Path) -> tuple[Table, list[Goal]]:
    """Memory after a twentieth of the reviews, and after all of them."""
    count = _SOAK if setting.pods >= 10_000 else _SOAK // 100
    folder = setting.scratch / "soak"
    folder.mkdir()
    with webhooks.aksp(plane, folder) as ours:
        begin, end = _hammered(ours, reviews, count // 20), _hammered(ours, reviews, count)
    row = (f"{count:,} reviews", f"{begin / MEBIBYTE:.0f}", f"{end / MEBIBYTE:.0f}", f"{end / begin:.2f}×")
    table = Table(caption="Soak", header=("", "after a twentieth (MiB)", "after all", "growth"), rows=(row,))
    return table, [at_most(f"admission: growth of memory over {count:,} reviews", end / begin, 1.1, "×")]


def _hammered(webhook: Webhook, reviews: Path, count: int) -> int:
    webhooks.hammer(webhook, reviews, count=count, connections=_CONNECTIONS)
    return resident(webhook.pid)


def _check_in(setting: Setting, plane: ControlPlane) -> tuple[Table, list[Goal]]:
    """One check-in of many Pods, statuses and reports written, beside the raw list of the Pods."""
    others = setting.others(setting.pods)
    load.load_others(plane.client, services=others, ingresses=others, seed=setting.seed)
    load.load_pods(plane.client, first=0, last=setting.pods, seed=setting.seed)
    raw = Command(
        label="raw list",
        argv=(
            sys.executable, str(subjects.ROOT / "bench" / "rawlist.py"), str(plane.kubeconfig), str(_CHUNK),
        ),
        output=setting.scratch / "check-in-rawlist.json",
    )  # fmt: skip
    ours = Command(
        label="aksp addon check-in",
        argv=(
            str(setting.aksp), "addon", "check-in", "--kubeconfig", str(plane.kubeconfig), "--cluster-name", "testbed",
        ),
        output=setting.scratch / "check-in.json",
        expected=(0, 1, 4),
    )  # fmt: skip
    listing: list[float] = []

    def note(command: Command) -> None:
        if command is raw:
            listing.append(float(json.loads(raw.output.read_text())["seconds"]))

    series = interleaved([(raw, setting.repetitions), (ours, setting.repetitions)], note)
    mine, floor = series[ours.label], series[raw.label]
    return series_table(f"A check-in of {setting.pods:,} Pods", series.values(), floor), [
        at_most("check-in: wall time ÷ the raw list, a command each", mine.seconds / floor.seconds, 3, "×"),
        at_most("check-in: wall time ÷ the listing alone", mine.seconds / statistics.median(listing), 3, "×"),
    ]


def _median(found: list[dict[str, Any]], key: str) -> float:
    return statistics.median(float(each[key]) for each in found)


def _new(pod: Object) -> Object:
    """A Pod as a ReplicaSet creates it: without a node, a status, and ephemeral containers."""
    metadata = {key: value for key, value in pod["metadata"].items() if key not in ("resourceVersion",)}
    spec = {key: value for key, value in pod["spec"].items() if key not in ("nodeName", "ephemeralContainers")}
    return {**pod, "metadata": metadata, "spec": spec, "status": {"phase": "Pending", "qosClass": "Burstable"}}


def _forbidden(pod: Object) -> Object:
    made = _new(pod)
    containers = [{**container, "image": "docker.io/library/nginx:latest"} for container in made["spec"]["containers"]]
    return {**made, "spec": {**made["spec"], "containers": containers}}


def _marked(pod: Object) -> Object:
    """A Pod that is to be unlike all others in what every rule reads of it."""
    containers = [
        {**container, "image": f"{container['image'].partition('@')[0]}-{_MARK}"}
        for container in pod["spec"]["containers"]
    ]
    labels = {**pod["metadata"].get("labels", {}), "pod-template-hash": _MARK}
    return {**pod, "metadata": {**pod["metadata"], "labels": labels}, "spec": {**pod["spec"], "containers": containers}}


def _write(path: Path, pods: Any) -> Path:
    with path.open("w") as out:
        for number, pod in enumerate(pods):
            out.write(json.dumps(_review(pod, number), separators=(",", ":")) + "\n")
    return path


def _review(pod: Object, number: int) -> Object:
    """The AdmissionReview that an API server sends when the controller creates this Pod."""
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    request = {
        "uid": f"00000000-0000-4000-8000-{number:012d}",
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "name": pod["metadata"]["name"],
        "namespace": pod["metadata"]["namespace"],
        "operation": "CREATE",
        "userInfo": {
            "username": "system:serviceaccount:kube-system:replicaset-controller",
            "groups": ["system:serviceaccounts", "system:authenticated"],
        },
        "object": pod,
        "oldObject": None,
        # Nothing is to be written down about a benchmark.
        "dryRun": True,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}
