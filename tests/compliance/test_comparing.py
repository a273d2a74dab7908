"""Which kinds a rule compares with, and whether they can be had."""

from __future__ import annotations

import pytest

from aksp.compliance.comparing import Lookup, compared_kinds, missing, overlooked
from aksp.model.definition import ResourceKind
from tests.compliance.builders import POD, SERVICE, definition
from tests.replacing import replace

INGRESS = ResourceKind(group="networking.k8s.io", kind="Ingress")
OLD_INGRESS = ResourceKind(group="extensions", kind="Ingress")
INGRESS_V1, INGRESS_BETA = (replace(INGRESS, version=version) for version in ("v1", "v1beta1"))
SERVICE_V1 = replace(SERVICE, version="v1")
ANY_INGRESS = ResourceKind(group="*", kind="Ingress")


@pytest.mark.parametrize(
    ("lookups", "declared", "compared"),
    [
        ([], [], []),
        ([("v1", "Service"), ("networking.k8s.io/v1", "Ingress")], [], [SERVICE_V1, INGRESS_V1]),
        ([("*", "Ingress")], [], [ANY_INGRESS]),
        ([("*", "Ingress")], [INGRESS, OLD_INGRESS], [INGRESS, OLD_INGRESS]),
        ([("networking.k8s.io/v1", "Ingress")], [OLD_INGRESS], [OLD_INGRESS, INGRESS_V1]),
        # Of what is declared without a version the rule sees those versions alone that it looks up.
        ([("v1", "Service")], [SERVICE], [SERVICE_V1]),
        ([("v1", "Service"), ("*", "Service")], [SERVICE], [SERVICE, SERVICE_V1]),
        (
            [("networking.k8s.io/v1", "Ingress"), ("networking.k8s.io/v1beta1", "Ingress")],
            [],
            [INGRESS_V1, INGRESS_BETA],
        ),
        ([], [POD], [POD]),
    ],
)
def test_what_is_looked_up_is_added_to_what_is_declared(
    lookups: list[tuple[str, str]], declared: list[ResourceKind], compared: list[ResourceKind]
) -> None:
    assert list(compared_kinds([Lookup(*one) for one in lookups], declared)) == compared


@pytest.mark.parametrize(
    ("requires", "failed", "unserved", "told"),
    [
        ((INGRESS,), {}, [], None),
        ((INGRESS,), {POD: ""}, [SERVICE], None),
        ((INGRESS,), {INGRESS: "no right"}, [], "Ingress objects that the rule compares with could not be listed: no right"),
        ((ANY_INGRESS,), {OLD_INGRESS: ""}, [], "could not be listed"),
        ((ANY_INGRESS,), {}, [ANY_INGRESS], "serves no kind Ingress, with"),
        ((INGRESS, OLD_INGRESS), {}, [OLD_INGRESS], None),
        ((INGRESS, OLD_INGRESS), {}, [OLD_INGRESS, INGRESS], "no kind Ingress in group extensions or networking.k8s.io"),
        ((SERVICE, INGRESS), {}, [SERVICE], "no kind Service in group core"),
        ((INGRESS_BETA,), {}, [INGRESS_BETA], "no kind Ingress in networking.k8s.io/v1beta1, with which"),
        ((INGRESS_BETA,), {}, [INGRESS_V1], None),
        ((INGRESS_V1, INGRESS_BETA), {}, [INGRESS_BETA], None),
        ((INGRESS_V1,), {INGRESS_BETA: ""}, [], None),
        ((INGRESS_V1,), {INGRESS: ""}, [], "could not be listed"),
        ((INGRESS_BETA,), {}, [INGRESS], "no kind Ingress in networking.k8s.io/v1beta1"),
        ((SERVICE_V1,), {}, [SERVICE_V1], "no kind Service in v1, with which"),
    ],
)  # fmt: skip
def test_it_is_told_why_objects_cannot_be_compared_with(
    requires: tuple[ResourceKind, ...],
    failed: dict[ResourceKind, str],
    unserved: list[ResourceKind],
    told: str | None,
) -> None:
    why = missing(definition(requires_inventory=requires), failed, unserved)

    assert why is None if told is None else told in (why or "")


@pytest.mark.parametrize(
    ("requires", "versions", "told"),
    [
        ((INGRESS_V1,), {"v1"}, None),
        ((INGRESS_V1,), {"v1beta1"}, "objects of networking.k8s.io/v1, and does not see those"),
        ((INGRESS_V1,), {"v1", "v1beta1"}, "that these manifests have of networking.k8s.io/v1beta1"),
        ((INGRESS_V1, INGRESS_BETA), {"v1", "v1beta1"}, None),
        ((ANY_INGRESS,), {"v1", "v1beta1"}, None),
        ((INGRESS,), {"v1", "v1beta1"}, None),
        ((OLD_INGRESS, SERVICE_V1), {"v1beta1"}, None),
    ],
)
def test_objects_in_versions_that_a_rule_does_not_look_up_are_told(
    requires: tuple[ResourceKind, ...], versions: set[str], told: str | None
) -> None:
    why = overlooked(definition(requires_inventory=requires), {("networking.k8s.io", "Ingress"): versions})

    assert why is None if told is None else told in (why or "")
