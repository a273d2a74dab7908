"""Azure's records beside what is found in a cluster now: one command."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.azure.builders import CLUSTER, SUBSCRIPTION, assignment, text
from tests.cli.test_compare_azure import record
from tests.e2e.command import Aksp
from tests.e2e.objects import Object, Place, pod

pytestmark = pytest.mark.e2e

PLACE, OTHER = "compared", "compared-other"
#: Azure's record is as new as what is found.
NOW = "2999-01-01T00:00:00Z"


def privileged(name: str, namespace: str = PLACE) -> Object:
    one = pod(name, namespace)
    one["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    return one


@pytest.fixture(scope="module", autouse=True)
def _objects(place: Place) -> None:
    place(PLACE, [privileged("bad"), pod("good", PLACE)])
    place(OTHER, [privileged("elsewhere", OTHER)])


def compared(aksp: Aksp, records: list[Any], *options: str) -> tuple[int, Any]:
    (aksp.folder / "states.json").write_text(text({"value": records}))
    states = str(aksp.folder / "states.json")
    run = aksp.run("compare", "azure", "--states", states, "--cluster", "testbed", "-o", "json", *options)
    return run.code, json.loads(run.stdout)


def test_the_cluster_is_judged_now_and_each_difference_has_its_cause(aksp: Aksp) -> None:
    (aksp.folder / "azure.json").write_text(text([assignment()]))
    imported = aksp.run(
        "import", "azure", str(aksp.folder / "azure.json"), "--scope-map", f"{CLUSTER}=/clusters/testbed"
    )
    assert imported.code == 0, imported.stderr
    records = [
        record(f"{PLACE}/bad", timestamp=NOW), record(f"{PLACE}/good", state="Compliant", timestamp=NOW),
        record(f"{PLACE}/gone", state="Compliant", timestamp=NOW), record("kube-system/x", state="Compliant", timestamp=NOW),
    ]  # fmt: skip
    code, found = compared(aksp, records[:2], "-n", PLACE)
    assert (code, found["same"], found["differences"], found["oneSided"]) == (0, 2, [], [])
    code, found = compared(aksp, records, "-n", PLACE)
    assert code == 4
    assert [(one["component"], one["cause"]) for one in found["oneSided"]] == [
        (f"{PLACE}/gone", "notInScan"), ("kube-system/x", "excluded"),
    ]  # fmt: skip
    code, found = compared(aksp, records)  # the whole cluster
    assert code == 1
    assert (f"{OTHER}/elsewhere", "NonCompliant") in [(one["component"], one["here"]) for one in found["differences"]]

    states = aksp.run("compliance", "-n", PLACE, "--cluster", "testbed", "-o", "azure-policystates").report
    assert [one["policyAssignmentId"] for one in states["value"]] == [
        f"{SUBSCRIPTION}/providers/Microsoft.Authorization/policyAssignments/Shop-Privileged"
    ]


def test_a_cluster_that_cannot_be_reached_ends_the_command(aksp: Aksp) -> None:
    (aksp.folder / "states.json").write_text(text([record()]))
    run = aksp.run("compare", "azure", "--states", str(aksp.folder / "states.json"), "--cluster", "nowhere")
    assert run.code == 2 and "nowhere" in run.stderr
