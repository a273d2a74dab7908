"""The lines around a field."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from aksp.report.explain.excerpt import AROUND, Excerpt, Text

TEXT = """\
# a comment
kind: Pod
---
kind: Deployment
spec:
  # another
  template:

    spec:
      containers:
      - name: side
        image: a
        env:
        - name: A
          value: b
      - name: web
        image: b
        resources:
          limits:
            cpu: 1
  replicas: 2
---
kind: Service
"""


def excerpt(text: str, line: int, column: int = 1, file: str | None = None) -> Excerpt:
    return Text(text, file).around(line, column)


def numbers(found: Excerpt) -> list[int]:
    return [line.number for line in found.lines]


def shown(found: Excerpt) -> list[str]:
    return [("> " if line.marked else "  ") + line.text for line in found.lines]


def test_the_lines_that_a_field_stands_in_come_before_its_neighbours() -> None:
    found = excerpt(TEXT, 20, file="a.yaml")

    assert shown(found) == [
        "  spec:",
        "    template:",
        "      spec:",
        "        containers:",
        "        - name: web",
        "          image: b",
        "          resources:",
        "            limits:",
        ">             cpu: 1",
        "    replicas: 2",
    ]
    assert [line.number for line in found.lines if line.gap] == [7, 9, 16]
    assert found.file == "a.yaml"


def test_entries_of_a_list_that_is_not_indented_stand_in_its_key() -> None:
    assert numbers(excerpt(TEXT, 16))[:4] == [5, 7, 9, 10]
    assert 11 not in numbers(excerpt(TEXT, 16))


def test_other_documents_are_never_shown() -> None:
    assert numbers(excerpt(TEXT, 4)) == [4, 5, 6, 7]
    assert numbers(excerpt(TEXT, 23)) == [23]
    assert 22 not in numbers(excerpt(TEXT, 21))


def test_a_line_beyond_the_text_is_its_last_and_an_empty_text_has_none() -> None:
    assert [line.number for line in excerpt("a: 1\nb: 2\n", 9).lines if line.marked] == [2]
    assert excerpt("", 1).lines == ()


def test_lines_are_counted_as_editors_count_them() -> None:
    text = 'a: "x\u2028y\x0cz"\r\nb: 2\r\nc: 3\n'

    assert [line.text for line in excerpt(text, 3).lines if line.marked] == ["c: 3"]


def test_json_is_shown_as_yaml_is() -> None:
    text = '{\n  "spec": {\n    "a": 1,\n    "b": 2,\n    "c": 3,\n    "d": 4,\n    "e": 5,\n    "f": 6\n  }\n}\n'

    assert shown(excerpt(text, 8))[:2] == ["  {", '    "spec": {']


def test_a_document_on_one_line_is_cut_around_the_field() -> None:
    text = '{"a":"' + "x" * 500 + '","image":"nginx","b":"' + "y" * 500 + '"}'
    column = text.index("image") + 1
    (line,) = excerpt(text, 1, column).lines

    assert '"image":"nginx"' in line.text
    assert line.text.startswith("…") and line.text.endswith("…") and len(line.text) < 170


def test_nothing_in_a_line_can_steer_a_terminal() -> None:
    (line,) = excerpt("a: \x1b[2Jx\u202e\t y", 1).lines

    assert line.text.isprintable() and line.text.startswith("a: \\x1b[2Jx\\u202e")


def test_excerpts_of_one_text_are_told_together_and_of_two_apart() -> None:
    first, second = excerpt(TEXT, 12, file="a.yaml"), excerpt(TEXT, 20, file="a.yaml")
    other = excerpt("a: 1", 1, file="a.yaml")
    whole, apart = Excerpt.together([first, second, other])

    assert [line.number for line in whole.lines if line.marked] == [12, 20]
    assert numbers(whole) == sorted({*numbers(first), *numbers(second)})
    assert shown(apart) == ["> a: 1"]
    assert numbers(excerpt(TEXT, 12))[-1] == 12 + AROUND


_LINES = st.lists(
    st.builds(
        str.__add__,
        st.sampled_from(["", " ", "  ", "    ", "- ", "  - ", "  - - "]),
        st.sampled_from(["a:", "# a", "", "---"]),
    ),
    min_size=1,
    max_size=20,
)


def _expected(lines: list[str], marked: int) -> list[int]:
    """The numbers of the lines shown, by going up and down from the one that is marked."""

    def indent(line: str) -> tuple[int, bool]:
        stripped = line.lstrip(" ")
        return len(line) - len(stripped), stripped.startswith("- ")

    marks = [number for number, line in enumerate(lines, 1) if line.startswith("---")]
    first = max((at + 1 if at < marked else at for at in marks if at <= marked), default=1)
    last = min((at - 1 for at in marks if at > marked), default=len(lines))
    shown = set(range(max(first, marked - AROUND), min(last, marked + AROUND) + 1))
    here, item = indent(lines[marked - 1])
    for number in range(marked - 1, first - 1, -1):
        line = lines[number - 1]
        before, entry = indent(line)
        if (
            line.strip()
            and not line.strip().startswith("#")
            and (before < here or (item and before == here and not entry))
        ):
            shown.add(number)
            here, item = before, entry
    return sorted(shown)


@given(_LINES)
def test_what_a_line_stands_in_is_what_going_up_from_it_finds(lines: list[str]) -> None:
    text = Text("\n".join([*lines, "end"]))
    for marked in range(1, len(lines) + 1):
        assert numbers(text.around(marked)) == _expected([*lines, "end"], marked)


def test_many_fields_of_one_text_take_time_by_their_number() -> None:
    def seconds(count: int) -> float:
        text = "spec:\n  containers:\n" + "".join(f"  - name: c{at}\n    image: x\n" for at in range(count))
        spent = []
        for _ in range(3):
            began = time.process_time()
            whole = Text(text)
            shown = [whole.around(4 + 2 * at) for at in range(count)]
            spent.append(time.process_time() - began)
            assert all(one.lines[0].number == 1 for one in shown)
        return min(spent)

    # Going through the text for each field would take sixteen times as long.
    assert seconds(1600) < 8 * seconds(400) + 0.05
