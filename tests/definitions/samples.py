"""Samples of definitions, judged as the command would."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from aksp import samples
from aksp.catalog.folder import bundled
from aksp.compliance.plan import Plan
from aksp.model.definition import Definition
from aksp.samples import Sample, errors, found, problems, samples_of
from aksp.scan import ScanResult

__all__ = ["Sample", "errors", "found", "problems", "samples_of"]

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DEFINITIONS = {definition.slug: definition for definition in bundled()}

SAMPLES = [sample for definition in DEFINITIONS.values() for sample in samples_of(definition)]


def plan_of(definition: Definition, parameters: Mapping[str, Any]) -> Plan:
    return samples.plan_of(definition, parameters, NOW)


def judge(definition: Definition, parameters: Mapping[str, Any], path: Path) -> ScanResult:
    return samples.judge(definition, parameters, path, NOW)


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
