"""Which findings an exemption waives."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.compliance.exemptions import Waivers, covers
from aksp.model.assignment import ExemptedResource, Exemption, ExemptionCategory
from aksp.model.resource import Container, Document, Owner
from aksp.model.scope import Scope
from tests.compliance.builders import NOW, container, deployment, pod, ready, thing
from tests.replacing import replace

PROD = Scope("/clusters/prod")
WEB = container("web", "contoso.azurecr.io/web:1")


def exemption(*resources: ExemptedResource, **more: Any) -> Exemption:
    return Exemption(
        **{"name": "waived", "assignment": "rule", "category": ExemptionCategory.WAIVER, "resources": resources, **more}
    )


def waives(one: Exemption, document: Document, found_in: Container | None = WEB) -> bool:
    return Waivers([one], PROD).of(document, found_in) is not None


def test_without_resources_the_whole_scope_is_exempt() -> None:
    assert waives(exemption(), pod())
    assert waives(exemption(), thing("v1", "Node", namespace=""), None)
    assert waives(exemption(scope=Scope("/clusters/prod/namespaces/shop")), pod(namespace="shop"))
    assert not waives(exemption(scope=Scope("/clusters/prod/namespaces/shop")), pod(namespace="other"))
    assert not waives(exemption(scope=Scope("/clusters/prod/namespaces/shop")), thing("v1", "Node", namespace=""), None)
    assert not waives(exemption(scope=Scope("/clusters/dev")), pod())


@pytest.mark.parametrize(
    ("entry", "waived"),
    [
        ({"namespace": "shop"}, True),
        ({"namespace": "sh*"}, True),
        ({"namespace": "other"}, False),
        ({"kind": "Pod"}, True),
        ({"kind": "pod"}, False),
        ({"kind": "Service"}, False),
        ({"name": "pod-*"}, True),
        ({"name": "pod-1"}, True),
        ({"name": "pod"}, False),
        ({"container": "web"}, True),
        ({"container": "w?b"}, True),
        ({"container": "db"}, False),
        ({"image": "contoso.azurecr.io/*"}, True),
        ({"image": "contoso.azurecr.io/web"}, False),
        ({"image": "*/web:[12]"}, True),
        ({"namespace": "shop", "kind": "Pod", "name": "pod-1", "container": "web", "image": "*:1"}, True),
        ({"namespace": "shop", "kind": "Pod", "name": "pod-1", "container": "web", "image": "*:2"}, False),
        ({"namespace": "other", "kind": "Pod", "name": "pod-1", "container": "web", "image": "*:1"}, False),
    ],
)
def test_every_field_given_must_match_as_a_glob(entry: dict[str, str], waived: bool) -> None:
    assert waives(exemption(ExemptedResource(**entry)), pod("pod-1", WEB)) is waived


def test_one_entry_of_several_is_enough() -> None:
    one = exemption(ExemptedResource(name="other"), ExemptedResource(name="pod-1"))

    assert waives(one, pod("pod-1"))
    assert not waives(one, pod("pod-2"))


@pytest.mark.parametrize(
    ("entry", "waived"),
    [
        ({"kind": "Deployment", "name": "web"}, True),
        ({"kind": "Deployment", "name": "w*"}, True),
        ({"name": "web"}, True),
        ({"kind": "Deployment"}, True),
        ({"kind": "Deployment", "name": "web", "container": "web"}, True),
        ({"kind": "Deployment", "name": "web", "container": "db"}, False),
        ({"kind": "Deployment", "name": "db"}, False),
        # Kind and name must be of one and the same thing.
        ({"kind": "Deployment", "name": "web-7d4b9-x"}, False),
        ({"kind": "Pod", "name": "web"}, False),
        ({"kind": "Deployment", "name": "web", "namespace": "other"}, False),
    ],
)
def test_naming_a_workload_covers_the_pods_that_it_makes(entry: dict[str, str], waived: bool) -> None:
    made = pod("web-7d4b9-x", WEB, owner=Owner(kind="Deployment", name="web"))

    assert waives(exemption(ExemptedResource(**entry)), made) is waived


def test_a_workload_in_a_file_is_named_by_itself() -> None:
    _, made = deployment("web", WEB)

    assert waives(exemption(ExemptedResource(kind="Deployment", name="web")), made)
    assert not waives(exemption(ExemptedResource(kind="Pod")), made)


@pytest.mark.parametrize("entry", [{"container": "*"}, {"image": "*"}])
def test_a_container_s_exemption_does_not_waive_what_is_found_on_the_pod(entry: dict[str, str]) -> None:
    assert not waives(exemption(ExemptedResource(**entry)), pod(), None)


def test_the_first_exemption_that_covers_a_finding_is_named() -> None:
    other, one, two = exemption(ExemptedResource(name="no"), name="a"), exemption(name="b"), exemption(name="c")

    assert Waivers([other, one, two], PROD).of(pod(), WEB) == one


_TEXT = st.text(alphabet="ab-", max_size=4)
_PATTERN = st.none() | st.text(alphabet="ab-*?[]!", max_size=4)
_SCOPES = st.sampled_from(["/", "/clusters/prod", "/clusters/prod/namespaces/a", "/clusters/prod/namespaces/ab", "/x"])
_ENTRY = st.builds(
    ExemptedResource, namespace=_PATTERN, kind=_PATTERN, name=_PATTERN, container=_PATTERN, image=_PATTERN
)
_EXEMPTIONS = st.lists(
    st.builds(lambda entries, scope: exemption(*entries, scope=Scope(scope)), st.lists(_ENTRY, max_size=2), _SCOPES),
    max_size=8,
)
_FOUND_IN = st.none() | st.builds(container, name=_TEXT, image=_TEXT)
_DOCUMENT = st.builds(
    lambda kind, namespace, name, owner: replace(thing("v1", kind, name, namespace=namespace), owner=owner),
    _TEXT,
    _TEXT,
    _TEXT,
    st.none() | st.builds(Owner, kind=_TEXT, name=_TEXT),
)


@given(_EXEMPTIONS, _DOCUMENT, _FOUND_IN)
def test_looking_up_finds_what_going_through_all_finds(
    every: list[Exemption], document: Document, found_in: Container | None
) -> None:
    first = next((one for one in every if covers(one, document, found_in, PROD)), None)

    assert Waivers(every, PROD).of(document, found_in) is first


#: One exemption for each number, as people write them.
_MANY: list[Callable[[int], Exemption]] = [
    lambda at: exemption(ExemptedResource(kind="Pod", namespace="shop", name=f"web-{at:06}")),
    lambda at: exemption(ExemptedResource(kind="Pod", name=f"web-{at:06}-*")),
    lambda at: exemption(ExemptedResource(kind="Pod", image=f"*/app-{at:06}:1", container="*")),
    lambda at: exemption(ExemptedResource(kind="Pod", container=f"c{at:06}")),
    lambda at: exemption(scope=Scope(f"/clusters/prod/namespaces/ns-{at:06}")),
]


@pytest.mark.parametrize("made", _MANY)
def test_exemptions_and_findings_are_no_product(made: Callable[[int], Exemption]) -> None:
    def seconds(count: int) -> float:
        every = [made(at) for at in range(count)]
        found_in = [container(f"d{at:06}", f"x/other-{at:06}:1") for at in range(count)]
        documents = [pod(f"api-{at:06}", one, namespace="shop") for at, one in enumerate(found_in)]
        spent = []
        for _ in range(3):
            began = time.process_time()
            waivers = Waivers(every, PROD)
            waived = [waivers.of(*pair) for pair in zip(documents, found_in, strict=True)]
            spent.append(time.process_time() - began)
            assert not any(waived)
        return min(spent)

    # Four times of both take sixteen times as long where each is compared with each.
    assert seconds(1200) < 8 * seconds(300) + 0.05


def test_an_exemption_ends_at_its_very_moment() -> None:
    one = exemption(expires_on=NOW)

    assert not one.expired(NOW - timedelta(microseconds=1))
    assert one.expired(NOW)
    assert one.expired(NOW + timedelta(days=1))
    assert not exemption().expired(NOW + timedelta(days=10_000))


def test_only_an_assignment_s_own_exemptions_that_have_not_ended_are_in_force() -> None:
    lasting = exemption(name="lasting", expires_on=NOW + timedelta(seconds=1))
    ended = exemption(name="ended", expires_on=NOW)
    foreign = replace(lasting, name="foreign", assignment="another")

    assert ready(exemptions=[foreign, ended, lasting]).exemptions == (lasting,)


@pytest.mark.parametrize(
    ("metadata", "who"),
    [
        ({"requestedBy": "ann", "approvedBy": "bob"}, "ann"),
        ({"approvedBy": "bob"}, "bob"),
        ({"createdBy": "cy"}, "cy"),
        ({"requestedBy": 5, "createdBy": ""}, ""),
        ({}, ""),
    ],
)
def test_who_asked_for_an_exemption_is_in_its_metadata(metadata: dict[str, Any], who: str) -> None:
    assert exemption(metadata=metadata).requested_by == who
