"""Every sample of every definition means what it says."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aksp.model.compliance import ComplianceState
from tests.definitions.samples import (
    DEFINITIONS,
    SAMPLES,
    Sample,
    errors,
    found,
    judge,
    judged,
    problems,
    samples_of,
    stream,
)

#: Definitions that find two objects in conflict, of which a message names the other.
CLASHES = {"unique-ingress-hosts", "unique-service-selectors"}
ALL = pytest.mark.parametrize("sample", SAMPLES, ids=str)


@ALL
def test_a_sample_has_exactly_the_findings_that_it_names(sample: Sample) -> None:
    outcome = judged(sample.path)

    assert found(outcome.report, sample.expect) == Counter(sample.expect), sample.title
    # Nothing fails but what the API server would not decode either: a label that is no text.
    assert errors(outcome.report) == problems(sample)
    assert len(outcome.report.gaps) == len(set(errors(outcome.report)))
    # Something was judged: a sample that matches nothing proves nothing.
    assert sum(outcome.report.counts.resources.values()) > 0
    assert outcome.evaluations > 0


@ALL
def test_a_sample_says_by_its_name_whether_it_complies(sample: Sample) -> None:
    sort = sample.path.stem.partition("-")[0]

    assert sort == ("noncompliant" if sample.expect else "compliant")
    assert sample.title.endswith(".") and not sample.title[0].islower()
    assert sample.objects


@pytest.mark.parametrize("slug", DEFINITIONS)
def test_every_definition_has_samples_of_both_sorts(slug: str) -> None:
    sorts = {bool(sample.expect) for sample in samples_of(DEFINITIONS[slug])}

    assert sorts == {True, False}


@ALL
def test_every_finding_has_message_path_and_what_was_expected(sample: Sample) -> None:
    report = judged(sample.path).report
    findings = [result.finding for result in report.results if result.state is ComplianceState.NON_COMPLIANT]

    assert len(findings) == len(sample.expect)
    assert [f for f in findings if not f.path or not f.message or f.expected is None] == []


# Messages


def _containers(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        for key, value in document.items():
            if key in ("containers", "initContainers", "ephemeralContainers") and isinstance(value, list):
                yield from (container for container in value if isinstance(container, dict))
            yield from _containers(value)
    elif isinstance(document, list):
        for value in document:
            yield from _containers(value)


def _renamed(sample: Sample) -> list[Any]:
    """The sample's objects with names that nothing else would say."""
    objects = copy.deepcopy(list(sample.objects))
    kept = sample.parameters.get("excludedContainers", [])
    for number, document in enumerate(objects):
        named = isinstance(document.get("metadata"), dict) and "name" in document["metadata"]
        # Roles of Kubernetes itself are judged by their names.
        if named and not document["metadata"]["name"].startswith("system:"):
            document["metadata"]["name"] = f"zq-object-{number}"
        for at, container in enumerate(_containers(document)):
            if isinstance(container.get("name"), str) and container["name"] not in kept:
                container["name"] = f"zq-box-{at}"
    return objects


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.expect and s.definition.slug not in CLASHES], ids=str)
def test_messages_name_neither_object_nor_container_so_that_replicas_share_them(sample: Sample, tmp_path: Path) -> None:
    path = tmp_path / "renamed.yaml"
    path.write_text(stream(_renamed(sample)), encoding="utf-8")

    report = judge(sample.definition, sample.parameters, path).report

    assert report.results
    assert [r.finding.message for r in report.results if "zq-" in r.finding.message] == []


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.expect and s.definition.slug in CLASHES], ids=str)
def test_a_clash_names_the_other_object_only(sample: Sample) -> None:
    for result in judged(sample.path).report.results:
        others = [d["metadata"]["name"] for d in sample.objects if d["metadata"]["name"] != result.resource.name]
        namespaces = [d["metadata"].get("namespace", "default") for d in sample.objects]
        named = [f"{n}/{o}" for n in namespaces for o in {*others, result.resource.name}]
        assert any(name in result.finding.message for name in named)
        assert f"{result.resource.namespace}/{result.resource.name}" not in result.finding.message
