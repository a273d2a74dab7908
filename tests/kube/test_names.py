"""Resources as kubectl writes them."""

from __future__ import annotations

import pytest

from aksp.errors import InvalidInput
from aksp.kube.kinds import KINDS
from aksp.kube.names import SHORT_NAMES, ResourceName


@pytest.mark.parametrize(
    ("text", "group", "kind"),
    [
        ("pod/a", "", "Pod"),
        ("Pods/a", "", "Pod"),
        ("po/a", "", "Pod"),
        ("deploy/a", "apps", "Deployment"),
        ("deployments.apps/a", "apps", "Deployment"),
        ("deployment.v1.apps/a", "apps", "Deployment"),
        ("ing/a", "networking.k8s.io", "Ingress"),
        ("ingresses/a", "networking.k8s.io", "Ingress"),
        ("ingress.v1.networking.k8s.io/a", "networking.k8s.io", "Ingress"),
        ("pods.v1/a", "", "Pod"),
        ("thing.example.com/a", "example.com", "Thing"),
        ("things/a", "example.com", "Thing"),
    ],
)
def test_a_kind_is_known_in_every_spelling(text: str, group: str, kind: str) -> None:
    assert ResourceName.parse(text).is_kind(group, kind)


@pytest.mark.parametrize(
    ("text", "group", "kind"),
    [
        ("pod/a", "apps", "Deployment"),
        ("deploy/a", "example.com", "Deployment"),
        ("deployment.apps/a", "example.com", "Deployment"),
        ("ingress.networking/a", "networking.k8s.io", "Ingress"),
        ("p/a", "", "Pod"),
    ],
)
def test_another_kind_or_group_is_another(text: str, group: str, kind: str) -> None:
    assert not ResourceName.parse(text).is_kind(group, kind)


@pytest.mark.parametrize("text", ["pod", "pod/", "/a", "pod/a/b", "pod/a b", "p%d/a", "pod a", ""])
def test_what_is_no_name_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no KIND/NAME"):
        ResourceName.parse(text)


def test_short_names_are_of_kinds_that_are_known() -> None:
    assert set(SHORT_NAMES.values()) <= {kind for _, kind in KINDS}
