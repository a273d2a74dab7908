"""No line of a rule is needless: without it some sample is judged otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import ne

import pytest

from aksp.engine import Engine
from aksp.model.compliance import Target, TargetKind
from aksp.model.definition import Definition
from aksp.scan import Scan
from aksp.sources.manifests import Manifests
from aksp.workspace import prepare
from tests.definitions.samples import DEFINITIONS, NOW, CompiledOnce, Sample, plan_of, samples_of
from tests.replacing import replace

pytestmark = pytest.mark.slow

#: Lines that say nothing alone, or only what the variable below them ranges over; and those about null, which the engine
#: takes for a field that is not there before a rule sees it.
NO_MEANING = re.compile(r"\s*(?:$|#|package |import |some |.*[{(\[]$|[])}\s,]*$|.*\bnull\b)")
#: The definitions of Azure's preview came before this test.
JUDGED = [one for one in DEFINITIONS.values() if one.category != "Kubernetes service"]


def _without_a_line(definition: Definition) -> Iterator[tuple[str, Definition]]:
    rule, *libraries = definition.modules
    lines = rule.source.splitlines()
    for at, line in enumerate(lines):
        if not NO_MEANING.match(line):
            source = "\n".join([*lines[:at], "", *lines[at + 1 :]])
            yield f"{at + 1}: {line.strip()}", replace(definition, modules=(replace(rule, source=source), *libraries))


def _outcomes(engine: Engine, definition: Definition, samples: list[Sample]) -> Iterator[list[object]]:
    """Of each sample, as it is asked for."""
    if definition.requires_inventory:
        # The objects to compare with last as long as their engine.
        yield from (_outcome(definition, sample) for sample in samples)
        return
    prepare(engine, plan_of(definition, samples[0].parameters))
    yield from (_judged(engine, definition, sample) for sample in samples)


def _outcome(definition: Definition, sample: Sample) -> list[object]:
    with Engine() as engine:
        prepare(engine, plan_of(definition, sample.parameters))
        return _judged(engine, definition, sample)


def _judged(engine: Engine, definition: Definition, sample: Sample) -> list[object]:
    target = Target(kind=TargetKind.MANIFESTS, name="samples", scope="/")
    plan = plan_of(definition, sample.parameters)
    report = Scan(plan, engine).run(Manifests(engine, [str(sample.path)]), target, NOW).report
    return [(one.state, one.resource, one.finding, one.finding.fix) for one in report.results]


@pytest.mark.parametrize("definition", JUDGED, ids=lambda one: one.slug)
def test_without_any_line_of_a_rule_some_sample_is_judged_otherwise(definition: Definition) -> None:
    # Those with findings first: most lines are missed there, and one sample is enough.
    samples = sorted(samples_of(definition), key=lambda one: not one.expect)
    with CompiledOnce() as engine:
        whole = list(_outcomes(engine, definition, samples))
        tried = {
            line: any(map(ne, _outcomes(engine, without, samples), whole))
            for line, without in _without_a_line(definition)
            if not engine.compile(definition.slug, without.modules)
        }

    assert tried or len(definition.modules[0].source.splitlines()) < 10
    assert [line for line, otherwise in tried.items() if not otherwise] == []
