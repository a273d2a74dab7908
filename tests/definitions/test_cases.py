"""Inputs that were once judged wrongly, with the outcome that their first lines ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aksp.model.compliance import ComplianceState
from tests.definitions.samples import DEFINITIONS, judge, stream

CASES = Path(__file__).parent / "cases"
INTERNAL = "service.beta.kubernetes.io/azure-load-balancer-internal"


def _messages(slug: str, parameters: Mapping[str, Any], path: Path) -> dict[str, str]:
    """The messages of what is found, by container, or by object."""
    report = judge(DEFINITIONS[slug], parameters, path).report
    return {
        one.finding.container.name if one.finding.container else one.resource.name: one.finding.message
        for one in report.results
        if one.state is ComplianceState.NON_COMPLIANT
    }


def test_an_official_image_of_the_docker_hub_is_below_library_however_it_is_written() -> None:
    path = CASES / "docker-hub-names.yaml"

    assert _messages("allowed-images", {"allowedRegistries": ["docker.io/library"]}, path) == {}
    assert set(_messages("allowed-images", {"allowedRegistries": ["docker.io/nginx"]}, path)) == {"short", "host"}


def test_a_minion_has_the_tls_of_its_master() -> None:
    path = CASES / "ingress-master-minion.yaml"

    assert _messages("https-ingress", {"requireRedirect": True}, path) == {}


def test_a_minion_alone_is_told_that_its_master_is_not_there(tmp_path: Path) -> None:
    minion = (CASES / "ingress-master-minion.yaml").read_text(encoding="utf-8").partition("\n---\n")[2]
    path = tmp_path / "minion.yaml"
    path.write_text(minion, encoding="utf-8")

    assert _messages("https-ingress", {}, path) == {
        "minion": "host www.example.com: no Ingress that is its nginx.org master, with TLS for it, is among those compared with"
    }


@pytest.mark.parametrize("parameters", [{}, {"cloud": "any"}])
def test_an_annotation_that_is_no_string_is_told_by_its_type(parameters: Mapping[str, Any]) -> None:
    assert _messages("internal-load-balancers", parameters, CASES / "boolean-annotation.yaml") == {
        "s": f"load balancer is not internal: annotation {INTERNAL}: true is a boolean, not a string"
    }


@pytest.mark.parametrize(("value", "noun"), [(True, "true is a boolean"), (1, "1 is a number")])
@pytest.mark.parametrize(
    ("ingress_class", "annotation"),
    [
        ("nginx", "nginx.ingress.kubernetes.io/ssl-redirect"),
        ("nginx", "nginx.ingress.kubernetes.io/force-ssl-redirect"),
        ("azure-application-gateway", "appgw.ingress.kubernetes.io/appgw-ssl-certificate"),
    ],
)
def test_a_setting_of_an_ingress_that_is_no_string_is_told_by_its_type(
    value: object, noun: str, ingress_class: str, annotation: str, tmp_path: Path
) -> None:
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "shop", "annotations": {annotation: value}},
        "spec": {"ingressClassName": ingress_class, "rules": [{"host": "shop.example.com"}]},
    }
    path = tmp_path / "ingress.yaml"
    path.write_text(stream([ingress]), encoding="utf-8")
    report = judge(DEFINITIONS["https-ingress"], {"requireRedirect": True}, path).report

    found = [one.finding.message for one in report.results]
    assert any(message.endswith(f"; annotation {annotation}: {noun}, not a string") for message in found), found


def test_a_quantity_may_be_of_any_length() -> None:
    (message,) = _messages("resource-limits", {"maxMemory": "2Gi"}, CASES / "long-quantity.yaml").values()

    assert message == f"memory limit {'9' * 64} exceeds the maximum of 2Gi"


def test_a_negative_limit_is_not_called_no_limit(tmp_path: Path) -> None:
    limits = {"cpu": -1, "memory": "0"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "shop"},
        "spec": {"containers": [{"name": "web", "image": "web", "resources": {"limits": limits}}]},
    }
    path = tmp_path / "pod.yaml"
    path.write_text(stream([pod]), encoding="utf-8")
    report = judge(DEFINITIONS["resource-limits"], {}, path).report

    assert sorted(one.finding.message for one in report.results) == [
        "CPU limit -1 is negative, which Kubernetes refuses",
        "memory limit 0 means no limit",
    ]
