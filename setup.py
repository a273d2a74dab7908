"""Builds the engine into the package, and tags wheels by platform: they hold a binary, and no Python ABI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

ROOT = Path(__file__).parent
BINARY = (
    ROOT
    / "aksp"
    / "_bin"
    / ("aksp-engine.exe" if os.environ.get("GOOS", os.name) in ("nt", "windows") else "aksp-engine")
)


def build_engine() -> None:
    """Build the engine with Go; without Go an engine that is there already is used."""
    go = shutil.which("go")
    if go is None:
        if BINARY.is_file():
            return
        raise SystemExit(
            "aksp: building the engine needs Go 1.26 or later: see https://go.dev/dl/, or install aksp from a wheel"
        )
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [go, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", str(BINARY), "."],
        cwd=ROOT / "engine",
        env={**os.environ, "CGO_ENABLED": "0"},
        check=True,
    )


def check_links(root: Path) -> None:
    """Refuse a copy in which the symbolic links of the package are texts: the wheel would have nothing of what they lead to."""
    package = root / "aksp"
    lost = [name for name in ("definitions", "crds") if not (package / name).is_dir()]
    try:
        json.loads((package / "model" / "kinds.json").read_bytes())
    except (OSError, ValueError):
        lost.append("model/kinds.json")
    if lost:
        raise SystemExit(
            f"aksp: this copy of the repository has lost symbolic links: aksp/{', aksp/'.join(lost)}."
            " Clone it with git config core.symlinks=true (on Windows in developer mode), or unpack it with a program that keeps links"
        )


class BuildPy(build_py):
    """Packages with the engine in them."""

    def run(self) -> None:
        check_links(ROOT)
        build_engine()
        super().run()


class PlatformWheel(bdist_wheel):
    """py3-none-<platform>: any Python 3, one platform."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


class WithBinary(Distribution):
    """A distribution that is not pure Python."""

    def has_ext_modules(self) -> bool:
        return True


setup(
    distclass=WithBinary,
    cmdclass={"build_py": BuildPy, "bdist_wheel": PlatformWheel},
)
