"""SARIF's rules: definitions as the readers of SARIF show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from aksp.model.compliance import Report, RuleDescriptor
from aksp.report.pipeline.markdown import escape
from aksp.report.text import clipped, safe

#: The most characters that GitHub takes of a rule's description. The help has all of it.
LONGEST_DESCRIPTION: Final = 1024

# GitHub's bands: above 9.0 critical, from 7.0 high, from 4.0 medium, below low. It wants text, not a number.
_SECURITY_SEVERITIES: Final = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0"}


def sarif_rules(report: Report, definitions: Iterable[str], enforced: set[str]) -> Sequence[dict[str, Any]]:
    """A reportingDescriptor for each definition, in the order given.

    ``enforced``: the definitions with violations that would be refused.
    """
    return [_rule(slug, report.rules.get(slug), "error" if slug in enforced else "warning") for slug in definitions]


def _rule(slug: str, rule: RuleDescriptor | None, level: str) -> dict[str, Any]:
    if rule is None:
        rule = RuleDescriptor(
            slug=slug, display_name="", description="", remediation="", category="", version="", severity=""
        )
    title = safe(rule.display_name.strip()) or safe(slug) or "unnamed"
    description = safe(rule.description.strip()) or title
    remediation = safe(rule.remediation.strip()) or f"`aksp definitions show {safe(slug)}` describes this definition."
    properties: dict[str, Any] = {
        "tags": ["security", "kubernetes", *([safe(rule.category)] if rule.category else [])],
        "precision": "very-high",
        "problem.severity": level,
    }
    if (score := _SECURITY_SEVERITIES.get(rule.severity.lower())) is not None:
        properties["security-severity"] = score
    return {
        "id": safe(slug) or "unnamed",
        "name": "".join(word.capitalize() for word in safe(slug).split("-")) or "Unnamed",
        "shortDescription": {"text": title},
        "fullDescription": {"text": clipped(description, LONGEST_DESCRIPTION)},
        "help": {
            "text": f"{description}\n\n{remediation}",
            "markdown": f"{escape(description)}\n\n**What to do:** {_code(remediation)}",
        },
        "defaultConfiguration": {"level": level},
        "properties": properties,
    }


def _code(text: str) -> str:
    """Markdown of a text in which code is already between backticks."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return "".join(f"`{part}`" if at % 2 else escape(part) for at, part in enumerate(parts))
