"""The engine alone: loads a JSON List page by page as a live scan does, judges every page, and times the judging.

`python bench/evaluate.py WORKSPACE LIST` prints JSON: seconds of loading (parsing), seconds of judging, evaluations
(an object and a policy that applies to its kind), findings. The answers' way back over the pipe counts as judging.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aksp.compliance.judgement import Task
from aksp.compliance.plan import Plan
from aksp.engine import Batch, Engine
from aksp.workspace import Workspace, prepare

_CHUNK = 500


def main() -> int:
    workspace, path = sys.argv[1:]
    if cores := int(os.environ.get("AKSP_ENGINE_PROCS") or 0):
        # Also what the engine does beside evaluating shares them: reading requests, collecting garbage.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    plan = Workspace.open(workspace).plan(None, datetime.now(UTC))
    whole = sorted({f"{kind.group}/{kind.kind}" for one in plan.ready for kind in one.definition.requires_inventory})
    loading = judging = 0.0
    evaluations = findings = 0
    with Engine() as engine:
        plan = prepare(engine, plan)
        for page in _pages(Path(path)):
            began = time.monotonic()
            batch = engine.load_list(page, whole_kinds=whole)
            if whole:
                engine.add_to_inventory(batch, whole)
            loaded = time.monotonic()
            judgement = engine.judge(batch, _tasks(plan, batch))
            judging += time.monotonic() - loaded
            loading += loaded - began
            engine.release(batch)
            evaluations += judgement.evaluations
            findings += sum(len(hit.findings) for hit in judgement.hits)
            if judgement.faults:
                raise RuntimeError(judgement.faults[0].message)
    result = {"loading": loading, "judging": judging, "evaluations": evaluations, "findings": findings}
    print(json.dumps(result))
    return 0


def _tasks(plan: Plan, batch: Batch) -> list[Task]:
    """For each policy the documents of its kinds."""
    tasks = []
    for one in plan.ready:
        kinds = {kind.kind for kind in one.selection.kinds}
        documents = [number for number, document in enumerate(batch.documents) if document["kind"] in kinds]
        if documents:
            tasks.append(Task(policy=one.definition.slug, parameters=one.values, documents=documents))
    return tasks


def _pages(path: Path) -> Iterator[bytes]:
    """Pages as an API server sends them, from a file of generate.py's format `list` (an object to a line).

    The few Ingresses come first, since a rule wants to have seen them all: one page, as they are in the inventory.
    """
    objects = [line.rstrip(b",\n") for line in path.read_bytes().split(b"\n")[1:-2]]
    for _, group in groupby(sorted(objects, key=_kind), key=_kind):
        of_kind = list(group)
        head = _head(json.loads(of_kind[0]))
        for start in range(0, len(of_kind), _CHUNK):
            yield head + b",".join(of_kind[start : start + _CHUNK]) + b"]}"


def _kind(line: bytes) -> bytes:
    """The beginning of an object, up to its metadata: its API version and kind."""
    return line.partition(b'"metadata"')[0]


def _head(first: dict[str, str]) -> bytes:
    head = {"kind": f"{first['kind']}List", "apiVersion": first["apiVersion"], "metadata": {"resourceVersion": "1"}}
    return json.dumps(head)[:-1].encode() + b', "items": ['


if __name__ == "__main__":
    sys.exit(main())
