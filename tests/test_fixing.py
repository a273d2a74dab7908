"""Fixes of rules made in manifests: over all samples of the definitions, and where a change must not be made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.compliance.fingerprints import identity
from aksp.compliance.strategic import steps
from aksp.engine import Engine
from aksp.fixing import Fixed, fixed
from aksp.model.compliance import ComplianceState, Report, Result, Target, TargetKind
from aksp.scan import Scan
from aksp.sources.lines import FileSource
from aksp.sources.manifests import Manifests
from aksp.workspace import prepare
from aksp.yaml_places import Places
from tests.definitions.samples import NOW, SAMPLES, CompiledOnce, Sample, plan_of

BAD = [one for one in SAMPLES if one.expect]


@pytest.fixture(scope="module")
def shared() -> Iterator[Engine]:
    with CompiledOnce() as engine:
        yield engine


class Judge:
    """Judges one sample, or another text in its place."""

    def __init__(self, sample: Sample, shared: Engine) -> None:
        self.sample, self._shared = sample, shared
        self.reports: list[Report] = []

    def __call__(self, instead: Mapping[str, bytes]) -> Report:
        if not self.sample.definition.requires_inventory:
            return self._judge(self._shared, instead)
        with Engine() as engine:
            return self._judge(engine, instead)

    def _judge(self, engine: Engine, instead: Mapping[str, bytes]) -> Report:
        path = str(self.sample.path)
        plan = prepare(engine, plan_of(self.sample.definition, self.sample.parameters))
        target = Target(kind=TargetKind.MANIFESTS, name=path, scope="/")
        report = Scan(plan, engine).run(Manifests(engine, [path], instead=instead), target, NOW).report
        for one in report.results:
            assert one.source is None or one.source.line
        self.reports.append(report)
        return report


#: What became of a sample, by its path: made once for all tests of it.
_tried: dict[Path, tuple[Judge, Fixed]] = {}


def tried(sample: Sample, shared: Engine) -> tuple[Judge, Fixed]:
    """Who judged a sample, which was fixed then."""
    if sample.path not in _tried:
        judge = Judge(sample, shared)
        _tried[sample.path] = judge, fixed(judge, lambda file: Path(file).read_bytes())
    return _tried[sample.path]


def violations(report: Report) -> list[Result]:
    return [one for one in report.results if one.state is ComplianceState.NON_COMPLIANT]


def may_change(text: str, result: Result) -> set[int]:
    """The lines of a document that say what a fix is about, by number in the file: of what is missing none, unless it is
    put into the line of a flow mapping."""
    assert isinstance(result.source, FileSource)
    at = result.source.text
    document = text.encode()[at.offset : at.offset + at.length].decode()
    first = text.encode()[: at.offset].count(b"\n")
    places = Places(document)
    lines: set[int] = set()
    for path in result.finding.fix or {}:
        node: Any = places.root
        head, missing, flow = None, False, False
        for step in steps(at.item + path) or ():
            flow = flow or bool(getattr(node, "flow_style", False))
            if isinstance(node, yaml.MappingNode):
                found = next(((k, v) for k, v in node.value if k.value == step), None)
                if found is None:
                    missing = True
                    break
                head, node = found
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
                node = node.value[step]
            else:
                break
        flow = flow or bool(getattr(node, "flow_style", False)) or isinstance(node, yaml.ScalarNode)
        if missing and not flow:
            continue
        begin = places.text.count("\n", 0, (head or node).start_mark.index)
        end = places.text.count("\n", 0, places.end(node))
        # A mapping that is left without fields becomes {} on the line of its key.
        lines |= {first + line for line in range(begin - 1, end + 1)}
    return lines


@pytest.mark.parametrize("sample", BAD, ids=str)
def test_of_every_sample_the_fields_of_the_fixes_alone_change_and_the_findings_go(
    sample: Sample, shared: Engine
) -> None:
    original = sample.path.read_bytes()
    judge, outcome = tried(sample, shared)
    before, after = judge.reports[0], judge(outcome.texts)
    assert sample.path.read_bytes() == original
    assert len(outcome.left) == len(violations(after)) and all(one.why for one in outcome.left)
    # No finding that was not there.
    assert not Counter(map(identity, violations(after))) - Counter(map(identity, violations(before)))
    done = [one for some in outcome.done.values() for one in some]
    assert len(violations(before)) == len(done) + len(violations(after))
    # Once more there is nothing to do.
    assert not fixed(lambda instead: judge({**outcome.texts, **instead}), outcome.texts.__getitem__).texts
    if not outcome.texts:
        return
    ((_, changed),) = outcome.texts.items()
    old, new = original.decode(), changed.decode()
    allowed = set().union(*(may_change(old, one) for one in violations(before) if one.finding.fix))
    matcher = SequenceMatcher(None, old.splitlines(True), new.splitlines(True), autojunk=False)
    gone = {line for tag, a, b, _, _ in matcher.get_opcodes() if tag != "equal" for line in range(a, b)}
    assert gone <= allowed, [old.splitlines()[line] for line in sorted(gone - allowed)]


def test_most_samples_with_fixes_can_be_fixed(shared: Engine) -> None:
    """The test above would hold if nothing were ever fixed."""
    fixable = [one for one in BAD if any(each.finding.fix for each in tried(one, shared)[0].reports[0].results)]
    done = [one for one in fixable if tried(one, shared)[1].texts]
    assert len(fixable) > 20 and len(done) > 0.7 * len(fixable)
