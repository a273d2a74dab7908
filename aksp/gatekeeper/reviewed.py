"""An object as gator reviews it: as it is written, alone or in an AdmissionReview, and what ExpansionTemplates make of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct, structs

from aksp.compliance.judgement import Task
from aksp.compliance.plan import MatchSource, Ready
from aksp.engine import Batch, Engine
from aksp.errors import EngineError, InvalidInput
from aksp.gatekeeper.documents import Object
from aksp.model.fields import mapping, mappings, within
from aksp.model.kinds import api_version
from aksp.sources.interface import documents_of


class ConstraintJudge(Struct, frozen=True, kw_only=True):
    """Judges objects by one constraint, whose policy is compiled.

    ``enforced`` says whether the constraint holds in tests (its enforcement points). The operations of its template matter
    to Gatekeeper's webhook alone.
    """

    engine: Engine
    ready: Ready
    policy: str
    enforced: bool

    def messages(
        self, one: Object, expansions: Sequence[Object], namespaces: Mapping[str, Mapping[str, str]]
    ) -> list[str]:
        """The messages of all violations of an object. Raises InvalidInput when it cannot be judged.

        ``namespaces`` are the labels of the Namespaces that are known.
        """
        if one.get("kind") == "AdmissionReview" and str(one.get("apiVersion")).startswith("admission.k8s.io/"):
            return self._messages(self._of_review(one), namespaces, MatchSource.ORIGINAL)
        found = self._messages(self._of_object(one), namespaces, MatchSource.ORIGINAL)
        for template, made in expanded(one, expansions):
            own = self._messages(self._of_object(made), namespaces, MatchSource.GENERATED)
            found += [f"[Implied by {template}] {message}" for message in own]
        return found

    def _messages(self, batch: Batch, namespaces: Mapping[str, Mapping[str, str]], source: MatchSource) -> list[str]:
        # The first is the object; what follows are the Pods that aksp makes of templates, and what was there before.
        document = documents_of(batch.documents)[0]
        document = structs.replace(document, namespace_labels=namespaces.get(document.resource.namespace))
        meant = self.ready.source in (MatchSource.ALL, source)
        if not (self.enforced and meant and self.ready.selection.selects(document)):
            return []
        if (why := self.ready.selection.undecided(document)) is not None:
            raise InvalidInput(why)
        judged = self.engine.judge(batch, [Task(policy=self.policy, parameters=self.ready.values, documents=[0])])
        for fault in judged.faults:
            raise InvalidInput(f"the rule failed: {fault.message}")
        return [judged.findings[index]["msg"] for hit in judged.hits for index in hit.findings]

    def _of_object(self, one: Object) -> Batch:
        listed = {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [one]}
        return self._loaded(lambda: self.engine.load_list(json.dumps(listed).encode()))

    def _of_review(self, review: Object) -> Batch:
        request = review.get("request")
        if not isinstance(request, Mapping):
            raise InvalidInput("the AdmissionReview has no request")
        # Gatekeeper's webhook judges what is deleted as the object.
        filled = {"uid": "test", **{key: value for key, value in request.items() if value is not None}}
        filled.setdefault("object", filled.get("oldObject"))
        if not isinstance(filled["object"], Mapping):
            raise InvalidInput("the AdmissionReview has neither object nor oldObject")
        body = json.dumps({**review, "request": filled}).encode()
        return self._loaded(lambda: self.engine.loaded(self.engine.begin_review(body)))

    def _loaded(self, load: Callable[[], Batch]) -> Batch:
        try:
            batch = load()
        except EngineError as error:
            raise InvalidInput(str(error)) from error
        if not batch.documents:
            raise InvalidInput("it is no Kubernetes object")
        return batch


def expanded(one: Object, templates: Sequence[Object]) -> Iterator[tuple[str, Object]]:
    """What ExpansionTemplates make of an object, and of what they make: the template's name, and the object.

    Raises InvalidInput for one that cannot be used.
    """
    for template in templates:
        name = str(mapping(template.get("metadata")).get("name"))
        spec = mapping(template.get("spec"))
        if not any(_applies(entry, one) for entry in mappings(spec.get("applyTo"))):
            continue
        source = within(one, *str(spec.get("templateSource") or "").split("."))
        generated = mapping(spec.get("generatedGVK"))
        kind = generated.get("kind")
        if not isinstance(source, Mapping) or not isinstance(kind, str):
            raise InvalidInput(
                f"ExpansionTemplate {name}: there is no {spec.get('templateSource')!r} in the object, or no kind"
            )
        parent, own = mapping(one.get("metadata")), dict(mapping(source.get("metadata")))
        if parent.get("namespace"):
            own["namespace"] = parent["namespace"]
        own["name"] = f"{parent.get('name', '')}-{kind}".lower()
        owner = {"apiVersion": one.get("apiVersion"), "kind": one.get("kind"), "name": parent.get("name")}
        own["ownerReferences"] = [*mappings(own.get("ownerReferences")), {**owner, "uid": parent.get("uid", "")}]
        version = api_version(str(generated.get("group") or ""), str(generated.get("version") or "v1"))
        made = {**copy.deepcopy(dict(source)), "apiVersion": version, "kind": kind, "metadata": own}
        yield name, made
        yield from expanded(made, [other for other in templates if other is not template])


def _applies(entry: Object, one: Object) -> bool:
    group, _, version = str(one.get("apiVersion") or "").rpartition("/")
    wanted = (("groups", group), ("versions", version), ("kinds", one.get("kind")))
    return all(isinstance(entry.get(key), list) and value in entry[key] for key, value in wanted)
