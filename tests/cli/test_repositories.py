"""Whole repositories: what each of its objects comes to, from where, and what could not be judged."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Aksp
from tests.cli.repositories import REPOSITORIES
from tests.renderers import renderers as renderers


@pytest.mark.parametrize("shape", REPOSITORIES)
def test_a_repository_has_the_verdicts_of_what_it_would_put_on_a_cluster(
    shape: str, renderers: str, aksp: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = REPOSITORIES[shape]
    monkeypatch.setenv("PATH", renderers)
    aksp.done("assign", "no-privileged")
    for name, text in repository.files.items():
        aksp.put(f"repository/{name}", text)
    monkeypatch.chdir(aksp.folder / "repository")
    run = aksp("compliance", *repository.options, "-o", "json", "--show", "all")
    report = run.json
    states = [one for one in report["results"] if one["state"] == "NonCompliant"]
    found = [
        (
            one["resource"]["namespace"],
            one["resource"]["name"],
            one["container"]["name"],
            one["source"]["file"].removeprefix("./"),
            one["source"]["line"],
        )
        for one in states
    ]
    assert sorted(found) == sorted(repository.violations)
    compliant = [
        (one["resource"]["namespace"], one["resource"]["name"])
        for one in report["results"]
        if one["state"] == "Compliant"
    ]
    assert sorted(compliant) == sorted(repository.compliant)
    assert [gap["reason"] for gap in report["gaps"]] == [reason for reason, _ in repository.gaps]
    for (_, part), gap in zip(repository.gaps, run.gaps, strict=True):
        assert part in gap
    for note in repository.notes:
        assert note in run.err
    assert run.code == repository.code
