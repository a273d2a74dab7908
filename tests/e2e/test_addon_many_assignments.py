"""The add-on with more assignments than a cluster has: each is told and enforced, and reviews are answered meanwhile.

AKSP_MANY_ASSIGNMENTS is how many, 500 without it. The last line printed has the figures: see them with pytest -s.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.addon import GROUP, AddOn, rehearsed
from tests.e2e.load import Caller, review
from tests.e2e.objects import FOREIGN, OURS, pod
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.e2e

PLACE = "addon-many"
COUNT = int(os.environ.get("AKSP_MANY_ASSIGNMENTS", "500"))
#: Different parameters among them: each set is judged by itself.
DIFFERENT = 100


@pytest.fixture
def caller(addon: AddOn) -> Iterator[Caller]:
    found = Caller(addon.port, addon.trust)
    yield found
    found.close()


def test_many_assignments_are_all_told_and_reviews_are_answered_meanwhile(addon: AddOn, caller: Caller) -> None:
    (replica,) = addon.replicas
    addon.plane.apply([pod("foreign", PLACE, FOREIGN)])

    def assign(number: int) -> None:
        parameters = {"effect": "Deny", "allowedContainerImagesRegex": rf"^registry-{number % DIFFERENT}\.example/"}
        document = {
            "apiVersion": "policy.aksp.io/v1alpha1",
            "kind": "PolicyAssignment",
            "metadata": {"name": f"many-{number}"},
            "spec": {
                "policyDefinitionId": "allowed-images",
                "parameters": {key: {"value": value} for key, value in parameters.items()},
            },
        }
        addon.plane.request("POST", f"{GROUP}/policyassignments", document)

    def states() -> Counter[str]:
        """How many assignments have each state. A review is answered beside it, whatever is under way."""
        outcome = caller.post(review(pod("asked", PLACE, FOREIGN)))
        assert outcome.error is None and outcome.status == 200
        waits.append(outcome.seconds)
        found = addon.plane.request("GET", f"{GROUP}/policyassignments")["items"]
        return Counter((one.get("status") or {}).get("state", "") for one in found)

    waits: list[float] = []
    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(assign, range(COUNT)))
    until(lambda: states() == {"NonCompliant": COUNT}, 3 * PATIENCE + COUNT / 10, "not all are judged")
    until(lambda: "[many-0]" in rehearsed(addon.plane, pod("asked", PLACE, FOREIGN)), what="the API server refuses")
    print(
        f"{COUNT:,} assignments: all statuses after {time.monotonic() - began:.0f} s, the slowest of {len(waits)} reviews"
        f" took {max(waits):.2f} s, {replica.memory >> 20} MiB"
    )
    # None of them is forgotten in an answer: what fulfils one does not fulfil the others.
    refused = caller.post(review(pod("asked", PLACE, OURS))).refused or ""
    assert "[many-0]" in refused and "more" in refused
    assert not [line for line in replica.log if line.get("level") in ("error", "critical")]
