"""``aksp test``: suites of gator, and samples of definitions, judged by the engine that judges everything else."""

from __future__ import annotations

from typing import Annotated

import typer

from aksp.cli.options import TestOutputOption
from aksp.errors import ExitCode

PLACE = 14


def test(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Suites of gator, samples of definitions, and folders with some in them, at any depth.",
        ),
    ],
    output: TestOutputOption = "text",
) -> ExitCode:
    """Run suites of Gatekeeper's gator, and judge the samples of definitions.

    A suite names templates and constraints, and objects with the violations that are expected. A sample lies in the folder
    samples beside a definition.json. The exit code is 1 where an expectation fails, and 4 where something could not be judged.

    `aksp definitions test` judges the samples of definitions by their names.

    Example: `aksp test library/ -o junit`
    """
    from datetime import UTC, datetime

    from aksp.cli.tested_samples import judged_samples, tell, without_samples
    from aksp.engine import Engine
    from aksp.errors import NothingToJudge
    from aksp.gatekeeper.suites import GROUP, KIND, suites_of
    from aksp.gatekeeper.verifying import verify
    from aksp.sources.paths import refuse_empty

    refuse_empty(paths)
    others, samples = without_samples(paths)
    suites = suites_of(others)
    if not suites and not samples:
        raise NothingToJudge(f"there is no {KIND} of {GROUP}, and no sample of a definition, in {', '.join(paths)}")
    now = datetime.now(UTC)
    with Engine() as engine:
        results = [verify(engine, suite, now) for suite in suites]
    results += judged_samples(samples, now)
    return tell(results, output)
