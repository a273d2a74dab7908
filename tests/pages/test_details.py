"""One container: what was found, the YAML that fixes it, links to it and the way back."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from playwright.sync_api import expect

from aksp.model.compliance import ComplianceState
from aksp.model.resource import Owner
from tests.replacing import replace
from tests.report.scenarios import SCENARIOS
from tests.results import changed

from .conftest import OpenReport
from .pages import details, row, shown, violations


def test_a_container_shows_path_observed_expected_remediation_and_its_replicas(open_report: OpenReport) -> None:
    page = open_report(violations())
    row(page, "tracing")
    expect(page.get_by_role("heading", name="Deployment/web")).to_be_focused()
    assert details(page) == {
        "Path": "spec.containers[1].image",
        "Observed": "ghcr.io/contoso-experiments/tracing-sidecar:v0.3.1-rc2",
        "Expected": "- contoso.azurecr.io",
        "Policy": "contoso-images, definition allowed-images",
        "Effect": "EnforceRegoPolicy",
        "Severity": "high",
    }
    panel = page.locator("#detail")
    expect(panel).to_contain_text("namespace shop · container tracing")
    expect(panel).to_contain_text("Push the image to an allowed registry, then name it from there.")
    assert panel.locator(".replicas li").all_inner_texts() == ["web-6d4cf56db6-00000", "web-6d4cf56db6-00001"]


def test_all_replicas_are_listed_when_asked_for(open_report: OpenReport) -> None:
    page = open_report(violations())
    row(page, "no CPU limit")
    assert page.locator(".replicas li").count() == 20
    page.get_by_role("button", name="Show 280 more").click()
    assert page.locator(".replicas li").count() == 300


def _yaml(page: Any) -> Any:
    return yaml.safe_load(page.locator("#detail .yaml").text_content())


def test_the_yaml_to_fix_is_the_patch_of_the_workload_where_the_rule_knows_one(open_report: OpenReport) -> None:
    report = violations()
    found = next(each for each in report.results if each.state is ComplianceState.EXEMPT and each.finding.fix)
    bare = changed(found, state=ComplianceState.NON_COMPLIANT, exemption=None, owner=Owner(kind="Deployment", name="x"))
    page = open_report(replace(report, results=[bare]))
    row(page, "agent")
    expect(page.get_by_role("heading", name="YAML to fix it")).to_be_visible()
    assert _yaml(page) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x", "namespace": "mesh"},
        "spec": {"template": {"spec": {"containers": [{"name": "agent", "securityContext": {"privileged": False}}]}}},
    }


def test_without_a_patch_the_yaml_is_the_place_with_what_is_expected(open_report: OpenReport) -> None:
    page = open_report(violations())
    row(page, "no memory limit")
    expect(page.get_by_role("heading", name="Where to fix it")).to_be_visible()
    container = _yaml(page)["spec"]["template"]["spec"]["initContainers"][0]
    assert container == {"name": "migrate", "resources": {"limits": {"memory": None}}}
    expect(page.locator("#detail .yaml")).to_contain_text("# expected: at most 4Gi")


def test_the_yaml_can_be_copied(open_report: OpenReport) -> None:
    page = open_report(violations(), permissions=["clipboard-read", "clipboard-write"])
    row(page, "tracing")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"{page.locator('#detail .yaml').text_content()}\n"


def test_an_exemption_is_told_with_category_end_and_reason(open_report: OpenReport) -> None:
    page = open_report(violations())
    row(page, "sidecar:9")
    told = details(page)
    assert told["Exemption"] == "legacy-billing, Waiver"
    assert told["Ends"] == "2026-12-31"
    assert told["Why"] == "Vendor image: Replaced by our own build in the fourth quarter"
    assert told["Requested"] == "by jane@contoso.com"


def test_what_else_is_wrong_with_the_container_is_a_step_away(open_report: OpenReport) -> None:
    page = open_report(violations())
    row(page, "no CPU limit")
    page.get_by_role("link", name="resource-limits: no memory limit is set").click()
    assert details(page)["Path"] == "spec.initContainers[0].resources.limits.memory"


def test_a_finding_in_a_file_names_the_line(open_report: OpenReport) -> None:
    page = open_report(SCENARIOS["manifests"]())
    row(page, "nginx:1.29")
    assert details(page)["File"] == "deploy/base/web/deployment.yaml:23"


def test_a_link_opens_the_same_finding_with_the_same_filters(open_report: OpenReport) -> None:
    page = open_report(violations())
    page.get_by_label("Policy", exact=True).select_option("contoso-images")
    page.get_by_label("Search").fill("ghcr")
    row(page, "tracing")
    address = page.evaluate("location.hash")
    other = open_report(violations(), address)
    assert details(other) == details(page)
    assert other.get_by_label("Search").input_value() == "ghcr"
    assert other.get_by_label("Policy", exact=True).input_value() == "contoso-images"
    assert len(shown(other)) == 1
    expect(other.locator("#grid tr[aria-selected=true]")).to_contain_text("tracing")


def test_a_link_to_one_replica_opens_that_one(open_report: OpenReport) -> None:
    page = open_report(violations(), "#replicas=each&text=cpu+00123")
    row(page, "web-6d4cf56db6-00123")
    address = page.evaluate("location.hash")
    assert "resource=web-6d4cf56db6-00123" in address
    other = open_report(violations(), address)
    expect(other.locator("#grid tr[aria-selected=true]")).to_contain_text("web-6d4cf56db6-00123")


def test_the_back_button_goes_back_through_details_and_filters(open_report: OpenReport) -> None:
    page = open_report(violations())
    page.get_by_role("link", name="resource-limits").click()
    row(page, "no CPU limit")
    expect(page.locator("#detail")).to_be_visible()
    page.go_back()
    expect(page.locator("#detail")).to_be_hidden()
    assert len(shown(page)) == 2
    page.go_back()
    assert len(shown(page)) == 9
    page.go_forward()
    assert len(shown(page)) == 2


@pytest.mark.parametrize(
    "address", ["#finding=0123456789ab", "#policy=none&namespace=none&state=x&sort=y&replicas=z", "#%", "#__proto__=1"]
)
def test_a_link_to_what_is_not_there_shows_everything(address: str, open_report: OpenReport) -> None:
    page = open_report(violations(), address)
    assert len(shown(page)) in (9, 29)
    expect(page.locator("#detail")).to_be_hidden()
