"""Samples of definitions, found in paths as a folder ``samples`` beside a definition.json, and judged; and how tests are told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from aksp.catalog.folder import Folder
from aksp.catalog.interface import BrokenDefinition
from aksp.cli.ci import say
from aksp.cli.options import TestFormat
from aksp.errors import ExitCode, InvalidInput
from aksp.gatekeeper.outcomes import RENDERED, counted
from aksp.gatekeeper.verifying import SuiteResult, TestOutcome, TestResult
from aksp.runners import in_json, in_xml, parted
from aksp.samples import failures, samples_of
from aksp.sources.folders import Folders


def tell(results: Sequence[SuiteResult], output: TestFormat) -> ExitCode:
    """Print what came of tests; the exit code."""
    in_log = {"text": parted, "json": in_json, "junit": in_xml}
    say(RENDERED[output](results), in_log[output])
    counts = counted(results)
    if counts[TestOutcome.FAILED]:
        return ExitCode.NON_COMPLIANT
    # If nothing was tested, nothing has passed.
    return ExitCode.INCONCLUSIVE if counts[TestOutcome.ERROR] or not counts.total() else ExitCode.OK


def without_samples(paths: Sequence[str]) -> tuple[list[str], dict[Path, set[str]]]:
    """The paths that are no samples themselves, and the names of all samples in the paths, by the folder of their definition."""
    others: list[str] = []
    samples: dict[Path, set[str]] = {}
    for text in paths:
        path = Path(text.removesuffix("/..."))
        files = map(Path, Folders(recursive=True).files(path)) if path.is_dir() else [path]
        own = [
            one for one in files if one.parent.name == "samples" and (one.parent.parent / "definition.json").is_file()
        ]
        if path.is_dir() or not own:
            others.append(text)
        for one in own:
            samples.setdefault(one.parent.parent, set()).add(one.name)
    return others, samples


def judged_samples(samples: dict[Path, set[str]], now: datetime) -> list[SuiteResult]:
    """What became of the samples of each definition. Raises InvalidInput for a sample that is wrong."""
    return [
        SuiteResult(path=folder / "samples", skipped=False, tests=_judged(folder, names, now))
        for folder, names in sorted(samples.items())
    ]


def _judged(folder: Path, names: set[str], now: datetime) -> list[TestResult]:
    definition = next(one for one in Folder(folder.parent) if one.slug == folder.name)
    if isinstance(definition, BrokenDefinition):
        return [TestResult(name=folder.name, outcome=TestOutcome.ERROR, message=str(definition.error))]
    results = []
    for sample in samples_of(definition):
        if sample.path.name not in names:
            continue
        try:
            told = failures(sample, now)
        except InvalidInput as error:
            results.append(TestResult(name=sample.path.stem, outcome=TestOutcome.ERROR, message=str(error)))
            continue
        outcome = TestOutcome.FAILED if told else TestOutcome.PASSED
        results.append(TestResult(name=sample.path.stem, outcome=outcome, message="; ".join(told)))
    return results
