"""Documents of Gatekeeper as definitions and assignments, each checked alone. What cannot be imported is named."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from aksp.assigned import check_parameters, check_resolves
from aksp.catalog.folder import is_bundled
from aksp.catalog.interface import Catalogs
from aksp.engine import Engine
from aksp.errors import InvalidInput, InvalidPolicy
from aksp.gatekeeper.documents import Documents, Written
from aksp.gatekeeper.expansions import expanded
from aksp.gatekeeper.imported_assignment import imported_assignment
from aksp.gatekeeper.imported_definition import ImportedDefinition, imported_definition
from aksp.gatekeeper.names import shortened
from aksp.model.assignment import Assignment
from aksp.model.fields import mapping, mappings
from aksp.model.scope import Scope
from aksp.workspace import compile_definition

#: The name of the Config that Gatekeeper reads, whatever others there are.
_CONFIG = "config"


class Import(Struct, frozen=True, kw_only=True):
    """What is to be written, and what of the documents is not in it.

    ``constraints`` are those of the assignments, in their order; ``refused`` those of which none could be made, and why.
    ``notes`` is what else is to be known.
    """

    definitions: Sequence[ImportedDefinition]
    assignments: Sequence[Assignment]
    constraints: Sequence[Written]
    refused: Sequence[tuple[Written, str]]
    lost: Sequence[str]
    notes: Sequence[str]


def read_import(engine: Engine, found: Documents, known: Catalogs | None, scope: Scope, now: datetime) -> Import:
    """The documents as definitions and assignments. ``known``: the definitions that are there already."""
    lost = list(found.unread)
    expansions = expanded(_distinct(found.expansions, "ExpansionTemplate", lost))
    lost += expansions.lost
    configs = _in_force(found.configs, lost)
    excluded = _excluded(configs, lost)
    definitions: dict[str, ImportedDefinition] = {}
    refused: dict[str, str] = {}
    comparing: list[str] = []
    for written in _distinct(found.templates, "ConstraintTemplate", lost):
        try:
            one = imported_definition(written)
            if known is not None:
                _check_name(one.slug, known)
            if compile_definition(engine, one.definition).requires_inventory:
                comparing.append(one.slug)
        except InvalidPolicy as error:
            refused[written.name] = f"its ConstraintTemplate is not: {why_not(error)}"
            lost.append(f"ConstraintTemplate {written.name}: not imported: {why_not(error)}")
            continue
        definitions[one.slug] = one
        lost += one.lost
    lost += _unsynced(configs, comparing)
    constraints = _distinct(found.constraints, "", lost)
    names = Counter(one.name for one in constraints)
    assignments: list[tuple[Assignment, Written]] = []
    without: list[tuple[Written, str]] = []
    for written in constraints:
        kind = str(written.document.get("kind"))
        called = f"{kind} {written.name}"
        definition = definitions.get(kind.lower())
        if definition is None:
            why = refused.get(kind.lower(), "there is no ConstraintTemplate of its kind among what is imported")
            lost.append(f"{called}: not imported: {why}")
            without.append((written, why))
            continue
        name = written.name if names[written.name] == 1 else f"{definition.slug}.{written.name}"
        try:
            made = imported_assignment(
                written,
                definition,
                name=shortened(name, name),
                scope=scope,
                excluded=excluded,
                expanded=bool(expansions.kinds),
            )
            check_parameters(made.assignment, definition.definition)
            check_resolves(made.assignment, definition.definition, now)
        except InvalidInput as error:
            lost.append(f"{called}: not imported: {error.what}")
            without.append((written, error.what))
            continue
        assignments.append((made.assignment, written))
        lost += [f"{called}: {text}" for text in made.lost]
    # In the order in which they are listed later: templates by name, then constraints by name, of all kinds together.
    assignments.sort(key=lambda one: one[0].name)
    return Import(
        definitions=[definitions[slug] for slug in sorted(definitions)],
        assignments=[assignment for assignment, _ in assignments],
        constraints=[written for _, written in assignments],
        refused=without,
        lost=lost,
        notes=expansions.notes,
    )


def why_not(error: InvalidInput) -> str:
    """Why a template cannot be imported, in a sentence."""
    if "undefined function external_data" in error.what:
        return "its Rego asks providers for data (external_data), and a rule here asks nobody"
    return str(error)


def _check_name(slug: str, known: Catalogs) -> None:
    try:
        there = known.get(slug)
    except InvalidInput:
        return
    if is_bundled(there):
        raise InvalidPolicy(f"a definition that comes with aksp is called {slug!r}")


def _distinct(found: Sequence[Written], kind: str, lost: list[str]) -> list[Written]:
    """Documents by kind and name. Of two that differ the first is taken, and the other is told."""
    first: dict[tuple[str, str], Written] = {}
    for one in sorted(found, key=lambda each: (str(each.document.get("kind")), each.name, each.origin)):
        key = (str(one.document.get("kind")).lower(), one.name)
        if not one.name:
            lost.append(f"{one.origin}: {kind or one.document.get('kind')}: not imported: it has no name")
        elif key not in first:
            first[key] = one
        elif _json(first[key].document) != _json(one.document):
            lost.append(f"{one.document.get('kind')} {one.name}: another one is in {one.origin}, which is not imported")
    return list(first.values())


def _json(document: Mapping[str, object]) -> str:
    return json.dumps(document, sort_keys=True, default=str)


def _in_force(configs: Sequence[Written], lost: list[str]) -> list[Written]:
    """The Configs that Gatekeeper reads. By another it would leave out nothing, and neither is anything left out here."""
    lost += [
        f"Config {one.name}: Gatekeeper reads only the one that is called {_CONFIG}, so this leaves out nothing"
        for one in configs
        if one.name != _CONFIG
    ]
    return [one for one in configs if one.name == _CONFIG]


def _excluded(configs: Sequence[Written], lost: list[str]) -> list[str]:
    """The namespaces that a Config leaves out of both webhook and audit. Those that it leaves out of one only are told."""
    excluded: list[str] = []
    for config in configs:
        for entry in mappings(mapping(config.document.get("spec")).get("match")):
            namespaces, processes = entry.get("excludedNamespaces") or [], entry.get("processes") or []
            if not _are_texts(namespaces) or not _are_texts(processes):
                lost.append(f"Config {config.name}: spec.match has {entry!r}, which is not understood")
                continue
            either = {"webhook", "audit"} & set(processes)
            if "*" in processes or len(either) == 2:
                excluded += namespaces
            elif either:
                lost.append(
                    f"Config {config.name}: {', '.join(namespaces)} are left out of the {either.pop()} alone: judged"
                )
    return excluded


def _unsynced(configs: Sequence[Written], comparing: Sequence[str]) -> list[str]:
    """The namespaces whose objects Gatekeeper does not show to rules that compare, and that are shown here."""
    lost = []
    for config in configs if comparing else ():
        for entry in mappings(mapping(config.document.get("spec")).get("match")):
            namespaces, processes = entry.get("excludedNamespaces") or [], entry.get("processes") or []
            if _are_texts(namespaces) and _are_texts(processes) and {"*", "sync"} & set(processes):
                lost.append(
                    f"Config {config.name}: objects in {', '.join(namespaces)} are not synced, and"
                    f" {', '.join(sorted(comparing))} compares with them here"
                )
    return lost


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
