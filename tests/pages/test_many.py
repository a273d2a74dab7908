"""Large reports stay usable."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import OpenReport
from .many import many
from .pages import details, row, shown, summary

ROWS = 20_000


@pytest.mark.parametrize("replicas", [10, 1])
def test_twenty_thousand_rows_are_filtered_sorted_and_opened_and_few_are_in_the_document(
    replicas: int, open_report: OpenReport
) -> None:
    page = open_report(many(ROWS, replicas=replicas), "#replicas=each")
    assert page.locator("#grid").get_attribute("aria-rowcount") == str(ROWS + 1)
    assert len(shown(page)) < 60
    page.get_by_label("Search").fill("privileged is true")
    assert summary(page).split(" findings")[0] == f"{ROWS // 3:,} of {ROWS:,}"
    page.get_by_role("columnheader", name="Resource").get_by_role("button").click()
    names = [cells[1] for cells in shown(page)]
    assert names == sorted(names)
    page.evaluate("scrollBy(0, 100000)")
    expect(page.locator("#row-1800")).to_be_attached()
    assert len(shown(page)) < 60
    row(page, "no-privileged")
    assert details(page)["Observed"] == "true"


def test_rows_follow_the_scroll_bar_to_the_end(open_report: OpenReport) -> None:
    page = open_report(many(ROWS), "#replicas=each")
    page.evaluate("document.getElementById('grid').scrollIntoView({block: 'end'})")
    expect(page.locator(f"#row-{ROWS - 1}")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator("#row-0")).to_be_attached()


def test_a_list_taller_than_browsers_can_draw_is_reached_to_its_end(open_report: OpenReport) -> None:
    # 8,000,000 pixels hold 142,857 rows.
    page = open_report(many(150_000, replicas=50), "#replicas=each")
    grid = page.locator("#grid")
    grid.focus()
    page.keyboard.press("End")
    expect(page.locator("#row-149999")).to_be_in_viewport()
    page.keyboard.press("PageUp")
    expect(page.locator("#grid tr.active")).to_be_in_viewport()
    page.keyboard.press("Home")
    expect(page.locator("#row-0")).to_be_in_viewport()
