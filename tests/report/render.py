"""Reports rendered to a string."""

from __future__ import annotations

import io
from typing import Any

from aksp.model.compliance import Report
from aksp.report.interface import Style
from aksp.report.registry import FORMATS


def render(report: Report, format: str, **style: Any) -> str:
    out = io.StringIO(newline="")
    FORMATS[format].render(report, out, Style(**style))
    return out.getvalue()
