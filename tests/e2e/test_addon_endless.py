"""Rules that do not end, and objects as large as can be, take little from a check-in: all other statuses come as before."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator

import pytest

from tests.addon.custom import defined
from tests.e2e.addon import GROUP, AddOn
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, pod
from tests.engine.hostile import ENDLESS
from tests.testbed.client import Object
from tests.testbed.controlplane import ControlPlane
from tests.waiting import until

pytestmark = pytest.mark.e2e

PLACE = "addon-endless"
PODS = 60
#: How a rule is told of that was stopped: the time that it had.
LATE = re.compile(r"the evaluation took longer than ([0-9.]+)(m?s)")
UNITS = {"s": 1.0, "ms": 0.001}
#: Seconds after which a rule is put off behind the others, and until that is noticed (engine/lost.go, guard.go).
GLANCE = 0.015
#: Seconds by which other statuses may come later.
DELAY = 5


@pytest.fixture(scope="module")
def addon(enabled: AddOn) -> Iterator[AddOn]:
    """No replica runs: each check-in is a command of its own."""
    enabled.plane.apply([pod(f"p{number}", PLACE, FOREIGN) for number in range(PODS)])
    enabled.enable()
    yield enabled
    enabled.unassign()
    enabled.stop()


def checked_in(addon: AddOn) -> Object:
    """The summary of a check-in."""
    ended = addon.aksp.run("addon", "check-in", "--cluster-name", "testbed")
    assert ended.code in (0, 1, 4), ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert isinstance(found, dict) and not found["failed"], found
    return found


@pytest.mark.parametrize("rules", [1, 20, 40])
def test_endless_rules_delay_the_other_statuses_by_less_than_5_seconds_together(
    addon: AddOn, plane: ControlPlane, rules: int
) -> None:
    scope = f"/clusters/testbed/namespaces/{PLACE}"
    # An honest one that comes after them in the order of the names.
    honest = [addon.assign("allowed-images", parameters=OUR_REGISTRY, scope=scope), addon.assign("no-privileged", "zz")]
    before = checked_in(addon)
    then = [addon.status(name) for name in honest]
    # Statuses have whole seconds: the next check-in begins in another one.
    second = int(time.time())
    until(lambda: int(time.time()) > second)
    endless = [f"endless-{number}" for number in range(rules)]
    for number, name in enumerate(endless):
        # Every other one judges the first Pod at once, as an honest one would.
        rule = (
            ENDLESS.replace("if {", 'if {\n    input.review.object.metadata.name != "p0"', 1) if number % 2 else ENDLESS
        )
        definition = defined(name, rule)
        definition["metadata"] = {"name": name}
        plane.apply([definition])
        addon.assign(name, effect="Audit", parameters={}, scope=scope)
    try:
        beside = checked_in(addon)
        for name, was in zip(honest, then, strict=True):
            now = addon.status(name)
            assert now["lastEvaluated"] != was["lastEvaluated"]
            assert (now["state"], now["counts"]) == (was["state"], was["counts"])
        for number, name in enumerate(endless):
            # As in Azure, what is known to comply comes before what is not known.
            assert addon.status(name)["state"] == ("Compliant" if number % 2 else "Error")
            assert beside["policyErrors"][name] == PODS - number % 2
        report = addon.aksp.run("compliance", "--from", "addon", "-o", "json")
        told = [one["message"] for one in json.loads(report.stdout)["results"] if one["assignment"] in endless]
        late = [float(found[1]) * UNITS[found[2]] for message in told if (found := LATE.fullmatch(message))]
        assert all(message.startswith("not evaluated: ") for message in told if not LATE.fullmatch(message))
        # All that they take: so many evaluations up to their deadlines, on each core beside those of the others, and
        # of each a glance on each core.
        cores = os.cpu_count() or 1
        assert late and sum(late) / cores + rules * GLANCE <= DELAY
        # The clock of a machine that does other things shows no more than that.
        assert beside["seconds"] - before["seconds"] < 4 * DELAY
        print(
            f"a check-in took {before['seconds']:.1f} s, and {beside['seconds']:.1f} s beside {rules} endless rules; "
            f"{len(late)} evaluations went on until they were stopped, {sum(late):.1f} s in all"
        )
    finally:
        addon.unassign(*endless)
        for name in endless:
            plane.request("DELETE", f"{GROUP}/policydefinitions/{name}")


def test_two_pods_of_8000_containers_stall_no_check_in(addon: AddOn, plane: ControlPlane) -> None:
    scope = f"/clusters/testbed/namespaces/{PLACE}"
    addon.assign("allowed-images", parameters=OUR_REGISTRY, scope=scope)
    before = checked_in(addon)
    assert addon.status("allowed-images")["counts"]["containers"]["NonCompliant"] == PODS
    large = [f"large-{number}" for number in range(2)]
    for name in large:
        one = pod(name, PLACE, FOREIGN)
        one["spec"]["initContainers"] = [{"name": f"c{n}", "image": FOREIGN} for n in range(7_999)]
        plane.request("POST", f"/api/v1/namespaces/{PLACE}/pods", one)
    try:
        beside = checked_in(addon)
        status = addon.status("allowed-images")
        counts = status["counts"]["containers"]
        # On a slow machine the rule may not be done by its deadline: then the large ones are in Error, and nothing else.
        late = 8_000 * beside["policyErrors"].get("allowed-images", 0)
        assert (counts["NonCompliant"], counts["Error"]) == (PODS + 16_000 - late, late)
        # Quadratic work took 90 s.
        assert beside["seconds"] - before["seconds"] < 4 * DELAY
        print(
            f"a check-in took {before['seconds']:.1f} s, and {beside['seconds']:.1f} s with two Pods of 8,000 containers"
        )
    finally:
        for name in large:
            plane.request("DELETE", f"/api/v1/namespaces/{PLACE}/pods/{name}?gracePeriodSeconds=0")
