"""Big objects through a real API server: none is a way in without a word, and none stalls what is judged beside it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.addon import AddOn
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, Object, pod
from tests.testbed.client import ApiError
from tests.waiting import until

pytestmark = pytest.mark.e2e

PLACE = "addon-big"


@pytest.fixture(scope="module")
def addon(enabled: AddOn) -> Iterator[AddOn]:
    """What cannot be judged is refused."""
    enabled.enable("--unjudged", "refuse")
    enabled.start("--unjudged", "refuse")
    enabled.assign("allowed-images", parameters=OUR_REGISTRY)
    enabled.enforced("allowed-images", pod("probe", PLACE))
    yield enabled
    enabled.unassign()
    enabled.stop()


def of_many_containers(name: str) -> Object:
    one = pod(name, PLACE)
    one["spec"]["initContainers"] = [{"name": f"c{n}", "image": "docker.io/evil/tool:latest"} for n in range(8000)]
    return one


def of_escaped_text(name: str) -> Object:
    """The API server writes each character of the value in six bytes."""
    one = pod(name, PLACE)
    # An annotation may have 256 KiB; the value of a variable has no bound of its own.
    one["spec"]["containers"][0]["env"] = [{"name": "TEXT", "value": "<" * 1_100_000}]
    return one


def refused(addon: AddOn, one: Object) -> str:
    """Why an object is refused; kubectl would write six bytes for a `<`, which is more than an API server reads."""
    with pytest.raises(ApiError) as raised:
        addon.plane.client.request("POST", f"/api/v1/namespaces/{PLACE}/pods", one)
    assert raised.value.status == 403
    return str(raised.value)


def created(addon: AddOn, one: Object, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "object.json"
    path.write_text(json.dumps(one))
    command = ["kubectl", "--kubeconfig", str(addon.plane.kubeconfig), "create", "-f", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("make", [of_many_containers, of_escaped_text])
def test_a_big_object_that_violates_is_refused(addon: AddOn, make: Callable[[str], Object]) -> None:
    for _ in range(4):
        assert "[allowed-images]" in refused(addon, make("big"))
    # However often it was timed out with large ones, small ones are judged.
    why = refused(addon, pod("small", PLACE, FOREIGN))
    assert "[allowed-images]" in why and "could not be judged" not in why


def test_what_is_admitted_unjudged_has_a_warning_a_line_in_the_log_and_a_metric(addon: AddOn, tmp_path: Path) -> None:
    """A second replica, which warns, takes the place of the first."""
    addon.replicas[0].terminate()
    replica = addon.start()
    ended = created(addon, of_many_containers("warned"), tmp_path)
    denied = ended.returncode == 1 and "denied the request" in ended.stderr
    warned = ended.returncode == 0 and "Warning: [allowed-images] could not be judged: " in ended.stderr
    assert denied or warned, ended.stderr[-2000:]
    if warned:
        lines = [line for line in replica.log if line.get("logger") == "aksp.unjudged"]
        assert lines and lines[-1]["level"] == "warning" and lines[-1]["object"]["name"] == "warned"
        assert 'aksp_unjudged_total{reason="' in replica.get("/metrics")
        assert not [line for line in replica.log if line.get("logger") == "aksp.refusals"]
    until(lambda: replica.ready)
