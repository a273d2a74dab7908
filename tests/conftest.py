"""Options of the test run, and the engine that tests share."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from aksp.engine import Engine

#: An example takes as long as a busy machine may take.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing")


def pytest_sessionstart() -> None:
    """Import the Kubernetes client before all tests.

    A command for several clusters does so in a thread, which may outlive its test: the import sets a filter of warnings that
    pytest takes back meanwhile, and a warning about SOCKS then ends another test.
    """
    import kubernetes.client.rest
    import kubernetes.config  # noqa: F401

    # Under nohup commands would ignore it, too.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    gc.disable()


def pytest_collection_finish() -> None:
    """The ten thousand tests stay to the end: the collector of garbage need not look at them again and again.

    It also runs less often: a quarter of the processor time of tests that start no process was its own.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000, 20, 100)
    gc.enable()


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """One engine for tests that neither break it nor fill its inventory."""
    with Engine() as shared:
        yield shared


@pytest.fixture(scope="session")
def forking() -> Iterator[Path]:
    """A folder for PATH with an ``aksp`` for tests that need a process of its own, and do not test how it starts."""
    from tests.forked import forked

    with forked() as folder:
        yield folder
