"""Keys that are pressed while something is shown."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from typing import Any, Self


class Keys:
    """Standard input, a key at a time, while the ``with`` block lasts. Without a terminal or termios no key is ever pressed.

    Ctrl-C still interrupts.
    """

    def __init__(self) -> None:
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        if sys.platform != "win32" and sys.stdin is not None and sys.stdin.isatty():
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(self, *_: object) -> None:
        if sys.platform != "win32" and self._before is not None:
            import termios

            # The terminal may be gone.
            with contextlib.suppress(termios.error):
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    @property
    def heard(self) -> bool:
        """Whether keys can be heard at all."""
        return self._before is not None

    def pressed(self) -> str:
        """What has been pressed since the last time; empty for nothing."""
        if self._before is None or not select.select([sys.stdin], [], [], 0)[0]:
            return ""
        return os.read(sys.stdin.fileno(), 1024).decode(errors="replace")
