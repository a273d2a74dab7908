"""Waiting for what comes about by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

#: Seconds, on a machine that has other things to do.
PATIENCE = 120.0


def until(ready: Callable[[], Any], seconds: float = PATIENCE, what: str = "") -> Any:
    """What `ready` gives once it is true; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    pause = 0.002
    while not (found := ready()):
        assert time.monotonic() < deadline, f"not as awaited after {seconds:g} s {what}"
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    return found
