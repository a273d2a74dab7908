"""The files of examples/quickstart: put together they are as many documents as apart."""

from __future__ import annotations

from pathlib import Path

import yaml

FILES = sorted((Path(__file__).parents[2] / "examples").rglob("*.yaml"))
QUICKSTART = [path for path in FILES if path.parent.name == "quickstart"]


def test_files_put_together_are_the_documents_that_they_are_apart() -> None:
    texts = [path.read_text(encoding="utf-8") for path in QUICKSTART]
    apart = [document for text in texts for document in yaml.safe_load_all(text)]

    assert len(apart) == 20
    assert list(yaml.safe_load_all("".join(texts))) == apart
