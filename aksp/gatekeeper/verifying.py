"""Runs gator's suites: each test's constraint is read as an import reads it, and its cases are judged by the engine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct

from aksp.assigned import check_parameters
from aksp.compliance.json_schema import compiled_re2
from aksp.compliance.plan import make_ready
from aksp.compliance.template_values import values_problem
from aksp.engine import Engine
from aksp.errors import EngineError, InvalidInput
from aksp.gatekeeper.documents import Written
from aksp.gatekeeper.imported_assignment import imported_assignment
from aksp.gatekeeper.imported_definition import ImportedDefinition, imported_definition
from aksp.gatekeeper.importing import why_not
from aksp.gatekeeper.reviewed import ConstraintJudge
from aksp.gatekeeper.suites import Assertion, Suite, SuiteCase, SuiteTest
from aksp.model.fields import mapping, mappings
from aksp.model.kinds import BUILT_IN
from aksp.model.scope import EVERYWHERE
from aksp.workspace import compile_definition
from aksp.yaml_reader import read_file, read_yaml

#: The enforcement point of tests, which a constraint with scoped actions must name.
_POINT = "gator.gatekeeper.sh"


class TestOutcome(StrEnum):
    """What became of a case, a test or a suite. An error means that it could not be judged."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


class CaseResult(Struct, frozen=True, kw_only=True):
    """What became of a case, and why it did not pass."""

    name: str
    outcome: TestOutcome
    message: str = ""


class TestResult(Struct, frozen=True, kw_only=True):
    """What became of a test: ``outcome`` and ``message`` are its own, beside those of its cases."""

    name: str
    outcome: TestOutcome
    message: str = ""
    cases: Sequence[CaseResult] = ()


class SuiteResult(Struct, frozen=True, kw_only=True):
    """What became of the tests of a file."""

    path: Path
    skipped: bool
    tests: Sequence[TestResult] = ()


class _WrongSchemaError(InvalidInput):
    """A constraint that its template's schema does not take."""


def verify(engine: Engine, suite: Suite, now: datetime) -> SuiteResult:
    """Run a suite. What is wrong with a file that it names is the error of its test or case."""
    if suite.skip:
        return SuiteResult(path=suite.path, skipped=True)
    return SuiteResult(path=suite.path, skipped=False, tests=[_test(engine, suite, one, now) for one in suite.tests])


def _test(engine: Engine, suite: Suite, test: SuiteTest, now: datetime) -> TestResult:
    if test.skip:
        return TestResult(name=test.name, outcome=TestOutcome.SKIPPED)
    folder = suite.path.parent
    try:
        reviewer = _reviewer(engine, folder, test, now)
        expansions = _documents(folder, test.expansion, "expansion") if test.expansion else []
    except _WrongSchemaError as error:
        if test.invalid:
            return TestResult(name=test.name, outcome=TestOutcome.PASSED)
        return TestResult(name=test.name, outcome=TestOutcome.FAILED, message=str(error))
    except InvalidInput as error:
        return TestResult(name=test.name, outcome=TestOutcome.ERROR, message=str(error))
    if test.invalid:
        message = "the template takes the constraint, which should be invalid"
        return TestResult(name=test.name, outcome=TestOutcome.FAILED, message=message)
    cases = [_case(reviewer, folder, one, expansions) for one in test.cases]
    return TestResult(name=test.name, outcome=TestOutcome.PASSED, cases=cases)


def _reviewer(engine: Engine, folder: Path, test: SuiteTest, now: datetime) -> ConstraintJudge:
    """The constraint of a test, ready to judge. Raises InvalidInput."""
    template = _one(folder, test.template, "template")
    try:
        definition = imported_definition(template)
        compile_definition(engine, definition.definition)
    except InvalidInput as error:
        raise InvalidInput(why_not(error)) from error
    # A rule compares only with the objects of its case.
    engine.withhold(definition.slug, None)
    written = _one(folder, test.constraint, "constraint")
    _check_schema(definition, written)
    try:
        made = imported_assignment(written, definition, name="constraint", scope=EVERYWHERE, expanded=True)
        check_parameters(made.assignment, definition.definition)
        ready = make_ready(made.assignment, definition.definition, (), None, now)
    except (InvalidInput, ValueError) as error:
        raise _WrongSchemaError(str(getattr(error, "what", error)), where=written.origin) from error
    return ConstraintJudge(
        engine=engine,
        ready=ready,
        policy=definition.slug,
        enforced=_enforced(mapping(written.document.get("spec"))),
    )


def _check_schema(definition: ImportedDefinition, written: Written) -> None:
    """Raise InvalidInput for a constraint that the API server would refuse; _WrongSchemaError if the template's schema does."""
    if str(written.document.get("kind")) != definition.kind:
        raise InvalidInput(
            f"its kind is {written.document.get('kind')}, expected {definition.kind}", where=written.origin
        )
    spec = written.document.get("spec") or {}
    given = spec.get("parameters") or {} if isinstance(spec, Mapping) else None
    if not isinstance(given, Mapping):
        raise _WrongSchemaError("spec or spec.parameters is no mapping", where=written.origin)
    known = definition.schema.get("properties")
    if not isinstance(known, Mapping) or definition.schema.get("x-kubernetes-preserve-unknown-fields"):
        known = given
    kept = {key: value for key, value in given.items() if key in known}
    if (problem := values_problem(definition.schema, kept)) is not None:
        raise _WrongSchemaError(problem[0], where=written.origin)
    if unknown := sorted(set(given) - set(kept)):
        raise InvalidInput(f"spec.parameters.{unknown[0]} is not in the template's schema", where=written.origin)


def _enforced(spec: Mapping[str, Any]) -> bool:
    if spec.get("enforcementAction") != "scoped":
        return True
    points = [
        point.get("name")
        for one in mappings(spec.get("scopedEnforcementActions"))
        for point in mappings(one.get("enforcementPoints"))
    ]
    return bool({"*", _POINT} & set(points))


def _case(reviewer: ConstraintJudge, folder: Path, case: SuiteCase, expansions: Sequence[Written]) -> CaseResult:
    if case.skip:
        return CaseResult(name=case.name, outcome=TestOutcome.SKIPPED)
    try:
        if not case.assertions:
            raise InvalidInput("it has no assertions")
        one = _one(folder, case.object, "object")
        inventory = [each for path in case.inventory for each in _documents(folder, path, "inventory")]
        namespaces = {
            each.name: mapping(mapping(each.document.get("metadata")).get("labels"))
            for each in inventory
            if each.document.get("kind") == "Namespace"
        }
        with _compared(reviewer.engine, inventory):
            messages = reviewer.messages(one.document, [each.document for each in expansions], namespaces)
        failures = [text for each in case.assertions if (text := _failure(each, messages))]
    except InvalidInput as error:
        return CaseResult(name=case.name, outcome=TestOutcome.ERROR, message=str(error))
    if failures:
        told = "; ".join(messages) if messages else "none"
        return CaseResult(name=case.name, outcome=TestOutcome.FAILED, message=f"{failures[0]}; violations: {told}")
    return CaseResult(name=case.name, outcome=TestOutcome.PASSED)


def _failure(assertion: Assertion, messages: Sequence[str]) -> str:
    """Why an assertion does not hold; empty when it does. Raises InvalidInput for a message that is no RE2 expression."""
    matching, of = list(messages), ""
    if assertion.message is not None:
        try:
            pattern = compiled_re2(assertion.message)
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        matching, of = [one for one in messages if pattern.search(one)], f" whose message has {assertion.message!r}"
    wanted = assertion.violations
    if wanted == "yes":
        return "" if matching else f"expected a violation{of}, found none"
    expected = 0 if wanted == "no" else wanted
    return "" if len(matching) == expected else f"expected {expected or 'no'} violations{of}, found {len(matching)}"


@contextmanager
def _compared(engine: Engine, inventory: Sequence[Written]) -> Iterator[None]:
    """Let rules compare with these objects, and with no others."""
    keys = []
    for one in inventory:
        metadata = mapping(one.document.get("metadata"))
        place = {"apiVersion": one.document.get("apiVersion"), "kind": one.document.get("kind")}
        in_cluster = any(
            row.cluster and row.kind == place["kind"] and row.api_version == place["apiVersion"] for row in BUILT_IN
        )
        namespace = "" if in_cluster else metadata.get("namespace") or ""
        keys.append(
            {**{key: str(value) for key, value in place.items()}, "namespace": str(namespace), "name": one.name}
        )
    try:
        engine.put_inventory([json.dumps(one.document).encode() for one in inventory])
    except EngineError as error:
        raise InvalidInput(f"inventory: {error}") from error
    try:
        yield
    finally:
        engine.drop_inventory(keys)


def _one(folder: Path, path: str, what: str) -> Written:
    """The one document of a file that a suite names. Raises InvalidInput."""
    found = _documents(folder, path, what)
    if len(found) != 1:
        raise InvalidInput(f"{what}: the file holds {len(found)} documents, expected one", where=str(folder / path))
    return found[0]


def _documents(folder: Path, path: str, what: str) -> list[Written]:
    if not path:
        raise InvalidInput(f"it names no {what}")
    if Path(path).is_absolute():
        raise InvalidInput(f"{what} is {path!r}, expected a path from the suite's folder")
    place = folder / path
    found = [document for document, _ in read_yaml(read_file(place), str(place)) if document is not None]
    for document in found:
        if not isinstance(document, Mapping):
            raise InvalidInput(f"{what}: a document is no mapping", where=str(place))
    return [Written(document=document, origin=str(place)) for document in found]
