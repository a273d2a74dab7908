"""What a connection writes, and when."""

from __future__ import annotations

import asyncio
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from aksp.addon.webhook.protocol import Limits, LingeringTransport


class Transport:
    """Takes note of what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False
        self.pause_reading = self.resume_reading = self.abort = lambda: None

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


def parting(transport: Transport) -> LingeringTransport:
    return LingeringTransport(cast(asyncio.Transport, transport), Limits(), lambda: False)


HEAD, BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", b"body"


def test_head_and_body_of_an_answer_go_out_as_one() -> None:
    async def run() -> list[bytes]:
        transport = Transport()
        made = parting(transport)
        for _ in range(2):
            made.write(HEAD)
            made.write(BODY)
        await asyncio.sleep(0)
        return transport.written

    assert asyncio.run(run()) == [HEAD + BODY, HEAD + BODY]


def test_a_head_whose_body_takes_longer_is_not_kept_back() -> None:
    async def run() -> list[bytes]:
        transport = Transport()
        made = parting(transport)
        made.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(0)
        written = list(transport.written)
        made.write(BODY)
        return [*written, *transport.written[len(written) :]]

    assert asyncio.run(run()) == [b"HTTP/1.1 100 Continue\r\n\r\n", BODY]


def test_what_was_said_is_written_before_the_connection_is_closed() -> None:
    async def run() -> tuple[list[bytes], bool]:
        transport = Transport()
        made = parting(transport)
        made.write(HEAD)
        made.close()
        await asyncio.sleep(0)
        closed = transport.closed
        made.lost()
        return transport.written, closed

    assert asyncio.run(run()) == ([HEAD], True)


def test_uvicorn_is_pinned_below_the_minor_version_after_the_one_that_is_tested() -> None:
    """The protocol extends a private class of uvicorn: a new minor version is taken once all tests pass with it."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (wanted,) = [each for each in project["optional-dependencies"]["addon"] if each.startswith("uvicorn")]
    major, minor = map(int, version("uvicorn").split(".")[:2])

    assert wanted == f"uvicorn>={major}.{minor},<{major}.{minor + 1}"
