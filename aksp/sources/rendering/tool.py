"""A tool that renders, run without a shell, for a bounded time, with bounded output, and without the network."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

#: Seconds that one run may take, and bytes that it may print.
LONGEST_RUN: Final = 60.0
LONGEST_OUTPUT: Final = 64 << 20
_LONGEST_ERROR: Final = 4096
#: What a tool needs of the environment to start; no token and no kubeconfig is among it.
_KEPT: Final = ("PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "LANG", "LC_ALL")
_HELM_FOLDERS: Final = ("CACHE_HOME", "CONFIG_HOME", "DATA_HOME", "PLUGINS", "REPOSITORY_CACHE")
#: Nothing listens there, so that what asks for an address of the network gets an error at once.
_NO_PROXY: Final = "http://127.0.0.1:1"


class NotRendered(Exception):
    """A chart or an overlay that could not be rendered; the text says why, and what to do."""


def run(command: Sequence[str], given: bytes = b"") -> bytes:
    """What a command prints that is given a text on standard input. Raises NotRendered with the tool's own words when it fails."""
    name = Path(command[0]).name
    with (
        tempfile.TemporaryDirectory(prefix="aksp-render-") as home,
        tempfile.TemporaryFile() as errors,
        tempfile.TemporaryFile() as stdin,
    ):
        stdin.write(given)
        stdin.seek(0)
        try:
            process = subprocess.Popen(
                list(command),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=_environment(home),
                start_new_session=os.name != "nt",
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise NotRendered(f"{name} does not start: {reason}") from error
        late = threading.Event()

        def stop() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(LONGEST_RUN, stop)
        timer.start()
        assert process.stdout is not None
        text = b""
        try:
            text = process.stdout.read(LONGEST_OUTPUT + 1)
            if len(text) <= LONGEST_OUTPUT:
                process.wait()
        finally:
            timer.cancel()
            # It has printed too much, or the user has interrupted.
            _kill(process)
            process.wait()
            process.stdout.close()
        if late.is_set():
            raise NotRendered(f"{name} took longer than {LONGEST_RUN:.0f} s")
        if len(text) > LONGEST_OUTPUT:
            raise NotRendered(f"{name} printed more than {LONGEST_OUTPUT >> 20} MiB")
        if process.returncode:
            errors.seek(0)
            said = errors.read(_LONGEST_ERROR).decode(errors="replace").strip()
            raise NotRendered(f"{name}: {said or f'exit code {process.returncode}'}")
        return text


@cache
def version_of(*command: str) -> str:
    """What a command prints that tells a program's version. Raises NotRendered."""
    return run(command).decode(errors="replace").strip()


def _environment(home: str) -> dict[str, str]:
    """The environment of a tool: no plugin, no repository and no credential of the user's, and no network."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    helm = {f"HELM_{what}": os.path.join(home, what.lower()) for what in _HELM_FOLDERS}
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), _NO_PROXY)
    # Git's list of protocols that it may use.
    return {**kept, **helm, **proxies, "GIT_ALLOW_PROTOCOL": "none", "GIT_TERMINAL_PROMPT": "0"}


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started; nothing where it has ended."""
    if process.poll() is not None:
        return
    if os.name == "nt":
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
