"""Azure's definitions of the preview of 2019, as those of today.

Their Rego has the package ``admission`` and the rule ``deny``, finds objects by ``data.k8s.matches`` or ``data.kubernetes``, and
has parameters as placeholders in its text, ``{{policyParameters.x}}``. Here it becomes a ConstraintTemplate: the Rego stays, as a
library, and parameters reach it as data, whatever is in them. (Azure: "Understand Azure Policy for Azure Kubernetes Service".)
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from aksp.catalog.template import SYNC_DATA
from aksp.errors import InvalidPolicy
from aksp.kube.kinds import KINDS, Kind
from aksp.model.fields import within
from aksp.yaml_writer import to_yaml

#: How the names of templates begin that are made of definitions of the preview.
CONVERTED: Final = "aksppreview"
#: A string, a raw string or a comment of Rego; what is between them is code.
_TEXT: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`|#[^\n]*')
_PLACEHOLDER: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_PARAMETER: Final = re.compile(r"policyParameters\.([A-Za-z_][A-Za-z0-9_]*)")
_PACKAGE: Final = re.compile(r"^\s*package\s+admission\s*$", re.MULTILINE)
#: The data that the preview's Rego names. Gatekeeper finds a library only where it is imported.
_IMPORT: Final = re.compile(r"\bimport\s+data\.(k8s|kubernetes)\b")
_DATA: Final = re.compile(r"\bdata\.(k8s|kubernetes)\b")
_IMPORTED: Final = """package lib.admission

import data.lib.k8s as aksp_k8s"""
_KUBERNETES_IMPORTED: Final = "\nimport data.lib.kubernetes as aksp_kubernetes"
#: A kind by its plural: the first entry of ``matches``, or the name that follows ``kubernetes``.
_MATCHED: Final = re.compile(r'\bmatches\s*\[\s*\[\s*"([a-z]+)"|\bkubernetes(?:\.([a-z]+)\b|\[\s*"([a-z]+)"\s*\])')
#: Everything that may find objects; imports, which find none; and a string that may be a plural.
_BY_ANY: Final = re.compile(r"\b(?:matches|kubernetes)\b|\bdata\s*\[")
_IMPORTS: Final = re.compile(r"^\s*import\s+data\.(?:k8s(?:\.matches)?|kubernetes)[ \t]*$", re.MULTILINE)
_WORD: Final = re.compile(r'"(?!matches"|kubernetes")[a-z]+"')
_KUBERNETES_NAMED: Final = re.compile(r"\bkubernetes\b")
_MATCHES: Final = re.compile(r"\bmatches\b")
#: The text before a format string. In the values that are put into it, % has no meaning.
_FORMAT: Final = re.compile(r"\bsprintf\s*\(\s*$")
#: The text before the body of a rule ``deny``: its head, or the end of its head after an object in it.
_DENY: Final = re.compile(r"(?:^|\s)deny\s*\[[^\[\]]*\]\s*$|^\s*\]\s*$")

_KINDS_NAMED: Final = (
    'data.k8s.matches[["pods", namespace, name, pod]] finds Pods: lower-case plurals of kinds of Kubernetes'
)

#: Gatekeeper finds functions of libraries only by imports.
_ENTRY: Final = """package akspreview

import data.lib.admission
import data.lib.k8s

violation[{"msg": msg, "details": {}}] {
  found := admission.deny[_]
  k8s.reviewed(found)
  msg := k8s.message(found)
}
"""
_LIBRARY: Final = """package lib.k8s

plurals := %(plurals)s

own_kind := plurals[input.review.kind.kind]
own_namespace := object.get(input.review, "namespace", "")
own_metadata := object.get(input.review.object, "metadata", {})
own_name := object.get(own_metadata, "name", object.get(own_metadata, "generateName", ""))

matches[[kind, namespace, name, resource]] {
  kind := own_kind
  namespace := own_namespace
  name := own_name
  resource := input.review.object
}

reviewed(found) { not is_other(found) }

is_other(found) { found.resource.name != own_name }
is_other(found) { found.resource.namespace != own_namespace }
is_other(found) { found.resource.kind != own_kind }

message(found) = text { text := found.resolution.message; is_string(text) }
else = text { text := sprintf("%%v", [found]) }
"""
_OTHERS: Final = """
matches[[%(plural)s, namespace, name, resource]] {
  resource := data.inventory.namespace[namespace][%(version)s][%(kind)s][name]
  not is_own(%(plural)s, namespace, name)
}
"""
_IS_OWN: Final = """
is_own(kind, namespace, name) { kind == own_kind; namespace == own_namespace; name == own_name }
"""
_KUBERNETES: Final = """
%(plural)s[namespace] = found {
  k8s.matches[[%(quoted)s, namespace, _, _]]
  found := {name: resource | k8s.matches[[%(quoted)s, namespace, name, resource]]}
}
"""


def is_converted(template: str) -> bool:
    """Whether the text of a template was made of a definition of the preview."""
    return f"\n  name: {CONVERTED}" in template


def address(document: Mapping[str, Any], origin: str) -> str:
    """The URL of its Rego, as it is written. Raises InvalidPolicy."""
    written = _details(document, origin).get("policy")
    if not isinstance(written, str) or not written:
        raise InvalidPolicy("properties.policyRule.then.details.policy is missing", where=origin)
    return written


def rego_beside(document: Mapping[str, Any], folder: Path, origin: str) -> Path:
    """Where its Rego lies: in a folder, under the name or the path that ``details.policy`` ends with.

    Raises InvalidPolicy where it does not lie there.
    """
    written = address(document, origin)
    parts = [part for part in unquote(urlsplit(written).path).split("/") if part not in ("", ".", "..")]
    for at in range(len(parts) - 1, -1, -1):
        path = folder.joinpath(*parts[at:])
        if path.is_file():
            return path
    raise InvalidPolicy(
        f"the Rego of a definition of the preview is not fetched: {written}",
        where=origin,
        hint=f"put {parts[-1] if parts else 'its Rego'} beside the definition",
    )


def converted(document: Mapping[str, Any], rego: str, origin: str) -> dict[str, Any]:
    """The definition as one of today, with its Rego inside. Raises InvalidPolicy."""
    details = _details(document, origin)
    for key in details:
        if key not in ("policyId", "policy", "policyParameters"):
            raise InvalidPolicy(f"properties.policyRule.then.details.{key} is not known", where=origin)
    values = details.get("policyParameters") or {}
    if not isinstance(values, Mapping):
        raise InvalidPolicy("properties.policyRule.then.details.policyParameters is no object", where=origin)
    code = "".join(text if is_code or text.startswith('"') else " " for is_code, text in _parts(rego))
    kinds = _kinds(rego, origin)
    rule = _rule(rego, set(values), str(document.get("name") or details.get("policyId") or ""), origin)
    # Two templates of one name would be in conflict, at Azure and in Gatekeeper.
    name = f"{CONVERTED}{hashlib.sha256(rule.encode()).hexdigest()[:12]}"
    template = _template(name, rule, kinds, _compares(code))
    properties = {**document["properties"], "mode": "Microsoft.Kubernetes.Data"}
    then = properties["policyRule"]["then"]
    content = base64.b64encode(to_yaml(template, literal=True).encode()).decode()
    properties["policyRule"] = {
        **properties["policyRule"],
        "then": {
            **then,
            "details": {
                "templateInfo": {"sourceType": "Base64Encoded", "content": content},
                "apiGroups": list(dict.fromkeys(kind.group for kind in kinds)),
                "kinds": list(dict.fromkeys(kind.kind for kind in kinds)),
                "values": dict(values),
            },
        },
    }
    return {**document, "properties": properties}


def _details(document: Mapping[str, Any], origin: str) -> Mapping[str, Any]:
    found = within(document, "properties", "policyRule", "then", "details")
    if not isinstance(found, Mapping):
        raise InvalidPolicy("properties.policyRule.then.details is missing", where=origin)
    return found


def _parts(rego: str) -> Iterator[tuple[bool, str]]:
    """The text in order: whether a part is code, or else a string or a comment."""
    at = 0
    for found in _TEXT.finditer(rego):
        yield True, rego[at : found.start()]
        yield False, found[0]
        at = found.end()
    yield True, rego[at:]


def _kinds(rego: str, origin: str) -> list[Kind]:
    code = "".join(
        text if is_code or _WORD.fullmatch(text) else '""' if text.startswith('"') else " "
        for is_code, text in _parts(rego)
    )
    if len(_BY_ANY.findall(_IMPORTS.sub("", code))) > len(_MATCHED.findall(code)):
        raise InvalidPolicy("the Rego finds objects by a kind that it does not name", where=origin, hint=_KINDS_NAMED)
    plurals = dict.fromkeys(name for found in _MATCHED.findall(code) for name in found if name)
    served = {kind.plural: kind for kind in reversed(list(KINDS.values())) if kind.group != "extensions"}
    unknown = [plural for plural in plurals if plural not in served]
    if unknown or not plurals:
        raise InvalidPolicy(
            f"the Rego is about {', '.join(unknown)}, which every cluster has under another name"
            if unknown
            else "the Rego does not say which kinds it is about",
            where=origin,
            hint=_KINDS_NAMED,
        )
    return [served[plural] for plural in plurals]


def _compares(code: str) -> bool:
    """Whether a rule may find other objects than the one that it is about, by whatever way.

    It may not where ``matches`` is asked once in the body of each rule ``deny``, and nowhere else.
    """
    if _KUBERNETES_NAMED.search(code):
        return True
    imported = len(re.findall(r"^\s*import\s+data\.k8s\.matches\b", code, re.MULTILINE))
    asked = [len(_MATCHES.findall(body)) for before, body in _bodies(code) if _DENY.search(before)]
    return any(count > 1 for count in asked) or sum(asked) + imported < len(_MATCHES.findall(code))


def _bodies(code: str) -> Iterator[tuple[str, str]]:
    """What stands between each outermost pair of braces, after what stands before it."""
    depth, begun, ended = 0, 0, 0
    before = ""
    for found in re.finditer(r'"(?:[^"\\\n]|\\.)*"|[{}]', code):
        if found[0] == "{":
            if not depth:
                before, begun = code[ended : found.start()], found.end()
            depth += 1
        elif found[0] == "}" and depth:
            depth -= 1
            if not depth:
                yield before, code[begun : found.start()]
                ended = found.end()


def _rule(rego: str, known: set[str], policy: str, origin: str) -> str:
    """The Rego with its parameters as data, and as a library, whose package and data are those of Gatekeeper."""
    if not _PACKAGE.search(rego):
        raise InvalidPolicy("the Rego's package is not admission, as it is in the preview", where=origin)

    def value(placeholder: str) -> str:
        if placeholder == "AzurePolicyID":
            return json.dumps(policy)
        name = _PARAMETER.fullmatch(placeholder)
        if name is None or name[1] not in known:
            raise InvalidPolicy(
                f"the Rego has the placeholder {{{{{placeholder}}}}}, which nothing fills",
                where=origin,
                hint=f"details.policyParameters has {', '.join(sorted(known)) or 'no parameter'}",
            )
        return f'input.parameters["{name[1]}"]'

    imports = _IMPORTED + (_KUBERNETES_IMPORTED if _KUBERNETES_NAMED.search(rego) else "")
    made: list[str] = []
    for is_code, text in _parts(rego):
        if is_code:
            text = _IMPORT.sub(r"import data.lib.\1", text)
            text = _PACKAGE.sub(imports, _DATA.sub(r"aksp_\1", text))
            made.append(_PLACEHOLDER.sub(lambda found: value(found[1]), text))
        elif text.startswith("#") or not _PLACEHOLDER.search(text):
            made.append(text)
        else:
            # Whatever a value holds stays a value: it is no part of the Rego's text.
            values = [value(found[1]) for found in _PLACEHOLDER.finditer(text)]
            if made and _FORMAT.search(made[-1]):
                values = [f'replace(sprintf("%v", [{one}]), "%", "%%")' for one in values]
            literal = "%v".join(part.replace("%", "%%") for part in _PLACEHOLDER.split(text)[::2])
            made.append(f"sprintf({literal}, [{', '.join(values)}])")
    return "".join(made)


def _template(name: str, rule: str, kinds: list[Kind], compares: bool) -> dict[str, Any]:
    library = _LIBRARY % {"plurals": json.dumps({kind.kind: kind.plural for kind in kinds})}
    annotations = {}
    if compares:
        library += _IS_OWN
        for kind in kinds:
            quoted = {"plural": kind.plural, "version": kind.api_version, "kind": kind.kind}
            library += _OTHERS % {key: json.dumps(text) for key, text in quoted.items()}
        wanted = [{"groups": [one.group], "versions": [one.version], "kinds": [one.kind]} for one in kinds]
        annotations[SYNC_DATA] = json.dumps([[one] for one in wanted])
    libraries = [rule, library]
    if _KUBERNETES_IMPORTED in rule:
        rules = (_KUBERNETES % {"plural": one.plural, "quoted": json.dumps(one.plural)} for one in kinds)
        libraries.append("package lib.kubernetes\n\nimport data.lib.k8s\n" + "".join(rules))
    return {
        "apiVersion": "templates.gatekeeper.sh/v1",
        "kind": "ConstraintTemplate",
        "metadata": {"name": name, **({"annotations": annotations} if annotations else {})},
        "spec": {
            "crd": {"spec": {"names": {"kind": f"AkspPreview{name.removeprefix(CONVERTED)}"}}},
            "targets": [
                {
                    "target": "admission.k8s.gatekeeper.sh",
                    "code": [{"engine": "Rego", "source": {"version": "v0", "rego": _ENTRY, "libs": libraries}}],
                }
            ],
        },
    }
