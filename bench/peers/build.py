"""Builds the peers that the benchmark, and some tests, compare with: Gatekeeper, its gator, and Kyverno's command line.

`python bench/peers/build.py [--gatekeeper] [--into DIR]` prints the folder that holds `gatekeeper`, `gator` and `kyverno`. Each has a Go module
of its own, since their dependencies do not agree. Cold, on two cores: three minutes and eight.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.testbed.build import BuildError, GoTools, cache_folder

HERE = Path(__file__).resolve().parent
GATOR_VERSION = "v3.23.1"
KYVERNO_VERSION = "v1.19.1"

GATOR = GoTools(
    module=HERE / "gator",
    # Named after the major version of its module, whose root is the program.
    commands={"gator": "gator", "gatekeeper": "gatekeeper"},
    ldflags=f"-s -w -X github.com/open-policy-agent/gatekeeper/v3/pkg/version.Version={GATOR_VERSION}",
)
KYVERNO = GoTools(
    module=HERE / "kyverno",
    commands={"kubectl-kyverno": "kyverno"},
    ldflags=f"-s -w -X github.com/kyverno/kyverno/pkg/version.BuildVersion={KYVERNO_VERSION}",
)


def gatekeeper(into: Path | None = None) -> Path:
    """The folder with Gatekeeper, and gator."""
    folder = into or cache_folder("AKSP_PEERS_DIR", "peers")
    GATOR.build(folder)
    return folder


def peers(into: Path | None = None) -> Path:
    """The folder with all binaries, built when need be, one after the other."""
    folder = gatekeeper(into)
    KYVERNO.build(folder)
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Build Gatekeeper, gator and Kyverno's command line for the benchmark."
    )
    parser.add_argument("--gatekeeper", action="store_true", help="only Gatekeeper and gator, which the tests need")
    parser.add_argument("--into", type=Path, help="folder for the binaries (default: $AKSP_PEERS_DIR, else the cache)")
    given = parser.parse_args()
    try:
        print((gatekeeper if given.gatekeeper else peers)(given.into))
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
