"""Why a document of Azure's is not imported."""

from __future__ import annotations


class NotImported(Exception):
    """A document is right, and cannot be imported; the text says why."""
