"""What only one replica does: check in, and keep the webhook configuration up to date."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aksp.addon.settings import RunSettings

_log = logging.getLogger("aksp.addon.checkins.leader")

#: Seconds after a change before a check-in begins, so that a `kubectl apply` of many documents is one.
SETTLE_SECONDS = 1.0
#: Seconds a check-in that is stopped gets to end by itself: less than passes between a lease that
#: could not be renewed and the next holder (aksp.kube.lease).
GRACE_SECONDS = 3.0

#: Seconds until a check-in that broke off is made again, when the interval is longer.
RETRY_SECONDS = 15.0

Summary = Mapping[str, Any]


class CheckIns:
    """Runs check-ins, one after the other, in processes of their own.

    ``command`` is what to run; it prints its summary as one line of JSON. ``lead`` is
    called as leadership comes and goes, ``nudge`` when something changed.
    """

    def __init__(self, command: Sequence[str], *, interval: float, ended: Callable[[Summary], None]) -> None:
        self._command = command
        self._interval = interval
        self._ended = ended
        self._wake = threading.Condition()
        self._leading = False
        self._stopping = False
        self._due = 0.0
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="aksp-check-in", daemon=True)

    def start(self) -> None:
        """Start the thread; nothing is run before ``lead``."""
        self._thread.start()

    def lead(self, leading: bool) -> None:
        """Lead: check in at once, then at every interval. Or lead no more: another replica makes the check-in under way."""
        with self._wake:
            self._leading, self._due = leading, time.monotonic()
            self._wake.notify()
        if not leading:
            self._stop_child()

    def nudge(self) -> None:
        """Check in soon: something changed."""
        with self._wake:
            self._due = min(self._due, time.monotonic() + SETTLE_SECONDS)
            self._wake.notify()

    def due_in(self) -> float | None:
        """Seconds until the next check-in; None for one that does not lead."""
        return max(0.0, self._due - time.monotonic()) if self._leading else None

    def stop(self) -> None:
        """End the thread, and a check-in under way."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._stop_child()
        if self._thread.is_alive():
            self._thread.join(GRACE_SECONDS + 1)

    def _stop_child(self) -> None:
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
            try:
                child.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._stopping and (pause := self.due_in()) != 0:
                    self._wake.wait(pause)
                if self._stopping:
                    return
                # What changes from here on is for the next one.
                self._due = time.monotonic() + self._interval
            try:
                self._once()
            except Exception:  # noqa: BLE001 - logged, whatever it is: the thread must go on
                # A check-in that fails does not change when the next one is due.
                _log.exception("a check-in failed")

    def _once(self) -> None:
        began = time.monotonic()
        child = self._child = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = child.communicate()
        self._child = None
        seconds = time.monotonic() - began
        summary = _summary(out)
        if summary is None:
            if not self._leading or self._stopping:
                return
            # Of an error the last line but for its hint, of a traceback the exception.
            lines = [
                line.strip().removeprefix("aksp: error: ")
                for line in err.decode(errors="replace").splitlines()
                if line.strip() and not line.lstrip().startswith("hint:")
            ]
            _log.error(
                "the check-in ended without a summary",
                extra={"exitCode": child.returncode, "said": lines[-1][:500] if lines else ""},
            )
            with self._wake:
                self._due = min(self._due, time.monotonic() + RETRY_SECONDS)
            cause = lines[-1] if lines else f"it ended with exit code {child.returncode}"
            self._ended({"failed": True, "failure": cause, "seconds": seconds})
            return
        _log.info("checked in", extra={"summary": {k: v for k, v in summary.items() if k != "assignments"}})
        self._ended({**summary, "exitCode": child.returncode})


def _summary(out: bytes) -> dict[str, Any] | None:
    lines = out.strip().splitlines()
    try:
        summary = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return summary if isinstance(summary, dict) else None


def command(settings: RunSettings) -> list[str]:
    """The command line of a check-in, by the interpreter that runs now."""
    line = [
        sys.executable,
        "-m",
        "aksp",
        "addon",
        "check-in",
        f"--cluster-name={settings.cluster_name}",
        f"--namespace={settings.namespace}",
        f"--engine={settings.engine}",
    ]
    line += [f"--exclude-namespace={name}" for name in settings.exclude_namespaces]
    line += [f"--kubeconfig={settings.kubeconfig}"] if settings.kubeconfig else []
    line += [f"--context={settings.context}"] if settings.context else []
    return line
