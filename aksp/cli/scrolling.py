"""What keys do to the screen of a watch: scroll, search, quit."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

# A key with a name is a sequence that begins with Escape.
_KEY: Final = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)
_ROWS: Final = {"j": 1, "\x1b[B": 1, "\x1bOB": 1, "k": -1, "\x1b[A": -1, "\x1bOA": -1}
_PAGES: Final = {" ": 1, "\x1b[6~": 1, "b": -1, "\x1b[5~": -1}

HOW: Final = "q quits  j k PgUp PgDn scroll  / searches  Esc shows all"


class Scrolling(Struct, kw_only=True):
    """``first``: the first row of findings that is shown. ``search``: the text that findings must contain.

    While a search is being typed (``typing``), keys are letters.
    """

    first: int = 0
    search: str = ""
    typing: bool = False
    ended: bool = False

    def press(self, keys: str, *, page: int) -> None:
        """Take what was pressed. A page has so many rows."""
        for key in _KEY.findall(keys):
            if self.typing:
                self._type(key)
            elif key in ("q", "Q"):
                self.ended = True
            elif key == "/":
                self.typing, self.search, self.first = True, "", 0
            elif key == "\x1b":
                self.search, self.first = "", 0
            elif key in ("g", "\x1b[H", "\x1b[1~"):
                self.first = 0
            else:
                self.first = max(self.first + _ROWS.get(key, 0) + _PAGES.get(key, 0) * page, 0)

    def _type(self, key: str) -> None:
        if key in ("\r", "\n"):
            self.typing = False
        elif key == "\x1b":
            self.typing, self.search = False, ""
        elif key in ("\x7f", "\b"):
            self.search = self.search[:-1]
        elif key.isprintable():
            self.search += key
        self.first = 0

    @property
    def told(self) -> str:
        """What the last line of the screen says."""
        return "Enter ends the search, Esc leaves it" if self.typing else HOW
