"""The log: a line of JSON for each record, on standard error, and what a refusal's line says."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Any, Final, TextIO

import msgspec

from aksp.addon.review.decision import RULE, Decision, Disagreement, Outcome, ReviewRequest
from aksp.errors import InvalidInput
from aksp.model.resource import Container, Resource
from aksp.model.times import rfc3339

LEVELS: Final = ("debug", "info", "warning", "error")
#: One encoder for all lines: `json.dumps` makes one for each when it has options.
_IN_ASCII: Final = json.JSONEncoder(separators=(",", ":"), default=str).encode
_ENCODE: Final = msgspec.json.Encoder().encode
_REFUSALS: Final = logging.getLogger("aksp.refusals")
_UNJUDGED: Final = logging.getLogger("aksp.unjudged")
_EVALUATORS: Final = logging.getLogger("aksp.evaluators")
#: Containers of a refusal, and reasons, that a line names.
MOST_CONTAINERS: Final = 100
MOST_ERRORS: Final = 20
#: What every record has; whatever else it has came with `extra`.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
#: Loggers that tell every connection and every request.
TALKATIVE: Final = ("urllib3", "kubernetes", "asyncio")


class JsonLines(logging.Formatter):
    """A record as a line of JSON.

    ``time`` (RFC 3339, UTC), ``level``, ``logger``, ``message``, the extra fields by their names, and for an exception
    ``error`` (its type and text) and ``traceback``. ASCII alone: no terminal that shows it can be steered by it.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": rfc3339(datetime.fromtimestamp(record.created, UTC), "milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in line:
                line[name] = value
        if record.exc_info and record.exc_info[0] is not None:
            kind, error, _ = record.exc_info
            line["error"] = f"{kind.__name__}: {error}"
            line["traceback"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return _IN_ASCII(line)


class Lines(logging.StreamHandler[TextIO]):
    """Writes lines of JSON."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.setFormatter(JsonLines())

    def tell(self, logger: str, shared: str, own: Mapping[str, Any]) -> None:
        """Write an info line without a record, which would cost as much as all else in a review that was decided before.

        ``shared`` is what many lines have in common, as JSON.
        """
        second, thousandth = divmod(time.time_ns() // 1_000_000, 1000)
        line = f'{{"time":"{_written(second)}.{thousandth:03}Z","level":"info","logger":"{logger}",{shared[1:-1]},{_encoded(own)[1:]}{self.terminator}'
        try:
            with self.lock or contextlib.nullcontext():
                self.stream.write(line)
                self.stream.flush()
        except (OSError, ValueError):
            pass  # As in a logging handler: an error while writing must not stop the review.


@lru_cache(maxsize=1)
def _written(second: int) -> str:
    """A second since 1970 as in 2026-09-01T10:00:00: to write each line's anew would take a third of the line's time."""
    return rfc3339(datetime.fromtimestamp(second, UTC)).removesuffix("Z")


#: Where lines go since `configure`.
_lines: Lines | None = None
#: What lines say of an outcome, by its identity: replicas that are refused share one.
_shared: dict[int, tuple[Outcome, str]] = {}
_MOST_SHARED: Final = 200
_FEW: Final = 50


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Log from this level on, to ``stream`` (standard error). Raises InvalidInput for a level that there is not.

    Replaces what was configured before.
    """
    if level.lower() not in LEVELS:
        raise InvalidInput(f"there is no log level {level!r}", hint=f"one of {', '.join(LEVELS)}")
    global _lines
    _lines = handler = Lines(stream or sys.stderr)
    root = logging.getLogger()
    for former in list(root.handlers):
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    # Thread and caller stay in the records, though no line has them: aksp.kube.config tells the words of exec plugins by
    # them. A refusal's line makes no record.


def refusal(decision: Decision) -> None:
    """Log a refusal: who asked for what, and which assignments refuse which containers. Nothing for what is allowed."""
    if decision.outcome.allowed or not _REFUSALS.isEnabledFor(logging.INFO):
        return
    request, outcome = decision.request, decision.outcome
    own = {
        "user": request.user,
        "operation": request.operation,
        "object": _object(request),
        "workload": request.workload,
        "uid": request.uid,
        "dryRun": request.dry_run,
    }
    if _lines is None:
        _REFUSALS.info("%s", outcome.message, extra=msgspec.to_builtins({**_by_whom(outcome), **own}))
        return
    known = _shared.get(id(outcome))
    if known is None:
        known = outcome, _encoded({"message": outcome.message, **_by_whom(outcome)})
        if len(_shared) >= _MOST_SHARED:
            _shared.clear()
        # Large objects have no replicas, and may have thousands of violations.
        if len(outcome.violations) <= _FEW:
            # With the outcome, so that no other one has its identity.
            _shared[id(outcome)] = known
    _lines.tell(_REFUSALS.name, known[1], own)


def _by_whom(outcome: Outcome) -> dict[str, Any]:
    """Which assignments refuse which containers."""
    containers: dict[Container, None] = {}
    for each in outcome.refusals:
        containers.update(dict.fromkeys(each.containers))
    told: dict[str, Any] = {
        "assignments": [each.assignment for each in outcome.refusals],
        "containers": list(islice(containers, MOST_CONTAINERS)),
    }
    if len(containers) > MOST_CONTAINERS:
        told["moreContainers"] = len(containers) - MOST_CONTAINERS
    return told


def unjudged(decision: Decision) -> None:
    """Log a warning for what could not be judged: the assignments and the object. Nothing is logged when all was judged."""
    request, errors = decision.request, decision.outcome.errors
    if not (decision.unjudged or errors):
        return
    _UNJUDGED.warning(
        "%s",
        "could not be judged: " + "; ".join(dict.fromkeys(why for _, why in errors[:MOST_ERRORS])),
        extra={
            "reason": decision.unjudged or RULE,
            "allowed": decision.outcome.allowed,
            "user": request.user,
            "assignments": list(dict.fromkeys(name for name, _ in errors)),
            "operation": request.operation,
            "object": _object(request),
            "uid": request.uid,
        },
    )


def disagreement(one: Disagreement) -> None:
    """Tell that the evaluators found different things, of which policy and in which object."""
    _EVALUATORS.error(
        "%s",
        f"the evaluators disagree, which is a bug of aksp: {one.message}; topdown's result counts",
        extra={"policy": one.policy, "assignment": one.assignment, "object": _named(one.resource)},
    )


def _encoded(value: Mapping[str, Any]) -> str:
    """A refusal's fields, texts, truth values, containers and the workload, as JSON in printable ASCII."""
    try:
        text = _ENCODE(value)
    except UnicodeEncodeError:  # a lone surrogate
        text = b"\x7f"
    return text.decode() if text.isascii() and b"\x7f" not in text else _IN_ASCII(msgspec.to_builtins(value))


def _object(request: ReviewRequest) -> dict[str, str]:
    named = _named(request.resource)
    if request.sub_resource:
        named["subresource"] = request.sub_resource
    return named


def _named(resource: Resource) -> dict[str, str]:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "namespace": resource.namespace,
        # `name` alone would be the logger's; within an object it may stand.
        "name": resource.name,
    }
