"""Every definition, as a ConstraintTemplate, finds the same in gator as aksp does in 200 objects that are made at random."""

from __future__ import annotations

import copy
import json
import random
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aksp.model.compliance import ComplianceState
from aksp.samples import Sample
from bench.peers.gatekeeper import constraint, constraint_template, kind
from tests.definitions.samples import DEFINITIONS, SAMPLES, judge, plan_of, stream
from tests.e2e.test_gatekeeper import gator

__all__ = ["gator"]

OBJECTS = 200
#: gator judges manifests as they are written: the API server makes host ports of the ports of a Pod in the network of its
#: node, gives a namespace to what has none, and a pull policy to every container. Who edits a node is known at admission alone,
#: and one rule is about one role, by its name.
OTHERWISE = {
    "host-network-ports",
    "no-default-namespace",
    "allowed-pull-policies",
    "no-node-edits",
    "no-endpoint-edits",
}
SLUGS = [
    slug
    for slug, one in DEFINITIONS.items()
    # Rules that compare would compare across all objects here, which lie in many namespaces.
    if slug not in OTHERWISE and not one.requires_inventory
]


def _kinds(sample: Sample) -> set[str]:
    (ready,) = plan_of(sample.definition, sample.parameters).ready
    return {kind.kind for kind in ready.selection.kinds}


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value within a value, with the keys that lead to it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield (*at, key), each
        yield from _places(each, (*at, key))


def _pattern(at: tuple[Any, ...]) -> tuple[Any, ...]:
    """A place in any item of a list, and in any list of containers."""
    return tuple("" if isinstance(key, int) else "containers" if str(key).endswith("ontainers") else key for key in at)


def _changed(one: dict[str, Any], known: dict[tuple[Any, ...], list[Any]], chance: random.Random) -> None:
    """Take something out, put in what another sample has there, or have an item twice; names stay."""
    places = [
        (at, value) for at, value in _places(one) if at[0] in ("spec", "metadata", "rules", "roleRef", "subjects")
    ]
    places = [(at, value) for at, value in places if at[:2] not in (("metadata", "name"), ("metadata", "namespace"))]
    if not places:
        return
    at, _ = chance.choice(places)
    holder = one
    for key in at[:-1]:
        holder = holder[key]
    others = known[_pattern(at)]
    what = chance.random()
    if what < 0.3 and at[-1] not in ("name", "spec", "metadata", "containers", "template"):
        del holder[at[-1]]
    elif what < 0.9 and others:
        holder[at[-1]] = copy.deepcopy(chance.choice(others))


def _generated(samples: list[Sample], kinds: set[str], chance: random.Random) -> list[dict[str, Any]]:
    bases = [
        one
        for sample in samples
        for one in sample.objects
        if {one.get("kind"), "*"} & kinds and "name" in one["metadata"]
    ]
    known: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for one in bases:
        for at, value in _places(one):
            known[_pattern(at)].append(value)
    found = []
    for number in range(OBJECTS):
        one = copy.deepcopy(chance.choice(bases))
        for _ in range(chance.randrange(4)):
            _changed(one, known, chance)
        one["metadata"]["name"] = f"{one['kind'].lower()}-{number}"
        one["metadata"].pop("ownerReferences", None) if chance.random() < 0.5 else None
        found.append(one)
    return found


@pytest.mark.parametrize("slug", SLUGS)
def test_gator_finds_the_same_in_generated_objects(slug: str, gator: Path, tmp_path: Path) -> None:
    definition = DEFINITIONS[slug]
    samples = [one for one in SAMPLES if one.definition.slug == slug]
    chance = random.Random(slug)
    # With azureBehaviour no-automounted-tokens asks for the token that the API server mounts, and gator does not.
    given = next((one for one in samples if one.expect and not one.parameters.get("azureBehaviour")), samples[0])
    objects = _generated([one for one in samples if one.objects], _kinds(given), chance)
    path = tmp_path / "objects.yaml"
    path.write_text(stream(objects), encoding="utf-8")
    results = judge(definition, given.parameters, path).report.results
    # What the API server would not take is an error here, and gator judges it.
    unjudged = {r.resource.name for r in results if r.state is ComplianceState.ERROR}
    expected = {
        (r.resource.name, r.finding.message)
        for r in results
        if r.state is ComplianceState.NON_COMPLIANT and r.resource.name not in unjudged
    }

    policies = tmp_path / "policies.yaml"
    made = constraint(slug, given.parameters)
    made["spec"]["match"].pop("excludedNamespaces", None)
    policies.write_text("\n---\n".join(map(json.dumps, (constraint_template(slug), made))), encoding="utf-8")
    run = subprocess.run(
        [gator, "test", "-f", path, "-f", policies, "-o", "json"], capture_output=True, text=True, check=False
    )
    assert run.returncode in (0, 1), run.stderr
    found = {
        (one["violatingObject"]["metadata"]["name"], one["msg"])
        for one in json.loads(run.stdout or "null") or ()
        if one["violatingObject"]["metadata"]["name"] not in {*unjudged, slug, kind(slug).lower()}
    }
    assert (found - expected, expected - found) == (set(), set())
    assert expected
    assert len(unjudged) < OBJECTS * 3 // 4
