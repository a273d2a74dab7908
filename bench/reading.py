"""Reading and parsing alone: `python bench/reading.py WORKSPACE PATH` loads manifests as a scan does, and judges none.

The policies are compiled, since documents are parsed as far as these read them. Nothing is judged, reported or remembered:
what a scan of the same files cannot pass on the same machine with this parser.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aksp.engine import Engine
from aksp.scan import wanted_of
from aksp.sources.manifests import Manifests
from aksp.workspace import Workspace, prepare


def main() -> None:
    """Prints how many documents there are."""
    workspace, path = sys.argv[1:]
    plan = Workspace.open(workspace).plan(None, datetime.now(UTC))
    documents = 0
    with Engine() as engine:
        wanted = wanted_of(prepare(engine, plan))
        for page in Manifests(engine, [path]).pages(wanted):
            if page.batch is not None:
                documents += len(page.documents)
                engine.release(page.batch)
    print(documents)


if __name__ == "__main__":
    main()
