"""What is asked of an evaluator, and what it answers: the core's side of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict


class FindingRecord(TypedDict):
    """A violation: details is JSON text, decoded only where it is needed."""

    msg: str
    details: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One policy with one set of parameters over documents of a batch, by their indices."""

    policy: str
    parameters: Any
    documents: Sequence[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A task's findings on one document, as indices into Judgement.findings."""

    task: int
    document: int
    findings: Sequence[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A task that could not be evaluated over one document, or not without errors."""

    task: int
    document: int
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What was found of a batch. A document that no hit or fault names complies."""

    findings: Sequence[FindingRecord]
    hits: Sequence[Hit]
    faults: Sequence[Fault]
    evaluations: int


class IsolatedRecord(TypedDict):
    """Findings on copies of one Pod: without any container, and with one container each."""

    d: int
    without: list[FindingRecord]
    containers: list[list[FindingRecord]]
    faults: list[str]
