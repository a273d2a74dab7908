"""Numbers that Python would change or refuse, from manifests and rules to the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.catalog.documents import document, write
from tests.cli.conftest import Aksp

HUGE = "9" * 5000
RULE = """package rule

violation contains {"msg": "x", "details": {"path": "spec.x", "observed": input.review.object.spec.x, "expected": [%s]}}
"""


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1e3", "-0", "0.10", "1.0", HUGE])
@pytest.mark.parametrize("name", ["pod.json", "pod.yaml"])
def test_a_number_of_a_document_and_of_a_rule_reaches_the_report_as_it_is_written(
    aksp: Aksp, number: str, name: str
) -> None:
    write(aksp.workspace / "definitions", "odd", made=document(name="odd"), policy_rego=RULE % number)
    aksp.done("assign", "odd")
    pod = aksp.put(
        name,
        f'{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "a"}}, "spec": {{"x": {number}, "containers": [{{"name": "c", "image": "i"}}]}}}}',
    )
    run = aksp.judge(pod)
    assert run.code == 1, run.err
    (result,) = json.loads(run.out, parse_int=str, parse_float=str, parse_constant=pytest.fail)["results"]
    assert (result["observed"], result["expected"]) == (number, [number])


def test_a_port_of_five_thousand_digits_is_judged(aksp: Aksp) -> None:
    aksp.done("assign", "allowed-container-ports", "--port", "80")
    for output in ("table", "json", "csv", "html"):
        run = aksp("compliance", "-f", str(Path(__file__).parent / "cases" / "huge-number.json"), "-o", output)
        assert run.code == 1, run.err


@pytest.mark.parametrize("number", ["1e400", HUGE, "NaN"])
def test_a_number_of_a_definition_that_nothing_can_compute_with_is_told_with_its_file(aksp: Aksp, number: str) -> None:
    made = json.dumps(document(name="odd")).replace('"2.1.0"', number)
    folder = aksp.workspace / "definitions" / "odd"
    folder.mkdir(parents=True)
    (folder / "definition.json").write_text(made)
    run = aksp("assign", "odd")
    assert run.code == 2
    assert f"{folder / 'definition.json'}: not JSON" in run.err
