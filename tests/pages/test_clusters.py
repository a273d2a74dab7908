"""The page of several clusters: from the clusters down to containers."""

from __future__ import annotations

from tests.pages.conftest import OpenReport
from tests.report.clusters import twins


def test_a_cell_leads_to_what_was_found_in_its_cluster_and_a_row_to_its_details(open_report: OpenReport) -> None:
    page = open_report(twins())
    cell = page.locator("#clusters tbody tr:nth-child(2) td a").first
    policy = cell.get_attribute("data-policy")
    cell.click()

    assert page.locator("#cluster").input_value() == "two"
    assert page.locator("#policy").input_value() == policy
    assert "cluster=two" in page.url
    seconds = page.locator("#grid tbody tr.row .c-resource small").all_inner_texts()
    assert seconds
    assert all(text.startswith("two") for text in seconds)
    page.locator("#grid tbody tr.row").first.click()
    assert "cluster two" in page.locator("#detail .lead").first.inner_text()
    page.go_back()
    page.locator("#clear").click()
    assert page.locator("#cluster").input_value() == ""


def test_counts_beside_the_filter_are_those_of_each_cluster(open_report: OpenReport) -> None:
    page = open_report(twins())
    options = page.locator("#cluster option").all_inner_texts()

    assert [text.split(" ")[0] for text in options[1:]] == ["one", "two"]
    assert options[1].partition(" ")[2] == options[2].partition(" ")[2]
