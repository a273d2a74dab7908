"""Filters, counts and sorting."""

from __future__ import annotations

from playwright.sync_api import expect

from aksp.report.interface import GroupBy, Style

from .conftest import OpenReport
from .pages import shown, summary, violations


def test_replicas_are_one_row_until_each_is_asked_for(open_report: OpenReport) -> None:
    page = open_report(violations())
    assert summary(page) == "909 findings in 306 resources, 608 containers"
    assert len(shown(page)) == 9
    page.get_by_label("Replicas as one row").uncheck()
    assert page.locator("#grid").get_attribute("aria-rowcount") == "910"
    assert summary(page) == "909 findings in 306 resources, 608 containers"


def test_a_report_that_is_not_grouped_begins_with_every_replica(open_report: OpenReport) -> None:
    page = open_report(violations(), style=Style(group_by=GroupBy.NONE))
    assert page.locator("#grid").get_attribute("aria-rowcount") == "910"
    page.get_by_label("Replicas as one row").check()
    assert len(shown(page)) == 9


def test_text_is_searched_in_names_images_and_reasons_and_every_word_must_be_found(open_report: OpenReport) -> None:
    page = open_report(violations())
    search = page.get_by_label("Search")
    search.fill("TRACING-sidecar")
    assert summary(page) == "2 of 909 findings in 2 resources, 2 containers"
    search.fill("memory web")
    assert summary(page) == "300 of 909 findings in 300 resources, 300 containers"
    search.fill("web-6d4cf56db6-00001 cpu")
    assert summary(page) == "1 of 909 findings in 1 resource, 1 container"
    search.fill("nowhere")
    expect(page.get_by_text("No finding matches these filters.")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    assert len(shown(page)) == 9


def test_the_filters_narrow_the_rows_together(open_report: OpenReport) -> None:
    page = open_report(violations())
    page.get_by_label("Namespace").select_option("mesh")
    assert [cells[1] for cells in shown(page)] == ["DaemonSet/mesh-agent"]
    page.get_by_label("Namespace").select_option("")
    page.get_by_label("Policy", exact=True).select_option("no-privileged")
    assert {cells[1] for cells in shown(page)} == {"Pod/debug", "DaemonSet/mesh-agent"}
    page.get_by_role("button", name="Exempt").click()
    assert [cells[0] for cells in shown(page)] == ["Exempt"]
    page.get_by_role("button", name="NonCompliant").click()
    assert len(shown(page)) == 2


def test_the_counts_follow_the_other_filters_but_not_their_own(open_report: OpenReport) -> None:
    page = open_report(violations())
    page.get_by_label("Policy", exact=True).select_option("no-privileged")
    assert page.get_by_role("button", name="NonCompliant").inner_text().split() == ["NonCompliant", "1"]
    assert page.get_by_role("button", name="Exempt").inner_text().split() == ["Exempt", "3"]
    assert page.locator("#namespace option").all_inner_texts() == ["All namespaces", "mesh (3)", "shop (1)"]
    page.get_by_role("button", name="Exempt").click()
    assert page.get_by_role("button", name="NonCompliant").inner_text().split() == ["NonCompliant", "1"]
    assert page.locator("#assignments .count").all_inner_texts() == ["0", "2", "3", "0"]
    assert page.locator("#namespace option").all_inner_texts() == ["All namespaces", "mesh (3)", "shop (0)"]


def test_an_assignment_leads_to_its_containers_and_says_what_it_demands(open_report: OpenReport) -> None:
    page = open_report(violations())
    page.get_by_role("link", name="contoso-images").click()
    assert [cells[2] for cells in shown(page)] == ["web", "tracing", "billing", "sidecar"]
    about = page.locator("#about")
    expect(about).to_contain_text("What allowed-images demands of containers.")
    expect(about).to_contain_text("Push the image to an allowed registry, then name it from there.")
    expect(page.locator("#assignments tr[aria-current=true]")).to_contain_text("contoso-images")
    expect(page.locator("#findings")).to_be_in_viewport()


def test_what_needs_attention_comes_first_and_every_column_sorts_both_ways(open_report: OpenReport) -> None:
    page = open_report(violations())
    assert [cells[0] for cells in shown(page)] == ["NonCompliant"] * 6 + ["Exempt"] * 3
    for name, at in (("Resource", 1), ("Container", 2), ("Policy", 3), ("Reason", 5)):
        header = page.locator("#grid").get_by_role("columnheader", name=name)
        header.get_by_role("button").click()
        assert header.get_attribute("aria-sort") == "ascending"
        up = [cells[at].replace("–", "") for cells in shown(page)]
        if at != 1:
            assert up == sorted(up)
        header.get_by_role("button").click()
        assert header.get_attribute("aria-sort") == "descending"
        down = [cells[at].replace("–", "") for cells in shown(page)]
        assert sorted(down) == sorted(up)
        assert down[0] == up[-1]
        header.get_by_role("button").click()
        assert header.get_attribute("aria-sort") == "none"
    page.get_by_role("columnheader", name="Severity").get_by_role("button").click()
    assert [cells[4] for cells in shown(page)] == ["High"] * 6 + ["Medium"] * 2 + ["Low"]
