"""The report formats alone: judges a file, cuts the report to so many findings, and times each format on it.

`python bench/formats.py WORKSPACE FILE FINDINGS FOLDER` writes a file per format into FOLDER and prints JSON: findings,
results (what complies included, which junit lists), seconds of looking up the lines in the file, and for each format
seconds and bytes.
"""

import gc
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aksp.engine import Engine
from aksp.model.compliance import ComplianceState, Report, Result, Target, TargetKind
from aksp.report.interface import Style
from aksp.report.registry import FORMATS
from aksp.scan import Scan
from aksp.sources.manifests import Manifests
from aksp.workspace import Workspace, prepare
from tests.replacing import replace


def main() -> int:
    workspace, path, findings, folder = sys.argv[1:]
    # As the command does (aksp/cli/evaluation.py).
    gc.disable()
    with Engine() as engine:
        report = _cut(_judge(engine, workspace, path), int(findings))
        bad = sum(1 for result in report.results if result.state is not ComplianceState.COMPLIANT)
        began = time.monotonic()
        # The first line that is asked for looks all of them up.
        _ = next(result.source.line for result in report.results if result.source is not None)
        lines = time.monotonic() - began
        formats = {name: _write(report, name, Path(folder)) for name in FORMATS}
    print(json.dumps({"findings": bad, "results": len(report.results), "lines": lines, "formats": formats}))
    return 0


def _judge(engine: Engine, workspace: str, path: str) -> Report:
    now = datetime.now(UTC).replace(microsecond=0)
    plan = Workspace.open(workspace).plan(None, now)
    plan = prepare(engine, plan)
    target = Target(kind=TargetKind.MANIFESTS, name=path, scope="/")
    scan = Scan(plan, engine, collect_compliant=True)
    return scan.run(Manifests(engine, [path]), target, now, None).report


def _cut(report: Report, findings: int) -> Report:
    """The first so many findings, and what complies among them."""
    left = findings
    results: list[Result] = []
    for result in report.results:
        if result.state is not ComplianceState.COMPLIANT:
            if not left:
                break
            left -= 1
        results.append(result)
    if left:
        raise RuntimeError(f"the file has {findings - left} findings, and {findings} are wanted")
    return replace(report, results=results)


def _write(report: Report, name: str, folder: Path) -> dict[str, float]:
    """Seconds and bytes of one format in a file, as `-o FORMAT=FILE` writes it."""
    path = folder / name
    began = time.monotonic()
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as out:
        FORMATS[name].render(report, out, Style(width=120))
    return {"seconds": time.monotonic() - began, "bytes": path.stat().st_size}


if __name__ == "__main__":
    sys.exit(main())
