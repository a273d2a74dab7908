"""Keyboard, screen readers, themes, paper, small windows, no JavaScript."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from aksp.report.interface import Show, Style
from tests.report.scenarios import SCENARIOS

from .conftest import OpenReport
from .many import many
from .pages import details, row, shown, violations
from .with_history import with_changes, with_history


def _active(page: Page) -> str:
    name = page.locator("#grid").get_attribute("aria-activedescendant")
    return page.locator(f"#{name}").inner_text() if name else ""


def test_the_keyboard_does_it_all(open_report: OpenReport) -> None:
    page = open_report(violations())
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("resource-limits")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "grid":
            break
    expect(page.locator("#grid")).to_be_focused()
    page.keyboard.press("ArrowDown")
    assert "no CPU limit is set" in _active(page)
    page.keyboard.press("ArrowDown")
    assert "no memory limit is set" in _active(page)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Deployment/web")).to_be_focused()
    assert details(page)["Path"].endswith("memory")
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator("#grid")).to_be_focused()
    assert "no memory limit is set" in _active(page)


def test_arrow_keys_move_the_details_along_while_they_are_open(open_report: OpenReport) -> None:
    page = open_report(violations())
    row(page, "tracing")
    page.locator("#grid").focus()
    page.keyboard.press("ArrowDown")
    assert details(page)["Path"].endswith("cpu")
    expect(page.locator("#grid")).to_be_focused()
    page.go_back()
    expect(page.locator("#detail")).to_be_hidden()


def test_home_and_end_reach_the_first_and_the_last_of_twenty_thousand_rows(open_report: OpenReport) -> None:
    page = open_report(many(20_000), "#replicas=each")
    grid = page.locator("#grid")
    grid.focus()
    page.keyboard.press("End")
    expect(grid).to_have_attribute("aria-activedescendant", "row-19999")
    expect(page.locator("#row-19999")).to_be_in_viewport()
    assert page.locator("#row-19999").get_attribute("aria-rowindex") == "20001"
    page.keyboard.press("Home")
    expect(page.locator("#row-0")).to_be_in_viewport()
    page.keyboard.press("PageDown")
    expect(page.locator("#grid tr.active")).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("what", ["history", "gaps", "detail", "clean", "narrow"])
def test_axe_finds_nothing(what: str, scheme: str, open_report: OpenReport) -> None:
    report = {
        "history": with_changes(with_history(violations())),
        "gaps": SCENARIOS["gaps"](),
        "clean": SCENARIOS["clean"](),
    }.get(what, violations())
    options = {"viewport": {"width": 400, "height": 800}} if what == "narrow" else {}
    page = open_report(report, color_scheme=scheme, **options)
    if what in ("detail", "narrow"):
        row(page, "tracing")
    found = Axe().run(page).response
    assert [
        (each["id"], each["impact"], [node["html"][:120] for node in each["nodes"]]) for each in found["violations"]
    ] == []
    assert found["passes"]


def test_the_table_has_the_roles_of_a_grid(open_report: OpenReport) -> None:
    page = open_report(violations())
    grid = page.get_by_role("grid", name="Findings")
    assert grid.get_attribute("aria-rowcount") == "10"
    expect(grid.get_by_role("columnheader")).to_have_count(6)
    first = grid.get_by_role("row").nth(1)
    expect(first).to_have_attribute("aria-rowindex", "2")
    expect(first.get_by_role("gridcell")).to_have_count(6)
    expect(page.get_by_role("status")).to_contain_text("909 findings")


def _ground(page: Page) -> str:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


def test_the_theme_follows_the_system_and_the_switch_changes_it(open_report: OpenReport) -> None:
    light, dark = "rgb(244, 245, 247)", "rgb(14, 17, 22)"
    page = open_report(violations(), color_scheme="dark")
    assert _ground(page) == dark
    page.get_by_role("button", name="Light theme").click()
    assert _ground(page) == light
    page.reload()
    assert _ground(page) == light
    page.get_by_role("button", name="Dark theme").click()
    assert _ground(page) == dark
    assert _ground(open_report(violations(), color_scheme="light")) == light


def test_on_paper_there_are_all_rows_in_full_and_no_controls(open_report: OpenReport) -> None:
    page = open_report(violations(), "#replicas=each", color_scheme="dark")
    assert len(shown(page)) < 50
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator("#grid tbody tr.row")).to_have_count(909)
    for hidden in ("#text", "#theme", "#states", ".gap >> nth=0"):
        expect(page.locator(hidden)).to_be_hidden()
    assert _ground(page) == "rgb(255, 255, 255)"
    assert page.locator("#grid td.c-reason > *").first.evaluate("cell => cell.scrollWidth <= cell.clientWidth")
    assert len(page.pdf(format="A4")) > 50_000
    page.emulate_media(media="screen")
    expect(page.locator("#row-908")).not_to_be_attached()


def test_on_paper_nothing_is_wider_than_the_page(open_report: OpenReport) -> None:
    page = open_report(with_history(violations()), viewport={"width": 718, "height": 1000})
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 718


@pytest.mark.parametrize("width", [320, 400, 768, 1024, 1280, 1920])
def test_no_window_needs_scrolling_sideways(width: int, open_report: OpenReport) -> None:
    page = open_report(with_history(violations()), viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    row(page, "tracing")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.get_by_role("button", name="Close")).to_be_in_viewport()


def test_in_a_narrow_window_the_page_behind_the_details_cannot_be_reached(open_report: OpenReport) -> None:
    page = open_report(violations(), viewport={"width": 400, "height": 800})
    row(page, "tracing")
    assert page.locator("#whole").evaluate("whole => whole.inert")
    page.get_by_role("button", name="Close").click()
    assert not page.locator("#whole").evaluate("whole => whole.inert")


def test_opening_details_does_not_move_the_row_that_was_clicked(open_report: OpenReport) -> None:
    page = open_report(violations(), viewport={"width": 1280, "height": 700})
    target = page.locator("#grid tbody tr.row", has_text="tracing")
    target.scroll_into_view_if_needed()
    before = target.bounding_box()
    target.click()
    after = page.locator("#grid tr[aria-selected=true]").bounding_box()
    assert before
    assert after
    assert abs(after["y"] - before["y"]) <= 1


def test_without_javascript_summary_gaps_assignments_and_exemptions_can_be_read(open_report: OpenReport) -> None:
    page = open_report(violations(), java_script_enabled=False)
    body = page.locator("body")
    expect(page.get_by_text("302 of 320 resources do not comply.")).to_be_visible()
    expect(page.locator("#assignments tbody tr")).to_have_count(4)
    expect(page.locator("#assignments")).to_contain_text("300 of 316 resources, 302 of 920 containers not compliant")
    expect(page.locator("noscript .notice")).to_be_visible()
    expect(body).to_contain_text(re.compile(r"legacy-billing.*Waiver.*2026-12-31", re.DOTALL))
    for hidden in ("#app", "#theme", "#detail"):
        expect(page.locator(hidden)).to_be_hidden()


def test_what_complies_is_listed_when_the_report_was_asked_for_it(open_report: OpenReport) -> None:
    page = open_report(SCENARIOS["clean"](), style=Style(show=Show.ALL))
    assert [cells[0] for cells in shown(page)] == ["Compliant"]
    page = open_report(SCENARIOS["clean"]())
    expect(page.get_by_text("There is nothing to list")).to_be_visible()
