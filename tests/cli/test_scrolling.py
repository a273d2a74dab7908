"""Keys of a watch, each as terminals send it."""

from __future__ import annotations

import pytest

from aksp.cli.scrolling import Scrolling


@pytest.mark.parametrize(
    ("keys", "first"),
    [
        ("jj", 2), ("jjk", 1), ("k", 0), ("\x1b[B\x1b[B\x1b[A", 1), ("\x1b[6~", 10), (" \x1b[5~", 0), ("  b", 10), ("  g", 0),
        ("x\x1b[C", 0),
    ],
)  # fmt: skip
def test_keys_scroll_and_never_above_the_first_row(keys: str, first: int) -> None:
    scrolling = Scrolling()
    scrolling.press(keys, page=10)
    assert (scrolling.first, scrolling.ended, scrolling.search) == (first, False, "")


def test_what_is_typed_in_a_search_does_nothing_else() -> None:
    scrolling = Scrolling(first=3)
    scrolling.press("/jq\x7fg ", page=10)
    assert (scrolling.search, scrolling.first, scrolling.typing, scrolling.ended) == ("jg ", 0, True, False)
    scrolling.press("\rj", page=10)
    assert (scrolling.search, scrolling.first, scrolling.typing) == ("jg ", 1, False)
    scrolling.press("\x1b", page=10)
    assert (scrolling.search, scrolling.first) == ("", 0)
    scrolling.press("q", page=10)
    assert scrolling.ended
