"""The log: JSON lines."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from aksp.addon.record import logs
from aksp.errors import InvalidInput
from tests.addon.decisions import allowed, changed, refused, result


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged; the configuration of the test run comes back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in logs.TALKATIVE}
    yield io.StringIO()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, former in levels.items():
        logging.getLogger(name).setLevel(former)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_a_line_of_json_with_its_extra_fields(stream: io.StringIO) -> None:
    logs.configure("info", stream)
    logging.getLogger("aksp.x").info("%d objects", 3, extra={"seconds": 1.5, "where": ["a"]})

    (line,) = lines(stream)
    assert (line["level"], line["logger"], line["message"]) == ("info", "aksp.x", "3 objects")
    assert (line["seconds"], line["where"]) == (1.5, ["a"])
    assert datetime.fromisoformat(line["time"]).tzinfo is not None and line["time"].endswith("Z")
    assert list(line) == ["time", "level", "logger", "message", "seconds", "where"]


def test_what_is_below_the_level_is_left_out(stream: io.StringIO) -> None:
    logs.configure("WARNING", stream)
    logging.getLogger("aksp").info("no")
    logging.getLogger("aksp").warning("yes")
    logging.getLogger("urllib3.connectionpool").info("no")

    assert [line["message"] for line in lines(stream)] == ["yes"]


def test_libraries_do_not_tell_every_request(stream: io.StringIO) -> None:
    logs.configure("debug", stream)
    logging.getLogger("urllib3.connectionpool").debug("GET /")
    logging.getLogger("aksp").debug("mine")

    assert [line["message"] for line in lines(stream)] == ["mine"]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no log level 'loud'"):
        logs.configure("loud")


def test_an_exception_is_a_field_and_not_more_lines(stream: io.StringIO) -> None:
    logs.configure("info", stream)
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        logging.getLogger("aksp").exception("it failed")

    (line,) = lines(stream)
    assert line["error"] == "ValueError: first\nsecond"
    assert line["traceback"].startswith("Traceback (most recent call last):")


def test_what_json_cannot_hold_is_written_as_text(stream: io.StringIO) -> None:
    logs.configure("info", stream)
    logging.getLogger("aksp").info("x", extra={"thing": {1}, "when": datetime.min})

    assert lines(stream)[0]["thing"] == "{1}"


def test_configuring_again_replaces_the_handler(stream: io.StringIO) -> None:
    logs.configure("info", io.StringIO())
    logs.configure("info", stream)
    logging.getLogger("aksp").info("once")

    assert len(lines(stream)) == len(logging.getLogger().handlers) == 1


def test_a_refusal_is_one_line_with_who_what_and_why(stream: io.StringIO) -> None:
    logs.configure("info", stream)
    message = "[images] containers web: wrong\n[labels] no label"
    logs.refusal(refused(result(), result("labels", "no label", None), message=message))

    (line,) = lines(stream)
    assert line["logger"] == "aksp.refusals"
    assert {name: line[name] for name in line if name not in ("time", "logger")} == {
        "level": "info",
        "message": message,
        "user": "system:serviceaccount:kube-system:replicaset-controller",
        "assignments": ["images", "labels"],
        "operation": "CREATE",
        "object": {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web-5d9-x"},
        "workload": {"kind": "Deployment", "name": "web"},
        "containers": [{"name": "web", "type": "containers", "image": "nginx:1"}],
        "uid": "r-1",
        "dryRun": False,
    }


def test_lines_of_one_outcome_differ_in_who_asks_and_those_of_others_in_why(stream: io.StringIO) -> None:
    logs.configure("info", stream)
    first = refused(result(), message="[images] wrong")
    other = replace(first, request=replace(first.request, user="mallory", uid="r-2"))
    many = [refused(result("labels"), message=f"[labels] {number}") for number in range(300)]
    for decision in (first, other, *many, first):
        logs.refusal(decision)

    said = [(line["user"], line["uid"], line["message"], line["assignments"]) for line in lines(stream)]
    user = first.request.user
    assert said[:2] == [(user, "r-1", "[images] wrong", ["images"]), ("mallory", "r-2", "[images] wrong", ["images"])]
    assert said[2:-1] == [(user, "r-1", f"[labels] {number}", ["labels"]) for number in range(300)]
    assert said[-1] == said[0]


def test_a_dry_run_is_logged_as_one_and_the_allowed_not_at_all(stream: io.StringIO) -> None:
    logs.configure("info", stream)
    logs.refusal(allowed())
    logs.refusal(changed(refused(dry_run=True, sub_resource="ephemeralcontainers", workload=None), message="50% %s"))

    (line,) = lines(stream)
    assert (line["dryRun"], line["workload"], line["message"]) == (True, None, "50% %s")
    assert line["object"]["subresource"] == "ephemeralcontainers"


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x9b2J", "a\nb", "\u2028", "\u202e", "\ud800", "\x00", "\x7f"])
def test_nothing_a_user_sends_can_steer_a_terminal_or_fake_a_line(hostile: str, stream: io.StringIO) -> None:
    logs.configure("info", stream)
    logs.refusal(refused(user=hostile, message=hostile))

    text = stream.getvalue()
    assert text.isascii() and text.count("\n") == 1 and text[:-1].isprintable()
    assert lines(stream)[0]["user"] == hostile


def test_records_still_tell_thread_and_module_which_the_words_of_exec_plugins_are_known_by(
    stream: io.StringIO,
) -> None:
    seen: list[logging.LogRecord] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    logs.configure("info", stream)
    logging.getLogger().addHandler(Keeping())
    logging.getLogger("anyone").warning("said")
    assert [(one.thread, one.module) for one in seen] == [(threading.get_ident(), "test_logs")]
