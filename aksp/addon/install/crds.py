"""The custom resources' definitions, as the chart has them: ``aksp/crds`` is a link to its files.

They take every document that aksp.store.documents and aksp.catalog.custom read, and refuse what can
be told from a field by itself. What needs the definition (parameters) or the engine (Rego) shows in
the status.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aksp.yaml_reader import read_file, read_yaml

_FOLDER = Path(__file__).parents[2] / "crds"


def crds() -> list[dict[str, Any]]:
    """All CustomResourceDefinitions, in the order to be applied."""
    return [
        document for path in sorted(_FOLDER.glob("*.yaml")) for document, _ in read_yaml(read_file(path), path.name)
    ]
