"""The HTML report with 20,000 rows in Chromium: its size, and how long it takes to load, filter, sort and scroll.

`python bench/page.py [ROWS]` prints JSON: for each of two reports (ten replicas to a workload, every replica a row of its own;
and no two rows alike) megabytes, seconds of rendering, milliseconds until it can be used, and of each action the median
and the worst in milliseconds: from the event to the end of script, style and layout, and to the frame after it.
Needs Chromium on PATH and Playwright; the repetitions are as many as the numbers say.
"""

import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.sync_api import Browser, sync_playwright

from aksp.report.interface import Style
from aksp.report.registry import FORMATS
from tests.pages.conftest import ARGUMENTS, NAMES
from tests.pages.many import many

ROWS = 20_000
REPETITIONS = 15
#: What a user does: the control, and the values that it is given in turn.
ACTIONS = {
    "text, one letter": ("text", ["o", "e", "i"]),
    "text, a word": ("text", ["memory", "privileged", "docker.io"]),
    "text, two words": ("text", ["web memory", "api 0001", "cache image"]),
    "text, nothing found": ("text", ["not there", "nowhere", "none such"]),
    "text, cleared again": ("text", ["memory", ""]),
    "namespace": ("namespace", ["shop-prod", "data-dev", "search-test"]),
    "policy": ("policy", ["contoso-images", "no-privileged", "resource-limits"]),
    "state": ("states", ["Exempt", "NonCompliant"]),
    "replicas": ("replicas", [""]),
    "sort": ("grid", ["resource", "container", "policy", "reason", "state"]),
    "scroll": ("scroll", ["200000", "600000", "1000000", "400000"]),
}
_SCRIPT = """
async ([control, value]) => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  }));
  const element = document.getElementById(control);
  await frame();
  const began = performance.now();
  if (control === "scroll") scrollTo(0, Number(value));
  else if (control === "grid") document.querySelector(`th[data-name=${value}] button`).click();
  else if (control === "states") document.querySelector(`[data-state=${value}]`).click();
  else if (control === "replicas") element.click();
  else {
    element.value = value;
    element.dispatchEvent(new Event(element.tagName === "SELECT" ? "change" : "input", {bubbles: true}));
  }
  document.body.offsetHeight;
  const laidOut = performance.now() - began;
  await frame();
  return [laidOut, performance.now() - began];
}
"""


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        print("bench/page.py needs Chromium on PATH: `make pages` installs it", file=sys.stderr)
        return 1
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        measured = {
            label: _measure(browser, rows, replicas, Path(folder) / f"{replicas}.html")
            for label, replicas in (("ten replicas", 10), ("all different", 1))
        }
        measured["chromium"] = {"version": browser.version}
        browser.close()
    print(json.dumps({"rows": rows, **measured}, indent=2))
    return 0


def _measure(browser: Browser, rows: int, replicas: int, path: Path) -> dict[str, Any]:
    report = many(rows, replicas=replicas)
    began = time.monotonic()
    with path.open("w", encoding="utf-8") as out:
        FORMATS["html"].render(report, out, Style())
    seconds = time.monotonic() - began
    loads, actions = [], {}
    for _ in range(5):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{path.as_uri()}#replicas=each")
        loads.append(page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
        page.close()
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{path.as_uri()}#replicas=each")
    for label, (control, values) in ACTIONS.items():
        page.evaluate("location.hash = '#replicas=each'")
        times = [page.evaluate(_SCRIPT, [control, values[at % len(values)]]) for at in range(REPETITIONS)]
        laid_out, frame = zip(*times, strict=True)
        actions[label] = {
            "laidOut": round(statistics.median(laid_out), 1),
            "worstLaidOut": round(max(laid_out), 1),
            "frame": round(statistics.median(frame), 1),
            "worstFrame": round(max(frame), 1),
        }
    page.close()
    return {
        "megabytes": round(path.stat().st_size / 1e6, 2),
        "renderSeconds": round(seconds, 2),
        "loadMilliseconds": round(statistics.median(loads)),
        "actions": actions,
    }


if __name__ == "__main__":
    sys.exit(main())
