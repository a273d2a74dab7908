"""What is asked of an evaluator, and what it answers: the core's side of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypedDict

from msgspec import Struct


class Audit(StrEnum):
    """What a rule can find without an admission request, which a scan does not know."""

    WHOLE = "whole"
    """All: it does not ask for the request, or only for what takes findings away."""
    PART = "part"
    NEVER = "never"
    """Nothing: it is judged at admission only."""


class FindingRecord(TypedDict):
    """A violation: details is JSON text, decoded only where it is needed."""

    msg: str
    details: str


class Task(Struct, frozen=True, kw_only=True):
    """One policy with one set of parameters over documents of a batch, by their indices."""

    policy: str
    parameters: Any
    documents: Sequence[int]


class Hit(Struct, frozen=True, kw_only=True, gc=False, rename={"task": "t", "document": "d", "findings": "f"}):
    """A task's findings on one document, as indices into Judgement.findings. In JSON its fields are the engine's.

    With ``cut`` there may be more: at admission it is not always looked for more than an answer has room for.
    """

    task: int
    document: int
    findings: Sequence[int]
    cut: bool = False


class Fault(Struct, frozen=True, kw_only=True, gc=False, rename={"task": "t", "document": "d", "message": "m"}):
    """A task that could not be evaluated over one document, or not without errors."""

    task: int
    document: int
    message: str


#: A line, a column on it, and the column after the line's last character, all counted from 1.
Place = tuple[int, int, int]


class Judgement(Struct, frozen=True, kw_only=True, gc=False):
    """What was found of a batch. A document that no hit or fault names complies.

    ``places`` are where documents of files, by number, and what was found in them are written: by the path that a finding
    says, which is empty for the document itself.
    """

    findings: Sequence[FindingRecord]
    hits: Sequence[Hit]
    faults: Sequence[Fault]
    evaluations: int
    places: Mapping[int, Mapping[str, Place]] = {}


class IsolatedRecord(TypedDict):
    """Of what was found in one Pod, what belongs to each of its containers."""

    d: int
    containers: list[list[FindingRecord]]
    faults: list[str]
