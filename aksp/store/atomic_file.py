"""Files that are whole or not there: written beside their place, then put in it by a rename."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

#: Files that are begun and in no place yet.
_begun: set[str] = set()


class AtomicFile:
    """A file on its way to its place, which keeps what it holds until then.

    A device or a pipe cannot be renamed onto: it is written as it is.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError when there can be no file beside the place, or the place is a folder."""
        if path.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        self._path = path
        self._renamed = not _is_device(path)
        # A name may have as many bytes as the system allows: its beginning tells whose this is.
        beginning = path.name.encode()[:100].decode(errors="ignore")
        self._name = str(path.with_name(f".{beginning}.{os.urandom(6).hex()}") if self._renamed else path)
        if self._renamed:
            # Known before it is there, so that a signal in between leaves nothing.
            _begun.add(self._name)
        try:
            self.stream = open(  # noqa: SIM115
                self._name, "x" if self._renamed else "w", encoding="utf-8", errors="backslashreplace", newline=""
            )
        except OSError:
            _begun.discard(self._name)
            raise

    def put_in_place(self, *, new: bool = False) -> None:
        """Close it and give it its place; ``new`` is for a place that must be free, of which another may take hold.

        Raises OSError, FileExistsError among them; what was there before is then untouched.
        """
        self.stream.close()
        if not self._renamed:
            return
        if new:
            self._take()
        else:
            os.replace(self._name, self._path)
            _begun.discard(self._name)

    def _take(self) -> None:
        """A link is made only where nothing is, and whole at once."""
        try:
            os.link(self._name, self._path)
        except FileExistsError:
            raise
        except OSError:
            # A file system without links: an empty file holds the place, for a moment.
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            os.replace(self._name, self._path)
        _remove(self._name)

    def discard(self) -> None:
        """Leave nothing of it, unless it is in its place."""
        with contextlib.suppress(OSError):
            # What is still to be written may have no room.
            self.stream.close()
        if self._name in _begun:
            _remove(self._name)


def discard_all() -> None:
    """Remove what this process has begun: it ends."""
    for name in tuple(_begun):
        _remove(name)


def _is_device(path: Path) -> bool:
    """Whether this is none of the files that can be renamed onto; /dev/stdout is a link to whatever there is."""
    folder = os.path.realpath(path.parent)
    return path.exists() and (not path.is_file() or folder == "/dev" or folder.startswith("/proc/"))


def _remove(name: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name)
    _begun.discard(name)
