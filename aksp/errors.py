"""What can go wrong, as one tree, and the exit code of each branch.

::

    AkspError                    says what, where and what next
    ├── InvalidInput        2    options, parameters, documents, paths
    │   └── InvalidPolicy   2    Rego that does not compile, a definition that is wrong
    ├── ClusterError        3    unreachable, or it refused
    │   ├── KubeconfigError 2    the kubeconfig is wrong or not there, or has no such context
    │   └── Forbidden       3    one request refused by RBAC: a gap where others are answered
    ├── NothingToJudge      4    nothing is there that could be judged, now or later
    └── EngineError         5    the engine is missing, or answers what it should not

Non-compliance is a result, never an error.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes that scripts rely on; README.md has the same table."""

    OK = 0
    NON_COMPLIANT = 1
    INVALID = 2
    CLUSTER = 3
    INCONCLUSIVE = 4
    INTERNAL = 5
    INTERRUPTED = 130


EXIT_MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "evaluated completely, nothing at or above the threshold (`--fail-on`)",
    ExitCode.NON_COMPLIANT: "non-compliant",
    ExitCode.INVALID: "wrong usage or invalid input: options, parameters, a definition, an assignment, a path, a workspace or a context that is not there, a kubeconfig that is wrong, an output that cannot be written",
    ExitCode.CLUSTER: "cluster unreachable, or it refused (TLS, authentication, RBAC)",
    ExitCode.INCONCLUSIVE: "inconclusive: no violation counted, but something could not be judged, or there was nothing: no document, no assignment in force, no such namespace",
    ExitCode.INTERNAL: "an internal error, a bug",
    ExitCode.INTERRUPTED: "interrupted",
}


class AkspError(Exception):
    """An error with a message for the user: what happened, where, and what to do next."""

    exit_code = ExitCode.INTERNAL

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class InvalidInput(AkspError):
    """Something the user gave cannot be used."""

    exit_code = ExitCode.INVALID


class InvalidPolicy(InvalidInput):
    """A definition, or its Rego, cannot be used."""


class NothingToJudge(AkspError):
    """Nothing is there that could be judged, now or later."""

    exit_code = ExitCode.INCONCLUSIVE


class ClusterError(AkspError):
    """The API server cannot be reached, or does not accept us."""

    exit_code = ExitCode.CLUSTER


class KubeconfigError(ClusterError):
    """The kubeconfig is not there or is wrong, or has no such context: nothing was asked of a cluster yet."""

    exit_code = ExitCode.INVALID


class Forbidden(ClusterError):
    """The API server refused one request (HTTP 403)."""


class EngineError(AkspError):
    """The engine process is missing or broken beyond a restart."""
