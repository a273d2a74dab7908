"""What tests look for in a page."""

from __future__ import annotations

from playwright.sync_api import Page

from aksp.model.compliance import Report
from tests.replacing import replace
from tests.report.scenarios import SCENARIOS
from tests.results import changed


def violations() -> Report:
    """300 replicas of a Deployment, and others, and exemptions: four policies, two namespaces."""
    return SCENARIOS["violations"]()


def renamed(report: Report, name: str) -> Report:
    """The report with every text that a cluster may choose replaced by one."""
    results = []
    for at, each in enumerate(report.results):
        container = each.finding.container and replace(each.finding.container, name=name, image=name)
        results.append(
            changed(
                each,
                assignment=replace(each.assignment, assignment=name, definition=name),
                resource=replace(each.resource, name=f"{name}{at}", namespace=name),
                owner=each.owner and replace(each.owner, name=name),
                finding=replace(
                    each.finding, message=name, container=container, path=name, observed=name, expected={name: [name]}
                ),
            )
        )
    return replace(
        report,
        target=replace(report.target, name=name, server=name),
        assignments=[replace(report.assignments[0], name=name, display_name=name, definition=name)],
        results=results,
        gaps=[replace(gap, reason=name, message=name) for gap in report.gaps],
    )


def shown(page: Page) -> list[list[str]]:
    """The rows in the document: the text of each cell's first line."""
    cells: list[list[str]] = page.locator("#grid tbody tr.row").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.firstChild.textContent))"
    )
    return cells


def summary(page: Page) -> str:
    """How many findings are shown, in how many resources and containers."""
    return page.locator("#summary").inner_text()


def details(page: Page) -> dict[str, str]:
    """The fields of the panel of details."""
    fields: dict[str, str] = page.locator("#detail dl").evaluate(
        "list => Object.fromEntries([...list.querySelectorAll('dt')].map(dt => [dt.textContent, dt.nextSibling.textContent]))"
    )
    return fields


def row(page: Page, text: str) -> None:
    """Click the first row with a text."""
    page.locator("#grid tbody tr.row", has_text=text).first.click()
