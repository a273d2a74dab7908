"""The comparison of examples finds what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import examples, pages
from tests.docs.examples import Shell, compare, masked

PAGE = """
<!-- runs: exit code {code} -->
```sh
word=shown
echo "$word at 2026-11-24T08:00:00Z"; test -z "$word"
```

Text between.

<!-- printed -->
```
{text}
```
"""
GOLDEN = """$ word=shown

$ echo "$word at 2026-11-24T08:00:00Z"; test -z "$word"
shown at TIME
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    monkeypatch.setattr(examples, "PRINTED", tmp_path)
    (tmp_path / "page.txt").write_text(GOLDEN, encoding="utf-8")
    return tmp_path / "page.md"


def compared(page: Path, request: pytest.FixtureRequest, *, code: int = 1, text: str) -> None:
    page.write_text(PAGE.format(code=code, text=text), encoding="utf-8")
    with Shell(folder=page.parent, cwd=page.parent, variables={}) as shell:
        compare(page, shell, request)


@pytest.mark.parametrize("text", ["shown at 2020-01-01T00:00:00Z", "shown\nat 2020-01-01T00:00:00Z", "shown"])
def test_what_a_page_shows_may_have_other_times_and_line_breaks(
    page: Path, request: pytest.FixtureRequest, text: str
) -> None:
    compared(page, request, text=text)


def test_what_a_page_shows_must_be_printed(page: Path, request: pytest.FixtureRequest) -> None:
    with pytest.raises(AssertionError, match="shows what is not printed"):
        compared(page, request, text="shown by")


def test_an_exit_code_must_be_the_one_of_the_page(page: Path, request: pytest.FixtureRequest) -> None:
    with pytest.raises(AssertionError, match="exit code 1, expected 0"):
        compared(page, request, code=0, text="shown")


def test_what_is_printed_must_be_what_was_read(page: Path, request: pytest.FixtureRequest) -> None:
    (page.parent / "page.txt").write_text(GOLDEN.replace("shown at", "seen at"), encoding="utf-8")
    with pytest.raises(AssertionError, match="read what is printed"):
        compared(page, request, text="shown")


def test_a_command_that_follows_is_interrupted_once_it_has_told_what_there_is(tmp_path: Path) -> None:
    with Shell(folder=tmp_path, cwd=tmp_path, variables={}) as shell:
        ran = shell.run("echo one; echo two >&2; sleep 60 # --watch", enough=2)
        assert (ran.code, ran.out, ran.err) == (130, "one\n", "two\n")
        assert shell.run("echo three").out == "three\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1s  10  shop-images", "AGE COUNT shop-images"),
        ("12m5s  10  shop-images", "AGE COUNT shop-images"),
        ("  Warning  FailedCreate  2s (x11 over 3s)  aksp", "  Warning  FailedCreate  AGE  aksp"),
        ("checked in 25s ago", "checked in AGO"),
        ("pod web-78dd7485d6-x8k2p, log-agent-fr58z", "pod web-DRAWN, log-agent-DRAWN"),
        ("--sync-interval 30s https-ingress 55.6% 7/14", "--sync-interval 30s https-ingress 55.6% 7/14"),
    ],
)
def test_only_what_differs_from_run_to_run_is_masked(text: str, expected: str, tmp_path: Path) -> None:
    assert " ".join(masked(text, tmp_path).split()) == " ".join(expected.split())
