"""``aksp lint --cluster``: what matches nothing and waives nothing of a real cluster, and whom it may ask."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.command import Aksp, Ended
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, OURS, Place, may, pod
from tests.replacing import replace
from tests.testbed.controlplane import ControlPlane

pytestmark = pytest.mark.e2e

LINTED = "linted"


@pytest.fixture(scope="module")
def cluster(place: Place) -> None:
    """Namespace linted, with a Pod that complies and one that does not."""
    place(LINTED, [pod("good", LINTED, OURS), pod("bad", LINTED, FOREIGN)])


@pytest.fixture
def aksp(aksp: Aksp, cluster: None) -> Aksp:
    """With one assignment, two exemptions of which one waives something, and an assignment that matches nothing."""
    aksp = replace(aksp, within=True)
    aksp.assign("allowed-images", parameters=OUR_REGISTRY)
    aksp.exempt("needed", "allowed-images", resources=[{"namespace": LINTED, "name": "bad"}])
    aksp.exempt("idle", "allowed-images", resources=[{"namespace": LINTED, "name": "good"}])
    aksp.assign("no-privileged", "nowhere", parameters={"namespaces": ["there-is-no-such"]})
    return aksp


def lint(aksp: Aksp, *arguments: str, kubeconfig: Path | None = None) -> Ended:
    return aksp.run("lint", "-o", "json", *arguments, kubeconfig=kubeconfig)


def told(ended: Ended) -> dict[str, str]:
    """The document of each finding, by its file's name, and the rule."""
    return {Path(one["file"]).stem: one["rule"] for one in json.loads(ended.stdout)["findings"]}


def test_what_waives_and_matches_nothing_of_the_cluster_is_told_and_nothing_else(aksp: Aksp) -> None:
    ended = lint(aksp, "--cluster")
    found = told(ended)
    assert set(found) == {"idle", "nowhere"} and len(set(found.values())) == 2
    assert ended.code == 1
    # Without the cluster nobody knows.
    assert told(lint(aksp)) == {}


def test_where_not_all_can_be_listed_nothing_is_called_idle(aksp: Aksp, plane: ControlPlane) -> None:
    token = plane.service_account_token(LINTED, "lists-services")
    plane.apply(may(f"system:serviceaccount:{LINTED}:lists-services", None, "services"))
    aksp.assign("allowed-service-ports", parameters={"allowedPorts": ["80", "443"]})
    ended = lint(aksp, "--cluster", kubeconfig=plane.kubeconfig_for(token=token))
    assert told(ended) == {} and ended.code == 4
    assert "Pods could not be listed" in " ".join(ended.stderr.split()) or "forbidden" in ended.stderr.lower()


def test_a_cluster_of_which_nothing_can_be_listed_ends_the_run(aksp: Aksp, plane: ControlPlane) -> None:
    token = plane.service_account_token(LINTED, "lists-nothing")
    ended = lint(aksp, "--cluster", kubeconfig=plane.kubeconfig_for(token=token))
    assert ended.code == 3 and ended.stdout == "" and "forbidden" in ended.stderr.lower()
