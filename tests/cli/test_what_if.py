"""``aksp assign … --what-if``: what would become non-compliant, told before anything is assigned."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.conftest import Aksp, Run, kubeconfig, pod

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
IMAGES = ("assign", "allowed-images", "--registry", "contoso.azurecr.io")

COMMANDS = st.sampled_from(
    [
        IMAGES,
        (*IMAGES, "--effect", "Audit", "-n", "shop"),
        (*IMAGES, "--effect", "Disabled"),
        (*IMAGES, "--scope", "/clusters/prod/namespaces/shop", "--exclude-container", "c1"),
        ("assign", "no-privileged", "-l", "app=web"),
        ("assign", "required-labels", "--label", "app", "--enforcement-mode", "DoNotEnforce"),
        ("assign", "https-ingress"),
    ]
)
PODS = st.lists(
    st.builds(
        lambda name, namespace, image, privileged, labels: pod(
            name, image=image, privileged=privileged, metadata={"namespace": namespace, "labels": labels}
        ),
        name=st.sampled_from(["web", "db"]),
        namespace=st.sampled_from(["shop", "other"]),
        image=st.sampled_from(["contoso.azurecr.io/web:1", "docker.io/web", "x" * 300]),
        privileged=st.booleans() | st.just("yes"),
        labels=st.sampled_from([{}, {"app": "web"}, {"app": 5}]),
    ),
    max_size=5,
)


def comparable(run: Run) -> tuple[int, Any]:
    report = run.json
    del report["evaluatedAt"], report["target"]["filters"]
    return run.code, report


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(COMMANDS, PODS, st.booleans(), st.booleans())
def test_it_is_the_scan_after_assigning(
    aksp: Aksp, command: tuple[str, ...], pods: list[dict[str, Any]], exempt: bool, others: bool
) -> None:
    shutil.rmtree(aksp.workspace, ignore_errors=True)
    aksp.put("pods.json", "\n---\n".join(json.dumps(one) for one in pods) or "{}")
    if others:
        aksp.done("assign", "no-host-process")
    if exempt:
        aksp.put(
            "ws/exemptions/x.yaml",
            "apiVersion: policy.aksp.io/v1alpha1\nkind: PolicyExemption\nmetadata: {name: x}\n"
            "spec: {policyAssignmentId: tried, exemptionCategory: Waiver, resources: [{name: web}]}\n",
        )
    before = sorted(path.name for path in aksp.folder.rglob("*"))
    what_if = aksp(*command, "--name", "tried", "--what-if", "-f", "pods.json", "-o", "json")
    assert sorted(path.name for path in aksp.folder.rglob("*")) == before
    aksp.done(*command, "--name", "tried")
    after = aksp("compliance", "-f", "pods.json", "--assignment", "tried", "-o", "json", "--no-history")
    assert comparable(what_if) == comparable(after)


def test_nothing_is_made_and_the_workloads_that_could_not_start_are_named(aksp: Aksp) -> None:
    run = aksp(*IMAGES, "--what-if", "-f", str(QUICKSTART))
    assert run.code == 1 and "Only --what-if allowed-images" in run.out and not aksp.workspace.exists()
    assert (
        "4 workloads could no longer start: Deployment payments/payments, DaemonSet shop/log-agent,"
        " Deployment shop/web, StatefulSet shop/cart-db" in run.err
    )
    assert "nothing was assigned; leave out --what-if to assign allowed-images" in run.err


def test_an_effect_that_refuses_nothing_stops_nothing_and_says_so(aksp: Aksp) -> None:
    for more in (["--effect", "Audit"], ["--enforcement-mode", "DoNotEnforce"]):
        run = aksp(*IMAGES, *more, "--what-if", "-f", str(QUICKSTART))
        assert run.code == 1 and "could no longer start" not in run.err
        assert "its effect refuses nothing; one that does would keep 4 workloads from starting" in run.err


def test_what_is_no_workload_would_be_refused(aksp: Aksp) -> None:
    run = aksp("assign", "https-ingress", "--what-if", "-f", str(QUICKSTART))
    assert run.code == 1 and "would be refused when created or changed: Ingress " in run.err


def test_many_are_counted(aksp: Aksp) -> None:
    pods = [pod(f"p{number}", privileged=True) for number in range(12)]
    run = aksp(
        "assign", "no-privileged", "--what-if", "-f",
        aksp.put("pods.yaml", "\n---\n".join(json.dumps(one) for one in pods)),
    )  # fmt: skip
    assert "12 workloads could no longer start: " in run.err and " and 2 more\n" in run.err


def test_what_complies_is_exit_0(aksp: Aksp) -> None:
    run = aksp("assign", "no-privileged", "--what-if", "-f", aksp.put("pod.json", pod()))
    assert run.code == 0 and "could no longer" not in run.err


def test_the_report_has_the_formats_of_a_scan(aksp: Aksp) -> None:
    aksp.put("pod.json", pod(privileged=True))
    run = aksp("assign", "no-privileged", "--what-if", "-f", "pod.json", "-o", "sarif", "-o", "html=report.html")
    assert run.json["runs"][0]["results"] and "--what-if no-privileged" in (aksp.folder / "report.html").read_text()


def test_without_files_the_cluster_is_asked(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    run = aksp("assign", "no-privileged", "--what-if")
    assert run.code == 2 and "kubeconfig" in run.err
    monkeypatch.setenv("KUBECONFIG", aksp.put("kube.json", kubeconfig("prod", current="prod")))
    for more in ([], ["--cluster", "prod"], ["--context", "prod"]):
        assert aksp("assign", "no-privileged", "--what-if", *more).code == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--what-if", "--dry-run"], "--dry-run does not combine with --what-if"),
        (["--what-if", "--store", "cluster"], "--store cluster does not combine with --what-if"),
        (["--what-if", "-f", "gone.yaml"], "gone.yaml: there is no such file"),
        (["--what-if", "-f", ".", "-o", "name"], "name"),
        (["-f", "."], "-f and -R say what --what-if judges\n  hint: add --what-if"),
        (["-o", "html"], "-o html: the document is printed as yaml, json or name\n  hint: reports need --what-if"),
        (["-o", "yaml", "-o", "json"], "-o yaml -o json: the document is printed as"),
        (["--what-if", "-f", ".", "-n", "kube-system"], "would reach nothing"),
    ],
)
def test_what_does_not_go_together_is_an_error(aksp: Aksp, options: list[str], said: str) -> None:
    run = aksp("assign", "no-privileged", *options)
    assert (run.code, run.out) == (2, "") and said in run.err
    assert not aksp.workspace.exists()
