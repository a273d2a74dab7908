"""The one client of the engine process, in which OPA parses documents and evaluates Rego.

The engine is a child process spoken to over a pair of pipes (engine/README.md describes the
frames). It is killed when it passes a hard deadline or a memory cap and started again with all
that it knew; the policy that brought it down is then in Error and everything else is judged.
"""

from __future__ import annotations

from aksp.engine.client import EVALUATION_DEADLINE_MS, HARD_DEADLINE, MEMORY_CAP, Engine
from aksp.engine.process import PROTOCOL, BadReview, EngineDied, Outdated
from aksp.engine.records import (
    Admission,
    AdmissionRecord,
    AdmittedRecord,
    Batch,
    DocumentRecord,
    IdentityRecord,
    Loading,
    PolicyFault,
    RegisteredTask,
    RequestRecord,
)
from aksp.engine_start import MEMORY_TARGET, engine_binary

__all__ = [
    "EVALUATION_DEADLINE_MS",
    "HARD_DEADLINE",
    "MEMORY_CAP",
    "MEMORY_TARGET",
    "PROTOCOL",
    "Admission",
    "AdmissionRecord",
    "AdmittedRecord",
    "BadReview",
    "Batch",
    "DocumentRecord",
    "Engine",
    "EngineDied",
    "IdentityRecord",
    "Loading",
    "Outdated",
    "PolicyFault",
    "RequestRecord",
    "RegisteredTask",
    "engine_binary",
]
