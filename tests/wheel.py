"""Builds the wheel, installs it elsewhere and uses it: `make wheel`, or `python tests/wheel.py`.

The builds happen in a copy of the tree, so that they leave nothing behind in it. Needs Go, and the package index for pip.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = re.search(r'^__version__ = "(.+)"', (ROOT / "aksp" / "__init__.py").read_text("utf-8"), re.MULTILINE)
EXE = ".exe" if os.name == "nt" else ""
ENGINE = f"aksp/_bin/aksp-engine{EXE}"
#: Not part of the source: what tools and builds leave, the built engine included.
LEFTOVERS = (".*", "build", "dist", "*.egg-info", "__pycache__", "_bin", "bench", "testbed")
#: The findings of examples/quickstart under the assignments below.
EXPECTED = {
    ("allowed-images", "DaemonSet/log-agent", "agent"),
    ("allowed-images", "Deployment/payments", "proxy"),
    ("allowed-images", "Deployment/web", "warm-up"),
    ("allowed-images", "StatefulSet/cart-db", "redis"),
    ("resource-limits", "CronJob/sales-report", "report"),
    ("resource-limits", "Deployment/cart", "cart"),
    ("resource-limits", "Deployment/web", "warm-up"),
    ("unique-ingress-hosts", "Ingress/checkout", ""),
}
ASSIGNMENTS = (
    ("allowed-images", "--registry", "contoso.azurecr.io"),
    ("resource-limits", "--cpu", "1", "--memory", "512Mi"),
    ("unique-ingress-hosts",),
)


class Failure(Exception):
    """Something is not as it should be."""


def main() -> int:
    """Do it all, and say so."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="aksp-wheel-") as folder:
            run_all(Path(folder))
    except Failure as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    print(f"ok, in {time.monotonic() - began:.0f} s")
    return 0


def run_all(folder: Path) -> None:
    source = folder / "source"
    shutil.copytree(ROOT, source, symlinks=True, ignore=shutil.ignore_patterns(*LEFTOVERS))
    wheel = build(source, folder / "dist", os.environ)
    check_name(wheel)
    check_contents(wheel)
    use(wheel, folder / "elsewhere")
    build_without_go(source, folder, wheel)


def step(text: str) -> None:
    print(text, flush=True)


def run(
    command: Sequence[str | Path], *, cwd: Path, environment: Mapping[str, str], expected: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run a command that must end with an exit code. Raises Failure."""
    ran = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != expected:
        shown = " ".join(map(str, command))
        raise Failure(f"{shown}: exit code {ran.returncode}, expected {expected}\n{ran.stdout}{ran.stderr}")
    return ran


def build(source: Path, into: Path, environment: Mapping[str, str]) -> Path:
    step(f"building the wheel {'with' if shutil.which('go', path=environment.get('PATH')) else 'without'} Go")
    run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", into, source], cwd=source.parent, environment=environment
    )
    wheels = list(into.glob("*.whl"))
    if len(wheels) != 1:
        raise Failure(f"expected one wheel, found {[wheel.name for wheel in wheels]}")
    return wheels[0]


def check_name(wheel: Path) -> None:
    step(f"checking the name {wheel.name}")
    if VERSION is None:
        raise Failure("aksp/__init__.py has no __version__")
    if not re.fullmatch(rf"aksp-{re.escape(VERSION[1])}-py3-none-(?!any)\w+\.whl", wheel.name):
        raise Failure(f"{wheel.name} is not aksp-{VERSION[1]}-py3-none-<platform>.whl")


def check_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
    step(f"checking its {len(entries)} files")
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "aksp").rglob("*.py")
        if "definitions" not in path.relative_to(ROOT).parts
    }
    definitions = {
        f"aksp/{path.relative_to(ROOT).as_posix()}"
        for pattern in ("*/definition.json", "*/*.rego", "lib/*.rego", "lib/*.json", "initiatives/*.json")
        for path in (ROOT / "definitions").glob(pattern)
    }
    page = {
        path.relative_to(ROOT).as_posix()
        for pattern in ("*.j2", "*.css", "*.js")
        for path in (ROOT / "aksp" / "report" / "html").glob(pattern)
    }
    resources = {f"aksp/crds/{path.name}" for path in (ROOT / "charts" / "aksp" / "files" / "crds").glob("*.yaml")}
    manual = f"aksp-{wheel.name.split('-')[1]}.data/data/share/man/man1/aksp.1"
    wanted = {
        *package,
        *definitions,
        *page,
        *resources,
        ENGINE,
        manual,
        "aksp/py.typed",
        "aksp/azure/built_ins.json",
        "aksp/model/kinds.json",
        "aksp/report/report.schema.json",
    }
    if missing := sorted(wanted - set(entries)):
        raise Failure(f"the wheel lacks {', '.join(missing)}")
    surplus = sorted(name for name in set(entries) - wanted if ".dist-info/" not in name)
    if surplus:
        raise Failure(f"the wheel holds what does not belong there: {', '.join(surplus)}")
    if os.name != "nt" and not (entries[ENGINE].external_attr >> 16) & 0o111:
        raise Failure(f"{ENGINE} is not executable")
    print(f"  {len(definitions)} files of definitions, the engine has {entries[ENGINE].file_size / 1e6:.0f} MB")


def use(wheel: Path, elsewhere: Path) -> None:
    step("installing it into a fresh virtual environment")
    elsewhere.mkdir()
    venv.create(elsewhere / "venv", with_pip=True)
    scripts = elsewhere / "venv" / ("Scripts" if os.name == "nt" else "bin")
    run([scripts / f"python{EXE}", "-m", "pip", "install", "--quiet", wheel], cwd=elsewhere, environment=os.environ)
    workspace = elsewhere / "workspace"
    workspace.mkdir()
    clean = {
        "PATH": os.pathsep.join([str(scripts), os.defpath]),
        "HOME": str(elsewhere),
        "AKSP_WORKSPACE": str(workspace),
        "PYTHONWARNINGS": "error",
    }
    if "SYSTEMROOT" in os.environ:
        clean["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
    aksp = scripts / f"aksp{EXE}"

    def call(*arguments: str | Path, expected: int = 0) -> str:
        shown = [str(part).replace(str(ROOT) + os.sep, "") for part in arguments]
        step(f"  aksp {' '.join(shown)}")
        return run([aksp, *arguments], cwd=elsewhere, environment=clean, expected=expected).stdout

    version = call("--version").split()
    if VERSION is None or version != ["aksp", VERSION[1]]:
        raise Failure(f"aksp --version says {version}")
    plugin = run([scripts / f"kubectl-aksp{EXE}", "--version"], cwd=elsewhere, environment=clean).stdout
    if plugin.split() != version:
        raise Failure(f"kubectl-aksp --version says {plugin}")
    if not (elsewhere / "venv" / "share" / "man" / "man1" / "aksp.1").is_file():
        raise Failure("the manual is not where man looks for it")
    listed = set(call("definitions", "-o", "name").split())
    known = {path.parent.name for path in (ROOT / "definitions").glob("*/definition.json")}
    if listed != known:
        raise Failure(f"aksp definitions lists {sorted(listed)}, expected {sorted(known)}")
    sets = set(call("initiatives", "-o", "name").split())
    if sets != {path.stem for path in (ROOT / "definitions" / "initiatives").glob("*.json")}:
        raise Failure(f"aksp initiatives lists {sorted(sets)}")
    for assignment in ASSIGNMENTS:
        call("assign", *assignment)
    table = call("compliance", "-f", ROOT / "examples" / "quickstart", expected=1)
    if "NonCompliant" not in table:
        raise Failure(f"the table does not say NonCompliant:\n{table}")
    report = json.loads(call("compliance", "-f", ROOT / "examples" / "quickstart", "-o", "json", expected=1))
    found = {
        (
            result["assignment"],
            f"{result['resource']['kind']}/{result['resource']['name']}",
            (result["container"] or {}).get("name", ""),
        )
        for result in report["results"]
    }
    if found != EXPECTED:
        raise Failure(
            f"the findings are not as expected: missing {sorted(EXPECTED - found)}, surplus {sorted(found - EXPECTED)}"
        )
    print(f"  {len(found)} containers and resources do not comply, as expected")


def build_without_go(source: Path, folder: Path, wheel: Path) -> None:
    """With the engine prebuilt no Go is needed; without either the message must say what is missing."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    path = os.pathsep.join(one for one in folders if shutil.which("go", path=one) is None)
    environment = {**os.environ, "PATH": path}
    with zipfile.ZipFile(wheel) as archive:
        prebuilt = archive.read(ENGINE)
    shutil.rmtree(source / "build", ignore_errors=True)
    binary = source / ENGINE
    binary.unlink()
    step("building without Go and without the engine, which must fail and say why")
    command: list[str | Path] = [sys.executable, "-m", "build", "--wheel", "--outdir", folder / "nothing", source]
    refused = run(command, cwd=folder, environment=environment, expected=1)
    if "needs Go" not in refused.stdout + refused.stderr:
        raise Failure(f"the message does not say that Go is needed:\n{refused.stdout}{refused.stderr}")
    shutil.rmtree(source / "build", ignore_errors=True)
    binary.write_bytes(prebuilt)
    binary.chmod(0o755)
    again = build(source, folder / "prebuilt", environment)
    check_name(again)
    with zipfile.ZipFile(again) as archive:
        if archive.read(ENGINE) != prebuilt:
            raise Failure("the wheel built without Go holds another engine")


if __name__ == "__main__":
    sys.exit(main())
