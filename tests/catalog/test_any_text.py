"""Whatever stands in a file of a workspace, it is read or refused in a sentence: nothing else comes of it."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import yaml
from hypothesis import given
from hypothesis import strategies as st

from aksp.catalog.document import definition_from
from aksp.catalog.template import template_from, template_of
from aksp.errors import InvalidInput
from aksp.model.assignment import Assignment
from aksp.model.definition import RegoModule
from aksp.store.documents import assignment_document, assignment_from, exemption_from
from aksp.yaml_reader import read_yaml
from tests.places import places

from .documents import V1_RULE, document

API: Final = "policy.aksp.io/v1alpha1"
EXEMPTION: Final = {
    "apiVersion": API,
    "kind": "PolicyExemption",
    "metadata": {"name": "a"},
    "spec": {
        "policyAssignmentId": "one",
        "exemptionCategory": "Waiver",
        "expiresOn": "2027-01-01T00:00:00Z",
        "scope": "/clusters/prod",
        "resources": [{"kind": "Pod", "name": "a-*", "container": "b"}],
    },
}
ASSIGNMENT: Final = assignment_document(Assignment(name="one", definition_id="no-privileged", parameters={"a": [1]}))
TEMPLATE: Final = yaml.safe_load(
    template_of("rule", (RegoModule(name="a.rego", source=V1_RULE, version="v1"),), "a.yaml")
)
READ: Final[Mapping[str, tuple[Any, Callable[[str], Any]]]] = {
    "assignment": (ASSIGNMENT, lambda text: [assignment_from(one, "a.yaml") for one, _ in read_yaml(text, "a.yaml")]),
    "exemption": (EXEMPTION, lambda text: [exemption_from(one, "a.yaml") for one, _ in read_yaml(text, "a.yaml")]),
    "template": (TEMPLATE, lambda text: template_from(text, "a.yaml")),
    "definition": (
        document(),
        lambda text: [definition_from(one, slug="a", origin="a") for one, _ in read_yaml(text, "a")],
    ),
}
ODD: Final = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8), st.just([]), st.just({}),
    st.sampled_from(["2027-99-99", "99999-01-01", "[parameters('x')]", "^(a+)+$", "/", "/clusters/", "\x00", "1e400"]),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2), st.lists(st.integers(), max_size=2),
)  # fmt: skip
# fmt: off
PIECES: Final = st.sampled_from([
    "&a ", "*a", "<<: *a\n", "!!map ", "!!timestamp x", "!x ", "? ", ": ", "- ", "{", "}", "[", "]", "\n", "\t", "---\n",
    "|", '"', "'", "%YAML 1.1\n", "\u0085", "\x00", "#", "...\n", "\ufeff", "\\",
])
# fmt: on


def tried(kind: str, text: str) -> None:
    with contextlib.suppress(InvalidInput):
        READ[kind][1](text)


def test_without_a_change_each_is_read() -> None:
    for made, read in READ.values():
        assert read(json.dumps(made))


@given(st.data(), st.sampled_from(sorted(READ)), ODD)
def test_a_value_of_any_kind_anywhere_is_read_or_refused(data: st.DataObject, kind: str, put: Any) -> None:
    made = copy.deepcopy(READ[kind][0])
    path = data.draw(st.sampled_from(list(places(made))))
    inner: Any = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = put
    tried(kind, json.dumps(made))


@given(st.data(), st.sampled_from(sorted(READ)), st.lists(PIECES, min_size=1, max_size=3))
def test_a_text_with_anything_in_it_is_read_or_refused(data: st.DataObject, kind: str, pieces: list[str]) -> None:
    text = yaml.safe_dump(READ[kind][0])
    at = data.draw(st.integers(0, len(text)))
    tried(kind, text[:at] + "".join(pieces) + text[at + data.draw(st.integers(0, 3)) :])
