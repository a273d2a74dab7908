"""The Helm chart makes the objects of `aksp addon enable`."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp import __version__
from aksp.addon.install.installation import label, listed_kinds
from aksp.addon.install.manifests import everything
from aksp.addon.names import EngineName
from aksp.addon.settings import Settings
from aksp.addon.webhook import certificates
from aksp.catalog.folder import bundled
from aksp.gatekeeper.names import kind_of
from tests.charts.helm import CHART, Helm, helm
from tests.testbed.build import BuildError

pytestmark = pytest.mark.slow

REQUIRED = "AKSP_E2E_REQUIRED"
KEEP = "helm.sh/resource-policy"
CONSTRAINTS = tuple(sorted({kind_of(one.slug).lower() for one in bundled()}))
KINDS = listed_kinds(bundled(), None, lambda note: None)

CLIENT_CA = certificates.make_authority(datetime(2026, 1, 1, tzinfo=UTC)).certificate.decode()

#: Settings, and the values that mean the same.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "defaults": ({}, {}),
    "fail": (
        {"failure_policy": "Fail", "exclude_namespaces": ("vault", "argocd")},
        {"failurePolicy": "Fail", "excludeNamespaces": ["vault", "argocd"]},
    ),
    "refuse": ({"unjudged": "refuse"}, {"unjudged": "refuse"}),
    "warn": ({"failure_policy": "Fail", "unjudged": "warn"}, {"failurePolicy": "Fail", "unjudged": "warn"}),
    "other namespace": (
        {"namespace": "aksp-system", "create_namespace": True, "replicas": 1, "cluster_name": "prod"},
        {"createNamespace": True, "replicas": 1, "clusterName": "prod"},
    ),
    "cert-manager": (
        {"namespace": "aksp-system", "cert_secret": "aksp-tls", "inject_ca_from": "aksp-system/aksp"},
        {"certSecret": "aksp-tls", "injectCaFrom": "aksp-system/aksp"},
    ),
    "on a host": (
        {"webhook_url": "https://10.0.0.4:9443/v1/admit", "sync_interval": "30s"},
        {"webhookUrl": "https://10.0.0.4:9443/v1/admit", "syncInterval": "30s"},
    ),
    "guarded": (
        {
            "client_ca": CLIENT_CA,
            "client_names": ("kube-apiserver", "webhooks.example.com"),
            "api_server_cidrs": ("10.0.0.4/32", "fd00::/64"),
            "open_metrics": True,
            "controller_accounts": ("system:serviceaccount:a:b", "c"),
        },
        {
            "clientCa": CLIENT_CA,
            "clientNames": ["kube-apiserver", "webhooks.example.com"],
            "apiServerCidrs": ["10.0.0.4/32", "fd00::/64"],
            "openMetrics": True,
            "controllerAccounts": ["system:serviceaccount:a:b", "c"],
        },
    ),
    "gatekeeper": (
        {"engine": EngineName.GATEKEEPER, "constraints": (*CONSTRAINTS, "akspown"), "exclude_namespaces": ("vault",)},
        {"engine": "gatekeeper", "constraints": ["akspown"], "excludeNamespaces": ["vault"]},
    ),
    "gatekeeper with open metrics": (
        {"engine": EngineName.GATEKEEPER, "constraints": CONSTRAINTS, "open_metrics": True, "replicas": 1},
        {"engine": "gatekeeper", "openMetrics": True, "replicas": 1},
    ),
    "image": (
        {"image": "contoso.azurecr.io/aksp:main", "replicas": 3},
        {"image": {"repository": "contoso.azurecr.io/aksp", "tag": "main"}, "replicas": 3},
    ),
}


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    try:
        binary = helm()
    except BuildError as error:
        if os.environ.get(REQUIRED) not in (None, "", "0"):
            pytest.fail(f"no helm: {error} ({REQUIRED} is set)")
        pytest.skip(f"no helm: {error}")
    return Helm(binary=binary, home=tmp_path_factory.mktemp("helm"))


@pytest.mark.parametrize("case", CASES)
def test_the_chart_makes_the_objects_of_the_command(chart: Helm, case: str) -> None:
    given, values = CASES[case]
    settings = Settings(kinds=KINDS, **given)
    rendered = {}
    for document in chart.template(namespace=settings.namespace, values=values):
        if document["kind"] == "CustomResourceDefinition":
            # The one difference: what Helm reads when the release is uninstalled.
            assert document["metadata"].pop("annotations") == {KEEP: "keep"}
        rendered[label(document)] = document
    made = {label(document): json.loads(json.dumps(document)) for document in everything(settings)}
    assert sorted(rendered) == sorted(made)
    for name, document in made.items():
        assert rendered[name] == document


def test_the_chart_lets_the_resource_definitions_go_when_asked(chart: Helm) -> None:
    documents = chart.template(namespace="kube-system", values={"crds": {"keep": False}})
    assert not any(KEEP in (one["metadata"].get("annotations") or {}) for one in documents)


def test_the_chart_refuses_an_unknown_failure_policy(chart: Helm) -> None:
    told = chart.run("template", "aksp", CHART, "--set", "failurePolicy=Maybe", expected=1)
    assert 'failurePolicy is "Maybe", expected Ignore or Fail' in told


def test_helm_finds_nothing_wrong_with_the_chart(chart: Helm) -> None:
    assert "0 chart(s) failed" in chart.run("lint", "--strict", CHART)


def test_the_chart_may_write_the_constraints_of_the_definitions_of_the_package(request: pytest.FixtureRequest) -> None:
    path = CHART / "files" / "constraints.txt"
    if request.config.getoption("--update-golden"):
        path.write_text("\n".join(CONSTRAINTS) + "\n", encoding="utf-8")
    assert tuple(path.read_text(encoding="utf-8").split()) == CONSTRAINTS, "run `pytest --update-golden tests/charts`"


def test_the_chart_refuses_an_unknown_engine(chart: Helm) -> None:
    told = chart.run("template", "aksp", CHART, "--set", "engine=opa", expected=1)
    assert 'engine is "opa", expected aksp or gatekeeper' in told


def test_the_chart_has_the_version_of_the_package() -> None:
    chart = yaml.safe_load(Path(CHART, "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == chart["appVersion"] == __version__
