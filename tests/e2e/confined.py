"""A process as in the add-on's Pod: user nobody without any right, file systems read-only but for one for what is temporary."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NOBODY = 65534
#: Arguments: the folder of the temporary files, where Python is, the folder on the way there that is closed to nobody
#: (empty: none), then the command. Such a folder, as /root, is covered by one that has nothing but Python. Kernel file
#: systems are left as they are: a container has them too.
_MOUNTS = """
set -eu
temporary=$1
python=$2
closed=$3
shift 3
if [ -n "$closed" ]; then
    mount --bind "$python" "$temporary"
    mount -t tmpfs -o mode=755 tmpfs "$closed"
    mkdir -p "$python"
    mount --move "$temporary" "$python"
fi
cut -d' ' -f2 /proc/self/mounts | while read -r point; do
    case $point in
        / ) mount -o remount,bind,ro / ;;
        /proc* | /sys* | /dev* ) ;;
        * ) mount -o remount,bind,ro "$point" 2>/dev/null || true ;;
    esac
done
mount -t tmpfs -o size=32m,mode=1777 tmpfs "$temporary"
export TMPDIR="$temporary"
exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \\
    --pdeathsig=KILL "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Confined:
    """``folder``: what the process may read of the test's files; it is opened to everybody."""

    folder: Path

    @property
    def within(self) -> Sequence[str]:
        """The command that becomes the one that follows it."""
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        self.folder.chmod(0o755)
        python = Path(sys.base_prefix).resolve()
        closed = [str(each) for each in reversed(python.parents) if not each.stat().st_mode & 0o001]
        return ("unshare", "--mount", "sh", "-c", _MOUNTS, "sh", str(temporary), str(python), *(closed[:1] or [""]))

    def obstacle(self, root: Path) -> str | None:
        """Why a process cannot be confined here, or cannot read aksp in ``root``; None when it can."""
        for tool in ("unshare", "mount", "setpriv"):
            if shutil.which(tool) is None:
                return f"there is no {tool} (util-linux)"
        if os.geteuid() != 0:
            return "only root can mount file systems read-only and become nobody"
        # In a child, as check-ins are: the first command is found with the rights of root still.
        child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import aksp'], check=True)"
        command = [*self.within, sys.executable, "-c", child]
        ended = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=60
        )
        return f"a confined process fails: {ended.stderr.strip()}" if ended.returncode else None


def standing(pid: int) -> Mapping[str, str]:
    """What the kernel says of a process: the fields of its status, and as ``/`` the options of its root file system."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        found[name] = value.strip()
    for line in Path(f"/proc/{pid}/mounts").read_text().splitlines():
        _, point, _, options, *_ = line.split()
        if point == "/":
            found["/"] = options
    return found
