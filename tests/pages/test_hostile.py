"""Text from a cluster stays text."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from aksp.model.compliance import Gap
from aksp.report.interface import Show, Style
from tests.replacing import replace
from tests.report.scenarios import SCENARIOS

from .conftest import OpenReport
from .pages import renamed, violations

NAMES = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "a&amp;b&lt;c",
    "\u2028alert(1)\u2029",
    "\x00\x1b[31m\x7f\x9b\u202e\u2066\ufeff",
    "\ud800",
    "https://evil.example/?a=b",
    "%E0%A4%A",
    "__proto__",
)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_are_inert_everywhere(name: str, open_report: OpenReport) -> None:
    report = renamed(replace(violations(), gaps=[Gap(reason="x", message="x")]), name)
    page = open_report(report, style=Style(show=Show.ALL))
    elements = page.evaluate("document.querySelectorAll('script, img, iframe, object, embed, link, base').length")
    assert elements == 2  # the data and our own script
    page.locator("#assignments a").click()
    page.locator("#grid tbody tr.row").first.click()
    expect(page.locator("#detail")).to_be_visible()
    for link in page.locator("a").all():
        assert (link.get_attribute("href") or "").startswith("#")
    assert page.evaluate("document.querySelectorAll('script, img, iframe, object, embed, link, base').length") == 2
    assert not page.evaluate(
        "[...document.querySelectorAll('*')].some(e => [...e.attributes].some(a => /^on/.test(a.name)))"
    )
    address = page.evaluate("location.hash")
    other = open_report(report, address, style=Style(show=Show.ALL))
    expect(other.locator("#detail")).to_be_visible()


def test_the_scenario_of_hostile_texts_shows_what_does_not_print_as_escapes(open_report: OpenReport) -> None:
    page = open_report(SCENARIOS["hostile"]())
    text = page.locator("body").inner_text()
    assert "web\\x1b[2K innocent" in text
    assert "evil.example/\\u202egnp.exe" in text
    assert "\u202e" not in text


def test_the_policy_stops_scripts_and_requests_that_are_not_the_pages_own(open_report: OpenReport) -> None:
    page = open_report(violations())
    # A copy of the page in which somebody put more.
    html = page.content().replace("</main>", "<script>document.title = 'changed'</script></main>", 1)
    title = page.title()
    context = page.context
    other = context.new_page()
    other.set_content(html)
    assert other.title() == title
    other.evaluate(
        "document.body.append(Object.assign(document.createElement('img'), {src: 'https://example.com/x.png'}))"
    )
    asked: list[str] = []
    other.on("request", lambda request: asked.append(request.url))
    other.wait_for_timeout(100)
    assert asked == []
    with pytest.raises(Exception, match="TrustedHTML"):
        other.evaluate("document.body.innerHTML = '<b>x</b>'")
