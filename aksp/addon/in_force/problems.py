"""What is wrong with one document, as a reason and a sentence: it concerns that document alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from aksp.errors import AkspError, EngineError


class Reason(StrEnum):
    """Why a document is not in force as it stands: reasons of the condition Applied."""

    INVALID_DOCUMENT = "InvalidDocument"
    INVALID_PARAMETERS = "InvalidParameters"
    INVALID_DEFINITION = "InvalidDefinition"
    DEFINITION_NOT_FOUND = "DefinitionNotFound"
    NAME_TAKEN = "NameTaken"
    NOT_IN_SCOPE = "NotInScope"
    ENGINE_FAILED = "EngineFailed"
    INVALID = "Invalid"
    EXPIRED = "Expired"
    NO_SUCH_ASSIGNMENT = "NoSuchAssignment"


class Wrong(Exception):
    """A document that cannot come into force."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@contextmanager
def as_wrong(reason: Reason, origin: str = "") -> Iterator[None]:
    """Whatever is raised within, as Wrong; who reads it need not be told the document's own ``origin``.

    Also what no reader should raise: documents come from whoever may write them, and one that is
    read badly must not take the other policies out of force.
    """
    try:
        yield
    except Wrong:
        raise
    except EngineError as error:
        raise Wrong(Reason.ENGINE_FAILED, sentence(error)) from error
    except AkspError as error:
        raise Wrong(reason, sentence(error, origin)) from error
    except Exception as error:
        raise Wrong(reason, f"it cannot be understood: {type(error).__name__}: {error}") from error


def sentence(error: AkspError, origin: str = "") -> str:
    """What, where and what next, on one line."""
    text = error.what if error.where == origin else str(error)
    if error.hint:
        text += f" ({error.hint})"
    return " ".join(text.split())
