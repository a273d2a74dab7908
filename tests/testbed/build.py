"""Builds the real control plane that the end-to-end tests run against.

`python tests/testbed/build.py [--into DIR]` prints the folder that holds kube-apiserver, kube-controller-manager
and etcd, and builds them first when they are missing or out of date. The first build takes five to six minutes on
two cores; everything comes through the Go module proxy, pinned by go.mod and go.sum beside this file.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KUBERNETES_VERSION = "v1.36.3"


class BuildError(Exception):
    """The Go toolchain is missing, or a build failed."""


@dataclass(frozen=True, kw_only=True)
class GoTools:
    """The commands that one Go module names in its `tool` directives.

    `commands` maps the name `go install` gives a binary to the name it gets here.
    """

    module: Path
    commands: Mapping[str, str]
    ldflags: str

    def complete(self, folder: Path) -> bool:
        """Whether every command is in `folder`, whatever its version."""
        return all(os.access(folder / name, os.X_OK) for name in self.commands.values())

    def up_to_date(self, folder: Path) -> bool:
        """Whether `folder` holds what a build would put there."""
        stamp = folder / _own_name(self.module, "stamp.json")
        return self.complete(folder) and stamp.is_file() and stamp.read_text() == self._stamp()

    def build(self, folder: Path) -> None:
        """Puts the commands into `folder`; does nothing when they are there and up to date."""
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / _own_name(self.module, "lock")):
            if self.up_to_date(folder):
                return
            _say(f"building {', '.join(self.commands.values())} into {folder}: takes minutes the first time")
            with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as scratch:
                self._install(Path(scratch))
                for built, wanted in self.commands.items():
                    (Path(scratch) / built).replace(folder / wanted)
            (folder / _own_name(self.module, "stamp.json")).write_text(self._stamp())

    def _install(self, folder: Path) -> None:
        environment = os.environ | {"GOBIN": str(folder), "CGO_ENABLED": "0"}
        command = [_go(), "install", "-trimpath", "-buildvcs=false", "-ldflags", self.ldflags, "tool"]
        if subprocess.run(command, cwd=self.module, env=environment, stdout=sys.stderr, check=False).returncode:
            raise BuildError(f"`{' '.join(command)}` failed in {self.module}; its messages are above")

    def _stamp(self) -> str:
        """What a build depends on, as JSON text."""
        digest = hashlib.sha256()
        for name in ("go.mod", "go.sum"):
            digest.update((self.module / name).read_bytes())
        answer = subprocess.run(
            [_go(), "env", "GOVERSION"], cwd=self.module, capture_output=True, text=True, check=False
        )
        if answer.returncode:
            raise BuildError(f"`go env GOVERSION` failed: {answer.stderr.strip()}")
        return json.dumps({"modules": digest.hexdigest(), "go": answer.stdout.strip(), "ldflags": self.ldflags})


def cache_folder(variable: str, name: str) -> Path:
    """The folder that environment variable `variable` names, else `name` in the user's cache."""
    if named := os.environ.get(variable):
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "aksp" / name


_VERSION = "k8s.io/component-base/version"

CONTROL_PLANE = GoTools(
    module=Path(__file__).resolve().parent,
    commands={
        "kube-apiserver": "kube-apiserver",
        "kube-controller-manager": "kube-controller-manager",
        "server": "etcd",
    },
    ldflags=(
        f"-s -w -X {_VERSION}.gitVersion={KUBERNETES_VERSION}"
        f" -X {_VERSION}.gitMajor={KUBERNETES_VERSION[1:].split('.')[0]}"
        f" -X {_VERSION}.gitMinor={KUBERNETES_VERSION[1:].split('.')[1]}"
    ),
)


def control_plane(into: Path | None = None) -> Path:
    """The folder with the control plane's binaries, built when need be.

    Without `into`, binaries named by KUBEBUILDER_ASSETS are used when all three are there.
    """
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if into is None and assets:
        if CONTROL_PLANE.complete(Path(assets)):
            return Path(assets)
        _say(f"KUBEBUILDER_ASSETS={assets} lacks some of {', '.join(CONTROL_PLANE.commands.values())}: not used")
    folder = into or cache_folder("AKSP_TESTBED_DIR", "testbed")
    CONTROL_PLANE.build(folder)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keeps two builds of the same module apart."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _own_name(module: Path, what: str) -> str:
    """Several modules may build into one folder, so each has a stamp and a lock of its own."""
    return f".{module.name}.{what}"


def _go() -> str:
    found = shutil.which("go")
    if not found:
        raise BuildError("no `go` on the PATH: install Go 1.26 or newer (https://go.dev/dl/)")
    return found


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the control plane for the end-to-end tests.")
    parser.add_argument(
        "--into", type=Path, help="folder for the binaries (default: $AKSP_TESTBED_DIR, else the cache)"
    )
    try:
        print(control_plane(parser.parse_args().into))
    except BuildError as error:
        _say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
