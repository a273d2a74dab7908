"""``aksp test``: suites of gator, and samples of definitions, judged by the engine that judges everything else."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from aksp.cli.ci import say
from aksp.errors import ExitCode

PLACE = 76


class TestFormat(StrEnum):
    """The outputs of a test run."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"


def test(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Suites of gator, samples of definitions, and folders with some in them, at any depth.",
        ),
    ],
    output: Annotated[TestFormat, typer.Option("--output", "-o", help="text, json or junit.")] = TestFormat.TEXT,
) -> ExitCode:
    """Run suites of Gatekeeper's gator, and judge the samples of definitions.

    A suite names templates and constraints, and objects with the violations that are expected. A sample lies in the folder
    samples beside a definition.json. The exit code is 1 where an expectation fails, and 4 where something could not be judged.

    `aksp definitions test` judges the samples of definitions by their names.

    Example: `aksp test library/ -o junit`
    """
    from datetime import UTC, datetime

    from aksp.cli.tested_samples import judged_samples, without_samples
    from aksp.engine import Engine
    from aksp.errors import NothingToJudge
    from aksp.gatekeeper.outcomes import RENDERED, counted
    from aksp.gatekeeper.suites import GROUP, KIND, suites_of
    from aksp.gatekeeper.verifying import TestOutcome, verify
    from aksp.runners import in_json, in_xml, parted

    others, samples = without_samples(paths)
    suites = suites_of(others)
    if not suites and not samples:
        raise NothingToJudge(f"there is no {KIND} of {GROUP}, and no sample of a definition, in {', '.join(paths)}")
    now = datetime.now(UTC)
    with Engine() as engine:
        results = [verify(engine, suite, now) for suite in suites]
    results += judged_samples(samples, now)
    in_log = {TestFormat.TEXT: parted, TestFormat.JSON: in_json, TestFormat.JUNIT: in_xml}
    say(RENDERED[output](results), in_log[output])
    counts = counted(results)
    if counts[TestOutcome.FAILED]:
        return ExitCode.NON_COMPLIANT
    # Nothing tested is nothing that passed.
    return ExitCode.INCONCLUSIVE if counts[TestOutcome.ERROR] or not counts.total() else ExitCode.OK
