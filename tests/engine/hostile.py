"""Policies that behave badly, and one that behaves well."""

from __future__ import annotations

import json
from collections.abc import Sequence

from aksp.compliance.judgement import Judgement, Task
from aksp.engine import Batch, Engine
from tests.compliance.builders import module

HONEST = """
violation contains {"msg": "privileged", "details": {"path": sprintf("spec.containers[%v]", [i])}} if {
    input.review.object.spec.containers[i].securityContext.privileged
}
"""

#: A thousand billion combinations, and more.
ENDLESS = """
violation contains {"msg": "never"} if {
    some a in numbers.range(1, 100000)
    some b in numbers.range(1, 100000)
    some c in numbers.range(1, 100000)
    a * b * c == -1
}
"""

DIVISION = """
violation contains {"msg": "never"} if {
    1 / count([x | some x in input.review.object.spec.nothing]) == 1
}
"""

HUGE_SET = """
violation contains {"msg": sprintf("%v", [a]), "details": {"a": a, "b": b}} if {
    some a in numbers.range(1, 3000)
    some b in numbers.range(1, 3000)
}
"""

HUGE_RANGE = """
violation contains {"msg": "never"} if {
    count(numbers.range(1, 1000000000000)) == 0
}
"""

HUGE_COMPREHENSION = """
violation contains {"msg": "never"} if {
    numbers_ := numbers.range(1, 3000)
    count({pair: [pair, pair] | some a in numbers_; some b in numbers_; pair := sprintf("%d of %d", [a, b])}) == 0
}
"""

#: Each is short, and large once it is compiled.
EXPRESSIONS_BY_THE_THOUSAND = """
violation contains {"msg": "never"} if {
    some a in numbers.range(1, 100000)
    some b in numbers.range(1, 100000)
    regex.match(sprintf("^(%d{500}){2}(%d{500}){2}$", [a, b]), "x")
}
"""

#: Lists of lists: what stands a million times takes for ever to compare, to copy and to hash.
LISTS_WITHIN_LISTS = "\n".join(
    [
        'violation contains {"msg": "never"} if { {[x, l40] | some x in numbers.range(1, 100)} == {[x, l40] | x := 1} }',
        'violation contains {"msg": "never"} if { count([path | walk(l40, [path, "never"])]) == 1 }',
        'violation contains {"msg": "never"} if { [l40, array.concat([l39], [l39]), 1] == [l40, l40, 2] }',
        "l0 := [1]",
        *(f"l{n + 1} := array.concat([l{n}], [l{n}])" for n in range(40)),
    ]
)

#: More memory than the tests allow, in a moment.
GREEDY_BODY = 'count([text | some i in numbers.range(1, 1000); text := sprintf("%999999d", [i])]) == 0'
GREEDY = f"""
violation contains {{"msg": "never"}} if {GREEDY_BODY}
"""

#: Rego has no recursion; a chain of calls is as deep as it gets.
DEEP = "\n".join(
    [
        'violation contains {"msg": "deep"} if { f0(input.review.object.spec.containers) == "never" }',
        *(f"f{n}(x) := f{n + 1}([x])" for n in range(300)),
        'f300(x) := "end"',
    ]
)

#: A value whose text is far larger than itself.
EXPLODING_TEXT = """
violation contains {"msg": msg} if {
    a := concat("", [x | some _ in numbers.range(1, 5000); x := "0123456789"])
    b := concat("", [a | some _ in numbers.range(1, 1000)])
    c := concat("", [b | some _ in numbers.range(1, 8)])
    msg := c
}
"""


def compile_rule(engine: Engine, name: str, rule: str) -> None:
    assert engine.compile(name, [module(rule)]) == []


def pods(*privileged: bool) -> bytes:
    """A list of Pods with one container each."""
    items = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"pod-{number}", "namespace": "shop"},
            "spec": {"containers": [{"name": "web", "image": "web", "securityContext": {"privileged": flag}}]},
        }
        for number, flag in enumerate(privileged)
    ]
    return json.dumps({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": items}).encode()


def task(policy: str, batch: Batch) -> Task:
    return Task(policy=policy, parameters={}, documents=list(range(len(batch.documents))))


def violations(judgement: Judgement, number: int) -> list[int]:
    """The documents on which a task found something."""
    return sorted(hit.document for hit in judgement.hits if hit.task == number)


def faults(judgement: Judgement, number: int) -> dict[int, str]:
    return {fault.document: fault.message for fault in judgement.faults if fault.task == number}


def judge(engine: Engine, batch: Batch, policies: Sequence[str]) -> Judgement:
    return engine.judge(batch, [task(policy, batch) for policy in policies])
