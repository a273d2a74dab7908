"""Helm and kustomize, built from the Go module proxy: for the chart of the add-on, and for charts and overlays that are judged."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.testbed.build import GoTools, cache_folder

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "aksp"

HELM = GoTools(module=Path(__file__).resolve().parent, commands={"helm": "helm"}, ldflags="-s -w")
KUSTOMIZE = GoTools(module=HELM.module / "kustomize", commands={"kustomize": "kustomize"}, ldflags="-s -w")


def helm() -> Path:
    """The binary, built when need be (one to three minutes cold). Raises BuildError without Go.

    `$AKSP_TOOLS_DIR`, else `aksp/tools` in the user's cache, holds it.
    """
    folder = cache_folder("AKSP_TOOLS_DIR", "tools")
    HELM.build(folder)
    return folder / "helm"


def kustomize() -> Path:
    """The binary, in the same folder (a minute cold). Raises BuildError without Go."""
    folder = cache_folder("AKSP_TOOLS_DIR", "tools")
    KUSTOMIZE.build(folder)
    return folder / "kustomize"


@dataclass(frozen=True, kw_only=True)
class Helm:
    """helm with a home of its own, so that no repository or plugin of the user's counts."""

    binary: Path
    home: Path

    def run(self, *arguments: str | Path, expected: int = 0) -> str:
        """Runs a command; standard output, or standard error when it is to fail."""
        ran = subprocess.run(
            [str(self.binary), *map(str, arguments)],
            env={"PATH": os.defpath, "HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == expected, f"helm {' '.join(map(str, arguments))}: {ran.stdout}{ran.stderr}"
        return ran.stderr if expected else ran.stdout

    def template(self, *, namespace: str, values: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
        """The objects that the chart makes of these values, in Helm's order."""
        given = self.home / "values.yaml"
        given.write_text(yaml.safe_dump(dict(values)), encoding="utf-8")
        text = self.run("template", "aksp", CHART, "--namespace", namespace, "--values", given)
        return [document for document in yaml.safe_load_all(text) if document]
