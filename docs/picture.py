"""Makes docs/compliance.svg: what ``aksp compliance`` prints about examples/quickstart on a terminal.

Run it with the Python of the virtual environment, from anywhere: ``.venv/bin/python docs/picture.py``.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "compliance.svg"
COLUMNS = 120
ASSIGNMENTS = (
    ("allowed-images", "--registry", "contoso.azurecr.io"),
    ("no-privileged",),
    ("resource-limits", "--cpu", "1", "--memory", "512Mi", "--effect", "Audit"),
)
COMMAND = ("compliance", "-f", "examples/quickstart")
THEME = TerminalTheme(
    (30, 33, 39),
    (214, 218, 224),
    [
        (30, 33, 39), (224, 108, 117), (152, 195, 121), (229, 192, 123),
        (97, 175, 239), (198, 120, 221), (86, 182, 194), (214, 218, 224),
    ],
)  # fmt: skip


def terminal_output(command: tuple[str, ...], environment: dict[str, str]) -> str:
    """What aksp prints to standard output when that is a terminal of COLUMNS columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "aksp", *command], stdout=theirs, stderr=subprocess.DEVNULL, cwd=ROOT, env=environment
    ) as process:
        os.close(theirs)
        written = bytearray()
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux ends a pseudo-terminal with EIO
                break
            if not piece:
                break
            written += piece
    os.close(ours)
    if process.returncode != 1:
        raise SystemExit(f"aksp {' '.join(command)}: exit code {process.returncode}, expected 1")
    return written.decode().replace("\r\n", "\n")


def picture(output: str) -> str:
    """The output as SVG, below the command that printed it."""
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="standard", _environ={}
    )
    console.print(Text.assemble(("$ ", "dim"), (f"aksp {' '.join(COMMAND)}", "bold")))
    console.print(Text.from_ansi(output), end="", soft_wrap=True)
    svg = console.export_svg(title="aksp compliance", theme=THEME, unique_id="aksp")
    # A picture loads nothing from elsewhere: the reader's own monospaced font will do.
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def draw() -> str:
    """Assign, judge and draw."""
    with tempfile.TemporaryDirectory() as workspace:
        environment = {
            **{name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")},
            "AKSP_WORKSPACE": workspace,
            "TERM": "xterm-256color",
        }
        for assignment in ASSIGNMENTS:
            command = [sys.executable, "-m", "aksp", "assign", *assignment]
            subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        return picture(terminal_output(COMMAND, environment))


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))
