"""aksp compliance --from gatekeeper is about a cluster as a whole, by its own constraints."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Aksp


@pytest.mark.parametrize(
    "option",
    [("-f", "pod.yaml"), ("-l", "app=web"), ("--diff",), ("--assignment", "x"), ("--severity", "high"), ("--watch",)],
)
def test_options_that_are_about_something_else_are_refused(aksp: Aksp, option: tuple[str, ...]) -> None:
    run = aksp("compliance", "--from", "gatekeeper", *option)

    assert run.code == 2
    assert option[0] in run.err and "gatekeeper" in run.err
