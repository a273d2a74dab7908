"""Objects as large as an API server takes them, asked about over TLS: each answer is a review, right or said unjudged.

How long the answers take is measured by `bench/run.py --only big`; here the machine may have other things to do.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from aksp.addon.in_force.policies import stand
from aksp.addon.review.decision import Decision
from aksp.addon.review.owners import Owners
from aksp.addon.review.reviewer import Reviewer
from aksp.addon.webhook.server import loop_factory
from aksp.engine import Engine
from aksp.kube.connection import Connection
from aksp.model.scope import Scope
from bench.big import Answered, Big, extremes, generated
from bench.subjects import parameters
from tests.addon.custom import Memory, assigned, defined
from tests.addon.https import Client, serving

pytestmark = pytest.mark.slow

#: Looks at every value, however deep it lies.
WALK = 'violation contains {"msg": "bad", "details": {"path": "spec"}} if { walk(input.review.object, [_, value]); value == "bad" }'
GENERATED = 12
#: Seconds: more than an API server waits, on a machine that is busy.
PATIENCE = 20.0


def deep(levels: int) -> Big:
    """Objects in objects, the innermost of which is forbidden."""
    value: Any = "bad"
    for _ in range(levels):
        value = {"a": value}
    metadata = {"name": "deep", "namespace": "shop"}
    return Big(
        name=f"{levels} levels",
        object={"apiVersion": "example.com/v1", "kind": "Thing", "metadata": metadata, "spec": value},
        bad=frozenset({"walk"}),
    )


def objects(seed: int) -> Iterator[Big]:
    yield from extremes()
    yield from (deep(levels) for levels in (100, 300))
    yield from itertools.islice(generated(seed), GENERATED)


class Asked:
    """Answers to objects, and what the add-on counted of them."""

    def __init__(self, engine: Engine, *, fail_closed: bool) -> None:
        things = defined("walk", WALK)
        details = things["spec"]["policyRule"]["then"]["details"]
        details["apiGroups"], details["kinds"] = ["example.com"], ["Thing"]
        standing = stand(
            engine,
            definitions=[things],
            assignments=[
                assigned("walk", "walk", parameters={"effect": "Deny"}),
                *(assigned(slug, slug, parameters=values) for slug, values in parameters().items()),
            ],
            exemptions=[],
            cluster=Scope.cluster("c"),
            now=datetime(2026, 6, 1, tzinfo=UTC),
        )
        self.decisions: list[Decision] = []
        self.reviewer = Reviewer(
            engine,
            owners=Owners(cast(Connection, Memory())),
            fail_closed=fail_closed,
            decided=self.decisions.append,
            disagreed=lambda one: pytest.fail(one.message),
        )
        self.reviewer.use(standing.plan)

    async def answers(self, many: Iterator[Big]) -> list[str]:
        """What is wrong about the answers, one after the other."""
        wrong = []
        async with serving(self.reviewer, unjudged=self.reviewer.unjudged) as server:
            for big in many:
                client = await Client.connect(server.port)
                began = time.monotonic()
                async with asyncio.timeout(PATIENCE):
                    reply = await client.post(big.review())
                took = time.monotonic() - began
                await client.close()
                assert reply.status == 200, (big.name, reply)
                found = Answered.of(json.loads(reply.body)["response"])
                counted = self.decisions[-1]
                wrong += [f"{big.name}: {what}" for what in self._wrong(big, found, counted, took) if what]
        return wrong

    @staticmethod
    def _wrong(big: Big, found: Answered, counted: Decision, took: float) -> Iterator[str]:
        yield found.wrong(big)
        if counted.outcome.allowed != found.allowed:
            yield "it was counted otherwise"
        if (counted.outcome.errors or counted.unjudged) and not found.unjudged:
            yield "what was not judged was counted, and not told"
        if counted.seconds > took:
            yield "it took longer than it took"


@pytest.mark.parametrize("seed", [datetime.now(UTC).toordinal()])
def test_each_big_object_is_decided_rightly_or_said_to_be_unjudged(seed: int) -> None:
    with Engine(evaluation_deadline_ms=500) as engine, asyncio.Runner(loop_factory=loop_factory()) as runner:
        asked = Asked(engine, fail_closed=False)
        assert runner.run(asked.answers(objects(seed))) == []
    assert len(asked.decisions) > GENERATED + 20
    assert sum(not one.outcome.allowed for one in asked.decisions) > len(asked.decisions) // 3


def test_a_pod_of_8000_forbidden_containers_is_refused_each_time() -> None:
    forbidden = next(extremes())
    with Engine() as engine, asyncio.Runner(loop_factory=loop_factory()) as runner:
        asked = Asked(engine, fail_closed=False)
        assert runner.run(asked.answers(iter([forbidden] * 5))) == []
    assert [one.outcome.allowed for one in asked.decisions] == [False] * 5
