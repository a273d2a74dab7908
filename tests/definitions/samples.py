"""Samples of definitions, judged as the command would."""

from __future__ import annotations

import atexit
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from aksp import samples
from aksp.catalog.folder import bundled
from aksp.compliance.plan import Plan
from aksp.engine import Engine, PolicyFault
from aksp.model.definition import Definition, RegoModule
from aksp.samples import Sample, errors, found, samples_of
from aksp.scan import ScanResult

__all__ = ["Sample", "errors", "found", "problems", "samples_of"]

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DEFINITIONS = {definition.slug: definition for definition in bundled()}

SAMPLES = [sample for definition in DEFINITIONS.values() for sample in samples_of(definition)]


def plan_of(definition: Definition, parameters: Mapping[str, Any]) -> Plan:
    return samples.plan_of(definition, parameters, NOW)


class CompiledOnce(Engine):
    """An engine that compiles what is the same as before only once."""

    def __init__(self) -> None:
        super().__init__()
        self._given: dict[str, tuple[RegoModule, ...]] = {}

    def compile(self, policy: str, modules: Sequence[RegoModule]) -> list[PolicyFault]:
        if self._given.get(policy) == tuple(modules):
            return []
        self._given.pop(policy, None)
        if not (faults := super().compile(policy, modules)):
            self._given[policy] = tuple(modules)
        return faults


_kept = ExitStack()
_engine: Engine | None = None
_of = ""
atexit.register(_kept.close)


@contextmanager
def engine_for(definition: Definition) -> Iterator[Engine]:
    """One engine for all that is judged by a definition before another one is asked for: samples come by definition.

    Where the rule compares with other objects it is a new one: these last as long as their engine. It has no other rule:
    what is read of documents depends on all rules that an engine has.
    """
    global _of, _engine
    if definition.requires_inventory:
        with Engine() as own:
            yield own
        return
    if _engine is None or _of != definition.slug:
        _kept.close()
        _engine, _of = _kept.enter_context(CompiledOnce()), definition.slug
    yield _engine


def judge(definition: Definition, parameters: Mapping[str, Any], path: Path) -> ScanResult:
    with engine_for(definition) as engine:
        return samples.judge(definition, parameters, path, NOW, engine)


def problems(sample: Sample) -> list[tuple[str, str]]:
    with engine_for(sample.definition) as engine:
        return samples.problems(sample, engine)


@cache
def judged(path: Path) -> ScanResult:
    """A sample's own judgement, made once for all tests of it."""
    (sample,) = [one for one in SAMPLES if one.path == path]
    return judge(sample.definition, sample.parameters, path)


def stream(documents: list[Any]) -> str:
    """Documents as one YAML text."""
    out = io.StringIO()
    yaml.safe_dump_all(documents, out)
    return out.getvalue()
