"""The benchmark: `make bench`, or `python bench/run.py [--only manifests,unlike,catalogue,live,engine,startup,admission,big,many,reports] [--quick]`.

A full run writes bench/RESULTS.md; anything less only prints, unless --out names a file. The peers and the control
plane are built on the first run. Measure on a quiet machine: a full run takes about half an hour on two cores.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import results, setting, subjects
from bench.measure import CommandFailed
from bench.results import Section
from bench.scenarios import admission, big, catalogue, engine, live, manifests, many, reports, startup, unlike
from bench.setting import Setting
from tests.testbed.build import BuildError, cache_folder
from tests.testbed.client import ApiError
from tests.testbed.process import ProcessDied

SCENARIOS: Mapping[str, Callable[[Setting], Section]] = {
    "manifests": manifests.run,
    "unlike": unlike.run,
    "catalogue": catalogue.run,
    "live": live.run,
    "engine": engine.run,
    "startup": startup.run,
    "admission": admission.run,
    "big": big.run,
    "many": many.run,
    "reports": reports.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure aksp, gator, Gatekeeper and Kyverno.")
    parser.add_argument("--only", metavar="NAMES", help=f"some of {','.join(SCENARIOS)}")
    parser.add_argument("--quick", action="store_true", help="few Pods and runs, to try the benchmark itself")
    parser.add_argument("--pods", type=int, help="number of Pods (default: 10,000; 500 with --quick)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the made-up fleet (default: 1)")
    parser.add_argument("--runs", type=int, help="runs of aksp and of short commands (default: 5)")
    parser.add_argument("--peer-runs", type=int, help="runs of gator and Kyverno, a minute or two each (default: 3)")
    parser.add_argument("--no-kyverno", action="store_true", help="leave Kyverno, which takes long to build, out")
    parser.add_argument("--out", type=Path, help="file for the results")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(SCENARIOS)
    if unknown := set(names) - SCENARIOS.keys():
        parser.error(f"--only: no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    full = not options.only and not options.quick and not options.pods and not options.no_kyverno
    out = options.out or (subjects.ROOT / "bench" / "RESULTS.md" if full else None)
    pods = options.pods or (500 if options.quick else 10_000)
    # As installed: pip compiles modules, and a checkout has them compiled from the first run on.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="aksp-bench-") as scratch:
        given = Setting(
            pods=pods,
            many_pods=5 * pods,
            repetitions=options.runs or (2 if options.quick else 5),
            peer_repetitions=options.peer_runs or (1 if options.quick else 3),
            seed=options.seed,
            scratch=Path(scratch),
            aksp=subjects.aksp_executable(),
            with_kyverno=not options.no_kyverno,
        )
        if given.aksp is None:
            _say(f"no aksp beside {sys.executable}: only the others are measured")
        setting.forget_manifests()
        sections = [section for name in names if (section := _timed(name, given))]
    text = results.render(sections, lambda command: _shorten(command, scratch))
    print(text)
    if len(sections) < len(names):
        _say("not all was measured, so nothing is written")
        return 1
    if out:
        out.write_text(text)
        _say(f"written: {out}")
    return 0


def _timed(name: str, given: Setting) -> Section | None:
    """A scenario's section; None when something that it needs failed, which is said."""
    _say(f"{name} …")
    began = time.monotonic()
    try:
        section = SCENARIOS[name](given)
    except (ApiError, BuildError, CommandFailed, ProcessDied) as error:
        _say(f"{name}: error: {error}")
        return None
    _say(f"{name}: {time.monotonic() - began:.0f} s")
    return section


def _shorten(command: str, scratch: str) -> str:
    """A command without the paths of this machine."""
    known = {
        scratch: "$SCRATCH",
        str(cache_folder("AKSP_BENCH_DIR", "bench")): "$BENCH",
        str(cache_folder("AKSP_PEERS_DIR", "peers")): "$PEERS",
        str(Path(sys.executable).parent): "$VENV/bin",
        str(subjects.ROOT): ".",
        tempfile.gettempdir(): "$TMP",
    }
    for path, name in known.items():
        command = command.replace(path, name)
    return command


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
