"""What the definitions read: of a Pod what its replicas share, so that they are judged once, and their own parameters."""

from __future__ import annotations

import pytest

from aksp.catalog.folder import bundled
from aksp.compliance.kinds import judges_pods
from aksp.model.definition import Definition
from aksp.workspace import compile_definition
from tests.definitions.samples import engine_for

#: What tells one replica from the next, and what is long and needless: reading it would make every Pod unlike the others.
OWN = ("metadata.name", "metadata.uid", "metadata.managedFields", "spec.volumes.*.name", "spec.nodeName", "status")
#: What a rule cannot do without: whether a hostPath volume is mounted for reading only, mounts tell by its name.
NEEDED = {("allowed-host-paths", "spec.volumes.*.name")}


@pytest.mark.parametrize("definition", [one for one in bundled() if judges_pods(one.kinds)], ids=lambda one: one.slug)
def test_no_definition_about_pods_reads_what_differs_between_replicas(definition: Definition) -> None:
    with engine_for(definition) as engine:
        compile_definition(engine, definition)
        reads = [path.replace("[*]", ".*").replace("[", ".").strip(".") for path in engine.reads(definition.slug) or []]
    # The namespace of an object is no part of it.
    assert reads or definition.slug == "no-default-namespace"
    assert not [
        (path, own) for path in reads for own in OWN if _overlap(path, own) and (definition.slug, own) not in NEEDED
    ]


@pytest.mark.parametrize("definition", bundled(), ids=lambda one: one.slug)
def test_a_rule_and_its_libraries_read_no_parameter_that_the_definition_has_not(definition: Definition) -> None:
    with engine_for(definition) as engine:
        compile_definition(engine, definition)

        assert set(engine.parameters(definition.slug)) <= set(definition.parameters)


def _overlap(path: str, own: str) -> bool:
    """Whether one of two paths leads through the other."""
    pairs = zip(path.split("."), own.split("."), strict=False)
    return all(mine == other or "*" in (mine, other) for mine, other in pairs)
