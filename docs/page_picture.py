"""Makes docs/report.webp: the HTML report about examples/quickstart, a finding of it opened, in Chromium.

Run it with the Python of the virtual environment, from anywhere: ``.venv/bin/python docs/page_picture.py``.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "report.webp"
ASSIGNMENTS = (
    ("allowed-images", "--registry", "contoso.azurecr.io"),
    ("no-privileged",),
    ("resource-limits", "--cpu", "1", "--memory", "512Mi", "--effect", "Audit"),
)
SIZE: ViewportSize = {"width": 1360, "height": 1060}
#: A README is for any page width; more bytes than these are too many for a picture in it.
MOST_BYTES = 150_000
# A third of the PNG's bytes, and all readers of READMEs show it.
_PACK = """
async (png) => {
  const image = new Image();
  image.src = png;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL("image/webp", 0.9);
}
"""


def draw(folder: Path, browser: str) -> bytes:
    """Assign, judge, open the page and its first finding, and take the picture."""
    environment = {**os.environ, "AKSP_WORKSPACE": str(folder / "workspace")}
    page_file = folder / "report.html"
    for assignment in ASSIGNMENTS:
        _aksp(("assign", *assignment), environment)
    _aksp(("compliance", "-f", "examples/quickstart", "--fail-on", "none", "-o", f"html={page_file}"), environment)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport=SIZE, color_scheme="light")
        page.goto(page_file.as_uri())
        page.locator("#grid tbody tr.row").first.dispatch_event("click")
        page.evaluate("scrollTo(0, 0)")
        page.mouse.move(0, 0)
        taken = base64.b64encode(page.screenshot()).decode()
        packed: str = chromium.new_page().evaluate(_PACK, f"data:image/png;base64,{taken}")
        chromium.close()
    return base64.b64decode(packed.partition(",")[2])


def _aksp(arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "aksp", *arguments]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)


def main() -> int:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("docs/page_picture.py needs Chromium on PATH: `make pages` installs it", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        picture = draw(Path(folder), browser)
    if len(picture) > MOST_BYTES:
        print(f"the picture has {len(picture)} bytes, more than {MOST_BYTES}", file=sys.stderr)
        return 1
    PICTURE.write_bytes(picture)
    print(PICTURE.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
