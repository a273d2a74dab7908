"""The add-on's process: everything put together, started, and ended in order."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from aksp.addon import names
from aksp.addon.by_gatekeeper import ByGatekeeper
from aksp.addon.checkins import leader
from aksp.addon.checkins.checkin_record import CheckInRecord
from aksp.addon.checkins.leader import CheckIns
from aksp.addon.in_force.policies import Standing
from aksp.addon.in_force.webhook_rules import kinds_in_force
from aksp.addon.names import EngineName
from aksp.addon.reconciler import Enforcement, Reconciler
from aksp.addon.record import logs
from aksp.addon.record.metrics import Metrics
from aksp.addon.reviews import Reviews
from aksp.addon.settings import RunSettings
from aksp.addon.webhook.application import Health
from aksp.addon.webhook.operations import Operations
from aksp.addon.webhook.protocol import Limits
from aksp.addon.webhook.server import Listener, loop_factory, serve
from aksp.engine import Engine
from aksp.errors import EngineError, InvalidInput
from aksp.kube.config import connect
from aksp.kube.connection import Connection
from aksp.kube.lease import Lease
from aksp.model.scope import Scope

_log = logging.getLogger("aksp.addon")

#: Milliseconds that one evaluation may take. The API server waits 3 s for the answer about all assignments.
EVALUATION_DEADLINE_MS = 500
#: Seconds without an answer after which the engine is killed and started anew.
HARD_DEADLINE = 2.0
MEMORY_CAP = 400 << 20
MEMORY_TARGET = 64 << 20
#: Go's GOGC: the engine's heap is a few MiB, which is not worth collecting every few MiB.
GARBAGE_PERCENT = 400
#: Seconds that a thread of Python may keep the others waiting: most of them only take note of something.
_SWITCH_SECONDS = 0.001
#: M_MMAP_THRESHOLD of glibc's malloc.h, and the bytes from which on a block is given back: more than what is read at once.
_M_MMAP_THRESHOLD = -3
_GIVEN_BACK_BYTES = 1 << 20


class AddOn:
    """One replica: what answers, what keeps it up to date, and what it does when it leads.

    Where Gatekeeper refuses it has no ``reviews``.
    """

    def __init__(self, settings: RunSettings, connection: Connection, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        self._metrics = Metrics()
        self._reviews: Reviews | None = None
        if settings.engine is EngineName.AKSP:
            self._reviews = Reviews(connection, engine, self._metrics, settings)
        self._record = CheckInRecord(connection, settings.namespace)
        self._check_ins = CheckIns(leader.command(settings), interval=settings.sync_interval, ended=self._checked_in)
        self._reconciler = Reconciler(
            connection,
            engine,
            cluster=Scope.cluster(settings.cluster_name),
            enforcement=partial(self._enforcement, connection),
            stood=self._stood,
        )
        self._lease = Lease(
            connection,
            namespace=settings.namespace,
            name=names.LEASE,
            identity=settings.identity,
            won=lambda: self._lead(True),
            lost=lambda: self._lead(False),
        )

    def _enforcement(self, connection: Connection, reconciler: Reconciler) -> Enforcement:
        # A check-in that was quicker has found assignments that nobody asks about, or that Gatekeeper has not taken up yet.
        published = self._check_ins.nudge
        if self._reviews is None:
            left_out = names.left_out(self._settings.namespace, self._settings.exclude_namespaces)
            return ByGatekeeper(connection, self._engine, reconciler, left_out=left_out, published=published)
        return self._reviews.enforcement(reconciler, published)

    async def serve(self) -> int:
        """Answer until a signal comes; 0 when all that was asked by then is answered, else 1."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        # In a thread: the loop must be free to take over.
        await asyncio.to_thread(self._engine.attach, loop)
        self._begin()
        try:
            if self._reviews is not None:
                await self._reviews.first_certificate(stopping)
            if stopping.is_set():
                return 0
            work = [self._keep_engine(), self._resign(stopping)]
            if self._reviews is not None:
                work.append(self._reviews.served.keep(self._reconciler.change))
            tasks = [asyncio.create_task(one) for one in work]
            answered = await serve(
                self._listeners(stopping),
                limits=Limits(shutdown_delay=self._settings.shutdown_delay),
                stopping=stopping,
                on_listening=self._listening,
            )
            for task in tasks:
                task.cancel()
            return 0 if answered else 1
        finally:
            await asyncio.to_thread(self._end)

    def _listeners(self, stopping: asyncio.Event) -> list[Listener]:
        health = Health(
            {
                "policies": lambda: None if self._loaded else "the assignments are not loaded yet",
                "engine": lambda: None if self._engine.alive else "the engine is being started again",
                # One that still answers is asked no more before it stops.
                "shutdown": lambda: "stopping" if stopping.is_set() else None,
            }
        )
        listeners = []
        if self._reviews is not None:
            listeners.append(
                Listener(
                    app=self._reviews.webhook(health),
                    address=_address(self._settings.listen),
                    context=self._reviews.served.context,
                    client_names=frozenset(self._settings.client_names),
                )
            )
        if self._settings.plain_listen:
            operations = Operations(self._metrics.expose, health=health, everybody=self._settings.open_metrics)
            listeners.append(Listener(app=operations, address=_address(self._settings.plain_listen)))
        return listeners

    @property
    def _loaded(self) -> bool:
        """Whether the assignments are known, and reviews are judged by them."""
        return self._reviews.reviewer.ready if self._reviews is not None else self._reconciler.standing is not None

    def _begin(self) -> None:
        if self._reviews is not None:
            self._reviews.start()
        self._check_ins.start()
        self._reconciler.start()

    def _listening(self, ports: Sequence[int]) -> None:
        """Only who can answer, and knows whom the API server is to trust, may have itself asked."""
        _log.info("listening", extra={"ports": list(ports)})
        # What is in memory now stays, so the garbage collector need not visit it again. It goes on collecting the rest: a
        # closed connection is a cycle that holds its buffers.
        gc.collect()
        gc.freeze()
        self._lease.start()

    def _end(self) -> None:
        """In the order in which nothing is asked for that has ended."""
        self._lease.stop()
        self._check_ins.stop()
        self._reconciler.stop()
        if self._reviews is not None:
            self._reviews.close()

    async def _resign(self, stopping: asyncio.Event) -> None:
        """Let another one lead as soon as this one is to end; reviews are answered for a while yet."""
        await stopping.wait()
        await asyncio.to_thread(self._lease.stop)

    async def _keep_engine(self) -> None:
        """Restart an engine that has died. Reviews cannot trigger this: a replica that is not ready gets none."""
        while True:
            await asyncio.sleep(1.0)
            if not self._engine.alive:
                try:
                    await asyncio.to_thread(self._engine.revive)
                except EngineError as error:
                    _log.error("the engine cannot be started again: %s", error)

    def _stood(self, standing: Standing) -> None:
        self._metrics.name_kinds([kind.kind for kind in kinds_in_force(standing.plan.ready)])
        members = [ready.key.name for ready in standing.plan.ready]
        self._metrics.keep([*(one.name for one in standing.assignments), *members])
        self._check_ins.nudge()

    def _lead(self, leading: bool) -> None:
        _log.info("leading" if leading else "leading no more", extra={"identity": self._settings.identity})
        self._metrics.observe_leader(leading)
        self._reconciler.lead(leading)
        self._check_ins.lead(leading)

    def _checked_in(self, summary: Mapping[str, Any]) -> None:
        self._metrics.observe_check_in(summary)
        self._record.take(summary)
        if self._reviews is not None:
            self._reviews.denials.prune()


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise InvalidInput(f"{text!r} is no address: expected HOST:PORT, or :PORT for all")
    return host.strip("[]"), int(port)


def give_back_memory() -> None:
    """Have glibc give the memory of large bodies back when they are freed.

    It moves the size from which on a block is given back (mallopt(3), M_MMAP_THRESHOLD) up to that of the largest block
    that was ever freed: after one review of 19 MiB some 25 MiB more stayed. Another C library is left as it is.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _GIVEN_BACK_BYTES)


def run(settings: RunSettings) -> int:
    """Run until SIGTERM or SIGINT; the exit code. Raises AkspError when it cannot start."""
    logs.configure(settings.log_level)
    sys.setswitchinterval(_SWITCH_SECONDS)
    give_back_memory()
    with ExitStack() as stack:
        connection = stack.enter_context(connect(settings.context, settings.kubeconfig, user_agent="aksp-addon"))
        engine = stack.enter_context(
            Engine(
                evaluation_deadline_ms=EVALUATION_DEADLINE_MS,
                hard_deadline=HARD_DEADLINE,
                memory_cap=MEMORY_CAP,
                memory_target=MEMORY_TARGET,
                garbage_percent=GARBAGE_PERCENT,
            )
        )
        addon = AddOn(settings, connection, engine)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(addon.serve())
