"""Reports: one pure function per format, all in one mapping. Nothing heavy is imported here."""

from aksp.report.interface import Format, GroupBy, Render, Show, Style
from aksp.report.registry import FORMATS

__all__ = ["FORMATS", "Format", "GroupBy", "Render", "Show", "Style"]
