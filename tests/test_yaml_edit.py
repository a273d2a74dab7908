"""A field changed in place: what is meant changes, and every other byte stays."""

from __future__ import annotations

import json
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from aksp.yaml_edit import CannotEdit, assigned, edited

ROOT = Path(__file__).parents[1]
POD = """\
# A Pod.
apiVersion: v1
kind: Pod   # the kind
metadata: {name: "web", labels: {app: web}}
spec:
  containers:
    # the only one
    - name: web   # name
      image: 'docker.io/web'
      args: [a, "b", c]
      securityContext:
        privileged: true   # why?
        capabilities:
          add:
            - NET_ADMIN
            # needed
            - CHOWN

  volumes:
  - hostPath:
      path: /x
    name: x
"""
CONTAINER = ("spec", "containers", 0)


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that went, and those that came."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    gone, came = [], []
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            gone += old[a:b]
            came += new[c:d]
    return gone, came


@pytest.mark.parametrize(
    ("steps", "value", "gone", "came"),
    [
        (
            (*CONTAINER, "securityContext", "privileged"), False,
            ["        privileged: true   # why?\n"], ["        privileged: false   # why?\n"],
        ),
        ((*CONTAINER, "image"), "quay.io/it's", ["      image: 'docker.io/web'\n"], ["      image: 'quay.io/it''s'\n"]),
        ((*CONTAINER, "securityContext", "privileged"), None, ["        privileged: true   # why?\n"], []),
        (
            (*CONTAINER, "securityContext", "readOnlyRootFilesystem"), True,
            [], ["        readOnlyRootFilesystem: true\n"],
        ),
        (
            (*CONTAINER, "resources", "limits", "cpu"), "100m",
            [], ["      resources:\n", "        limits:\n", '          cpu: 100m\n'],
        ),
        (("spec", "securityContext", "runAsNonRoot"), True, [], ["  securityContext:\n", "    runAsNonRoot: true\n"]),
        ((*CONTAINER, "securityContext", "capabilities", "drop"), ["ALL"], [], ["          drop:\n", "            - ALL\n"]),
        ((*CONTAINER, "securityContext", "capabilities", "add"), ["CHOWN"], ["            - NET_ADMIN\n"], []),
        (
            (*CONTAINER, "securityContext", "capabilities", "add"), [],
            ["          add:\n", "            - NET_ADMIN\n", "            # needed\n", "            - CHOWN\n"], ["          add: []\n"],
        ),
        (
            (*CONTAINER, "securityContext", "capabilities", "add"), ["NET_ADMIN", "CHOWN", "KILL"],
            [], ["            - KILL\n"],
        ),
        ((*CONTAINER, "args"), ["b"], ['      args: [a, "b", c]\n'], ['      args: ["b"]\n']),
        ((*CONTAINER, "args"), ["a", "b", "c", "d"], ['      args: [a, "b", c]\n'], ['      args: [a, "b", c, d]\n']),
        (
            ("metadata", "labels", "team"), "pay",
            ['metadata: {name: "web", labels: {app: web}}\n'], ['metadata: {name: "web", labels: {app: web, team: pay}}\n'],
        ),
        (
            ("metadata", "labels", "app"), None,
            ['metadata: {name: "web", labels: {app: web}}\n'], ['metadata: {name: "web", labels: {}}\n'],
        ),
        (("metadata", "annotations", "a/b"), "", [], None),
        (
            ("spec", "volumes", 0, "hostPath"), None,
            ["  - hostPath:\n", "      path: /x\n", "    name: x\n"], ["  - name: x\n"],
        ),
        (("spec", "volumes", 0, "hostPath", "path"), None, ["  - hostPath:\n", "      path: /x\n"], ["  - hostPath: {}\n"]),
        (("spec", "gone"), None, [], []),
        (("spec", "gone", "too"), None, [], []),
    ],
)  # fmt: skip
def test_the_field_alone_changes(steps: tuple[Any, ...], value: Any, gone: list[str], came: list[str] | None) -> None:
    for newline in ("\n", "\r\n"):
        text = POD.replace("\n", newline)
        after = edited(text, steps, value)
        assert yaml.safe_load(after) == assigned(yaml.safe_load(text), steps, value)
        if came is not None:
            assert changed_lines(text, after) == (
                [line.replace("\n", newline) for line in gone], [line.replace("\n", newline) for line in came]
            )  # fmt: skip
        assert edited(after, steps, value) == after


@pytest.mark.parametrize(
    ("text", "steps", "value", "after"),
    [
        ("a: &x\n  b: 1\n", ("a", "b"), 2, "a: &x\n  b: 2\n"),
        ("a: &x 1\n", ("a",), 2, "a: &x 2\n"),
        ("a:\n", ("a", "b"), 1, "a:\n  b: 1\n"),
        ("a: # why\nc: 1", ("a",), True, "a: true # why\nc: 1"),
        ("a: 1", ("b", "c"), 1, "a: 1\nb:\n  c: 1"),
        ("x: &x 1\na:\n  b: *x\n", ("a", "c"), 2, "x: &x 1\na:\n  b: *x\n  c: 2\n"),
        ("x: &x 1\na:\n- *x\nb: 1\n", ("c",), 2, "x: &x 1\na:\n- *x\nb: 1\nc: 2\n"),
        ("a: |\n  text\n\n# end\nb: 1\n", ("a",), "x", "a: x\n\n# end\nb: 1\n"),
        ("a:\n  b: |\n    text\n\nc: 1\n", ("a", "d"), 1, "a:\n  b: |\n    text\n  d: 1\n\nc: 1\n"),
        ("a:\n- b: 1\n  c: 2\n", ("a", 0, "d"), "no", 'a:\n- b: 1\n  c: 2\n  d: "no"\n'),
        ("a:\n- b: 1\n", ("a", 0, "b"), None, "a:\n- {}\n"),
        ('{"a": {"b": 1}}', ("a", "c"), "x", '{"a": {"b": 1, "c": "x"}}'),
        ('{\n  "a": {\n    "b": 1\n  }\n}\n', ("a", "c"), True, '{\n  "a": {\n    "b": 1,\n    "c": true\n  }\n}\n'),
        ('{"a": {}}', ("a", "c", "d"), 1, '{"a": {"c": {"d": 1}}}'),
        ("a: [x, y, z]", ("a",), ["x"], "a: [x]"),
        ("a: [x, y, z]", ("a",), ["y"], "a: [y]"),
        ("a: [x, y, z]", ("a",), ["z"], "a: [z]"),
        ("a: [x, y]", ("a",), [], "a: []"),
        ("a:\n- x\n- y\n- z\n", ("a",), ["y"], "a:\n- y\n"),
        ('{"a": 1, "b": 2}', ("a",), None, '{"b": 2}'),
        ('{"a": 1, "b": 2}', ("b",), None, '{"a": 1}'),
    ],
)
def test_other_ways_of_writing(text: str, steps: tuple[Any, ...], value: Any, after: str) -> None:
    assert edited(text, steps, value) == after


@pytest.mark.parametrize(
    ("text", "steps", "value"),
    [
        ("x: &x {b: 1}\na: *x\n", ("a", "b"), 2),
        ("x: &x {b: 1}\na: *x\n", ("x", "b"), 2),
        ("x: &x {b: 1}\na:\n  <<: *x\n", ("a", "b"), 2),
        ("a: 1\n", ("a", "b"), 2),
        ("a: [1]\n", ("a", 3), 2),
        ("a: [{b: 1}]\n", ("a",), [{"c": 1}]),
        ("a: text\n", ("a",), {"b": 1}),
        ("", ("a",), 1),
        ("a: [\n", ("a",), 1),
        ("a: !!str 1\n", ("a",), 2),
        ("a: 1\nb:\n" + "".join(f"{' ' * at}c:\n" for at in range(1, 3000)), ("b", "d"), 2),
        ("a:\n\t- b\n", ("a",), 1),
    ],
)
def test_what_would_change_more_is_refused(text: str, steps: tuple[Any, ...], value: Any) -> None:
    with pytest.raises(CannotEdit):
        edited(text, steps, value)


# Any document

KEYS = st.sampled_from(["a", "b", "c", "d/e.f", "yes", "1"])
SCALARS = (
    st.none() | st.booleans() | st.integers(-9, 99) | st.sampled_from(["x", "", "a: b", "no", "#", "a\nb\n", "'", "ü"])
)
DATA = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(KEYS, inner, min_size=1, max_size=3),
        max_leaves=8,
    ),
    min_size=1,
    max_size=4,
)
VALUES = (
    st.none()
    | SCALARS
    | st.lists(st.sampled_from(["x", "yes"]), max_size=3)
    | st.dictionaries(KEYS, SCALARS, max_size=2)
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A document as people and programs write it, with comments and blank lines between its lines and behind them."""
    data = draw(DATA)
    if draw(st.booleans()):
        return json.dumps(data, indent=draw(st.sampled_from([None, 2, 4])))
    text = yaml.safe_dump(
        data, default_flow_style=draw(st.sampled_from([False, None, True])), sort_keys=False,
        default_style=draw(st.sampled_from([None, None, '"', "'"])), allow_unicode=True,
    )  # fmt: skip
    lines = []
    for line in text.splitlines():
        if draw(st.integers(0, 4)) == 0:
            lines.append(draw(st.sampled_from(["# comment: *x", "", "    # deep"])))
        lines.append(line + draw(st.sampled_from(["", "", "  # behind - {x"])))
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines) + draw(st.sampled_from(["", "\n"]))


@st.composite
def ways(draw: st.DrawFn, data: Any) -> tuple[str | int, ...]:
    """A path to what is there, or from there to what is not."""
    found: list[str | int] = []
    while isinstance(data, dict | list) and data and (not found or draw(st.integers(0, 3))):
        key = draw(st.sampled_from(sorted(data)) if isinstance(data, dict) else st.integers(0, len(data) - 1))
        found.append(key)
        data = data[key]
    if draw(st.booleans()):
        found += draw(st.lists(KEYS, min_size=1, max_size=2))
    return tuple(found)


@given(st.data())
def test_of_any_document_the_field_alone_changes_or_nothing_does(data: st.DataObject) -> None:
    text = data.draw(texts())
    try:
        before = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        assume(False)
    # A comment can become part of a text of several lines.
    assume(isinstance(before, dict) and all(isinstance(key, str) for key in before))
    steps, value = data.draw(ways(before)), data.draw(VALUES)
    try:
        after = edited(text, steps, value)
    except CannotEdit:
        return
    assert yaml.safe_load(after) == assigned(before, steps, value)
    if after == text:
        return
    # One stretch of the text is another: what is before it and behind it is the same, byte for byte.
    gone, came = changed_lines(text, after)
    unchanged = [line for line in text.splitlines(keepends=True) if line not in gone]
    assert [line for line in after.splitlines(keepends=True) if line in unchanged and line not in came] == [
        line for line in unchanged if line not in came
    ]
    comments = [line for line in text.splitlines() if line.strip().startswith("#")]
    if value is not None and not isinstance(value, list | dict):
        assert [line for line in after.splitlines() if line.strip().startswith("#")] == comments
