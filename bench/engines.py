"""Compares engines: `python bench/engines.py [--engine PATH]… [--evaluator NAME]… [--unlike] [--documents 50,500,5000] [--runs 5]`.

Each engine judges the same YAML manifests, as they stand in a repository, with the nine policies, taking turns. The first engine is the reference,
by default that of this tree. With `--evaluator` each is run by each evaluator, with `--unlike` over Pods of which no two are alike, as JSON
from a cluster. Used to find out whether a part of the engine is worth its code: build the engine with
and without it.
"""

import argparse
import sys
import tempfile
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aksp.engine import engine_binary
from bench import fleet, generate, subjects
from bench.measure import interleaved
from bench.workload import Object
from tests.replacing import replace

#: What only an object in a cluster has.
ADDED = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "generateName",
    "ownerReferences",
    "managedFields",
)


def written(thing: Object) -> Object:
    """An object as somebody commits it."""
    metadata = {name: value for name, value in thing["metadata"].items() if name not in ADDED}
    return {name: value for name, value in thing.items() if name != "status"} | {"metadata": metadata}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure engines on YAML manifests.")
    parser.add_argument("--engine", type=Path, action="append", help="an engine's program; may be repeated")
    parser.add_argument("--documents", default="50,500,5000", help="how many documents (default: 50,500,5000)")
    parser.add_argument("--evaluator", action="append", help="topdown, plan or both; may be repeated")
    parser.add_argument("--unlike", action="store_true", help="Pods that all differ, as JSON")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: 5)")
    options = parser.parse_args()
    engines = options.engine or [engine_binary()]
    executable = subjects.aksp_executable()
    if executable is None:
        parser.error("aksp is not installed beside this interpreter")
    with tempfile.TemporaryDirectory(prefix="aksp-bench-") as scratch:
        folder = Path(scratch)
        workspace = subjects.write_workspace(folder / "workspace", subjects.parameters())
        print("documents  engine  wall, s  processor, s  of the first's")
        for count in map(int, options.documents.split(",")):
            path = folder / f"{count}.{'json' if options.unlike else 'yaml'}"
            tenth = count // 10
            if options.unlike:
                generate.write(fleet.unlike_pods(count, 1), "list", path)
            else:
                objects = generate.cluster(pods=count - 2 * tenth, services=tenth, ingresses=tenth)
                generate.write(map(written, objects), "yaml", path)
            commands = []
            for engine, evaluator in product(engines, options.evaluator or [None]):
                label = f"{engine} {evaluator or ''}".rstrip()
                one = subjects.aksp(label, executable, workspace, ("-f", str(path)), folder / "report.json")
                environment = {**one.environment, "AKSP_ENGINE": str(engine.resolve())}
                if evaluator:
                    environment["AKSP_ENGINE_EVALUATOR"] = evaluator
                commands.append((replace(one, environment=environment), options.runs))
            series = interleaved(commands)
            first = next(iter(series.values()))
            for label, runs in series.items():
                share = runs.cpu_seconds / first.cpu_seconds
                print(f"{count:9}  {label}  {runs.seconds:.2f}  {runs.cpu_seconds:.2f}  {share:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
