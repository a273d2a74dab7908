"""What is imported from Azure and exported again is what it was, and imported again the same workspace."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aksp.cli.app import main
from tests.azure.builders import CLUSTER, WRAPPINGS, Resource
from tests.azure.estates import MANAGEMENT_GROUP, estates

pytestmark = pytest.mark.slow

TEST = CLUSTER.replace("prod", "test")
MAPS = {
    "one cluster": ["--scope-map", f"{CLUSTER}=/clusters/prod", "--scope-map", f"{MANAGEMENT_GROUP}=/clusters/prod"],
    "two clusters": ["--scope-map", f"{CLUSTER}=/clusters/prod", "--scope-map", f"{TEST}=/clusters/test"],
    "no cluster": [],
    "any cluster": ["--cluster", "prod"],
}


def run(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    return code, out.getvalue(), err.getvalue()


def files(folder: Path) -> dict[str, str]:
    return {str(one.relative_to(folder)): one.read_text() for one in folder.rglob("*") if one.is_file()}


def plain(one: Resource) -> Resource:
    """A document without what is the same whether it is said or not."""
    body = {k: v for k, v in one["properties"].items() if v not in (None, [], {}, "") and k != "scope"}
    body.setdefault("enforcementMode", "Default")
    for key, value in body.items():
        if key == "expiresOn":
            body[key] = value.replace(".0000000Z", "Z")
    return {**one, "id": one["id"].lower(), "properties": body}


@settings(
    max_examples=12,
    deadline=None,
    phases=set(Phase) - {Phase.shrink, Phase.explain},
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(estates(), st.sampled_from(["array", "rest", "flattened"]), st.sampled_from(sorted(MAPS)))
def test_import_export_import_is_the_identity(estate: list[Resource], wrapping: str, mapped: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "azure.json").write_text(json.dumps(WRAPPINGS[wrapping](estate)), encoding="utf-8")
        code, _, first = run("import", "azure", str(root / "azure.json"), "--workspace", str(root / "a"), *MAPS[mapped])
        assert code in (0, 4), first
        code, out, told = run("export", "azure", "--workspace", str(root / "a"))
        assert (code, told) == (0, "")
        (root / "again.json").write_text(out, encoding="utf-8")
        code, _, err = run("import", "azure", str(root / "again.json"), "--workspace", str(root / "b"), *MAPS[mapped])
        assert code in (0, 4), err
        assert files(root / "b") == files(root / "a")

        exported: dict[str, Any] = {one["id"].lower(): plain(one) for one in json.loads(out)["value"]}
        there = {one["id"].lower(): plain(one) for one in estate}
        assert exported == {one: there[one] for one in exported}
        # What is not there is what the import named.
        named = {f"{one['type'].rpartition('/')[2].removesuffix('s')} {one['name']}": key for key, one in there.items()}
        missing = {key for name, key in named.items() if f"{name}: not imported" in first}
        assert set(there) - set(exported) == missing
