"""Tries random inputs, each kind for a minute with a fresh seed: `make fuzz`, or `python tests/fuzz.py`.

These are the engine's fuzz targets, its tests over generated rules, quantities, images and texts, and the properties of
what is written and read in Python. AKSP_FUZZ_SECONDS is how long each runs, AKSP_FUZZ_SEED the seed to begin with again.
Two run at a time.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENGINE = ROOT / "engine"
AT_A_TIME = 2
#: Tests of the engine that make their inputs from AKSP_ENGINE_SEED: rules beside others and `with`, files, values of fields.
GENERATED = (
    "TestRandomPoliciesFindTheSameInWhatTheyReadAndRememberAsInWholeDocuments|TestATextThatIsCutMeansTheSame"
    "|TestWhatKubectlWouldApplyIsJudgedOrTold|TestQuantitiesCompareAsKubernetesComparesThem|TestImagesAreReadAsContainerRuntimesReadThem"
)
#: Properties in Python: the tests by hypothesis, and those that take their inputs from AKSP_FUZZ_SEED.
PROPERTIES = ("--ignore=tests/e2e", "--ignore=tests/pages", "-m", "hypothesis or fuzz", "tests")


def main() -> int:
    seconds = int(os.environ.get("AKSP_FUZZ_SECONDS", "60"))
    seed = int(os.environ.get("AKSP_FUZZ_SEED") or secrets.randbelow(2**31))
    with tempfile.TemporaryDirectory(prefix="aksp-fuzz-") as folder:
        # Built once, with the fuzzer's instrumentation.
        binary = Path(folder, "engine.test")
        subprocess.run(["go", "test", "-c", "-fuzz=.", "-o", str(binary), "."], cwd=ENGINE, check=True)
        listed = subprocess.run([binary, "-test.list", "^Fuzz"], cwd=ENGINE, check=True, capture_output=True, text=True)
        targets = [line for line in listed.stdout.splitlines() if line.startswith("Fuzz")]
        if not targets:
            print("no fuzz target found", file=sys.stderr)
            return 1
        print(f"AKSP_FUZZ_SEED={seed}: {len(targets) + 2} targets, {seconds} s each", flush=True)
        work = [partial(fuzz, binary, target, seconds, seed) for target in targets]
        work.append(partial(rounds, "generated", generated(binary), ENGINE, seconds, seed))
        work.append(partial(rounds, "properties", properties, ROOT, seconds, seed))
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            passed = list(pool.map(lambda one: one(), work))
    return 0 if all(passed) else 1


def fuzz(binary: Path, target: str, seconds: int, seed: int) -> bool:
    """Run one fuzz target, print how it went, and all that Go says if it failed."""
    # Without what runs before have found, which would change what a seed brings about and take ever longer to go through.
    command = [str(binary), "-test.run", f"^{target}$", "-test.fuzz", f"^{target}$", "-test.fuzztime", f"{seconds}s"]
    command += ["-test.fuzzcachedir", str(binary.parent / target), "-test.fuzzminimizetime", "10x"]
    # One worker: what a seed brings about would else depend on which is faster.
    command += ["-test.parallel", "1", "-test.timeout", f"{10 * seconds + 300}s"]
    code, said = run(command, ENGINE, {"GODEBUG": f"fuzzseed={seed}"})
    last = [line for line in said.splitlines() if line.startswith("fuzz: elapsed")]
    tell(target, last[-1] if last else "", said, seed, passed=code == 0 and bool(last))
    return code == 0 and bool(last)


def generated(binary: Path) -> Callable[[int], tuple[list[str], Mapping[str, str], str]]:
    command = [str(binary), "-test.run", f"^({GENERATED})$", "-test.v", "-test.timeout", "30m"]
    return lambda seed: (command, {"AKSP_ENGINE_SEED": str(seed)}, r"^--- PASS: Test")


def properties(seed: int) -> tuple[list[str], Mapping[str, str], str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--hypothesis-seed={seed}", *PROPERTIES]
    return command, {"AKSP_FUZZ_SEED": str(seed)}, r"^\d+ passed"


def rounds(
    name: str, made: Callable[[int], tuple[list[str], Mapping[str, str], str]], folder: Path, seconds: int, seed: int
) -> bool:
    """Run tests again and again, each time with the next seed, until the time is over or one fails."""
    until = time.monotonic() + seconds
    count = 0
    while count == 0 or time.monotonic() < until:
        command, more, sign = made(seed + count)
        code, said = run(command, folder, more)
        if code != 0 or not re.search(sign, said, re.MULTILINE):
            tell(name, f"in round {count}", said, seed + count, passed=False)
            return False
        count += 1
    tell(name, f"rounds: {count}", "", seed, passed=True)
    return True


def run(command: list[str], folder: Path, more: Mapping[str, str]) -> tuple[int, str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, **more})
    return done.returncode, done.stdout + done.stderr


def tell(name: str, figures: str, said: str, seed: int, *, passed: bool) -> None:
    print(f"{'ok' if passed else 'FAILED'}  {name}  {figures}", flush=True)
    if not passed:
        print(
            f"{said}\nAgain with AKSP_FUZZ_SEED={seed}; an input in engine/testdata/fuzz is part of the mend.",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
