"""What a command leaves for the garbage collector, which a scan switches off, does not grow with what it reads."""

from __future__ import annotations

import gc

from tests.cli.conftest import Aksp, pod

#: Objects in cycles for each assignment, file or exemption more. A class of its own is about a hundred.
MOST = 5


def _garbage(aksp: Aksp, count: int) -> int:
    """The objects in cycles that a scan leaves: so many assignments with an exemption each, of as many files."""
    for at in range(count):
        aksp.put(
            f"ws/assignments/images-{at}.yaml",
            {
                "apiVersion": "policy.aksp.io/v1alpha1",
                "kind": "PolicyAssignment",
                "metadata": {"name": f"images-{at}"},
                "spec": {
                    "policyDefinitionId": "allowed-images",
                    "scope": "/",
                    "parameters": {"allowedContainerImagesRegex": {"value": f"^contoso-{at}\\.azurecr\\.io/.+$"}},
                },
            },
        )
        aksp.put(
            f"ws/exemptions/web-{at}.yaml",
            {
                "apiVersion": "policy.aksp.io/v1alpha1",
                "kind": "PolicyExemption",
                "metadata": {"name": f"web-{at}"},
                "spec": {
                    "policyAssignmentId": f"images-{at}",
                    "exemptionCategory": "Waiver",
                    "resources": [{"name": f"web-{at}"}],
                },
            },
        )
        aksp.put(f"pods/{at}.yaml", pod(f"web-{at}"))
    gc.collect()
    assert aksp("compliance", "-f", "pods").code in (0, 1)
    assert not gc.isenabled()
    return gc.collect()


def test_a_scan_leaves_no_garbage_for_each_thing_that_it_reads(aksp: Aksp) -> None:
    _garbage(aksp, 1)  # what is made once for a process
    few, many = _garbage(aksp, 4), _garbage(aksp, 24)

    assert many - few <= MOST * 20
