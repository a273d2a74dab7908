"""Single objects as JSON text, out of a batch and into one again."""

from __future__ import annotations

import json
from collections.abc import Sequence

from aksp.engine import Batch


def text_of(batch: Batch, at: int) -> bytes:
    """One document of a batch of a cluster's objects that is not yet released.

    It says its apiVersion and its kind, which objects in lists of built-in kinds leave out.
    """
    record = batch.documents[at]
    raw = json.loads(bytes(batch.body[record["offset"] : record["offset"] + record["length"]]))
    return json.dumps({**raw, "apiVersion": record["apiVersion"], "kind": record["kind"]}).encode()


def list_of(texts: Sequence[bytes]) -> bytes:
    """A Kubernetes list of objects that say what they are."""
    return b'{"kind":"List","apiVersion":"v1","metadata":{},"items":[' + b",".join(texts) + b"]}"
