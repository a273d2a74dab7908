"""A real Chromium, headless, and reports opened in it as files: what happens in a page is watched for all tests alike."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from aksp.model.compliance import Report
from aksp.report.interface import Style
from aksp.report.registry import FORMATS

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Opened:
    """What pages asked for and complained of."""

    allowed: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("request", lambda request: self.requests.append(request.url.partition("#")[0]))
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        page.on("popup", lambda popup: self.complaints.append(f"popup: {popup.url}"))


OpenReport = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium for the tests of a module; a missing one is a failure where AKSP_E2E_REQUIRED says that nothing may be skipped."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        missing = "no chromium on PATH: `make pages` installs it"
        if os.environ.get("AKSP_E2E_REQUIRED"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Iterator[OpenReport]:
    """Open a report's page. After the test no page may have asked for anything, or have complained."""
    opened = Opened()
    contexts: list[BrowserContext] = []

    def open_it(report: Report, address: str = "", *, style: Style | None = None, **options: Any) -> Page:
        path = tmp_path / f"report-{len(contexts)}.html"
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as out:
            FORMATS["html"].render(report, out, style or Style())
        options.setdefault("viewport", {"width": 1440, "height": 900})
        context = browser.new_context(offline=True, reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        opened.watch(page)
        opened.allowed.add(path.as_uri())
        page.goto(path.as_uri() + address)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert set(opened.requests) == opened.allowed
    assert opened.complaints == []
